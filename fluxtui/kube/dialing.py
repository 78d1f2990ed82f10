"""TCP and TLS to a server: sockets whose peer is noticed to be gone, and connections that speak HTTP/2 if it does."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import Any, TypeVar

from aiohappyeyeballs import start_connection

from fluxtui.kube.channel import Above, Channel
from fluxtui.kube.dns import AddressInfo, look_up

ALPN = "h2"
"""What HTTP/2 is called in a TLS handshake."""
_HEAD_START = 0.25
"""Seconds that an address is tried before the next one is, too (RFC 8305)."""
_TLS_BUFFER = 16 << 10
"""One TLS record."""

# As shipped asyncio's TLS keeps a read buffer of 256 KiB for each connection; 2,000 watches over HTTP/1.1 would keep
# 500 MB (the attribute is asyncio's own, so it may go; then we only lose memory).
if hasattr(SSLProtocol, "max_size"):
    SSLProtocol.max_size = _TLS_BUFFER

P = TypeVar("P", bound=Above)


def watched_socket(info: AddressInfo) -> socket.socket:
    """A socket whose peer is noticed to be gone within a minute, by the kernel alone."""
    family, kind, protocol, _, _ = info
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 60000)):
        option = getattr(socket, name, None)
        if option is not None:
            with contextlib.suppress(OSError):
                made.setsockopt(socket.IPPROTO_TCP, option, value)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


async def dial(host: str, port: int, context: ssl.SSLContext, server_name: str, protocol: Callable[[], P]) -> P | None:
    """A TLS connection on which `protocol` runs; None when the server does not speak HTTP/2 on it.

    `context` offers ALPN. Raises OSError, of which ssl.SSLError is one.
    """
    above = protocol()
    channel = Channel(context, server_name or host, ALPN, above)
    found = await _addresses(host, port)
    made = await start_connection(found, happy_eyeballs_delay=_HEAD_START, interleave=1, socket_factory=watched_socket)
    await asyncio.get_running_loop().create_connection(lambda: channel, sock=made)
    try:
        if await channel.shaken():
            return above
    except BaseException:
        channel.abort()
        raise
    channel.abort()
    return None


async def _addresses(host: str, port: int) -> list[AddressInfo]:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        found = await look_up(host, port)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address") from None
        return found
    family: int = socket.AF_INET if address.version == 4 else socket.AF_INET6
    where: tuple[Any, ...] = (host, port) if address.version == 4 else (host, port, 0, 0)
    return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)]
