"""Connections being made: one for all who wait, by which protocol, and what is left of one that is given up."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from fluxtui.kube.client import Client
from fluxtui.kube.dialing import dial
from fluxtui.kube.errors import Unreachable
from fluxtui.kube.session import Session
from tests.kube.http2_peer import Connect, Peer
from tests.kube.support import Authority, context, serve, until
from tests.listening import streams, swallow


async def _give_up(peer: Peer, dialled: Callable[[], Coroutine[None, None, Session | None]], turns: int) -> None:
    """Dial, and think better of it after so many turns of the loop."""
    dialing = asyncio.create_task(dialled())
    for _ in range(turns):
        await asyncio.sleep(0)
    dialing.cancel()
    with suppress(asyncio.CancelledError):
        await _hang_up(await dialing)
    # By then the server has taken the one before it, too.
    await _hang_up(await dialled())
    await until(lambda: not any(connection.is_open for connection in peer.connections))


async def _hang_up(made: Session | None) -> None:
    assert made is not None
    made.abort()
    await made.ended.wait()


@pytest.mark.parametrize("turns", range(20))
def test_a_dial_that_is_cancelled_leaves_no_connection(
    authority: Authority, server_context: ssl.SSLContext, turns: int
) -> None:
    """Whatever it has come to: TCP, TLS or the first frames. What its loop leaves open is warned of, and fails."""
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    context.set_alpn_protocols(["h2"])
    peer = Peer()

    async def run() -> None:
        async with peer.running(server_context):
            where = urlsplit(peer.url)
            await _give_up(peer, partial(dial, str(where.hostname), where.port or 0, context, "", Session), turns)

    asyncio.run(run())
    gc.collect()


async def test_what_is_no_tls_is_named_however_much_it_says(authority: Authority) -> None:
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    reasons = []
    for size in (100, 60_000):

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int = size) -> None:
            writer.write(b"x" * size)
            await swallow(reader, writer)

        async with streams(talk) as port:
            with pytest.raises(ssl.SSLError) as caught:
                await dial("127.0.0.1", port, context, "", Session)
        reasons.append(caught.value.reason)
    assert reasons[0]
    assert reasons[0] == reasons[1]


async def test_one_dials_for_all_who_wait_and_all_hear_of_its_failure(authority: Authority) -> None:
    dialled = 0

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dialled
        dialled += 1
        await swallow(reader, writer)

    async with streams(silent) as port:
        url = f"https://127.0.0.1:{port}"
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
