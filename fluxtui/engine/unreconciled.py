"""Objects that nobody reconciles while the engine holds the Lease of their controller.

The engine stands in for source-controller as a whole, and not all kinds of it are done here. It says so, and leaves
these objects as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from fluxtui.api.kinds import KINDS, Kind
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.kube.errors import KubeError

LOOK_AGAIN = 600.0
"""Seconds between two looks."""


class _ListMeta(msgspec.Struct):
    remaining: int | None = msgspec.field(default=0, name="remainingItemCount")


class _Counted(msgspec.Struct):
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[msgspec.Raw] | None = None


def left_out(reconciled: Iterable[Kind]) -> list[Kind]:
    """The kinds that are not reconciled although their controller is stood in for."""
    done = list(reconciled)
    controllers = {kind.controller for kind in done}
    return [kind for kind in KINDS if kind.controller in controllers and kind not in done]


async def unreconciled(cluster: Cluster, kinds: Sequence[Kind]) -> str:
    """Which objects of `kinds` there are, for users: "2 HelmRepository, 1 Bucket"; empty for none.

    One request for each kind that is served. What can't be asked for counts as none.
    """
    found = []
    for kind in kinds:
        try:
            count = await _count(cluster, kind)
        except KubeError:
            continue
        if count:
            found.append(f"{count} {kind.kind}")
    return ", ".join(found)


async def _count(cluster: Cluster, kind: Kind) -> int:
    resources = await cluster.client.resources()
    resource = next((r for version in kind.versions if (r := resources.find(kind.group, kind.kind, version))), None)
    if resource is None:
        return 0
    path = resource.path(cluster.settings.watch_namespace)
    answer = await cluster.client.request("GET", path, params={"limit": "1"})
    counted = msgspec.json.decode(answer.body, type=_Counted)
    return len(counted.items or []) + (counted.metadata.remaining or 0)
