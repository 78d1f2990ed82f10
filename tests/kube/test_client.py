"""Requests, identity on the wire, discovery and the verbs, against scripted servers."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    MethodNotAllowed,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthorized,
    Unreachable,
    UnsupportedMediaType,
)
from fluxtui.kube.resources import Resource
from tests.kube.support import CONFIG_MAPS, Recorder, config_map, context, scripted, serve, status, until
from tests.listening import streams

NODES = Resource("", "v1", "Node", "nodes", namespaced=False)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments")


@pytest.mark.parametrize(
    ("resource", "arguments", "path"),
    [
        (DEPLOYMENTS, (), "/apis/apps/v1/deployments"),
        (DEPLOYMENTS, ("x", "y", "status"), "/apis/apps/v1/namespaces/x/deployments/y/status"),
        (NODES, ("x", "n"), "/api/v1/nodes/n"),
        (CONFIG_MAPS, ("", "system:leader"), "/api/v1/configmaps/system:leader"),
        (CONFIG_MAPS, ("x", "a?b#c d"), "/api/v1/namespaces/x/configmaps/a%3Fb%23c%20d"),
    ],
)
def test_paths(resource: Resource, arguments: tuple[str, ...], path: str) -> None:
    assert resource.path(*arguments) == path


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../secrets/x", "a%2fb"])
def test_a_name_cannot_point_at_another_path(name: str) -> None:
    with pytest.raises(KubeError, match="cannot be a name"):
        CONFIG_MAPS.path("default", name)
    with pytest.raises(KubeError, match="cannot be a namespace"):
        CONFIG_MAPS.path(name)


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", BadRequest),
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (405, "MethodNotAllowed", MethodNotAllowed),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (410, "Expired", Gone),
        (413, "RequestEntityTooLarge", ApiError),
        (415, "UnsupportedMediaType", UnsupportedMediaType),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", TooManyRequests),
        (500, "InternalError", ServerError),
        (504, "Timeout", ServerError),
        (302, "", ApiError),
    ],
)
async def test_refusals_have_types(code: int, reason: str, expected: type[ApiError]) -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return status(code, reason, "said \x1b[31mso\u202e")

    async with serve(handle) as url, Client(context(url)) as client:
        with pytest.raises(expected) as caught:
            await client.get(CONFIG_MAPS, "a", "default")
    assert type(caught.value) is expected
    assert (caught.value.status, caught.value.reason) == (code, reason)
    assert str(caught.value) == "said \ufffd[31mso\ufffd"


async def test_a_refusal_that_is_no_status_is_quoted_in_short() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=502, text="<html>\n<h1>Bad gateway</h1>" + "x" * 1000, content_type="text/html")

    async with serve(handle) as url, Client(context(url)) as client:
        with pytest.raises(ServerError, match="the server answered 502: <html> <h1>Bad gateway") as caught:
            await client.version()
    assert len(str(caught.value)) < 300


async def test_an_answer_that_is_no_json_is_no_api_server() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>log in here</html>")

    async with serve(handle) as url, Client(context(url)) as client:
        with pytest.raises(Unreachable, match="not JSON"):
            await client.version()
        with pytest.raises(Unreachable, match="no API discovery"):
            await client.resources()


async def test_verbs_send_what_the_api_wants() -> None:
    server = Recorder({"metadata": {"name": "a"}})
    async with serve(server.handle) as url, Client(context(url)) as client:
        await client.create(CONFIG_MAPS, config_map("a", 1), field_manager="me", dry_run=True)
        assert (server.last.method, server.last.path) == ("POST", "/api/v1/namespaces/default/configmaps")
        assert dict(server.last.query) == {"fieldManager": "me", "dryRun": "All"}
        await client.replace(CONFIG_MAPS, config_map("a", 1), subresource="status")
        assert (server.last.method, server.last.path) == ("PUT", "/api/v1/namespaces/default/configmaps/a/status")
        assert dict(server.last.query) == {"fieldManager": "fluxtui"}
        for kind in PatchType:
            await client.patch(CONFIG_MAPS, "a", "default", [{"op": "x"}], type=kind, force=True)
            assert server.last.headers["Content-Type"] == kind.value
            assert server.last.query.get("force") == ("true" if kind is PatchType.APPLY else None)
            assert server.body == [{"op": "x"}]
        await client.delete(CONFIG_MAPS, "a", "default", uid="u", resource_version="7", dry_run=True)
        assert server.body["preconditions"] == {"uid": "u", "resourceVersion": "7"}
        assert server.body["propagationPolicy"] == "Background"
        assert server.body["dryRun"] == ["All"]
        assert server.last.headers["User-Agent"].startswith("fluxtui/")


async def test_deleting_tells_whether_the_object_is_gone() -> None:
    server = Recorder({"kind": "Status", "status": "Success"})
    async with serve(server.handle) as url, Client(context(url)) as client:
        assert await client.delete(CONFIG_MAPS, "a", "default") is None
        server.reply = config_map("a", 2)
        assert await client.delete(CONFIG_MAPS, "a", "default") == config_map("a", 2)


async def test_lists_follow_their_pages_and_give_items_a_kind() -> None:
    async with scripted() as api:
        pages = [
            {"metadata": {"resourceVersion": "5", "continue": "c"}, "items": [{"metadata": {"name": "a"}}]},
            {"metadata": {"resourceVersion": "5"}, "items": [{"metadata": {"name": "b"}}]},
        ]

        async def page(_: web.Request) -> web.StreamResponse:
            return web.json_response(pages.pop(0))

        api.script["list"] = [page, page]
        async with Client(context(api.url)) as client:
            found = await client.list(CONFIG_MAPS, label_selector="a=b,c!=d", field_selector="metadata.name=x", limit=1)
        assert [(item["kind"], item["apiVersion"], item["metadata"]["name"]) for item in found.items] == [
            ("ConfigMap", "v1", "a"),
            ("ConfigMap", "v1", "b"),
        ]
        assert found.resource_version == "5"
        assert api.seen("list")[1].query["continue"] == "c"
        assert api.seen("list")[1].query["labelSelector"] == "a=b,c!=d"
        assert api.seen("list")[1].query["fieldSelector"] == "metadata.name=x"


async def test_access_is_asked_with_a_review() -> None:
    server = Recorder({"status": {"allowed": True}})
    async with serve(server.handle) as url, Client(context(url)) as client:
        assert await client.allowed("patch", DEPLOYMENTS, "ns", "web", "scale")
        assert server.last.path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        assert server.body["spec"]["resourceAttributes"] == {
            "verb": "patch", "group": "apps", "version": "v1", "resource": "deployments", "subresource": "scale",
            "namespace": "ns", "name": "web",
        }  # fmt: skip
        server.reply = {"status": {"allowed": False}}
        assert not await client.allowed("list", NODES, "ignored")
        assert "namespace" not in server.body["spec"]["resourceAttributes"]


async def test_log_lines_come_as_they_are_written() -> None:
    more = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.path == "/api/v1/namespaces/ns/pods/p/log"
        assert dict(request.query) == {"container": "c", "follow": "true", "tailLines": "0", "sinceSeconds": "90",
                                       "timestamps": "true"}  # fmt: skip
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\ntw")
        await more.wait()
        await response.write(b"o\n\nlast")
        return response

    async with serve(handle) as url, Client(context(url)) as client:
        lines: list[bytes] = []
        options: dict[str, Any] = {"container": "c", "follow": True, "tail": 0, "since": 90.0, "timestamps": True}
        async with aclosing(client.logs("p", "ns", **options)) as log:
            async for line in log:
                lines.append(line)
                more.set()
        assert lines == [b"one", b"two", b"", b"last"]


async def test_what_the_server_postpones_is_asked_again_in_time() -> None:
    answers = [
        status(429, "TooManyRequests", headers={"Retry-After": "1"}),
        status(503, "ServiceUnavailable", headers={"Retry-After": "1"}),
        web.json_response({"gitVersion": "v1"}),
    ]

    async def handle(_: web.Request) -> web.StreamResponse:
        return answers.pop(0)

    async with serve(handle) as url, Client(context(url)) as client:
        assert await client.version() == {"gitVersion": "v1"}


async def test_what_is_postponed_too_long_is_an_error_at_once() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return status(429, "TooManyRequests", "later", headers={"Retry-After": "120"})

    async with serve(handle) as url, Client(context(url)) as client:
        with pytest.raises(TooManyRequests) as caught:
            await client.version()
    assert caught.value.retry_after == 120


async def test_no_answer_is_unreachable_after_the_timeout() -> None:
    async with scripted() as api, Client(context(api.url)) as client:
        api.frozen.clear()
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:\d+: no answer within 0.1 s"):
            await client.request("GET", "/version", timeout=0.1)
        with pytest.raises(Unreachable, match="no answer"):
            async with Client(context(api.url), request_timeout=0.1) as other, other.stream("/api/v1/configmaps"):
                pass


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ("http://127.0.0.1:1", "127.0.0.1:1: connection refused"),
        ("http://no-such-host.invalid", "the host name was not found"),
        ("http://[::ffff:127.0.0.1]:1", "connection refused"),
    ],
)
async def test_what_cannot_be_connected_to_is_said(server: str, message: str) -> None:
    async with Client(context(server)) as client:
        with pytest.raises(Unreachable, match=message):
            await client.version()


async def test_a_cut_answer_is_unreachable() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"git')
        writer.close()
        await writer.wait_closed()

    async with streams(cut) as port, Client(context(f"http://127.0.0.1:{port}")) as client:
        with pytest.raises(Unreachable, match="the connection was cut"):
            await client.version()


async def test_many_requests_share_few_connections() -> None:
    peers: set[Any] = set()

    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.json_response({})

    async with serve(handle) as url, Client(context(url)) as client:
        for _ in range(20):
            await client.version()
    assert len(peers) == 1


async def test_closing_ends_what_is_under_way() -> None:
    async with scripted() as api:
        client = Client(context(api.url))
        async with client:
            ended: list[Exception] = []

            async def follow() -> None:
                try:
                    async with client.stream("/api/v1/configmaps", params={"watch": "true"}) as chunks:
                        async for _ in chunks:
                            pass
                except Unreachable as error:
                    ended.append(error)

            async with asyncio.TaskGroup() as group:
                group.create_task(follow())
                await until(lambda: api.watches)
                await client.close()
            assert "was closed" in str(ended)
        # A closed client may be used again.
        assert (await client.version())["gitVersion"]
        await client.close()
