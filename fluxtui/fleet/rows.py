"""A row: one object of one cluster, flat and small, decoded once and judged again when time or news ask for it.

A row holds what lists, trees and traces show. A full object is fetched when it is opened, or kept beside the rows where
the settings say so (`fleet.manifests`).
Rows are never changed in place; the mirror replaces them, so `is` tells whether a row changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from fluxtui.api.kinds import BY_KIND, Category, Kind
from fluxtui.fleet.facts import SUSPENDED_AT, moment, read_facts
from fluxtui.fleet.links import depends_of, inventory_of, owner_of, source_of
from fluxtui.fleet.refs import Ref, clean, from_inventory, intern, interner
from fluxtui.fleet.states import Facts, Judgement, State, state_of
from fluxtui.fleet.text import one_line, short_revision, without_credentials
from fluxtui.fleet.wire import ChartTemplate, Past, Pick, Spec, Status, Wire, read

_clean_detail = interner(lambda text: without_credentials(one_line(text)))


class Row(Facts, gc=False, kw_only=True):
    """An object as lists show it. Times are seconds since the epoch, texts are clean (fleet.text)."""

    ref: Ref
    version: str = ""
    """API version without the group: `v1`."""
    category: Category = Category.OTHER
    state: State = State.UNKNOWN
    before: State = State.UNKNOWN
    """The state that Suspended or Unreachable hides; else the same as `state`."""
    reason: str = ""
    message: str = ""
    """One line of any length, boilerplate cut."""
    revision: str = ""
    """In full: what is stored, applied or released now; see `short`."""
    attempted: str = ""
    """In full: the revision tried last, where the kind says so."""
    detail: str = ""
    """Where it comes from or goes to, in a word: URL, path, chart, image, address."""
    changed: float = 0.0
    """The last change that the object tells of."""
    created: float = 0.0
    source: Ref | None = None
    depends: tuple[Ref, ...] = ()
    owner: Ref | None = None
    """The Flux object that applied this one."""
    inventory: str = ""
    """Inventory ids, one a line; see `managed`."""
    labels: str = ""
    """`,key=value,key=value,` sorted by key; empty without labels."""

    @property
    def kind(self) -> Kind | None:
        """What is known of the kind; None for a generic row."""
        return BY_KIND.get((self.ref.group, self.ref.kind))

    @property
    def api_version(self) -> str:
        """`kustomize.toolkit.fluxcd.io/v1`."""
        return f"{self.ref.group}/{self.version}" if self.ref.group else self.version

    @property
    def short(self) -> str:
        """The revision in short: `main@7148a354`."""
        return short_revision(self.revision)

    @property
    def managed_count(self) -> int:
        """How many objects it manages."""
        return self.inventory.count("\n") + 1 if self.inventory else 0

    def managed(self) -> Iterator[Ref]:
        """The objects it manages; entries that can't be read are left out."""
        for text in self.inventory.splitlines():
            ref = from_inventory(self.ref.cluster, text)
            if ref:
                yield ref


def ref_of(cluster: str, wire: Wire) -> Ref:
    """The key of an object."""
    metadata = wire.metadata
    group = clean(wire.api_version.rpartition("/")[0])
    return Ref(cluster, group, clean(wire.kind), clean(metadata.namespace), clean(metadata.name))


def row_of(
    cluster: str,
    obj: Wire | Mapping[str, Any] | bytes,
    now: float,
    previous: Row | None = None,
    *,
    ref: Ref | None = None,
    lost_since: float = 0.0,
    stale_controllers: Collection[str] = (),
) -> Row:
    """The judged row of an object. `previous` is the row of the same object before, if there was one; `ref` its key,
    if it is known.

    Raises ValueError for what is no object.
    """
    wire = read(obj)
    group, _, version = wire.api_version.rpartition("/")
    kind = BY_KIND.get((group, wire.kind))
    row = Row(
        ref=ref or ref_of(cluster, wire),
        version=intern(version),
        category=kind.category if kind else Category.OTHER,
        created=moment(wire.metadata.creation_timestamp or ""),
        changed=_changed(wire),
        source=source_of(cluster, wire),
        depends=depends_of(cluster, group, wire),
        owner=owner_of(cluster, wire),
        inventory=inventory_of(wire),
        labels=_labels(wire.metadata.labels),
    )
    read_facts(row, wire, kind, now, previous)
    if wire.spec:
        row.detail = _clean_detail(_detail(wire.spec))
    if wire.status:
        row.revision = clean(_revision(wire.status))
        row.attempted = clean(wire.status.last_attempted_revision or "")
    found = state_of(row, now, lost_since=lost_since, stale_controllers=stale_controllers)
    row.state, row.before, row.reason, row.message = found.state, found.before, found.reason, found.message
    return row


def judged(row: Row, now: float, *, lost_since: float = 0.0, stale_controllers: Collection[str] = ()) -> Row:
    """The row judged for another moment: the same row when nothing changes, else a new one."""
    found = state_of(row, now, lost_since=lost_since, stale_controllers=stale_controllers)
    if Judgement(row.state, row.before, row.reason, row.message) == found:
        return row
    fresh: Row = msgspec.structs.replace(row)
    fresh.state, fresh.before, fresh.reason, fresh.message = found.state, found.before, found.reason, found.message
    return fresh


def _labels(labels: Mapping[str, str] | None) -> str:
    if not labels:
        return ""
    return clean("," + "".join([f"{key}={value}," for key, value in sorted(labels.items())]))


def _changed(wire: Wire) -> float:
    """The latest moment the object tells of: conditions, artifact, release, scan, suspension, deletion; its creation at
    least."""
    metadata, status = wire.metadata, wire.status
    times = [metadata.creation_timestamp or "", metadata.deletion_timestamp or ""]
    if wire.spec and wire.spec.suspend:
        times.append((metadata.annotations or {}).get(SUSPENDED_AT, ""))
    if status:
        if status.conditions:
            times += [said.last_transition_time for said in status.conditions]
        times.append(status.last_transition_time or "")
        if status.artifact:
            times.append(status.artifact.last_update_time)
        if status.history:
            times.append(status.history[0].last_deployed)
    return max(map(moment, times))


def _revision(status: Status) -> str:
    """What is in force: an artifact's revision, the applied one, the deployed release's, the latest image."""
    if status.artifact and status.artifact.revision:
        return status.artifact.revision
    if status.last_applied_revision:
        return status.last_applied_revision
    deployed = _deployed(status.history or [])
    if deployed:
        return deployed
    image = status.latest_ref
    if image:
        return image.tag or image.digest
    if status.latest_image:
        return status.latest_image.rpartition(":")[2]
    if status.last_scan_result:
        return f"{status.last_scan_result.tag_count} tags"
    if status.last_push_commit:
        return status.last_push_commit
    return f"{status.canary_weight}%" if status.canary_weight else ""


def _deployed(history: list[Past]) -> str:
    return next((past.chart_version for past in history if past.status == "deployed"), "")


def _detail(spec: Spec) -> str:
    if isinstance(spec.chart, ChartTemplate):
        chart = spec.chart.spec
        return f"{chart.chart}@{chart.version}" if chart and chart.version else chart.chart if chart else ""
    if spec.chart:
        return f"{spec.chart}@{spec.version}" if spec.version else spec.chart
    if spec.url:
        return f"{spec.url}@{_picked(spec.ref)}" if spec.ref and _picked(spec.ref) else spec.url
    if spec.endpoint:
        return f"{spec.endpoint}/{spec.bucket_name}"
    return spec.path or spec.image or spec.address or spec.channel or ""


def _picked(pick: Pick) -> str:
    return pick.name or pick.semver or pick.tag or pick.branch or pick.digest or pick.commit
