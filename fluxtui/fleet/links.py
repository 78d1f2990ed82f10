"""What an object refers to: its source, what it depends on, who owns it, what it manages.

Source: the API documents of the Flux controllers (sourceRef, chartRef, dependsOn, inventory, ownership labels).
"""

from __future__ import annotations

import msgspec

from fluxtui.api.kinds import HELM_RELEASE, KUSTOMIZATION, OPERATOR_GROUP, is_flux_group
from fluxtui.fleet.refs import Ref, Sharing, group_of, intern
from fluxtui.fleet.wire import ChartTemplate, Entries, Inventory, Reference, Wire

_OWNER_LABELS = (
    ("helm.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/namespace", HELM_RELEASE.group, HELM_RELEASE.kind),
    ("kustomize.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/namespace", KUSTOMIZATION.group, "Kustomization"),
    (
        "resourceset.fluxcd.controlplane.io/name",
        "resourceset.fluxcd.controlplane.io/namespace",
        OPERATOR_GROUP,
        "ResourceSet",
    ),
    ("fluxcd.controlplane.io/name", "fluxcd.controlplane.io/namespace", OPERATOR_GROUP, "FluxInstance"),
)
"""Label of the name, label of the namespace, group and kind of the owner; the closest owner first."""


def _ref(cluster: str, found: Reference, namespace: str, kind: str = "") -> Ref | None:
    name_of_kind = found.kind or kind
    if not found.name or not name_of_kind:
        return None
    group = group_of(found.api_version, name_of_kind)
    return Ref(cluster, intern(group), intern(name_of_kind), intern(found.namespace or namespace), intern(found.name))


def source_of(cluster: str, wire: Wire) -> Ref | None:
    """What the object takes its content from: spec.sourceRef, chartRef, chart's sourceRef, image repository, provider,
    or a Canary's target."""
    spec = wire.spec
    if spec is None:
        return None
    namespace = wire.metadata.namespace
    if spec.chart_ref:
        return _ref(cluster, spec.chart_ref, namespace)
    if spec.source_ref:
        return _ref(cluster, spec.source_ref, namespace)
    if isinstance(spec.chart, ChartTemplate):
        chart = spec.chart.spec
        return _ref(cluster, chart.source_ref, namespace) if chart and chart.source_ref else None
    for found, kind in ((spec.image_repository_ref, "ImageRepository"), (spec.provider_ref, "Provider")):
        if found:
            return _ref(cluster, found, namespace, kind)
    return _ref(cluster, spec.target_ref, namespace) if spec.target_ref else None


def depends_of(cluster: str, group: str, wire: Wire) -> tuple[Ref, ...]:
    """What `spec.dependsOn` names: objects of the own kind unless it says another."""
    if wire.spec is None or not wire.spec.depends_on:
        return ()
    namespace = wire.metadata.namespace
    found = []
    for entry in wire.spec.depends_on:
        kind = entry.kind or wire.kind
        own = kind == wire.kind and not entry.api_version
        ref_group = group if own else group_of(entry.api_version, kind)
        if entry.name:
            found.append(
                Ref(cluster, ref_group, intern(kind), intern(entry.namespace or namespace), intern(entry.name))
            )
    return tuple(found)


def owner_of(cluster: str, wire: Wire) -> Ref | None:
    """The Flux object that applied this one, by its labels, or by an owner reference of a Flux kind."""
    metadata = wire.metadata
    labels = metadata.labels
    if labels:
        for name, namespace, group, kind in _OWNER_LABELS:
            if name in labels:
                owner = Ref(cluster, group, kind, intern(labels.get(namespace, "")), intern(labels[name]))
                return None if _is(owner, wire) else owner
    for entry in metadata.owner_references or ():
        group = entry.api_version.rpartition("/")[0]
        if is_flux_group(group):
            return Ref(cluster, intern(group), intern(entry.kind), intern(metadata.namespace), intern(entry.name))
    return None


def _is(ref: Ref, wire: Wire) -> bool:
    """Whether `ref` is the object itself: the root Kustomization applies itself."""
    metadata = wire.metadata
    return (ref.kind, ref.name, ref.namespace) == (wire.kind, metadata.name, metadata.namespace)


def inventory_of(wire: Wire) -> str:
    """The ids of the objects it manages, one a line: one text costs a tenth of a list of them."""
    found = bytes(wire.status.inventory) if wire.status else b""
    return _inventories(found) if found else ""


def _ids(inventory: bytes) -> str:
    try:
        found = _inventory(inventory)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    if isinstance(found, Entries):
        return "\n".join([entry.id for entry in found.entries or ()])
    return "\n".join(
        f"{entry.namespace}_{entry.name}_{group_of(entry.api_version, entry.kind)}_{entry.kind}"
        for entry in found or ()
        if entry.name and entry.kind
    )


_inventory = msgspec.json.Decoder(Inventory).decode
_inventories = Sharing(_ids)
