"""What is put on the demo's clusters: the CRDs, the repository, and the Kustomization that brings all others."""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fluxtui.api.kinds import KINDS
from fluxtui.api.meta import FLUX_NAMESPACE
from fluxtui.cli.contact import list_objects
from fluxtui.cli.demo.repository import BRANCH
from fluxtui.cli.words import Wanted
from fluxtui.engine.installation import install
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row, row_of
from fluxtui.fleet.states import State
from fluxtui.kube.apply import Applier
from fluxtui.kube.client import Client
from fluxtui.kube.errors import KubeError
from fluxtui.kube.kubeconfig import Context, load
from fluxtui.kube.plan import ApplyOptions

Object = dict[str, Any]


class Progress(enum.IntEnum):
    """How far the demo's clusters are."""

    BEGUN = 0
    ROOTED = 1
    """The root Kustomization is ready, so all objects are there."""
    SETTLED = 2
    """Every object is ready, suspended, or failed by itself or by what it depends on."""


_WAITING = frozenset({"DependencyNotReady", "SourceNotReady", "ArtifactFailed"})
"""Reasons of failures that pass when something else is ready."""

ROOT = "flux-system"
SOURCE = "fleet"


def objects(cluster: str, working_copy: Path) -> list[Object]:
    """The GitRepository and the root Kustomization of a cluster."""
    metadata = {"namespace": FLUX_NAMESPACE}
    return [
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": SOURCE, **metadata},
            "spec": {"interval": "1m", "url": working_copy.as_uri(), "ref": {"branch": BRANCH}},
        },
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": ROOT, **metadata},
            "spec": {
                "interval": "5m",
                "path": f"./clusters/{cluster}",
                "prune": True,
                "sourceRef": {"kind": "GitRepository", "name": SOURCE},
            },
        },
    ]


async def bootstrap(kubeconfig: Path, working_copy: Path) -> None:
    """Prepare all clusters at once. Raises KubeError."""

    async def one(context: Context) -> None:
        async with Client(context) as client:
            await install(client)
            await Applier(client).apply(objects(context.name, working_copy), ApplyOptions(manager="fluxtui"))

    async with asyncio.TaskGroup() as group:
        for context in load([str(kubeconfig)]).contexts:
            group.create_task(one(context))


async def progress(kubeconfig: Path) -> Progress:
    """How far the clusters are."""

    async def one(context: Context) -> Progress:
        async with Client(context) as client:
            listing = await list_objects(client, Wanted(KINDS), "")
        return progress_of([row_of(context.id, obj, time.time()) for obj in listing.objects])

    try:
        return min(await asyncio.gather(*(one(context) for context in load([str(kubeconfig)]).contexts)))
    except KubeError:
        return Progress.BEGUN


def progress_of(rows: Iterable[Row]) -> Progress:
    """How far a cluster is whose Flux objects are these."""
    known = {row.ref: row for row in rows}
    if not any(row.ref.name == ROOT and row.state is State.READY for row in known.values()):
        return Progress.BEGUN

    def has_failed(ref: Ref) -> bool:
        row = known.get(ref)
        if row is None or row.state not in (State.FAILED, State.STALLED):
            return False
        return any(map(has_failed, row.depends)) if row.reason in _WAITING else True

    done = all(row.state in (State.READY, State.SUSPENDED) or has_failed(row.ref) for row in known.values())
    return Progress.SETTLED if done else Progress.ROOTED
