"""Every way in which an HTTP/2 connection or a stream of it can end, and what follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fluxtui.kube import exchange, vigil
from fluxtui.kube.client import Client
from fluxtui.kube.errors import Silent, Unreachable
from fluxtui.kube.liveness import Liveness
from fluxtui.kube.session import Session
from fluxtui.kube.transport import Stream
from tests.kube.http2_peer import HELLO, Asked, Connect, Peer, hold, next_chunk
from tests.kube.support import until

REFUSED_STREAM = 0x7
INTERNAL_ERROR = 0x2


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
        async with client.stream("/watch/b", idle_timeout=1) as stream:
            assert await next_chunk(stream) == b"first\n"
            with pytest.raises(Silent, match=r"no answer within 1 s"):
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
        slow = asyncio.create_task(client.request("GET", "/slow", timeout=2))
        await until(lambda: peer.of("/slow"))
        peer.of("/watch")[0].send(b"alive\n")
        assert await next_chunk(stream) == b"alive\n"
        with pytest.raises(Unreachable, match=r"no answer within 2 s"):
            await slow
        await client.version()
        assert len(peer.connections) == 1


@asynccontextmanager
async def quiet_stream(connect: Connect, peer: Peer, liveness: Liveness) -> AsyncIterator[tuple[Client, Stream]]:
    """A stream that has begun, of a server that says no more by itself."""
    peer.handle = hold
    async with connect(peer, liveness=liveness) as client, client.stream("/watch") as stream:
        assert await next_chunk(stream) == b"first\n"
        yield client, stream


async def test_a_frozen_server_is_noticed_by_the_question_for_its_life(connect: Connect) -> None:
    peer, liveness = Peer(), Liveness(quiet=0.1, patience=1, max_pause=0.1)
    async with quiet_stream(connect, peer, liveness) as (client, stream):
        peer.frozen = True
        with pytest.raises(Unreachable, match=r"no answer within 1 s"):
            await next_chunk(stream)
        peer.frozen = False
        await client.alive()
        assert len(peer.connections) >= 2


async def test_a_quiet_server_is_asked_for_nothing_but_a_sign_of_life(connect: Connect) -> None:
    peer, liveness = Peer(), Liveness(quiet=0.05, patience=60)
    async with quiet_stream(connect, peer, liveness):
        heard = liveness.last_heard
        await until(lambda: peer.connections[0].pings >= 3)
        await until(lambda: liveness.last_heard > heard)
        assert liveness.error is None
        assert [asked.path for asked in peer.asked] == ["/watch"]


async def test_a_connection_that_ends_instead_of_a_sign_of_life_was_cut(connect: Connect) -> None:
    peer, liveness = Peer(), Liveness(quiet=0.05, patience=60)
    async with quiet_stream(connect, peer, liveness) as (client, stream):
        peer.frozen = True
        await until(lambda: _sessions(client)[0].vigil._sign is not None)
        transport = peer.connections[0].transport
        assert transport is not None
        transport.abort()
        with pytest.raises(Unreachable, match="the connection was cut"):
            await next_chunk(stream)
        await until(lambda: liveness.error is not None)
        peer.frozen = False
        await client.alive()
        assert liveness.error is None


async def test_a_silent_connection_is_pinged_and_given_up(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vigil, "QUIET", 0.05)
    monkeypatch.setattr(vigil, "PATIENCE", 30.0)
    peer = Peer()
    peer.handle = hold
    async with connect(peer) as client, client.stream("/watch") as stream:
        assert await next_chunk(stream) == b"first\n"
        # What answers is left alone.
        held = _sessions(client)[0].vigil
        await until(lambda: peer.connections[0].pings and not held.has_asked)
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


def _sessions(client: Client) -> list[Session]:
    transport = client._transport
    assert transport is not None
    backend: Any = transport._backend
    return [each for _, each in backend._sessions]
