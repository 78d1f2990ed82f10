"""HTTP/2 against a server on the `h2` library: one connection for all, and every way in which it can end."""

from __future__ import annotations

import asyncio
import gzip
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from fluxtui.kube import exchange, session, vigil
from fluxtui.kube.client import Client
from fluxtui.kube.errors import Conflict, Silent, Unreachable
from fluxtui.kube.liveness import Liveness
from fluxtui.kube.session import Session
from fluxtui.kube.transport import Stream
from tests.kube.http2_peer import HELLO, Asked, Peer
from tests.kube.support import Authority, context, serve, until

CANCEL = 0x8
REFUSED_STREAM = 0x7
INTERNAL_ERROR = 0x2


@pytest.fixture(autouse=True)
def by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the user has disabled."""
    monkeypatch.delenv("DISABLE_HTTP2", raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority of the servers of these tests."""
    return Authority(tmp_path_factory.mktemp("pki"), "http2-ca")


@pytest.fixture(scope="module")
def server_context(authority: Authority) -> ssl.SSLContext:
    """What the servers of these tests are certified by."""
    return authority.server_context("server", "IP:127.0.0.1")


@pytest.fixture
def connect(authority: Authority, server_context: ssl.SSLContext) -> Connect:
    """A client of a running peer."""

    @asynccontextmanager
    async def made(peer: Peer, **options: Any) -> AsyncIterator[Client]:
        async with (
            peer.running(server_context),
            Client(context(peer.url, certificate_authority_data=authority.data), **options) as client,
        ):
            yield client

    return made


Connect = Callable[..., Any]


def hold(asked: Asked) -> None:
    """Answer what is no stream at once, and begin streams."""
    if "watch" in asked.path:
        asked.begin()
        asked.send(b"first\n")
    else:
        asked.answer()


async def next_chunk(stream: Stream) -> bytes:
    """The next piece of a stream that goes on."""
    async for chunk in stream:
        return chunk
    raise AssertionError("the stream has ended")


async def test_all_requests_and_streams_share_one_connection(connect: Connect) -> None:
    peer = Peer()
    peer.handle = hold
    async with connect(peer) as client, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(client.stream(f"/watch/{number}")) for number in range(20)]
        assert [await next_chunk(stream) for stream in streams] == [b"first\n"] * 20
        versions = await asyncio.gather(*(client.version() for _ in range(20)))
        assert {version["gitVersion"] for version in versions} == {"v2"}
        assert len(peer.connections) == 1
        for number, asked in enumerate(peer.asked[:20]):
            asked.send(b"line %d\n" % number)
        assert [await next_chunk(stream) for stream in streams] == [b"line %d\n" % number for number in range(20)]
    await until(lambda: not peer.connections[0].is_open)
    assert not peer.connections[0].problem


async def test_headers_say_who_and_what(connect: Connect, authority: Authority) -> None:
    peer = Peer()
    async with connect(peer, impersonate_user="jane", impersonate_groups=["a", "b"]) as client:
        await client.request("GET", "/x", params={"fieldSelector": "a=b,c", "continue": "é +/"})
    headers = peer.asked[0].headers
    assert headers[":path"] == "/x?fieldSelector=a%3Db%2Cc&continue=%C3%A9%20%2B%2F"
    assert headers[":authority"] == peer.url.removeprefix("https://")
    assert headers["impersonate-user"] == "jane"
    assert headers["accept"] == "application/json"
    assert headers["user-agent"].startswith("fluxtui/")


async def test_bodies_larger_than_the_windows_arrive_both_ways(connect: Connect) -> None:
    body = os.urandom((1 << 20) + 12345)
    peer = Peer()
    peer.handle = lambda asked: asked.answer(asked.body)
    async with connect(peer) as client:
        answers = await asyncio.gather(*(client.request("PUT", f"/{n}", body=body) for n in range(3)))
        assert all(answer.body == body for answer in answers)
    assert {asked.headers["content-length"] for asked in peer.asked} == {str(len(body))}


async def test_a_stream_that_nobody_reads_holds_up_no_other(connect: Connect) -> None:
    peer = Peer()
    peer.handle = hold
    async with connect(peer) as client, client.stream("/watch") as stream:
        asked = peer.of("/watch")[0]
        asked.send(bytes(4 << 20))
        for _ in range(3):
            assert (await client.version())["gitVersion"] == "v2"
        assert len(asked._unsent) > 2 << 20
        size = 0
        while size < (4 << 20):
            size += len(await next_chunk(stream))
        assert size == (4 << 20) + len(b"first\n")


async def test_zipped_answers_are_unpacked_and_wrong_ones_refused(connect: Connect) -> None:
    plain = b"[" + b"12345678," * (1 << 20) + b"0]"
    zipped = gzip.compress(plain, 1)
    peer = Peer()
    peer.handle = lambda asked: asked.answer(
        zipped if asked.path == "/good" else zipped[:-900] if asked.path == "/cut" else b"no gzip",
        content_encoding="gzip",
    )
    async with connect(peer) as client:
        assert (await client.request("GET", "/good")).body == plain
        for path in ("/cut", "/odd"):
            with pytest.raises(Unreachable, match="no valid HTTP"):
                await client.request("GET", path)
        assert len(peer.connections) == 1
    assert peer.asked[0].headers["accept-encoding"] == "gzip"


async def test_an_answer_that_is_shorter_than_it_says_is_cut(connect: Connect) -> None:
    peer = Peer()

    def short(asked: Asked) -> None:
        # The library counts, too: so the end comes as raw bytes.
        asked.begin(content_length="100")
        asked.send(b"only this")
        asked.connection.say(b"\x00\x00\x00\x00\x01" + asked.stream.to_bytes(4, "big"))

    peer.handle = short
    async with connect(peer) as client:
        with pytest.raises(Unreachable, match="the connection was cut"):
            await client.request("POST", "/x")


async def test_whoever_leaves_a_stream_disturbs_no_other(connect: Connect) -> None:
    peer = Peer()
    peer.handle = lambda asked: hold(asked) if "watch" in asked.path else None
    async with connect(peer) as client, client.stream("/watch/a") as kept:
        async with client.stream("/watch/b"):
            pass
        waiting = asyncio.create_task(client.request("GET", "/slow"))
        await until(lambda: peer.of("/slow"))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: peer.of("/slow")[0].reset == peer.of("/watch/b")[0].reset == CANCEL)
        assert await next_chunk(kept) == b"first\n"
        peer.of("/watch/a")[0].send(b"more\n")
        assert await next_chunk(kept) == b"more\n"
        assert peer.of("/watch/a")[0].reset is None
    assert len(peer.connections) == 1


async def test_what_comes_for_a_stream_that_was_left_is_dropped(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_WINDOW", 1 << 18)
    peer = Peer()
    peer.handle = hold
    async with connect(peer) as client:
        for _ in range(30):
            async with client.stream("/watch"):
                # More than the connection's window in all, which is to be given back.
                peer.of("/watch")[-1].send(bytes(1 << 16))
        assert (await client.version())["gitVersion"] == "v2"
    assert len(peer.connections) == 1


async def test_more_streams_than_a_connection_takes_get_another_one(connect: Connect) -> None:
    peer = Peer(streams=5)
    peer.handle = hold
    async with connect(peer) as client, AsyncExitStack() as stack:
        await client.version()
        for number in range(12):
            stream = await stack.enter_async_context(client.stream(f"/watch/{number}"))
            assert await next_chunk(stream) == b"first\n"
        assert len(peer.connections) == 3
        assert not any(connection.problem for connection in peer.connections)


async def test_streams_end_after_a_goodbye_and_new_ones_go_elsewhere(connect: Connect) -> None:
    peer = Peer()
    peer.handle = hold
    async with connect(peer) as client:
        async with client.stream("/watch") as stream:
            assert await next_chunk(stream) == b"first\n"
            peer.connections[0].go_away(peer.asked[-1].stream)
            await until(lambda: _sessions(client)[0]._retired)
            await client.version()
            assert len(peer.connections) == 2
            peer.asked[0].send(b"more\n")
            assert await next_chunk(stream) == b"more\n"
            assert peer.connections[0].is_open
        await until(lambda: not peer.connections[0].is_open)


async def test_what_a_goodbye_leaves_out_is_asked_again(connect: Connect) -> None:
    peer = Peer()
    peer.handle = lambda asked: asked.connection.go_away(0) if len(peer.connections) == 1 else asked.answer()
    async with connect(peer) as client:
        answer = await client.request("POST", "/x", body=b"{}")
        assert answer.body == HELLO
    assert [asked.body for asked in peer.asked] == [b"{}", b"{}"]


async def test_a_refused_stream_is_asked_again_and_a_broken_one_is_not(connect: Connect) -> None:
    codes = [REFUSED_STREAM, None, INTERNAL_ERROR]
    peer = Peer()

    def handle(asked: Asked) -> None:
        code = codes.pop(0)
        asked.answer() if code is None else asked.refuse(code)

    peer.handle = handle
    async with connect(peer) as client:
        assert (await client.request("POST", "/x", body=b"{}")).body == HELLO
        with pytest.raises(Unreachable, match="the connection was cut"):
            await client.request("POST", "/x", body=b"{}")
    assert len(peer.asked) == 3
    assert len(peer.connections) == 1


async def test_a_connection_that_was_closed_meanwhile_is_replaced(connect: Connect) -> None:
    peer = Peer()
    async with connect(peer) as client:
        await client.version()

        def close_first(asked: Asked) -> None:
            if len(peer.connections) > 1:
                asked.answer()
            else:
                assert asked.connection.transport is not None
                asked.connection.transport.abort()

        peer.handle = close_first
        assert (await client.version())["gitVersion"] == "v2"
        assert len(peer.connections) == 2


async def test_a_cut_connection_ends_all_streams_at_once(connect: Connect) -> None:
    peer = Peer()
    peer.handle = hold
    async with connect(peer) as client, client.stream("/watch/a") as one, client.stream("/watch/b") as other:
        for stream in (one, other):
            assert await next_chunk(stream) == b"first\n"
        transport = peer.connections[0].transport
        assert transport is not None
        transport.abort()
        for stream in (one, other):
            with pytest.raises(Unreachable, match="the connection was cut"):
                await next_chunk(stream)
        await client.version()
        assert len(peer.connections) == 2


async def test_a_silent_stream_ends_alone(connect: Connect) -> None:
    peer = Peer()
    peer.handle = hold
    async with connect(peer) as client, client.stream("/watch/a") as kept:
        assert await next_chunk(kept) == b"first\n"
        async with client.stream("/watch/b", idle_timeout=0.05) as stream:
            assert await next_chunk(stream) == b"first\n"
            with pytest.raises(Silent, match=r"no answer within 0\.05 s"):
                await next_chunk(stream)
        peer.of("/watch/a")[0].send(b"more\n")
        assert await next_chunk(kept) == b"more\n"
    assert len(peer.connections) == 1


async def test_a_connection_on_which_nothing_is_heard_is_not_asked_again(connect: Connect) -> None:
    peer = Peer()
    async with connect(peer) as client:
        await client.version()
        peer.frozen = True
        with pytest.raises(Unreachable, match=r"no answer within 0\.1 s"):
            await client.request("GET", "/x", timeout=0.1)
        peer.frozen = False
        assert (await client.version())["gitVersion"] == "v2"
        assert len(peer.connections) == 2
        await until(lambda: not peer.connections[0].is_open)


async def test_a_slow_answer_costs_no_connection(connect: Connect) -> None:
    peer = Peer()
    peer.handle = lambda asked: None if asked.path == "/slow" else hold(asked)
    async with connect(peer) as client, client.stream("/watch") as stream:
        assert await next_chunk(stream) == b"first\n"
        slow = asyncio.create_task(client.request("GET", "/slow", timeout=0.5))
        await until(lambda: peer.of("/slow"))
        peer.of("/watch")[0].send(b"alive\n")
        assert await next_chunk(stream) == b"alive\n"
        with pytest.raises(Unreachable, match=r"no answer within 0\.5 s"):
            await slow
        await client.version()
        assert len(peer.connections) == 1


async def test_a_frozen_server_is_noticed_by_the_question_for_its_life(connect: Connect) -> None:
    peer = Peer()
    peer.handle = hold
    liveness = Liveness(quiet=0.1, patience=0.2, max_pause=0.1)
    async with connect(peer, liveness=liveness) as client, client.stream("/watch") as stream:
        assert await next_chunk(stream) == b"first\n"
        peer.frozen = True
        with pytest.raises(Unreachable, match=r"no answer within 0\.2 s"):
            await next_chunk(stream)
        peer.frozen = False
        await client.alive()
        assert len(peer.connections) >= 2


async def test_a_silent_connection_is_pinged_and_given_up(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vigil, "QUIET", 0.05)
    monkeypatch.setattr(vigil, "PATIENCE", 30.0)
    peer = Peer()
    peer.handle = hold
    async with connect(peer) as client, client.stream("/watch") as stream:
        assert await next_chunk(stream) == b"first\n"
        # What answers is left alone.
        held = _sessions(client)[0]._vigil
        await until(lambda: peer.connections[0].pings == 1 and not held.has_asked)
        monkeypatch.setattr(vigil, "PATIENCE", 0.05)
        peer.frozen = True
        quiet_at = held.heard + 0.06
        await until(lambda: asyncio.get_running_loop().time() > quiet_at)
        held.end()
        held.look()
        with pytest.raises(Unreachable, match="the connection was cut"):
            await next_chunk(stream)


async def test_an_unused_connection_is_closed(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vigil, "QUIET", 0.05)
    peer = Peer()
    async with connect(peer) as client:
        await client.version()
        await until(lambda: not peer.connections[0].is_open)
        await client.version()
        assert len(peer.connections) == 2


@pytest.mark.parametrize(
    "frame",
    [
        b"\x00\x40\x01\x00\x00\x00\x00\x00\x01",
        b"\x00\x00\x04\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02",
        b"\x00\x00\x01\x00\x00\x00\x00\x00\x63x",
        b"\x00\x00\x04\x01\x04\x00\x00\x00\x01\xff\xff\xff\xff",
        b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01",
        b"\x00\x00\x05\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x00" + b"\x00\x00\x00\x09\x00\x00\x00\x00\x01" * 40,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
    ids=["too large", "push", "no stream", "headers", "interrupted", "settings", "continued", "http1"],
)
async def test_what_is_no_http2_ends_the_connection(connect: Connect, frame: bytes) -> None:
    peer = Peer()
    peer.handle = lambda asked: asked.connection.say(frame) if asked.path == "/x" else asked.answer()
    async with connect(peer) as client:
        with pytest.raises(Unreachable, match=r"no valid HTTP|was cut"):
            await client.request("POST", "/x")
        await client.version()
        assert len(peer.connections) == 2


async def test_a_window_that_is_overrun_ends_the_connection(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "STREAM_WINDOW", 1 << 16)
    peer = Peer()
    peer.handle = hold
    async with connect(peer) as client, client.stream("/watch") as stream:
        peer.asked[0].send(bytes(1 << 17))
        await until(lambda: not peer.connections[0].is_open)
        with pytest.raises(Unreachable, match="no valid HTTP"):
            await next_chunk(stream)


async def test_errors_of_the_server_are_those_of_the_api(connect: Connect) -> None:
    peer = Peer()
    peer.handle = lambda asked: asked.answer(
        b'{"kind":"Status","reason":"Conflict","message":"no","code":409}', 409, retry_after="1"
    )
    async with connect(peer) as client:
        with pytest.raises(Conflict) as caught:
            await client.request("PUT", "/x", body=b"{}")
        assert caught.value.retry_after == 1


async def test_one_dials_for_all_who_wait_and_all_hear_of_its_failure(authority: Authority) -> None:
    dialled = 0

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dialled
        dialled += 1
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Client(context(url, certificate_authority_data=authority.data), connect_timeout=0.3) as client:
            said = await asyncio.gather(*(client.version() for _ in range(20)), return_exceptions=True)
        assert {str(each) for each in said} == {f"{url.removeprefix('https://')}: no answer within 0.3 s"}
        assert dialled == 1


@pytest.mark.parametrize("is_disabled", [False, True])
async def test_a_server_that_speaks_both_is_asked_as_the_user_wants(
    authority: Authority, server_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, is_disabled: bool
) -> None:
    offered: list[Any] = []

    async def hello(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        offered.append(request.transport.get_extra_info("ssl_object").selected_alpn_protocol())
        return web.json_response({"gitVersion": "v1"})

    if is_disabled:
        monkeypatch.setenv("DISABLE_HTTP2", "true")
    server_context.set_alpn_protocols(["http/1.1"])
    async with (
        serve(hello, server_context) as url,
        Client(context(url, certificate_authority_data=authority.data)) as client,
    ):
        said = await asyncio.gather(*(client.version() for _ in range(10)))
    assert [each["gitVersion"] for each in said] == ["v1"] * 10
    assert set(offered) == {"http/1.1"}


async def test_http2_is_not_offered_where_it_is_disabled(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISABLE_HTTP2", "1")
    peer = Peer()
    async with connect(peer) as client:
        with pytest.raises(Unreachable):
            await client.version()
    assert not peer.asked


def _sessions(client: Client) -> list[Session]:
    transport = client._transport
    assert transport is not None
    backend: Any = transport._backend
    return [each for _, each in backend._sessions]
