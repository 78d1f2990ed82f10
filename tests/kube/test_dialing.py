"""Connections that are given up while they are made leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from urllib.parse import urlsplit

import pytest

from fluxtui.kube.dialing import dial
from fluxtui.kube.session import Session
from tests.kube.http2_peer import Peer
from tests.kube.support import Authority, until


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority of the servers of these tests."""
    return Authority(tmp_path_factory.mktemp("pki"), "dialing-ca")


@pytest.fixture(scope="module")
def server_context(authority: Authority) -> ssl.SSLContext:
    """What the servers of these tests are certified by."""
    return authority.server_context("server", "IP:127.0.0.1")


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
