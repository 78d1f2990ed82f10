"""The client against whole API servers, the sandbox and a real kube-apiserver, with the same results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound, Unauthorized, UnknownKind
from fluxtui.kube.gate import Gate
from fluxtui.kube.resources import Resource
from fluxtui.kube.watch import Phase, Timing
from fluxtui.sandbox.cluster import SandboxCluster
from tests.kube.following import follow
from tests.kube.support import CONFIG_MAPS, until
from tests.kube.test_faults import context_of, named


@pytest.fixture(params=["sandbox", *(pytest.param(name, marks=pytest.mark.peers) for name in ("real", "real-http1"))])
async def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """A client of either server; of the real one over HTTP/2, and over what is left without it."""
    if request.param == "real-http1":
        monkeypatch.setenv("DISABLE_HTTP2", "1")
    if request.param != "sandbox":
        async with Client(request.getfixturevalue("real_server")) as made:
            yield made
    else:
        async with SandboxCluster("sandbox") as cluster, Client(context_of(cluster)) as made:
            yield made


async def test_discovery_finds_the_builtin_kinds(client: Client) -> None:
    resources = await client.resources()
    deployment = resources.find("apps", "Deployment")
    assert deployment is not None
    assert (deployment.version, deployment.plural, deployment.namespaced) == ("v1", "deployments", True)
    assert {"get", "list", "watch", "patch"} <= set(deployment.verbs)
    assert {"status", "scale"} <= set(deployment.subresources)
    assert resources.by_word("deploy") == deployment
    namespace = await client.resource_for({"apiVersion": "v1", "kind": "Namespace"})
    assert not namespace.namespaced
    with pytest.raises(UnknownKind):
        await client.resource_for(("nothing.test", "v1", "Nothing"))


async def test_version_and_latency(client: Client) -> None:
    assert (await client.version())["gitVersion"].startswith("v1.")
    await client.alive()
    assert client.liveness.latency is not None
    assert 0 < client.liveness.latency < 5


async def test_writes_meet_and_refuse_each_other(client: Client) -> None:
    made = await client.create(CONFIG_MAPS, named("crud", a="1"))
    with pytest.raises(AlreadyExists):
        await client.create(CONFIG_MAPS, named("crud"))
    newer = await client.replace(CONFIG_MAPS, made | {"data": {"a": "2"}})
    with pytest.raises(Conflict):
        await client.replace(CONFIG_MAPS, made | {"data": {"a": "3"}})
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAPS, "crud", "default", uid="another")
    assert newer["data"] == {"a": "2"}
    with pytest.raises(Invalid):
        await client.create(CONFIG_MAPS, named("Not_A_Name"))
    await client.delete(CONFIG_MAPS, "crud", "default", uid=made["metadata"]["uid"])
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, "crud", "default")


async def test_patches_of_every_type(client: Client) -> None:
    name = "patched"
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}
    made = await client.patch(
        CONFIG_MAPS, name, "default", applied | {"data": {"a": "1"}}, type=PatchType.APPLY, field_manager="one"
    )
    assert made["metadata"]["managedFields"][0]["manager"] == "one"
    other = applied | {"data": {"a": "2"}}
    with pytest.raises(Conflict) as caught:
        await client.patch(CONFIG_MAPS, name, "default", other, type=PatchType.APPLY, field_manager="two")
    assert caught.value.causes[0][:2] == ("FieldManagerConflict", ".data.a")
    await client.patch(CONFIG_MAPS, name, "default", other, type=PatchType.APPLY, field_manager="two", force=True)
    dry = await client.patch(CONFIG_MAPS, name, "default", {"data": {"a": "dry"}}, type=PatchType.MERGE, dry_run=True)
    assert dry["data"] == {"a": "dry"}
    operations = [{"op": "replace", "path": "/data/a", "value": "3"}]
    await client.patch(CONFIG_MAPS, name, "default", operations, type=PatchType.JSON)
    last = await client.patch(CONFIG_MAPS, name, "default", {"data": {"b": "4"}}, type=PatchType.STRATEGIC)
    assert last["data"] == {"a": "3", "b": "4"}
    await client.delete(CONFIG_MAPS, name, "default")


async def test_lists_in_pages(client: Client) -> None:
    for number in range(5):
        await client.create(CONFIG_MAPS, named(f"page-{number}"))
    found = await client.list(CONFIG_MAPS, "default", limit=2)
    names = [item["metadata"]["name"] for item in found.items if item["metadata"]["name"].startswith("page-")]
    assert names == [f"page-{number}" for number in range(5)]
    only = await client.list(CONFIG_MAPS, "default", field_selector="metadata.name=page-3")
    assert [item["metadata"]["name"] for item in only.items] == ["page-3"]
    for name in names:
        await client.delete(CONFIG_MAPS, name, "default")


async def test_a_watch_follows_from_the_list_on(client: Client) -> None:
    await client.create(CONFIG_MAPS, named("first"))
    async with follow(client, CONFIG_MAPS, namespace="default", gate=Gate()) as mirror:
        await until(lambda: mirror.phase is Phase.LIVE)
        assert "first" in mirror.objects
        await client.create(CONFIG_MAPS, named("second"))
        await client.patch(CONFIG_MAPS, "first", "default", {"data": {"x": "y"}}, type=PatchType.MERGE)
        await until(lambda: "second" in mirror.objects and mirror.objects["first"].get("data") == {"x": "y"})
        await client.delete(CONFIG_MAPS, "first", "default")
        await client.delete(CONFIG_MAPS, "second", "default")
        await until(lambda: not {"first", "second"} & set(mirror.objects))
        assert mirror.lists == 1


async def test_a_watch_of_metadata_alone(client: Client) -> None:
    await client.create(CONFIG_MAPS, named("meta", secret="x"))
    async with follow(client, CONFIG_MAPS, namespace="default", metadata_only=True) as mirror:
        await until(lambda: mirror.phase is Phase.LIVE)
        assert mirror.objects["meta"]["kind"] == "ConfigMap"
        assert "data" not in mirror.objects["meta"]
        await client.patch(CONFIG_MAPS, "meta", "default", {"metadata": {"labels": {"a": "b"}}}, type=PatchType.MERGE)
        await until(lambda: mirror.objects["meta"]["metadata"].get("labels") == {"a": "b"})
        assert "data" not in mirror.objects["meta"]
    await client.delete(CONFIG_MAPS, "meta", "default")


async def test_a_stream_that_the_server_ends_is_taken_up(client: Client) -> None:
    async with follow(client, CONFIG_MAPS, namespace="default", timing=Timing(stream=0.6, max_pause=0.2)) as mirror:
        await until(lambda: mirror.phase is Phase.LIVE)
        # Streams of one second end and begin while these come.
        for number in range(8):
            await client.create(CONFIG_MAPS, named(f"n{number}"))
            await asyncio.sleep(0.2)
        await until(lambda: "n7" in mirror.objects)
        assert mirror.lists == 1
        assert mirror.phases == [Phase.SYNCING, Phase.LIVE]
    for number in range(8):
        await client.delete(CONFIG_MAPS, f"n{number}", "default")


async def test_a_kind_that_is_not_there(client: Client) -> None:
    missing = Resource("nothing.test", "v1", "Nothing", "nothings")
    async with follow(client, missing) as mirror:
        await until(lambda: mirror.phase is Phase.ABSENT)
        assert mirror.batches[0].replace


async def test_access_and_impersonation(client: Client) -> None:
    assert await client.allowed("delete", CONFIG_MAPS, "default")
    async with Client(client.context, impersonate_user="nobody", impersonate_groups=("g",)) as nobody:
        if client.id == "real":
            assert not await nobody.allowed("delete", CONFIG_MAPS, "default")
            with pytest.raises(Forbidden, match='User "nobody" cannot list'):
                await nobody.list(CONFIG_MAPS, "default")
        else:
            assert await nobody.allowed("delete", CONFIG_MAPS, "default")


async def test_wrong_credentials_are_unauthorized(client: Client) -> None:
    import msgspec

    cluster = dict(client.context.cluster)
    cluster["server"] = cluster["server"].partition("/token/")[0]
    stranger = msgspec.structs.replace(
        client.context, server=cluster["server"], cluster=cluster, user={"token": "wrong"}
    )
    async with Client(stranger) as other:
        with pytest.raises(Unauthorized):
            await other.list(CONFIG_MAPS)


async def test_logs_of_a_pod_that_is_not_there(client: Client) -> None:
    with pytest.raises(NotFound):
        await anext(client.logs("nowhere", "default"))


async def test_logs_are_followed_until_the_pod_is_gone() -> None:
    pods = Resource("", "v1", "Pod", "pods")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"containers": [{"name": "app", "image": "app:1"}]},
    }
    async with SandboxCluster("sandbox", simulate=False) as cluster, Client(context_of(cluster)) as client:
        uid = (await client.create(pods, pod))["metadata"]["uid"]
        cluster.logs.write(uid, "app", "one")
        lines: list[bytes] = []
        async with asyncio.timeout(60):
            async for line in client.logs("web", "default", follow=True):
                lines.append(line)
                if len(lines) == 1:
                    cluster.logs.write(uid, "app", "two")
                else:
                    cluster.logs.end(uid)
        assert lines == [b"one", b"two"]
