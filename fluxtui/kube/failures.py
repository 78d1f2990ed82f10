"""What a failed connection means, as a sentence."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from urllib.parse import urlsplit

from fluxtui.kube.errors import Silent, Unreachable
from fluxtui.kube.frames import ProtocolError
from fluxtui.kube.proxy import Proxy


class ConnectTimeout(TimeoutError):
    """No connection came about in time."""


class IdleTimeout(TimeoutError):
    """An open stream brought nothing for too long."""


class Refused(ConnectionError):
    """The server has not looked at the request; another connection may take it."""


class Http1Required(Exception):
    """The server wants to be asked over HTTP/1.1."""


class ConnectFailed(Exception):
    """No connection came about, to the server or to the proxy on the way; `cause` says why, or `words` do."""

    def __init__(self, cause: BaseException | None = None, words: str = "") -> None:
        super().__init__(words or str(cause))
        self.cause = cause
        self.words = words


class GarbledAnswer(Exception):
    """Whoever answered does not speak HTTP."""


FAILURES = (OSError, ValueError, ConnectFailed, GarbledAnswer, ProtocolError, Http1Required)
"""What a request may raise that `unreachable` can tell in words; timeouts are among them."""


def unreachable(error: Exception, server: str, proxy: Proxy | None, limit: float | None) -> Unreachable:
    """`error` as Unreachable, naming host and cause, never a URL with credentials in it; `limit` in seconds is the time
    that a timeout means."""
    host = urlsplit(server).netloc.rpartition("@")[2]
    kind = Silent if isinstance(error, IdleTimeout) else Unreachable
    return kind(f"{host}: {_cause(error, proxy, limit)}")


def _cause(error: BaseException, proxy: Proxy | None, limit: float | None) -> str:
    via = f"proxy {urlsplit(proxy.url).netloc}: " if proxy is not None else ""
    match error:
        case ConnectFailed(words=str(words)) if words:
            return f"{via}{words}"
        case ConnectFailed(cause=OSError() as cause):
            return _cause(cause, proxy, limit) if isinstance(cause, ssl.SSLError) else f"{via}{_system(cause)}"
        case ssl.SSLCertVerificationError():
            return f"the server's certificate is not trusted: {error.verify_message}"
        case ssl.CertificateError():
            return f"the server's certificate is not trusted: {type(error).__name__}"
        case socket.gaierror():
            return f"{via}the host name was not found"
        case TimeoutError() if error.errno is None:
            return f"{via}no answer" + (f" within {limit:.3g} s" if limit else " in time")
        case ProtocolError() | GarbledAnswer() | Http1Required():
            return "the answer is no valid HTTP"
        case OSError():
            return _system(error)
        case _:
            return f"the connection failed ({type(error).__name__})"


def _system(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or type(error).__name__).replace('_', ' ').lower()}"
    if isinstance(error, socket.gaierror):
        return "the host name was not found"
    if isinstance(error, ConnectionRefusedError) or error.errno == errno.ECONNREFUSED:
        return "connection refused"
    if isinstance(error, ConnectionError):
        return "the connection was cut"
    if error.errno:
        return os.strerror(error.errno).lower()
    return str(error.strerror or type(error).__name__)
