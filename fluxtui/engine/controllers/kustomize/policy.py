"""What the fields of a Kustomization mean: times, marks on objects, and deletion.

Source: docs/spec/v1/kustomizations.md of fluxcd/kustomize-controller.
"""

from __future__ import annotations

from typing import Any

from fluxtui.api import durations
from fluxtui.api.kinds import KUSTOMIZE_GROUP
from fluxtui.api.kustomize import KustomizationSpec
from fluxtui.api.meta import FORCE, PRUNE, RECONCILE, SSA
from fluxtui.engine.runtime.objects import Key
from fluxtui.kube.identity import Identity, Object, annotations_of, identity_of
from fluxtui.kube.normalize import is_secret
from fluxtui.kube.plan import Marks
from fluxtui.kube.prune import PruneOptions

MANAGER = "kustomize-controller"
"""Field manager of what is applied."""
STATUS_MANAGER = "gotk-kustomize-controller"
"""Field manager of finalizers and status."""
DRIFT_RETRY = 30.0
"""Seconds after which a kind that is not served is looked for again."""
_LEAST_TIMEOUT = 30.0
_DECRYPT = "kustomize.toolkit.fluxcd.io/decrypt"

MARKS = Marks(
    exclude=((RECONCILE, "disabled"), (SSA, "Ignore")),
    if_not_present=((SSA, "IfNotPresent"),),
    force=((FORCE, "enabled"),),
    merge=((SSA, "Merge"),),
    keep=((PRUNE, "disabled"), (RECONCILE, "disabled"), (SSA, "Ignore")),
)


def timeout_of(spec: KustomizationSpec) -> float:
    """Seconds for health checks and the like: by default 30 s less than the interval, and never below 30 s."""
    wanted = durations.parse(spec.timeout) if spec.timeout else durations.parse(spec.interval) - 30
    return max(_LEAST_TIMEOUT, wanted)


def owner_labels(key: Key) -> dict[str, str]:
    """The labels that tell whose an object is."""
    return {f"{KUSTOMIZE_GROUP}/name": key.name, f"{KUSTOMIZE_GROUP}/namespace": key.namespace}


def prune_options(key: Key, concurrency: int, never: frozenset[str] = frozenset()) -> PruneOptions:
    """What a Kustomization may delete."""
    return PruneOptions(owner=owner_labels(key), keep=MARKS.keep, never=never, concurrency=concurrency)


def deletes_objects(spec: KustomizationSpec) -> bool:
    """Whether the objects go when the Kustomization is deleted."""
    if spec.suspend:
        return False
    if spec.deletion_policy in ("", "MirrorPrune"):
        return spec.prune
    return spec.deletion_policy in ("Delete", "WaitForTermination")


def waits_for_termination(spec: KustomizationSpec) -> bool:
    """Whether a deletion waits until the objects are gone."""
    return spec.deletion_policy == "WaitForTermination"


def has_expressions(spec: KustomizationSpec) -> bool:
    """Whether a spec has CEL expressions."""
    return bool(spec.health_check_exprs) or any(dependency.ready_expr for dependency in spec.depends_on)


def stays_encrypted(obj: Object) -> bool:
    """Whether an object is meant to be applied as SOPS left it."""
    return annotations_of(obj).get(_DECRYPT, "").lower() == "disabled"


def encrypted(objects: list[Object]) -> Object | None:
    """The first Secret that SOPS has encrypted and that is not meant to stay so."""
    return next((obj for obj in objects if is_secret(obj) and obj.get("sops") and not stays_encrypted(obj)), None)


def with_metadata(objects: list[Object], spec: KustomizationSpec) -> list[Object]:
    """Copies of objects with `spec.commonMetadata` on them."""
    common = spec.common_metadata
    if common is None:
        return objects
    done = []
    for obj in objects:
        metadata: dict[str, Any] = dict(obj.get("metadata") or {})
        for part, values in (("labels", common.labels), ("annotations", common.annotations)):
            if values:
                metadata[part] = {**(metadata.get(part) or {}), **values}
        done.append({**obj, "metadata": metadata})
    return done


def checked_objects(spec: KustomizationSpec) -> dict[Identity, str]:
    """The objects of `spec.healthChecks` with their versions; without an apiVersion it is apps/v1."""
    found = {}
    for check in spec.health_checks:
        api_version = check.api_version or "apps/v1"
        metadata = {"name": check.name, "namespace": check.namespace}
        identity = identity_of({"apiVersion": api_version, "kind": check.kind, "metadata": metadata})
        found[identity] = api_version.rpartition("/")[2]
    return found


def vanishing_jobs(objects: list[Object]) -> set[Identity]:
    """Jobs that delete themselves some time after they are done."""
    return {
        identity_of(obj)
        for obj in objects
        if obj.get("kind") == "Job"
        and str(obj.get("apiVersion", "")).startswith("batch/")
        and isinstance((obj.get("spec") or {}).get("ttlSecondsAfterFinished"), int)
    }
