"""The `ProxyCommand` of ssh: a connection through a SOCKS5 or HTTP proxy, from standard input to standard output.

Run as `python -m fluxtui.engine.adapters.tunnel FILE HOST PORT`; the file holds the proxy's URL, user and password in
it. Names are resolved by the proxy. Source: RFC 1928, RFC 1929; CONNECT of RFC 9110.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import ssl
import sys
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_REPLIES = {
    2: "connection not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
}
_NO_PASSWORD, _PASSWORD = 0, 2
_BLOCK = 1 << 16


class TunnelError(Exception):
    """The proxy leads nowhere; `str()` is a sentence for users, without password."""


async def connect(proxy: str, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to a host through a proxy. Raises TunnelError, and OSError when the proxy does not answer."""
    parts = urlsplit(proxy)
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or _PORTS[parts.scheme], ssl=tls)
    try:
        if parts.scheme.startswith("socks5"):
            await _socks(reader, writer, parts, host, port)
        else:
            await _http(reader, writer, parts, host, port)
    except asyncio.IncompleteReadError as error:
        writer.close()
        raise TunnelError("the proxy closed the connection") from error
    except BaseException:
        writer.close()
        raise
    return reader, writer


async def _socks(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, proxy: SplitResult, host: str, port: int
) -> None:
    user, password = (unquote(text or "").encode() for text in (proxy.username, proxy.password))
    methods = [_NO_PASSWORD, *([_PASSWORD] if user else [])]
    writer.write(bytes([5, len(methods), *methods]))
    version, method = await reader.readexactly(2)
    if version != 5:
        raise TunnelError("the proxy speaks no SOCKS5")
    if method not in methods:
        raise TunnelError("the SOCKS5 proxy wants " + ("another login" if user else "a user and a password"))
    if method == _PASSWORD:
        writer.write(bytes([1, len(user)]) + user + bytes([len(password)]) + password)
        _, refused = await reader.readexactly(2)
        if refused:
            raise TunnelError("the SOCKS5 proxy refuses the user or the password")
    writer.write(b"\x05\x01\x00" + _destination(host) + port.to_bytes(2, "big"))
    _, reply, _, kind = await reader.readexactly(4)
    if reply:
        raise TunnelError(f"the SOCKS5 proxy says of {host}:{port}: {_REPLIES.get(reply, f'error {reply}')}")
    length = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
    await reader.readexactly(length + 2)


def _destination(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode("idna")
        return bytes([3, len(name)]) + name
    return bytes([1 if address.version == 4 else 4]) + address.packed


async def _http(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, proxy: SplitResult, host: str, port: int
) -> None:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
    if proxy.username:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}")
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise TunnelError("the proxy speaks no HTTP") from error
    status = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or not status[1].isdigit():
        raise TunnelError("the proxy speaks no HTTP")
    if not status[1].startswith(b"2"):
        raise TunnelError(f"the proxy answers {status[1].decode()} for {where}")


async def _join(proxy: str, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    near = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(near), sys.stdin.buffer)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout.buffer)
    back = asyncio.StreamWriter(transport, protocol, None, loop)
    far, writer = await connect(proxy, host, port)
    sending = loop.create_task(_copy(near, writer))
    try:
        # ssh is done when the other side is.
        await _copy(far, back)
    finally:
        sending.cancel()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while block := await reader.read(_BLOCK):
        writer.write(block)
        await writer.drain()


def main() -> int:
    """Connect what ssh asks for; the exit code."""
    file, host, port = sys.argv[1:]
    try:
        asyncio.run(_join(Path(file).read_text(), host, int(port)))
    except (TunnelError, OSError, ValueError) as error:
        sys.stderr.write(f"fatal: proxy: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
