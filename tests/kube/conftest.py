"""Certified servers, HTTP/2 peers with a client, and clients of whole API servers."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fluxtui.kube.client import Client
from fluxtui.sandbox.cluster import SandboxCluster
from tests.kube.http2_peer import Connect, Peer
from tests.kube.support import Authority, context

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the servers of these tests are certified by."""
    return Authority(tmp_path_factory.mktemp("pki"), "cluster-ca")


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


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.peers)])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """An administrator's client of either server, the sandbox or a real kube-apiserver."""
    if request.param == "real":
        async with Client(request.getfixturevalue("real_server")) as client:
            yield client
        return
    async with (
        SandboxCluster("apply", simulate=False) as cluster,
        Client(context(cluster.url, {"token": cluster.token})) as client,
    ):
        yield client


@pytest.fixture
async def namespace(client: Client) -> str:
    """A namespace of the test's own."""
    name = f"apply-{next(_NUMBERS)}"
    obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await client.create(await client.resource_for(obj), obj)
    return name
