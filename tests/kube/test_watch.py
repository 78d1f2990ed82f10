"""List and watch through every fault, against a scripted API server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from aiohttp import web

from fluxtui.api.meta import ObjectMeta
from fluxtui.kube.client import Client
from fluxtui.kube.errors import AuthError, Unreachable
from fluxtui.kube.gate import Gate
from fluxtui.kube.liveness import Liveness
from fluxtui.kube.watch import Batch, Phase, Timing, WatchState, watch
from tests.kube.following import following
from tests.kube.support import (
    CONFIG_MAPS,
    ScriptedApi,
    answered,
    config_map,
    context,
    event,
    scripted,
    serve,
    status,
    until,
)


class Typed(msgspec.Struct):
    """The part of a ConfigMap that a reader may want."""

    metadata: ObjectMeta
    data: dict[str, str] = {}


async def test_lists_then_follows_changes() -> None:
    async with scripted() as api:
        await api.put("a", x="1")
        async with following(api.url) as mirror:
            await until(lambda: mirror.phase is Phase.LIVE and api.watches)
            assert mirror.objects["a"]["kind"] == "ConfigMap"
            assert mirror.objects["a"]["apiVersion"] == "v1"
            await api.put("b")
            await api.put("a", x="2")
            await until(lambda: "b" in mirror.objects and mirror.objects["a"]["data"] == {"x": "2"})
            await api.remove("a")
            await until(lambda: list(mirror.objects) == ["b"])
            assert mirror.phases == [Phase.SYNCING, Phase.LIVE]
        first = api.seen("watch")[0].query
        assert first["resourceVersion"] == "101"
        assert first["allowWatchBookmarks"] == "true"
        assert 300 <= int(first["timeoutSeconds"]) <= 600


async def test_decodes_into_the_callers_type_and_keeps_what_is_made_of_the_bytes() -> None:
    async with scripted() as api:
        await api.put("a", x="1")
        async with following(api.url, Typed, keep=bytes.upper) as mirror:
            await until(lambda: api.watches)
            assert mirror.objects["a"] == Typed(
                ObjectMeta(name="a", namespace="default", uid="uid-a", resource_version="101"), {"x": "1"}
            )
            assert json.loads(mirror.batches[0].kept[0])["METADATA"]["NAME"] == "A"
            await api.put("b", y="2")
            await until(lambda: "b" in mirror.objects)
            assert json.loads(mirror.batches[-1].kept[0])["OBJECT"]["METADATA"]["NAME"] == "B"


async def test_one_chunk_folds_to_the_last_form_of_each_object() -> None:
    async with scripted() as api, following(api.url) as mirror:
        await until(lambda: api.watches)
        await api.send(
            event("ADDED", config_map("a", 1)) + event("MODIFIED", config_map("a", 2, x="2")),
            event("ADDED", config_map("b", 3)) + event("DELETED", config_map("b", 4)),
            event("DELETED", config_map("c", 5)) + event("ADDED", config_map("c", 6)),
        )
        await until(lambda: len(mirror.batches) == 2)
        batch = mirror.batches[1]
        assert [(obj["metadata"]["name"], obj["data"]) for obj in batch.upserts] == [("a", {"x": "2"}), ("c", {})]
        assert batch.deletes == [("default", "b")]


async def test_events_may_come_in_any_pieces() -> None:
    async with scripted() as api, following(api.url) as mirror:
        await until(lambda: api.watches)
        line = event("ADDED", config_map("long", 1, text="x" * 300_000))
        for start in range(0, len(line), 50_000):
            await api.send(line[start : start + 50_000])
            await asyncio.sleep(0)
        await until(lambda: "long" in mirror.objects)
        assert len(mirror.objects["long"]["data"]["text"]) == 300_000


async def test_a_cut_stream_is_taken_up_where_it_stopped() -> None:
    async with scripted() as api, following(api.url) as mirror:
        await until(lambda: api.watches)
        bookmark = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": "170"}}
        await api.send(event("ADDED", config_map("a", 101)), event("BOOKMARK", bookmark))
        await until(lambda: "a" in mirror.objects)
        api.cut()
        await until(lambda: len(api.seen("watch")) == 2 and api.watches)
        assert api.seen("watch")[1].query["resourceVersion"] == "170"
        # The server takes a watch before its client knows that it is taken.
        await until(lambda: len(mirror.phases) == 4)
        assert mirror.phases == [Phase.SYNCING, Phase.LIVE, Phase.BROKEN, Phase.LIVE]
        assert mirror.lists == 1


async def test_an_expired_version_leads_to_a_list_that_removes_what_vanished() -> None:
    async def gone(_: web.Request) -> web.Response:
        return status(410, "Expired", "too old resource version")

    async with scripted() as api:
        await api.put("a")
        await api.put("b")
        async with following(api.url) as mirror:
            await until(lambda: api.watches)
            del api.objects["a"]
            api.script["watch"] = [gone]
            api.cut()
            await until(lambda: list(mirror.objects) == ["b"])
            assert mirror.lists == 2


async def test_a_later_list_goes_through_the_gate_as_the_first_one_does() -> None:
    gate = Gate(clusters=1)
    async with scripted() as api:
        await api.put("a")
        async with following(api.url, gate=gate) as mirror:
            await until(lambda: api.watches)
            api.script["watch"] = [lambda _: answered(status(410, "Expired"))]
            async with gate.syncing("another"):
                api.cut()
                await until(lambda: gate.waiting == 1)
                assert len(api.seen("list")) == 1
            await until(lambda: mirror.lists == 2)


async def test_expiry_within_the_stream_delivers_what_came_before_it() -> None:
    error = {"kind": "Status", "apiVersion": "v1", "code": 410, "reason": "Expired", "message": "too old"}
    async with scripted() as api, following(api.url) as mirror:
        await until(lambda: api.watches)
        api.objects["b"] = config_map("b", 200)
        await api.send(event("ADDED", config_map("a", 150)) + event("ERROR", error))
        await until(lambda: mirror.lists == 2)
        assert [obj["metadata"]["name"] for obj in mirror.batches[1].upserts] == ["a"]
        assert list(mirror.objects) == ["b"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff not json\n",
        b'{"type":"ADDED","object":\n',
        b'{"type":"ADDED","object":{}}\n',
        b'{"type":"WHAT"}\n',
        b"[]\n",
    ],
)
async def test_garbage_leads_to_a_list(garbage: bytes) -> None:
    async with scripted() as api, following(api.url) as mirror:
        await until(lambda: api.watches)
        api.objects["late"] = config_map("late", 300)
        await api.send(garbage)
        await until(lambda: "late" in mirror.objects and mirror.phase is Phase.LIVE)
        assert mirror.lists == 2
        broken = next(state for state in mirror.states if state.phase is Phase.BROKEN)
        assert isinstance(broken.error, Unreachable)


async def test_an_object_that_is_not_of_the_type_hides_no_other() -> None:
    async with scripted() as api:
        api.objects = {"odd": config_map("odd", 1) | {"data": "text"}, "good": config_map("good", 2)}
        async with following(api.url, Typed) as mirror:
            await until(lambda: api.watches)
            assert list(mirror.objects) == ["good"]
            assert mirror.batches[0].invalid[0].key == ("default", "odd")
            assert "$.data" in mirror.batches[0].invalid[0].problem
            await api.send(event("MODIFIED", config_map("odd", 3) | {"data": 7}), event("ADDED", config_map("more", 4)))
            await until(lambda: "more" in mirror.objects)
            assert mirror.batches[1].invalid[0].key == ("default", "odd")
            assert mirror.lists == 1


async def test_a_fallback_reads_what_the_type_does_not_fit() -> None:
    def lenient(raw: bytes) -> Typed:
        return Typed(msgspec.convert(json.loads(raw)["metadata"], ObjectMeta), {"odd": "yes"})

    async with scripted() as api:
        api.objects = {"odd": config_map("odd", 1) | {"data": "text"}}
        async with following(api.url, Typed, fallback=lenient) as mirror:
            await until(lambda: "odd" in mirror.objects)
            assert mirror.objects["odd"].data == {"odd": "yes"}
            assert not mirror.batches[0].invalid


async def test_a_kind_that_is_not_served_is_a_state_until_discovery_changes() -> None:
    async with scripted() as api:
        missing = [lambda _: answered(status(404, "NotFound"))] * 2
        api.script["list"] = list(missing)
        async with following(api.url, timing=Timing(recheck=0.2)) as mirror:
            await until(lambda: mirror.phase is Phase.LIVE)
            assert mirror.phases == [Phase.SYNCING, Phase.ABSENT, Phase.LIVE]
            # The reader learns that there is nothing, and nobody asks again at once.
            assert mirror.batches == [Batch([], [], replace=True)] * 2
            assert len(api.seen("list")) == 3
            assert mirror.states[2].since - mirror.states[1].since >= 0.2


async def test_discovery_that_brings_a_kind_wakes_its_watch() -> None:
    served: list[dict[str, Any]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path in ("/api", "/apis"):
            items = served if request.path == "/apis" else []
            return web.json_response({"kind": "APIGroupDiscoveryList", "items": items})
        if request.path == "/version":
            return web.json_response({})
        if not served:
            return status(404, "NotFound")
        if request.query.get("watch"):
            return await api.watch(request)
        return web.json_response(api.listing())

    api = ScriptedApi()
    async with serve(handle) as url, Client(context(url)) as client, asyncio.TaskGroup() as group:
        states: list[WatchState] = []

        async def follow() -> None:
            async for _ in watch(client, CONFIG_MAPS, on_state=states.append, timing=Timing(recheck=1000)):
                pass

        task = group.create_task(follow())
        await until(lambda: states and states[-1].phase is Phase.ABSENT)
        await client.resources()
        kind = {"resource": "configmaps", "responseKind": {"kind": "ConfigMap"}, "scope": "Namespaced", "verbs": []}
        served.append({"metadata": {"name": "toys.test"}, "versions": [{"version": "v1", "resources": [kind]}]})
        await client.resources(refresh=True)
        await until(lambda: states[-1].phase is Phase.LIVE)
        task.cancel()


async def test_a_kind_that_goes_away_leaves_nothing_behind() -> None:
    async with scripted() as api:
        await api.put("a")
        async with following(api.url, timing=Timing(recheck=60)) as mirror:
            await until(lambda: api.watches)
            api.script["watch"] = [lambda _: answered(status(404, "NotFound"))]
            api.cut()
            await until(lambda: mirror.phase is Phase.ABSENT)
            await until(lambda: not mirror.objects)


async def test_a_forbidden_kind_is_a_state_looked_at_again_slowly() -> None:
    async with scripted() as api:
        api.script["list"] = [lambda _: answered(status(403, "Forbidden", "configmaps is forbidden"))]
        async with following(api.url, timing=Timing(recheck=0.3)) as mirror:
            await until(lambda: mirror.phase is Phase.LIVE)
            assert mirror.phases == [Phase.SYNCING, Phase.FORBIDDEN, Phase.LIVE]
            assert "configmaps is forbidden" in str(mirror.states[1].error)
            assert len(mirror.batches) == 1
            assert len(api.seen("list")) == 2
            assert mirror.states[2].since - mirror.states[1].since >= 0.15


async def test_server_errors_are_retried_with_pauses_and_said() -> None:
    async with scripted() as api:
        api.script["list"] = [lambda _: answered(status(500, "InternalError", "etcd is gone"))] * 3
        async with following(api.url) as mirror:
            await until(lambda: mirror.phase is Phase.LIVE)
            assert mirror.phases == [Phase.SYNCING, Phase.BROKEN, Phase.LIVE]
            assert str(mirror.states[1].error) == "etcd is gone"


async def test_too_many_requests_waits_as_long_as_the_server_asks() -> None:
    async with scripted() as api:
        busy = [lambda _: answered(status(429, "TooManyRequests", headers={"Retry-After": "1"}))]
        api.script["list"] = list(busy)
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with following(api.url) as mirror:
            await until(lambda: mirror.phase is Phase.LIVE)
            assert loop.time() - began >= 1
            assert len(api.seen("list")) == 2


async def test_credentials_that_cannot_be_had_are_a_state() -> None:
    missing = {"tokenFile": "/nowhere/token"}
    async with scripted() as api, Client(context(api.url, missing), liveness=Liveness(max_pause=0.1)) as client:
        states: list[WatchState] = []

        async def follow() -> None:
            async for _ in watch(client, CONFIG_MAPS, on_state=states.append):
                pass

        async with asyncio.TaskGroup() as group:
            task = group.create_task(follow())
            await until(lambda: states and states[-1].phase is Phase.BROKEN)
            assert isinstance(states[-1].error, AuthError)
            assert not api.requests
            task.cancel()


async def test_metadata_only_asks_for_it_and_keeps_the_kind() -> None:
    async with scripted() as api:
        partial = config_map("a", 1) | {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        api.objects["a"] = partial
        async with following(api.url, metadata_only=True) as mirror:
            await until(lambda: api.watches)
            await api.send(event("ADDED", partial | {"metadata": partial["metadata"] | {"name": "b"}}))
            await until(lambda: "b" in mirror.objects)
            assert {(o["apiVersion"], o["kind"]) for o in mirror.objects.values()} == {("v1", "ConfigMap")}
        assert "as=PartialObjectMetadataList" in api.seen("list")[0].headers["Accept"]
        assert "as=PartialObjectMetadata;" in api.seen("watch")[0].headers["Accept"]


async def test_pages_make_one_batch_and_an_expired_page_begins_again() -> None:
    pages: list[web.Response] = []

    def page(names: str, token: str) -> Any:
        items = [config_map(name, 1) for name in names]
        return web.json_response({"items": items, "metadata": {"resourceVersion": "9", "continue": token}})

    async with scripted() as api:
        pages += [page("ab", "t1"), status(410, "Expired"), page("cd", "")]
        api.script["list"] = [lambda _: answered(pages.pop(0))] * 3
        async with following(api.url, gate=Gate()) as mirror:
            await until(lambda: mirror.batches)
            assert list(mirror.objects) == ["c", "d"]
            assert mirror.lists == 1
        queries = [request.query for request in api.seen("list")]
        assert [(q.get("limit"), q.get("continue")) for q in queries] == [("500", None), ("500", "t1"), (None, None)]
