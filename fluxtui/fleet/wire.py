"""What is decoded of an object on the hot path: only what a row needs; everything else is skipped unread.

One type for all kinds: where two kinds use a field differently it is a union, and a shape that fits nothing is read
by `lenient`, which keeps every part that can be read. Field names are those of the CRDs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec


class Part(msgspec.Struct, rename="camel", gc=False, omit_defaults=True):
    """Base of all parts of an object."""


class Reference(Part):
    """A reference to another object; unset parts default by the kind that refers."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""


class Owner(Part):
    """An owner reference."""

    api_version: str = ""
    kind: str = ""
    name: str = ""


class Meta(Part):
    """The metadata a row needs."""

    name: str = ""
    namespace: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = ""
    deletion_timestamp: str | None = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[Owner] | None = None


class Said(Part):
    """A condition."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class ChartSpec(Part):
    """`spec.chart.spec` of a HelmRelease."""

    chart: str = ""
    version: str = ""
    source_ref: Reference | None = None


class ChartTemplate(Part):
    """`spec.chart` of a HelmRelease; a HelmChart has a text there."""

    spec: ChartSpec | None = None


class Pick(Part):
    """`spec.ref` of a source: what is checked out."""

    branch: str = ""
    tag: str = ""
    semver: str = ""
    name: str = ""
    commit: str = ""
    digest: str = ""


class Spec(Part):
    """The fields of all specs that are shown or followed."""

    suspend: bool | None = False
    interval: str | None = ""
    path: str | None = ""
    url: str | None = ""
    type: str | None = ""
    endpoint: str | None = ""
    bucket_name: str | None = ""
    image: str | None = ""
    version: str | None = ""
    chart: str | ChartTemplate | None = None
    chart_ref: Reference | None = None
    source_ref: Reference | None = None
    provider_ref: Reference | None = None
    image_repository_ref: Reference | None = None
    target_ref: Reference | None = None
    depends_on: list[Reference] | None = None
    ref: Pick | None = None
    address: str | None = ""
    channel: str | None = ""


class Artifact(Part):
    """`status.artifact` of a source."""

    revision: str = ""
    last_update_time: str = ""


class Entry(Part):
    """An entry of `status.inventory`."""

    id: str = ""


class Entries(Part):
    """`status.inventory` of appliers."""

    entries: list[Entry] | None = None


Inventory = Entries | list[Reference] | None
"""`status.inventory`: of appliers, or as a list of references."""


class Past(Part):
    """An entry of `status.history`: a reconcile (Kustomization) or a release (HelmRelease)."""

    last_reconciled: str = ""
    last_deployed: str = ""
    chart_version: str = ""
    version: int = 0
    status: str = ""


class LatestImage(Part):
    """`status.latestRef` of an ImagePolicy."""

    name: str = ""
    tag: str = ""
    digest: str = ""


class Scan(Part):
    """`status.lastScanResult` of an ImageRepository."""

    revision: str = ""
    scan_time: str = ""
    tag_count: int = 0


class Status(Part):
    """The fields of all statuses that are shown."""

    conditions: list[Said] | None = None
    observed_generation: int | None = 0
    last_handled_reconcile_at: str | None = ""
    last_applied_revision: str | None = ""
    last_attempted_revision: str | None = ""
    artifact: Artifact | None = None
    history: list[Past] | None = None
    inventory: msgspec.Raw = msgspec.Raw()
    """`Inventory` as it came: it is half of an object, and seldom another one than the last time."""
    latest_ref: LatestImage | None = None
    latest_image: str | None = ""
    last_scan_result: Scan | None = None
    last_automation_run_time: str | None = ""
    last_push_commit: str | None = ""
    phase: str | None = ""
    canary_weight: int | None = 0
    last_transition_time: str | None = ""
    last_applied_spec: str | None = ""


class Wire(Part):
    """An object of a Flux-family kind, as decoded from a list or a watch."""

    api_version: str = ""
    kind: str = ""
    metadata: Meta = msgspec.field(default_factory=Meta)
    spec: Spec | None = None
    status: Status | None = None


def read(obj: Wire | Mapping[str, Any] | bytes) -> Wire:
    """An object as `Wire`, whether decoded already, a JSON dict or JSON text.

    Raises msgspec.DecodeError for bytes that are no JSON, ValueError for what is no object.
    """
    if isinstance(obj, Wire):
        return obj
    try:
        return msgspec.json.decode(obj if isinstance(obj, bytes) else msgspec.json.encode(obj), type=Wire)
    except msgspec.ValidationError:
        return lenient(msgspec.json.decode(obj) if isinstance(obj, bytes) else obj)


def lenient(obj: Any) -> Wire:
    """An object whose fields do not have the expected shapes: what fits is kept, what does not is left out.

    Raises ValueError for what is no object.
    """
    if not isinstance(obj, Mapping):
        raise ValueError("a Kubernetes object must be a JSON object")
    wire = Wire(
        api_version=str(obj.get("apiVersion") or ""),
        kind=str(obj.get("kind") or ""),
        metadata=_fitting(Meta, obj.get("metadata")),
    )
    if isinstance(obj.get("spec"), Mapping):
        wire.spec = _fitting(Spec, obj["spec"])
    if isinstance(obj.get("status"), Mapping):
        wire.status = _fitting(Status, obj["status"])
        wire.status.conditions = [_fitting(Said, said) for said in _list(obj["status"].get("conditions"))]
    return wire


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_P = TypeVar("_P", bound=Part)


def _fitting(part: type[_P], values: Any) -> _P:
    made = part()
    for field in msgspec.structs.fields(part):
        if isinstance(values, Mapping) and field.encode_name in values:
            try:
                value = msgspec.json.encode(values[field.encode_name])
                setattr(made, field.name, msgspec.json.decode(value, type=field.type))
            except msgspec.ValidationError:
                continue
    return made
