"""HTTP/2 against a server on the `h2` library: one connection for all requests and streams."""

from __future__ import annotations

import asyncio
import gzip
import os
from contextlib import AsyncExitStack

import pytest

from fluxtui.kube import session
from fluxtui.kube.errors import Conflict, Unreachable
from tests.kube.http2_peer import Connect, Peer, hold, next_chunk
from tests.kube.support import Authority, until

CANCEL = 0x8


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


@pytest.mark.parametrize("table", [0, 4096])
async def test_who_asks_is_told_with_every_request(connect: Connect, table: int) -> None:
    peer = Peer(table=table)
    tokens = ["first"] * 3 + ["second"] * 2 + ["first"]
    async with connect(peer) as client:
        for token in tokens:
            await client.request("GET", "/x", headers={"Authorization": f"Bearer {token}"})
        kept = peer.connections[0].protocol.decoder.header_table.dynamic_entries
    assert [asked.headers["authorization"] for asked in peer.asked] == [f"Bearer {token}" for token in tokens]
    assert bool(kept) == bool(table)


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


async def test_errors_of_the_server_are_those_of_the_api(connect: Connect) -> None:
    peer = Peer()
    peer.handle = lambda asked: asked.answer(
        b'{"kind":"Status","reason":"Conflict","message":"no","code":409}', 409, retry_after="1"
    )
    async with connect(peer) as client:
        with pytest.raises(Conflict) as caught:
            await client.request("PUT", "/x", body=b"{}")
        assert caught.value.retry_after == 1
