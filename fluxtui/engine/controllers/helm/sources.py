"""Where charts come from, and what of a HelmRelease this engine does not do yet."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from fluxtui.api.helm import HelmChartTemplateSpec, HelmRelease
from fluxtui.engine.adapters import helm
from fluxtui.engine.adapters.helm import ChartError

_COMMIT = 12


def unsupported(obj: HelmRelease) -> Iterable[str]:
    """Fields in use that this reconciler would otherwise ignore."""
    spec = obj.spec
    if spec.chart is None:
        yield "spec.chartRef"
    elif spec.chart.spec.source_ref.kind != "GitRepository":
        yield f"spec.chart.spec.sourceRef.kind {spec.chart.spec.source_ref.kind}"
    elif spec.chart.spec.verify:
        yield "spec.chart.spec.verify"
    used = {
        "spec.kubeConfig": spec.kube_config,
        "spec.serviceAccountName": spec.service_account_name,
        "spec.postRenderers": spec.post_renderers,
        "spec.commonMetadata": spec.common_metadata,
        "spec.healthCheckExprs": spec.health_check_exprs,
        "spec.test.enable": spec.test and spec.test.enable,
        "spec.driftDetection.ignore": spec.drift_detection and spec.drift_detection.ignore,
        "spec.upgrade.preserveValues": spec.upgrade and spec.upgrade.preserve_values,
        "spec.install.disableTakeOwnership": spec.install and spec.install.disable_take_ownership,
        "spec.upgrade.disableTakeOwnership": spec.upgrade and spec.upgrade.disable_take_ownership,
    }
    yield from (field for field, value in used.items() if value)
    if any(dependency.ready_expr for dependency in spec.depends_on):
        yield "spec.dependsOn[].readyExpr"


def load_chart(root: Path, spec: HelmChartTemplateSpec, revision: str, generation: int) -> helm.Chart:
    """Load a chart of an unpacked artifact. Raises ChartError for a path outside of it."""
    suffix = ""
    if spec.reconcile_strategy == "Revision":
        suffix = revision.rpartition(":")[2][:_COMMIT]
    elif spec.values_files:
        suffix = str(generation)
    files = [_inside(root, file) for file in spec.values_files]
    missing = [file for file in files if not file.is_file()]
    if missing and not spec.ignore_missing_values_files:
        raise ChartError(f"values file '{missing[0].relative_to(root)}' not found in the source")
    existing = [file for file in files if file.is_file()]
    return helm.load(_inside(root, spec.chart), version_suffix=suffix, values_files=existing)


def _inside(root: Path, path: str) -> Path:
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", ".")]
    resolved = root.joinpath(*parts).resolve()
    if ".." in parts or not resolved.is_relative_to(root.resolve()):
        raise ChartError(f"path '{path}' leaves the source")
    return resolved
