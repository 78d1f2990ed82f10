"""kustomize.toolkit.fluxcd.io/v1: Kustomization.

Source: docs/spec/v1/kustomizations.md of fluxcd/kustomize-controller.
"""

from __future__ import annotations

from typing import Annotated, Literal

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

Affix = Annotated[str, Meta(min_length=1, max_length=200)]


class CrossNamespaceSourceReference(Spec):
    """The source of the manifests."""

    kind: Annotated[Literal["OCIRepository", "GitRepository", "Bucket", "ExternalArtifact"], doc("Kind of the source.")]
    name: Annotated[str, doc("Name of the source.")]
    namespace: Annotated[str, doc("Namespace of the source, by default the object's own.")] = ""
    api_version: Annotated[str, doc("API version of the source.")] = ""


class Decryption(Spec):
    """How encrypted manifests are read."""

    provider: Annotated[Literal["sops"], doc("Name of the decryption engine.")]
    secret_ref: Annotated[LocalObjectReference | None, doc("Secret with the private keys.")] = None
    service_account_name: Annotated[str, doc("ServiceAccount for the key services of cloud providers.")] = ""


class HealthCheck(Spec):
    """An object whose health is waited for."""

    kind: Annotated[str, doc("Kind of the referent.")]
    name: Annotated[str, doc("Name of the referent.")]
    api_version: Annotated[str, doc("API version of the referent.")] = ""
    namespace: Annotated[str, doc("Namespace of the referent.")] = ""


class SubstituteReference(Spec):
    """A ConfigMap or Secret whose keys are variables."""

    kind: Annotated[Literal["Secret", "ConfigMap"], doc("Kind of the referent.")]
    name: Annotated[Name, doc("Name of the referent.")]
    optional: Annotated[bool, doc("Whether the referent may be missing.", default=False)] = False


class PostBuild(Spec):
    """Variable substitution in the built manifests."""

    substitute: Annotated[dict[str, str] | None, doc("Variables and their values.")] = None
    substitute_from: Annotated[list[SubstituteReference], doc("ConfigMaps and Secrets whose keys are variables.")] = (
        msgspec.field(default_factory=list)
    )
    substitute_strategy: Annotated[
        Literal["", "WithVariables", "Always"],
        doc("WithVariables: substitute when there is a variable (the default); Always: even without one."),
    ] = ""


class KustomizationSpec(Spec):
    """Where manifests come from, how they are built, and how they are applied."""

    interval: Annotated[Duration, doc("How often the desired state is applied again.")]
    prune: Annotated[bool, doc("Whether objects that left the build are deleted.")]
    source_ref: Annotated[CrossNamespaceSourceReference, doc("The source of the manifests.")]
    path: Annotated[str, doc("Directory with a kustomization.yaml or with plain manifests, by default the root.")] = ""
    suspend: Annotated[bool, doc("Stops the reconciliation of this object.")] = False
    retry_interval: Annotated[Duration | None, doc("How soon a failure is retried, by default spec.interval.")] = None
    timeout: Annotated[Duration | None, doc("Limit of apply and health checks, by default spec.interval.")] = None
    wait: Annotated[bool, doc("Wait for the health of every applied object.")] = False
    force: Annotated[bool, doc("Recreate objects whose immutable fields changed.", default=False)] = False
    depends_on: Annotated[list[DependencyReference], doc("Kustomizations that must be ready first.")] = msgspec.field(
        default_factory=list
    )
    health_checks: Annotated[list[HealthCheck], doc("Objects whose health is waited for.")] = msgspec.field(
        default_factory=list
    )
    health_check_exprs: Annotated[list[CustomHealthCheck], doc("CEL health checks of custom resources.")] = (
        msgspec.field(default_factory=list)
    )
    target_namespace: Annotated[Namespace | None, doc("Namespace set on all objects.")] = None
    name_prefix: Annotated[Affix | None, doc("Prefix of all names.")] = None
    name_suffix: Annotated[Affix | None, doc("Suffix of all names.")] = None
    common_metadata: Annotated[CommonMetadata | None, doc("Labels and annotations set on all objects.")] = None
    components: Annotated[list[str], doc("Paths of kustomize Components, relative to spec.path.")] = msgspec.field(
        default_factory=list
    )
    ignore_missing_components: Annotated[bool, doc("Leave out components that the source does not have.")] = False
    patches: Annotated[list[Patch], doc("Strategic merge and JSON patches.")] = msgspec.field(default_factory=list)
    images: Annotated[list[Image], doc("Images to replace.")] = msgspec.field(default_factory=list)
    post_build: Annotated[PostBuild | None, doc("Variable substitution.")] = None
    build_metadata: Annotated[
        list[Literal["originAnnotations", "transformerAnnotations"]], doc("kustomize build metadata to add.")
    ] = msgspec.field(default_factory=list)
    ignore: Annotated[list[IgnoreRule], doc("Fields left out of drift detection and apply.")] = msgspec.field(
        default_factory=list
    )
    deletion_policy: Annotated[
        Literal["", "MirrorPrune", "Delete", "WaitForTermination", "Orphan"],
        doc("What happens to the applied objects when this object is deleted, by default MirrorPrune."),
    ] = ""
    service_account_name: Annotated[str, doc("ServiceAccount to impersonate.")] = ""
    kube_config: Annotated[KubeConfigReference | None, doc("Remote cluster to apply to.")] = None
    decryption: Annotated[Decryption | None, doc("Decryption of Secrets.")] = None


class Snapshot(Status):
    """One outcome of reconciliation, with how often it was met."""

    digest: str
    first_reconciled: Timestamp
    last_reconciled: Timestamp
    last_reconciled_duration: str
    last_reconciled_status: str
    total_reconciliations: int
    metadata: dict[str, str] = msgspec.field(default_factory=dict)


class KustomizationStatus(Status):
    """What was applied last."""

    observed_generation: int = 0
    conditions: list[Condition] = msgspec.field(default_factory=list)
    last_applied_revision: str = ""
    last_applied_origin_revision: str = ""
    last_attempted_revision: str = ""
    last_handled_reconcile_at: str = ""
    inventory: Inventory | None = None
    history: list[Snapshot] = msgspec.field(default_factory=list)


class Kustomization(msgspec.Struct, kw_only=True, rename="camel"):
    """Manifests of a source, built with kustomize and applied to a cluster."""

    metadata: ObjectMeta
    spec: KustomizationSpec
    status: KustomizationStatus = msgspec.field(default_factory=KustomizationStatus)
