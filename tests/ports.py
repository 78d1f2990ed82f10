"""Ports for programs that tests start and that can't say which one they took."""

from __future__ import annotations

import contextlib
import random
import socket

_PLACES = range(20_000, 32_000)
"""Outside the ranges from which systems take ports for connections: of these only who asks here takes one."""


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    for port in random.SystemRandom().sample(_PLACES, 100):
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
