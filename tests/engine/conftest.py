"""A cluster with the Flux CRDs and flux-system, as the engine finds one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from fluxtui.api.crds import all_crds
from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context, load
from fluxtui.sandbox.cluster import SandboxCluster
from tests.engine.polling import eventually
from tests.engine.source.repositories import Repository

CRDS = all_crds()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """`<tmp_path>/repositories/fleet` with one commit."""
    repository = Repository(tmp_path / "repositories" / "fleet")
    repository.commit("fleet: first", {"apps/web.yaml": "kind: Deployment\n", "README.md": "# fleet\n"})
    return repository


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxCluster]:
    """A fresh cluster whose faults a test may switch."""
    async with SandboxCluster("alpha") as cluster:
        yield cluster


@pytest.fixture
def context(sandbox: SandboxCluster, tmp_path: Path) -> Context:
    """The context of the fresh cluster."""
    file = tmp_path / "sandbox.kubeconfig"
    file.write_text(yaml.safe_dump(sandbox.kubeconfig()))
    return load([str(file)]).contexts[0]


@pytest.fixture
async def client(context: Context) -> AsyncIterator[Client]:
    """A client of an administrator, on a cluster that has what `fluxtui install` puts there."""
    async with Client(context) as client:
        resources = await client.resources()
        namespaces, crds = resources.by_plural("namespaces"), resources.by_plural("customresourcedefinitions")
        assert namespaces is not None
        assert crds is not None
        await client.create(namespaces, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
        for crd in CRDS:
            await client.create(crds, crd)
        plurals = [crd["spec"]["names"]["plural"] for crd in CRDS]

        async def served() -> bool:
            found = await client.resources(refresh=True)
            return all(found.by_plural(plural) for plural in plurals)

        await eventually(served)
        yield client
