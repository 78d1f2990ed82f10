"""What all objects share: metadata and conditions as typed structs, and the names Flux gives to annotations and labels.

Source: fluxcd/pkg/apis/meta and the API documents of the controllers.
"""

from __future__ import annotations

import msgspec

REQUESTED_AT = "reconcile.fluxcd.io/requestedAt"
FORCE_AT = "reconcile.fluxcd.io/forceAt"
RESET_AT = "reconcile.fluxcd.io/resetAt"
RECONCILE = "kustomize.toolkit.fluxcd.io/reconcile"
PRUNE = "kustomize.toolkit.fluxcd.io/prune"
SSA = "kustomize.toolkit.fluxcd.io/ssa"
FORCE = "kustomize.toolkit.fluxcd.io/force"
SUBSTITUTE = "kustomize.toolkit.fluxcd.io/substitute"
FINALIZER = "finalizers.fluxcd.io"
FLUX_NAMESPACE = "flux-system"

READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"
HEALTHY = "Healthy"


class Condition(msgspec.Struct, omit_defaults=True, rename="camel", gc=False):
    """metav1.Condition; times are RFC 3339 text."""

    type: str
    status: str
    """"True", "False" or "Unknown"."""
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class OwnerReference(msgspec.Struct, omit_defaults=True, rename="camel", gc=False):
    """metav1.OwnerReference."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class ObjectMeta(msgspec.Struct, omit_defaults=True, rename="camel", gc=False):
    """The part of metav1.ObjectMeta that fluxtui reads; managedFields are skipped without cost."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: list[str] = []
    owner_references: list[OwnerReference] = []
