"""Full objects kept in memory: packed with what they have in common, and never other than what the rows say."""

from __future__ import annotations

import asyncio
import functools
import json
from typing import Any

import pytest

from fluxtui.api.kinds import KUSTOMIZATION
from fluxtui.config import ConsoleSettings, Settings
from fluxtui.fleet import manifests
from fluxtui.fleet.clusters import Phase
from fluxtui.fleet.fleet import Fleet
from fluxtui.fleet.manifests import Manifests
from fluxtui.fleet.refs import Ref
from fluxtui.kube.client import PatchType
from fluxtui.kube.errors import Forbidden
from tests.engine.polling import eventually
from tests.fleet.conftest import Start
from tests.fleet.live import KS, applied, create, names, phase, running
from tests.fleet.objects import flux, ready, ref

KEEPS = Settings(console=ConsoleSettings(keep_objects=True))
APPS = ref("ks", "apps", "east")


def packed(kept: Manifests, ref: Ref, obj: Any) -> None:
    kept.put([ref], [kept.pack(json.dumps(obj).encode())])


def body(index: int) -> dict[str, Any]:
    """An object of some length that has much in common with the others."""
    spec = {**KS, "path": f"./apps/app-{index}", "postBuild": {"substitute": {f"key{n}": "same" for n in range(40)}}}
    return flux("ks", f"app-{index}", ready(), spec=spec)


async def test_what_objects_have_in_common_is_kept_once_and_each_is_given_back_as_it_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(manifests, "ENOUGH", 200)
    kept = Manifests()
    for index in range(199):
        packed(kept, ref("ks", f"app-{index}"), body(index))
    alone = kept.pack(json.dumps(body(7)).encode())
    learning = asyncio.create_task(kept.run())
    await asyncio.sleep(0)
    assert not learning.done()
    packed(kept, ref("ks", "app-199"), body(199))
    await asyncio.sleep(0)
    # News that come meanwhile stand, and what was packed before the end is packed anew when it is put.
    packed(kept, ref("ks", "app-3"), {**body(3), "news": True})
    kept.forget([ref("ks", "app-4")])
    await learning
    kept.put([ref("ks", "app-7")], [alone])
    packed(kept, ref("ks", "late"), {"type": "ADDED", "object": body(500)})
    assert len(kept) == 200
    assert kept.get(ref("ks", "app-3")) == {**body(3), "news": True}
    assert kept.get(ref("ks", "app-4")) is None
    assert kept.get(ref("ks", "late")) == body(500)
    assert all(kept.get(ref("ks", f"app-{index}")) == body(index) for index in (0, 7, 100, 199))
    assert max(map(len, kept._packed.values())) < len(alone) * 0.6


async def test_objects_that_are_all_the_same_and_small_are_kept_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "ENOUGH", 10)
    kept = Manifests()
    for index in range(10):
        packed(kept, ref("ks", f"app-{index}"), {"metadata": {}})
    await kept.run()
    packed(kept, ref("ks", "late"), {"metadata": {}})
    assert kept.get(ref("ks", "app-5")) == kept.get(ref("ks", "late")) == {"metadata": {}}


def version(fleet: Fleet, which: Ref = APPS) -> str:
    """The resourceVersion that is kept of an object; "" when it is not kept."""
    obj = fleet.kept(which)
    return str(obj["metadata"]["resourceVersion"]) if obj else ""


@pytest.mark.usefixtures("quick")
async def test_what_is_kept_follows_the_object_and_asks_nothing(start: Start) -> None:
    cluster, client = await start("east")
    await create(client, flux("ks", "apps", ready(), spec=KS))
    resource = await client.resource_for((KUSTOMIZATION.group, "", KUSTOMIZATION.kind))
    first = await client.get(resource, "apps", "flux-system")
    async with running(client.context, settings=KEEPS) as fleet:
        await eventually(lambda: fleet.kept(APPS) == first)
        await client.patch(resource, "apps", "flux-system", {"spec": {"path": "./other"}}, type=PatchType.MERGE)
        changed = await client.get(resource, "apps", "flux-system")
        assert changed["spec"]["path"] == "./other"
        await eventually(lambda: fleet.kept(APPS) == changed)
        await client.delete(resource, "apps", "flux-system")
        await eventually(lambda: not names(fleet) and fleet.kept(APPS) is None)
        await create(client, flux("ks", "apps", ready(), spec=KS))
        await eventually(lambda: version(fleet) not in ("", changed["metadata"]["resourceVersion"]))
        cluster.deny("get", "kustomizations")
        with pytest.raises(Forbidden):
            await fleet.object(APPS)
        assert version(fleet)
        fleet.set_contexts(())
        assert fleet.mirror.manifests is not None
        assert not len(fleet.mirror.manifests)


@pytest.mark.usefixtures("quick", "soon_lost")
async def test_what_is_kept_of_a_silent_cluster_tells_since_when_and_a_new_list_leaves_no_ghosts(start: Start) -> None:
    cluster, client = await start("east")
    goes = ref("ks", "goes", "east")
    for name in ("apps", "goes"):
        await create(client, flux("ks", name, ready(), spec=KS))
    async with running(client.context, settings=KEEPS) as fleet:
        await eventually(lambda: phase(fleet) is Phase.LIVE and version(fleet) and version(fleet, goes))
        before = version(fleet)
        assert fleet.lost_since(APPS) == 0.0
        await cluster.faults.set("freeze")
        await eventually(lambda: phase(fleet) is Phase.UNREACHABLE and fleet.lost_since(APPS))
        assert version(fleet) == before
        kind = cluster.operations.kinds.find(KUSTOMIZATION.group, "v1", "kustomizations")
        assert kind is not None
        cluster.store.remove((kind.group, kind.plural), ("flux-system", "goes"))
        cluster.store.compact()
        await cluster.faults.clear()
        await eventually(lambda: phase(fleet) is Phase.LIVE and not fleet.lost_since(APPS))
        await eventually(lambda: names(fleet) == {"apps"})
        assert fleet.kept(goes) is None
        assert version(fleet) == before
        assert fleet.mirror.manifests is not None
        assert len(fleet.mirror.manifests) == len(fleet.mirror.rows)


@pytest.mark.usefixtures("quick")
async def test_where_only_the_watch_of_a_kind_fails_the_cluster_knows_better(start: Start) -> None:
    _, client = await start("east")
    await create(client, flux("ks", "apps", ready(), spec=KS))
    async with running(client.context, settings=KEEPS) as fleet:
        await eventually(lambda: version(fleet))
        lost = functools.partial(fleet.mirror.set_lost, "east", KUSTOMIZATION.group, KUSTOMIZATION.kind)
        lost(fleet.mirror.clock() - 100)
        assert fleet.kept(APPS) is None
        lost(0.0)
        assert version(fleet)


@pytest.mark.usefixtures("quick")
async def test_only_what_has_a_row_is_kept_no_secret_and_nothing_without_the_setting(start: Start) -> None:
    _, client = await start("east")
    apps = await applied(client)
    async with running(client.context, settings=KEEPS) as fleet:
        await eventually(lambda: version(fleet, apps))
        assert fleet.mirror.manifests is not None
        assert len(fleet.mirror.manifests) == len(fleet.mirror.rows)
        secret = Ref("east", "", "Secret", "web", "key")
        assert (await fleet.object(secret))["data"]
        assert fleet.kept(secret) is None
    async with running(client.context) as fleet:
        await eventually(lambda: names(fleet))
        assert fleet.mirror.manifests is None
        assert fleet.kept(apps) is None
