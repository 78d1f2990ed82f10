"""What is put on the demo's clusters: the CRDs, the repository, and the Kustomization that brings all others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fluxtui.api.kinds import KUSTOMIZATION
from fluxtui.api.meta import FLUX_NAMESPACE
from fluxtui.cli.demo.repository import BRANCH
from fluxtui.engine.installation import install
from fluxtui.kube.apply import Applier
from fluxtui.kube.client import Client
from fluxtui.kube.errors import KubeError
from fluxtui.kube.kubeconfig import Context, load
from fluxtui.kube.plan import ApplyOptions

Object = dict[str, Any]

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


async def roots_are_ready(kubeconfig: Path) -> bool:
    """Whether every cluster's root Kustomization is ready."""

    async def one(context: Context) -> bool:
        async with Client(context) as client:
            resource = await client.resource_for((KUSTOMIZATION.group, KUSTOMIZATION.versions[0], KUSTOMIZATION.kind))
            root = await client.get(resource, ROOT, FLUX_NAMESPACE)
        conditions = (root.get("status") or {}).get("conditions") or []
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    try:
        found = await asyncio.gather(*(one(context) for context in load([str(kubeconfig)]).contexts))
    except KubeError:
        return False
    return all(found)
