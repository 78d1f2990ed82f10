"""Flux objects for the tests of the fleet: small builders, every moment relative to NOW."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fluxtui.api.kinds import BY_WORD, Kind
from fluxtui.fleet.clusters import ClusterInfo, Phase
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SECONDS = NOW.timestamp()
SHA = "7148a354c0ffee5d0d8b1f2a3c4d5e6f70819203"
REVISION = f"main@sha1:{SHA}"

Object = dict[str, Any]


def ago(**units: float) -> str:
    """RFC 3339 text of a moment before NOW."""
    return (NOW - timedelta(**units)).strftime("%Y-%m-%dT%H:%M:%SZ")


def said(
    type: str, status: str, reason: str = "", message: str = "", *, generation: int = 1, since: str = ""
) -> Object:
    """A condition."""
    return {
        "type": type,
        "status": status,
        "reason": reason or ("Succeeded" if status == "True" else "Failed"),
        "message": message,
        "lastTransitionTime": since or ago(minutes=5),
        "observedGeneration": generation,
    }


def flux(
    word: str,
    name: str = "it",
    *conditions: Object,
    namespace: str = "flux-system",
    spec: Object | None = None,
    status: Object | None = None,
    **metadata: Any,
) -> Object:
    """An object of the kind that `word` stands for, in the newest version; generation 1, observed, interval 10m."""
    kind: Kind = BY_WORD[word]
    found: Object = {
        "apiVersion": f"{kind.group}/{kind.versions[0]}",
        "kind": kind.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "generation": 1,
            "creationTimestamp": ago(days=3),
            **metadata,
        },
        "spec": {"interval": "10m", **(spec or {})},
    }
    if conditions or status is not None:
        found["status"] = {"observedGeneration": 1, "conditions": list(conditions), **(status or {})}
    return found


def ready(message: str = "", **more: Any) -> Object:
    return said("Ready", "True", "Succeeded", message, **more)


def failed(reason: str = "Failed", message: str = "it broke", **more: Any) -> Object:
    return said("Ready", "False", reason, message, **more)


def ref(word: str, name: str = "it", cluster: str = "prod", namespace: str = "flux-system") -> Ref:
    kind = BY_WORD[word]
    return Ref(cluster, kind.group, kind.kind, namespace, name)


def mirror_of(**clusters: list[Object]) -> Mirror:
    """A live mirror of these clusters at NOW."""
    mirror = Mirror(lambda: SECONDS)
    for cluster, objects in clusters.items():
        mirror.set_cluster(ClusterInfo(id=cluster, phase=Phase.LIVE, kinds=13, synced=13))
        mirror.upsert(cluster, objects)
    mirror.drain()
    return mirror
