"""What a failed connection means, as a sentence; the only place that knows aiohttp's exceptions."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from urllib.parse import urlsplit

from fluxtui.kube.errors import Silent, Unreachable
from fluxtui.kube.http import aiohttp
from fluxtui.kube.proxy import Proxy


def unreachable(error: Exception, server: str, proxy: Proxy | None, limit: float | None) -> Unreachable:
    """`error` as Unreachable, naming host and cause, never a URL with credentials in it."""
    host = urlsplit(server).netloc.rpartition("@")[2]
    kind = Silent if isinstance(error, aiohttp.SocketTimeoutError) else Unreachable
    return kind(f"{host}: {_cause(error, proxy, limit)}")


def _cause(error: Exception, proxy: Proxy | None, limit: float | None) -> str:
    via = f"proxy {urlsplit(proxy.url).netloc}: " if proxy is not None else ""
    match error:
        case aiohttp.ClientHttpProxyError():
            return f"{via}refused to connect ({error.status} {error.message})"
        case aiohttp.ClientProxyConnectionError():
            return f"{via}{_system(error.os_error)}"
        case aiohttp.ClientConnectorCertificateError():
            inner = error.certificate_error
            why = inner.verify_message if isinstance(inner, ssl.SSLCertVerificationError) else type(inner).__name__
            return f"the server's certificate is not trusted: {why}"
        case aiohttp.ClientConnectorDNSError():
            return f"{via}the host name was not found"
        case aiohttp.ClientSSLError():
            inner_os: OSError = error.os_error
            return f"TLS failed: {_reason(inner_os)}"
        case aiohttp.ClientConnectorError():
            return f"{via}{_system(error.os_error)}"
        case TimeoutError():
            return f"{via}no answer" + (f" within {limit:.3g} s" if limit else " in time")
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | aiohttp.ClientConnectionResetError():
            return "the connection was cut"
        case aiohttp.ClientResponseError():
            return "the answer is no valid HTTP"
        case ssl.SSLError():
            return f"TLS failed: {_reason(error)}"
        case OSError():
            return _system(error)
        case _:
            return f"the connection failed ({type(error).__name__})"


def _reason(error: BaseException) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return (reason or type(error).__name__).replace("_", " ").lower()


def _system(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {_reason(error)}"
    if isinstance(error, socket.gaierror):
        return "the host name was not found"
    if isinstance(error, ConnectionRefusedError) or error.errno == errno.ECONNREFUSED:
        return "connection refused"
    if isinstance(error, ConnectionError):
        return "the connection was cut"
    if error.errno:
        return os.strerror(error.errno).lower()
    return str(error.strerror or type(error).__name__)
