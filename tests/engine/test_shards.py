"""Several engines share a cluster by labels, each with Leases of its own."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fluxtui.engine.process import Engine
from fluxtui.engine.runtime.leases import LEASES
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.kubeconfig import Context
from tests.engine.harness import QUICK, create, revision, running, state
from tests.engine.polling import eventually
from tests.engine.source.repositories import Repository

SHARD = "sharding.fluxcd.io/key"


async def label(client: Client, name: str, value: str | None) -> None:
    resource = (await client.resources()).by_plural("gitrepositories")
    assert resource is not None
    patch = {"metadata": {"labels": {SHARD: value}}}
    await client.patch(resource, name, "flux-system", patch, type=PatchType.MERGE)


async def test_each_shard_reconciles_its_own_objects(
    client: Client, context: Context, repository: Repository, tmp_path: Path
) -> None:
    await create(client, repository.url, "plain")
    await create(client, repository.url, "sharded")
    await label(client, "sharded", "a")
    rest = msgspec.structs.replace(QUICK, label_selector=f"!{SHARD}")
    shard = msgspec.structs.replace(QUICK, label_selector=f"{SHARD}=a")
    one = Engine(rest, tmp_path / "one", "fluxtui_one")
    two = Engine(shard, tmp_path / "two", "fluxtui_two")
    async with running(one, context):
        await eventually(lambda: revision(client, "plain"))
        assert not await revision(client, "sharded")
        async with running(two, context):
            await eventually(lambda: revision(client, "sharded"))
            assert state(one, context.id) == state(two, context.id) == "leading"
            leases = {item["metadata"]["name"] for item in (await client.list(LEASES, "flux-system")).items}
            # As leaderelection.GenerateID of fluxcd/pkg names them for these selectors.
            assert {
                "source-controller-leader-election-42da7484",
                "source-controller-leader-election-49d8d10c",
            } <= leases
            await create(client, repository.url, "moving")
            await eventually(lambda: revision(client, "moving"))
            assert not list((tmp_path / "two").glob("*/gitrepository/flux-system/moving"))
            await label(client, "moving", "a")
            await eventually(lambda: bool(list((tmp_path / "two").glob("*/gitrepository/flux-system/moving/*.tar.gz"))))
