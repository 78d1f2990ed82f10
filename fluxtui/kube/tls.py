"""TLS contexts: one for all clusters that trust the system's authorities, own ones where a kubeconfig says more."""

from __future__ import annotations

import base64
import contextlib
import functools
import os
import ssl
import tempfile
from collections.abc import Iterator
from typing import Any

import msgspec

from fluxtui.kube.errors import ConfigError


class Trust(msgspec.Struct, frozen=True):
    """How a cluster's server is verified."""

    authority: str = ""
    """PEM text; empty for the system's authorities."""
    insecure: bool = False


_HTTP1 = ("http/1.1",)


def default_context(protocols: tuple[str, ...] = _HTTP1) -> ssl.SSLContext:
    """The context of all clusters without certificates of their own that are offered the same `protocols`: 17 ms and
    860 kB, hence only one."""
    return _shared(protocols)


@functools.cache
def _shared(protocols: tuple[str, ...]) -> ssl.SSLContext:
    context = _prepared(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), protocols)
    context.load_default_certs()
    return context


def _prepared(context: ssl.SSLContext, protocols: tuple[str, ...]) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 9113, 9.2.1.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(list(protocols))
    return context


def trust_of(cluster: dict[str, Any], where: str) -> Trust:
    """Trust as a kubeconfig's cluster asks for it; reads `certificate-authority`.

    Raises ConfigError naming `where` and the field.
    """
    if cluster.get("insecure-skip-tls-verify"):
        return Trust(insecure=True)
    data = cluster.get("certificate-authority-data")
    if data:
        return Trust(_decode(data).decode("utf-8", "replace"))
    path = cluster.get("certificate-authority")
    if path:
        return Trust(read_file(path, where, "certificate-authority").decode("utf-8", "replace"))
    return Trust()


def _decode(data: str) -> bytes:
    return base64.b64decode("".join(data.split()))


def read_pem(user: dict[str, Any], field: str, where: str) -> bytes:
    """PEM bytes of `field` (or `field`-data, which wins) of a kubeconfig's user; b"" when it has none."""
    data = user.get(f"{field}-data")
    if data:
        return _decode(data)
    path = user.get(field)
    return read_file(path, where, field) if path else b""


def read_file(path: str, where: str, field: str) -> bytes:
    """A file that a kubeconfig names, at most 4 MiB. Raises ConfigError naming `where`, field and path."""
    try:
        with open(path, "rb") as file:
            return file.read(4 << 20)
    except OSError as error:
        raise ConfigError(f"{where}: {field}: {path}: {error.strerror}") from error


def context_for(
    trust: Trust,
    certificate: bytes,
    key: bytes,
    where: str,
    proxy_host: str = "",
    protocols: tuple[str, ...] = _HTTP1,
) -> ssl.SSLContext:
    """A context for one cluster and identity (PEM; b"" for no client certificate), the shared one where that will do.

    `proxy_host` is the host of an https:// proxy on the way, `protocols` are offered by ALPN. Raises ConfigError naming
    `where` when a certificate or key cannot be used. Takes about 1 ms.
    """
    if trust == Trust() and not certificate:
        return default_context(protocols)
    context = ClusterContext(ssl.PROTOCOL_TLS_CLIENT)
    context.proxy_host = proxy_host
    _prepared(context, protocols)
    if trust.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif trust.authority:
        try:
            context.load_verify_locations(cadata=trust.authority)
        except (ssl.SSLError, ValueError):
            raise ConfigError(f"{where}: certificate-authority: not a certificate in PEM form") from None
    else:
        context.load_default_certs()
    if certificate:
        _load_certificate(context, certificate, key, where)
    return context


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes, where: str) -> None:
    def refuse() -> str:
        raise ConfigError(f"{where}: client-key: encrypted keys are not supported")

    with _as_file(certificate.rstrip() + b"\n" + key.rstrip() + b"\n") as path:
        try:
            context.load_cert_chain(path, password=refuse)
        except ssl.SSLError as error:
            mismatch = "KEY_VALUES_MISMATCH" in (error.reason or "")
            what = "the key does not belong to the certificate" if mismatch else "not in PEM form"
            raise ConfigError(f"{where}: client-certificate and client-key: {what}") from None


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path that OpenSSL can read `content` from; in memory where the system can, else a private file for a moment."""
    descriptor = -1
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            descriptor = os.memfd_create("fluxtui-identity", os.MFD_CLOEXEC)
    if descriptor >= 0:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{descriptor}"
        return
    with tempfile.NamedTemporaryFile(prefix="fluxtui-", mode="wb") as file:
        file.write(content)
        file.flush()
        yield file.name


class ClusterContext(ssl.SSLContext):
    """The TLS context of one cluster and identity; its connections resume the session of those before them.

    A resumed handshake costs less than half of a full one on either side, and a start-up storm makes thirteen a
    cluster. Behind an https:// proxy, aiohttp wraps both connections, to the proxy and through it, with one context:
    for `proxy_host` this one hands over to the shared context, so that the proxy is verified with the system's
    authorities and never sees the client certificate.
    """

    proxy_host: str = ""
    _session: ssl.SSLSession | None = None
    _latest: ssl.SSLObject | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As the base, with the session kept so far."""
        if self.proxy_host and server_hostname == self.proxy_host:
            return default_context().wrap_bio(incoming, outgoing, server_side, server_hostname)
        latest = self._latest
        # Servers send tickets after the handshake: what the last connection holds by now is what to resume. Reading a
        # session costs as much as it saves, so one is kept for as long as the server takes it.
        if latest is not None and not latest.session_reused:
            # One that still shakes hands may have none that can be read.
            with contextlib.suppress(ValueError):
                self._session = latest.session
        made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session or self._session)
        self._latest = made
        return made
