"""Small questions to a cluster that tell who reconciles it and how well: Leases, Deployments, CRD labels.

The Leases are asked for again and again: that is also how the latency is measured, and how it is found out that a
server refuses requests while streams go on.
Sources: leader election of the Flux controllers (`<controller>-leader-election` in flux-system), labels of Flux's
manifests (`app.kubernetes.io/part-of`, `app.kubernetes.io/version`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from fluxtui.api.kinds import KINDS, KUSTOMIZATION
from fluxtui.api.meta import FLUX_NAMESPACE
from fluxtui.fleet.clusters import Mode
from fluxtui.fleet.facts import moment
from fluxtui.fleet.text import one_line
from fluxtui.kube.errors import ApiError, KubeError

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{FLUX_NAMESPACE}/leases"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{FLUX_NAMESPACE}/deployments"
DEFINITION = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{KUSTOMIZATION.resource}"
_METADATA = "application/json;as={};g=meta.k8s.io;v=v1,application/json"
ENGINE_PREFIXES = ("fluxtui_", "fluxtui-")
"""What the identities of our engine start with (engine.runtime.leases)."""
LOG_FILE = "engine.fluxtui.dev/log-file"
LOG_HOST = "engine.fluxtui.dev/host"
"""Annotations that our engine puts on the Leases it holds."""
SKEW = 300.0
"""Seconds a clock of another host may be wrong before an unchanged Lease counts as not renewed at first sight."""
LATENCY_STEP = 0.02
"""Seconds by which a latency must change to be news."""
RENEWALS = 3
"""Durations of a Lease that may pass without a change before it counts as not renewed."""

_SUFFIX = "-leader-election"
_CONTROLLERS = frozenset(kind.controller for kind in KINDS if kind.controller)


class _Meta(msgspec.Struct):
    name: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _LeaseSpec(msgspec.Struct, rename="camel"):
    holder_identity: str | None = ""
    lease_duration_seconds: int | None = 0
    renew_time: str | None = ""


class _Lease(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    spec: _LeaseSpec = msgspec.field(default_factory=_LeaseSpec)


class _Leases(msgspec.Struct):
    items: list[_Lease] = []


class _Named(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


class _List(msgspec.Struct):
    items: list[_Named] = []


_decode_leases = msgspec.json.Decoder(_Leases).decode
_decode_list = msgspec.json.Decoder(_List).decode
_decode_named = msgspec.json.Decoder(_Named).decode


class Standing(msgspec.Struct, frozen=True):
    """What the Leases of a cluster say."""

    mode: Mode = Mode.UNKNOWN
    holder: str = ""
    stale: tuple[str, ...] = ()
    """Controllers that hold a Lease and do not renew it."""
    log_file: str = ""
    log_host: str = ""
    is_doubtful: bool = False
    """Whether a Lease that is held was not renewed since the last look, or not in its time by our own clock."""


class LeaseWatch:
    """Judges Leases over time. No clock of another host is trusted: what counts is when a Lease was seen to change,
    except at first sight, when only one that is older than any skew counts as dead."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}

    def look(self, leases: _Leases, now: float) -> Standing:
        """What they say at `now` (seconds since the epoch)."""
        holders: list[str] = []
        stale: list[str] = []
        annotations: dict[str, str] = {}
        is_doubtful = False
        for lease in leases.items:
            controller = lease.metadata.name.removesuffix(_SUFFIX)
            holder = one_line(lease.spec.holder_identity or "")
            if controller not in _CONTROLLERS or controller == lease.metadata.name or not holder:
                continue
            is_doubtful = is_doubtful or self._is_doubtful(controller, lease.spec, now)
            alive = self._is_alive(controller, lease.spec, now)
            if not alive:
                stale.append(controller)
            if alive or not holders:
                holders.append(holder)
            annotations.update(lease.metadata.annotations or {})
        engine = next((holder for holder in holders if holder.startswith(ENGINE_PREFIXES)), "")
        if engine:
            logs = one_line(annotations.get(LOG_FILE, "")), one_line(annotations.get(LOG_HOST, ""))
            return Standing(Mode.EMBEDDED, engine, tuple(sorted(stale)), *logs, is_doubtful)
        mode = Mode.DELEGATED if holders else Mode.NONE
        return Standing(mode, holders[0] if holders else "", tuple(sorted(stale)), is_doubtful=is_doubtful)

    def _is_doubtful(self, controller: str, spec: _LeaseSpec, now: float) -> bool:
        """Whether it may be that nobody renews it any more: worth another look soon, and no verdict."""
        renewed = spec.renew_time or ""
        known = self._seen.get(controller)
        return (known is not None and known[0] == renewed) or now - moment(renewed) > _duration(spec)

    def _is_alive(self, controller: str, spec: _LeaseSpec, now: float) -> bool:
        renewed = spec.renew_time or ""
        limit = RENEWALS * _duration(spec)
        known = self._seen.get(controller)
        if known is None or known[0] != renewed:
            dead = known is None and now - moment(renewed) > limit + SKEW
            self._seen[controller] = (renewed, 0.0 if dead else now)
            return not dead
        return now - known[1] <= limit


def _duration(spec: _LeaseSpec) -> int:
    return spec.lease_duration_seconds or 15


async def leases(client: Client, within: float) -> _Leases | None:
    """The Leases in flux-system; None when they may not be read.

    Raises KubeError when the server does not answer in `within` seconds or refuses us altogether (401).
    """
    try:
        answer = await client.request("GET", LEASES, params={"limit": "200"}, timeout=within)
    except ApiError as error:
        if error.status in (403, 404):
            return None
        raise
    return _decode_leases(answer.body)


def steady(known: float, measured: float) -> float:
    """The latency to show: the one known, unless the measured one is another by a quarter. What merely trembles would
    repaint a line of the screen for each look at each cluster."""
    return known if known and abs(measured - known) < max(LATENCY_STEP, known / 4) else measured


async def why_unhandled(client: Client, controller: str) -> str:
    """Why a controller leaves a request unhandled, as far as its Lease tells: a sentence."""
    unhandled = f"{controller} has not handled the request"
    try:
        found = await leases(client, 10.0)
    except (KubeError, msgspec.DecodeError):
        return unhandled
    if found is None:
        return unhandled
    now = time.time()
    mine = [
        lease for lease in found.items if lease.metadata.name == controller + _SUFFIX and lease.spec.holder_identity
    ]
    if not mine:
        return f"{unhandled}: nobody holds its lease"
    if controller in LeaseWatch().look(_Leases(mine), now).stale:
        return f"{unhandled}: it does not renew its lease"
    return f"{unhandled}: {one_line(mine[0].spec.holder_identity or '')} holds its lease"


async def flux_version(client: Client) -> str:
    """`2.9.4`: of the controllers, else of the CRDs; empty when neither says so or may be read."""
    accept = _METADATA.format("PartialObjectMetadataList")
    params = {"labelSelector": "app.kubernetes.io/part-of=flux", "limit": "20"}
    try:
        answer = await client.request("GET", DEPLOYMENTS, params=params, accept=accept)
        for deployment in _decode_list(answer.body).items:
            found = _version(deployment.metadata.labels)
            if found:
                return found
    except (ApiError, msgspec.DecodeError):
        pass
    try:
        answer = await client.request("GET", DEFINITION, accept=_METADATA.format("PartialObjectMetadata"))
        return _version(_decode_named(answer.body).metadata.labels)
    except (ApiError, msgspec.DecodeError):
        return ""


def _version(labels: Mapping[str, str] | None) -> str:
    return one_line((labels or {}).get("app.kubernetes.io/version", "")).removeprefix("v")
