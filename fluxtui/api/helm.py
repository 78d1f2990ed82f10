"""helm.toolkit.fluxcd.io/v2: HelmRelease.

Source: docs/spec/v2/helmreleases.md of fluxcd/helm-controller.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from fluxtui.api.fields import (
    CommonMetadata,
    CustomHealthCheck,
    DependencyReference,
    Duration,
    IgnoreRule,
    Image,
    Inventory,
    KubeConfigReference,
    LocalObjectReference,
    Name,
    Namespace,
    Patch,
    Spec,
    Status,
    Timestamp,
    doc,
)
from fluxtui.api.meta import Condition, ObjectMeta

CRDsPolicy = Literal["", "Skip", "Create", "CreateReplace"]
ServerSideApply = Literal["", "enabled", "disabled", "auto"]
ReleaseName = Annotated[str, Meta(min_length=1, max_length=53)]


class ChartSourceReference(Spec):
    """The source that a chart is taken from."""

    kind: Annotated[Literal["HelmRepository", "GitRepository", "Bucket"], doc("Kind of the source.")]
    name: Annotated[Name, doc("Name of the source.")]
    namespace: Annotated[Namespace | None, doc("Namespace of the source, by default the object's own.")] = None
    api_version: Annotated[str, doc("API version of the source.")] = ""


class ChartVerification(Spec):
    """How a chart's signature is verified."""

    provider: Annotated[Literal["cosign", "notation"], doc("Verifier.", default="cosign")] = "cosign"
    secret_ref: Annotated[LocalObjectReference | None, doc("Secret with the public keys.")] = None


class HelmChartTemplateSpec(Spec):
    """The chart to install."""

    chart: Annotated[
        str, Meta(min_length=1, max_length=2048, description="Name of the chart, or its path in the source.")
    ]
    source_ref: Annotated[ChartSourceReference, doc("The source that has the chart.")]
    version: Annotated[str, doc("Version or range, for charts of a HelmRepository.", default="*")] = "*"
    interval: Annotated[Duration | None, doc("How often the source is checked, by default spec.interval.")] = None
    reconcile_strategy: Annotated[
        Literal["ChartVersion", "Revision"],
        doc("What makes a new chart: its version, or each revision of the source.", default="ChartVersion"),
    ] = "ChartVersion"
    values_files: Annotated[list[str], doc("Values files of the source, merged in order.")] = msgspec.field(
        default_factory=list
    )
    ignore_missing_values_files: Annotated[bool, doc("Leave out values files that are missing.")] = False
    verify: Annotated[ChartVerification | None, doc("Verification of the chart's signature.")] = None


class HelmChartTemplate(Spec):
    """Template of the HelmChart made for the release."""

    spec: Annotated[HelmChartTemplateSpec, doc("The chart to install.")]
    metadata: Annotated[CommonMetadata | None, doc("Labels and annotations of the HelmChart.")] = None


class ChartReference(Spec):
    """An object that already has the chart as its artifact."""

    kind: Annotated[Literal["OCIRepository", "HelmChart", "ExternalArtifact"], doc("Kind of the referent.")]
    name: Annotated[Name, doc("Name of the referent.")]
    namespace: Annotated[Namespace | None, doc("Namespace of the referent, by default the object's own.")] = None
    api_version: Annotated[str, doc("API version of the referent.")] = ""


class ValuesReference(Spec):
    """A ConfigMap or Secret with values."""

    kind: Annotated[Literal["Secret", "ConfigMap"], doc("Kind of the referent.")]
    name: Annotated[Name, doc("Name of the referent.")]
    values_key: Annotated[
        str,
        Meta(max_length=253, pattern=r"^[\-._a-zA-Z0-9]*$", description="Key with the values, by default values.yaml."),
    ] = ""
    target_path: Annotated[
        str,
        Meta(
            max_length=250,
            pattern=r"^([a-zA-Z0-9_\-.\\\/]|\[[0-9]{1,5}\])*$",
            description="Path at which the value is merged; without it the value is a YAML document.",
        ),
    ] = ""
    literal: Annotated[bool, doc("Take the value as it is, without the syntax of --set.")] = False
    optional: Annotated[bool, doc("Whether the referent may be missing.")] = False


class DriftDetection(Spec):
    """What to do about differences between cluster and release."""

    mode: Annotated[Literal["", "enabled", "warn", "disabled"], doc("Whether drift is corrected or reported.")] = ""
    ignore: Annotated[list[IgnoreRule], doc("Fields left out.")] = msgspec.field(default_factory=list)


class InstallRemediation(Spec):
    """What follows a failed install."""

    retries: Annotated[int, doc("How often to try again; negative: without end.")] = 0
    ignore_test_failures: Annotated[bool | None, doc("Failed tests are no failure.")] = None
    remediate_last_failure: Annotated[bool | None, doc("Remediate after the last try, too.")] = None


class UpgradeRemediation(InstallRemediation):
    """What follows a failed upgrade."""

    strategy: Annotated[Literal["", "rollback", "uninstall"], doc("How to remediate, by default rollback.")] = ""


class InstallStrategy(Spec):
    """Whether a failed install is undone or tried again."""

    RULES: ClassVar = (
        (
            "!has(self.retryInterval) || self.name != 'RemediateOnFailure'",
            ".retryInterval cannot be set when .name is 'RemediateOnFailure'",
        ),
    )
    name: Annotated[Literal["RemediateOnFailure", "RetryOnFailure"], doc("Name of the strategy.")]
    retry_interval: Annotated[Duration | None, doc("How soon to try again.")] = None


class UpgradeStrategy(Spec):
    """Whether a failed upgrade is undone or tried again."""

    RULES: ClassVar = (
        (
            "!has(self.retryInterval) || self.name == 'RetryOnFailure'",
            ".retryInterval can only be set when .name is 'RetryOnFailure'",
        ),
    )
    name: Annotated[Literal["RemediateOnFailure", "RetryOnFailure"], doc("Name of the strategy.")]
    retry_interval: Annotated[Duration | None, doc("How soon to try again.")] = None


class Install(Spec):
    """Options of Helm install."""

    timeout: Annotated[Duration | None, doc("Limit of the action, by default spec.timeout.")] = None
    strategy: Annotated[InstallStrategy | None, doc("What a failure leads to.")] = None
    remediation: Annotated[InstallRemediation | None, doc("What follows a failure.")] = None
    crds: Annotated[CRDsPolicy, doc("How the chart's CRDs are handled, by default Create.")] = ""
    create_namespace: Annotated[bool, doc("Create the target namespace.")] = False
    disable_hooks: Annotated[bool, doc("Don't run hooks.")] = False
    disable_open_api_validation: Annotated[
        bool, doc("Don't validate the rendered templates against the cluster's schema.")
    ] = msgspec.field(default=False, name="disableOpenAPIValidation")
    disable_schema_validation: Annotated[bool, doc("Don't validate values against the chart's schema.")] = False
    disable_take_ownership: Annotated[bool, doc("Don't adopt existing objects.")] = False
    disable_wait: Annotated[bool, doc("Don't wait for objects to be ready.")] = False
    disable_wait_for_jobs: Annotated[bool, doc("Don't wait for jobs to complete.")] = False
    replace: Annotated[bool, doc("Use the name of a deleted release that remains in the history again.")] = False
    server_side_apply: Annotated[bool | None, doc("Whether objects are server-side applied.")] = None
    skip_crds: Annotated[bool, doc("Deprecated: use crds.")] = msgspec.field(default=False, name="skipCRDs")


class Upgrade(Spec):
    """Options of Helm upgrade."""

    timeout: Annotated[Duration | None, doc("Limit of the action, by default spec.timeout.")] = None
    strategy: Annotated[UpgradeStrategy | None, doc("What a failure leads to.")] = None
    remediation: Annotated[UpgradeRemediation | None, doc("What follows a failure.")] = None
    crds: Annotated[CRDsPolicy, doc("How the chart's CRDs are handled, by default Skip.")] = ""
    chart_name_change_strategy: Annotated[
        Literal["", "InPlaceUpdate", "Reinstall"], doc("What to do when the chart gets another name.")
    ] = ""
    cleanup_on_fail: Annotated[bool, doc("Delete new objects when the upgrade fails.")] = False
    disable_hooks: Annotated[bool, doc("Don't run hooks.")] = False
    disable_open_api_validation: Annotated[
        bool, doc("Don't validate the rendered templates against the cluster's schema.")
    ] = msgspec.field(default=False, name="disableOpenAPIValidation")
    disable_schema_validation: Annotated[bool, doc("Don't validate values against the chart's schema.")] = False
    disable_take_ownership: Annotated[bool, doc("Don't adopt existing objects.")] = False
    disable_wait: Annotated[bool, doc("Don't wait for objects to be ready.")] = False
    disable_wait_for_jobs: Annotated[bool, doc("Don't wait for jobs to complete.")] = False
    force: Annotated[bool, doc("Replace objects instead of patching them.")] = False
    preserve_values: Annotated[bool, doc("Merge values with those of the last release.")] = False
    server_side_apply: Annotated[ServerSideApply, doc("Whether objects are server-side applied.")] = ""


class Test(Spec):
    """Options of Helm test."""

    enable: Annotated[bool, doc("Run the chart's tests after install and upgrade.")] = False
    ignore_failures: Annotated[bool, doc("Failed tests are no failure.")] = False
    timeout: Annotated[Duration | None, doc("Limit of the action, by default spec.timeout.")] = None
    filters: Annotated[list[TestFilter], doc("Tests to run or to leave out.")] = msgspec.field(default_factory=list)


class TestFilter(Spec):
    """A test to run or to leave out."""

    name: Annotated[Name, doc("Name of the test.")]
    exclude: Annotated[bool, doc("Leave this test out.")] = False


class Rollback(Spec):
    """Options of Helm rollback."""

    timeout: Annotated[Duration | None, doc("Limit of the action, by default spec.timeout.")] = None
    cleanup_on_fail: Annotated[bool, doc("Delete new objects when the rollback fails.")] = False
    disable_hooks: Annotated[bool, doc("Don't run hooks.")] = False
    disable_wait: Annotated[bool, doc("Don't wait for objects to be ready.")] = False
    disable_wait_for_jobs: Annotated[bool, doc("Don't wait for jobs to complete.")] = False
    force: Annotated[bool, doc("Replace objects instead of patching them.")] = False
    recreate: Annotated[bool, doc("Restart pods.")] = False
    server_side_apply: Annotated[ServerSideApply, doc("Whether objects are server-side applied.")] = ""


class Uninstall(Spec):
    """Options of Helm uninstall."""

    timeout: Annotated[Duration | None, doc("Limit of the action, by default spec.timeout.")] = None
    deletion_propagation: Annotated[
        Literal["background", "foreground", "orphan"], doc("Propagation of deletes.", default="background")
    ] = "background"
    disable_hooks: Annotated[bool, doc("Don't run hooks.")] = False
    disable_wait: Annotated[bool, doc("Don't wait for objects to be gone.")] = False
    keep_history: Annotated[bool, doc("Keep the history of the release.")] = False


class KustomizeRenderer(Spec):
    """A kustomize step over the rendered templates."""

    patches: Annotated[list[Patch], doc("Strategic merge and JSON patches.")] = msgspec.field(default_factory=list)
    images: Annotated[list[Image], doc("Images to replace.")] = msgspec.field(default_factory=list)


class PostRenderer(Spec):
    """A step over the rendered templates."""

    kustomize: Annotated[KustomizeRenderer | None, doc("A kustomize step.")] = None


class WaitStrategy(Spec):
    """How health is waited for."""

    name: Annotated[Literal["poller", "legacy"], doc("Name of the strategy.")]


class HelmReleaseSpec(Spec):
    """A chart, its values, and how the release is kept."""

    RULES: ClassVar = (
        (
            "(has(self.chart) && !has(self.chartRef)) || (!has(self.chart) && has(self.chartRef))",
            "either chart or chartRef must be set",
        ),
    )
    interval: Annotated[Duration, doc("How often the release is reconciled.")]
    chart: Annotated[HelmChartTemplate | None, doc("Template of the HelmChart made for the release.")] = None
    chart_ref: Annotated[ChartReference | None, doc("An object that already has the chart.")] = None
    release_name: Annotated[ReleaseName | None, doc("Name of the release, by default composed.")] = None
    target_namespace: Annotated[Namespace | None, doc("Namespace of the release's objects.")] = None
    storage_namespace: Annotated[Namespace | None, doc("Namespace of Helm's storage.")] = None
    depends_on: Annotated[list[DependencyReference], doc("HelmReleases that must be ready first.")] = msgspec.field(
        default_factory=list
    )
    suspend: Annotated[bool, doc("Stops the reconciliation of this object.")] = False
    timeout: Annotated[Duration | None, doc("Limit of a Helm action, by default 5m0s.")] = None
    values: Annotated[dict[str, Any] | None, doc("Values of the release.")] = None
    values_from: Annotated[list[ValuesReference], doc("ConfigMaps and Secrets with values.")] = msgspec.field(
        default_factory=list
    )
    max_history: Annotated[int | None, doc("How many revisions Helm keeps, by default 5; 0: all.")] = None
    service_account_name: Annotated[str, Meta(max_length=253, description="ServiceAccount to impersonate.")] = ""
    persistent_client: Annotated[bool | None, doc("Keep the Kubernetes client between actions.")] = None
    drift_detection: Annotated[DriftDetection | None, doc("Drift detection and correction.")] = None
    install: Annotated[Install | None, doc("Options of install.")] = None
    upgrade: Annotated[Upgrade | None, doc("Options of upgrade.")] = None
    test: Annotated[Test | None, doc("Options of test.")] = None
    rollback: Annotated[Rollback | None, doc("Options of rollback.")] = None
    uninstall: Annotated[Uninstall | None, doc("Options of uninstall.")] = None
    post_renderers: Annotated[list[PostRenderer], doc("Steps over the rendered templates.")] = msgspec.field(
        default_factory=list
    )
    post_render_strategy: Annotated[
        Literal["", "nohooks", "combined", "separate"], doc("How hooks are post-rendered.")
    ] = ""
    common_metadata: Annotated[CommonMetadata | None, doc("Labels and annotations set on all objects.")] = None
    health_check_exprs: Annotated[list[CustomHealthCheck], doc("CEL health checks of custom resources.")] = (
        msgspec.field(default_factory=list)
    )
    wait_strategy: Annotated[WaitStrategy | None, doc("How health is waited for.")] = None
    kube_config: Annotated[KubeConfigReference | None, doc("Remote cluster of the release.")] = None


class HookStatus(Status):
    """Outcome of a test hook."""

    last_started: Timestamp | None = None
    last_completed: Timestamp | None = None
    phase: str = ""


class ReleaseSnapshot(Status):
    """One release of the history, as Helm's storage has it."""

    digest: str
    name: str
    namespace: str
    version: int
    status: str
    chart_name: str
    chart_version: str
    config_digest: str
    first_deployed: Timestamp
    last_deployed: Timestamp
    action: str = ""
    api_version: str = ""
    app_version: str = ""
    deleted: Timestamp | None = None
    oci_digest: str = ""
    test_hooks: dict[str, HookStatus] = msgspec.field(default_factory=dict)


class HelmReleaseStatus(Status):
    """What was installed last."""

    observed_generation: int = 0
    conditions: list[Condition] = msgspec.field(default_factory=list)
    history: list[ReleaseSnapshot] = msgspec.field(default_factory=list)
    inventory: Inventory | None = None
    helm_chart: str = ""
    storage_namespace: str = ""
    failures: int = 0
    install_failures: int = 0
    upgrade_failures: int = 0
    last_attempted_generation: int = 0
    last_attempted_release_action: str = ""
    last_attempted_release_action_duration: str = ""
    last_attempted_revision: str = ""
    last_attempted_revision_digest: str = ""
    last_attempted_config_digest: str = ""
    last_attempted_values_checksum: str = ""
    last_release_revision: int = 0
    last_handled_reconcile_at: str = ""
    last_handled_force_at: str = ""
    last_handled_reset_at: str = ""
    observed_common_metadata_digest: str = ""
    observed_post_renderers_digest: str = ""


class HelmRelease(msgspec.Struct, kw_only=True, rename="camel"):
    """A Helm chart, installed and kept as declared."""

    metadata: ObjectMeta
    spec: HelmReleaseSpec
    status: HelmReleaseStatus = msgspec.field(default_factory=HelmReleaseStatus)
