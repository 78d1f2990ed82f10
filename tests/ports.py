"""Ports for programs that tests start and that can't say which one they took."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket
from collections.abc import Iterator

_PLACES = range(20_000, 32_000)
"""Outside the ranges from which systems take ports for connections: of these only who asks here takes one."""
_WORKERS = 16
"""Processes that run tests at the same time and share no port."""


def _own() -> Iterator[int]:
    """The ports of this process in a random order, each again only after all others: whoever was given one may take a
    while until it listens there."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = list(_PLACES[worker % _WORKERS :: _WORKERS])
    random.SystemRandom().shuffle(ports)
    return itertools.cycle(ports)


_ports = _own()


def free_port() -> int:
    """A port of loopback that was free a moment ago, and that nobody else was given."""
    for port in itertools.islice(_ports, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port of 127.0.0.1 is free")


def held_port(port: int = 0) -> socket.socket:
    """A socket that keeps a port for a server of ours to come, and refuses connections until then."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    return held
