"""Connections that are given up while they are made leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import ssl
from contextlib import suppress
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


async def _give_up(url: str, context: ssl.SSLContext, turns: int) -> None:
    """Dial, and think better of it after so many turns of the loop."""
    where = urlsplit(url)
    dialing = asyncio.create_task(dial(str(where.hostname), where.port or 0, context, "", Session))
    for _ in range(turns):
        await asyncio.sleep(0)
    dialing.cancel()
    with suppress(asyncio.CancelledError):
        made = await dialing
        assert made is not None
        made.abort()
        await made.ended.wait()


async def test_a_dial_that_is_cancelled_leaves_no_connection(
    authority: Authority, server_context: ssl.SSLContext
) -> None:
    """Whatever it has come to: TCP, TLS or the first frames. What is left when its loop ends is warned of, and fails."""
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    context.set_alpn_protocols(["h2"])
    peer = Peer()
    async with peer.running(server_context):
        for turns in (*range(30), *range(30), 1000):
            await asyncio.to_thread(asyncio.run, _give_up(peer.url, context, turns))
        gc.collect()
        await until(lambda: not any(connection.is_open for connection in peer.connections))
    assert peer.connections
