"""Certificates, server names and proxies, against TLS servers with certificates of the openssl command."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from fluxtui.kube import tls
from fluxtui.kube.certificates import expiry, not_after
from fluxtui.kube.client import Client
from fluxtui.kube.errors import ConfigError, Unauthorized, Unreachable
from fluxtui.kube.proxy import proxy_for
from tests.kube.support import Authority, context, serve
from tests.listening import streams


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Another authority."""
    return Authority(tmp_path_factory.mktemp("pki"), "other-ca")


async def hello(request: web.Request) -> web.StreamResponse:
    """Tell who the client is, by its certificate."""
    assert request.transport is not None
    certificate = request.transport.get_extra_info("peercert") or {}
    name = next((value for pairs in certificate.get("subject", ()) for key, value in pairs if key == "commonName"), "")
    return web.json_response({"gitVersion": "v1", "you": name})


async def you(server: str, user: dict[str, Any] | None = None, **cluster: Any) -> str:
    """Ask a server who we are."""
    async with Client(context(server, user, **cluster)) as client:
        return str((await client.version())["you"])


def inline(path: Path) -> str:
    """A file as a kubeconfig's -data field."""
    return base64.b64encode(path.read_bytes()).decode()


async def test_the_kubeconfigs_authority_is_what_counts(authority: Authority, stranger: Authority) -> None:
    async with serve(hello, authority.server_context("server", "IP:127.0.0.1")) as url:
        assert await you(url, certificate_authority_data=authority.data) == ""
        assert await you(url, certificate_authority=str(authority.directory / "ca.crt")) == ""
        assert await you(url, insecure_skip_tls_verify=True) == ""
        others: list[dict[str, Any]] = [{"certificate_authority_data": stranger.data}, {}]
        for cluster in others:
            with pytest.raises(
                Unreachable, match=r"certificate is not trusted: unable to get local issuer|self-signed"
            ):
                await you(url, **cluster)


async def test_the_servers_name_is_checked_and_can_be_given(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str | None] = []
    server = authority.server_context("named", "DNS:api.cluster.test")
    monkeypatch.setattr(server, "sni_callback", lambda _socket, name, _context: names.append(name))
    async with serve(hello, server) as url:
        trusted: dict[str, Any] = {"certificate_authority_data": authority.data}
        with pytest.raises(Unreachable, match="IP address mismatch"):
            await you(url, **trusted)
        assert await you(url, tls_server_name="api.cluster.test", **trusted) == ""
        assert names[-1] == "api.cluster.test"
        with pytest.raises(Unreachable, match="Hostname mismatch"):
            await you(url, tls_server_name="other.test", **trusted)


async def test_client_certificates_inline_and_from_files(authority: Authority) -> None:
    certificate, key = authority.issue("jane")
    trusted: dict[str, Any] = {"certificate_authority_data": authority.data}
    async with serve(hello, authority.server_context("mutual", "IP:127.0.0.1", clients=True)) as url:
        data = {"client-certificate-data": inline(certificate), "client-key-data": inline(key)}
        assert await you(url, data, **trusted) == "jane"
        files = {"client-certificate": str(certificate), "client-key": str(key)}
        assert await you(url, files, **trusted) == "jane"
        with pytest.raises(Unreachable):
            await you(url, **trusted)


async def test_a_renewed_certificate_file_is_used(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fluxtui.kube.credentials.LOOK_EVERY", 0.0)
    files = {"client-certificate": str(tmp_path / "c"), "client-key": str(tmp_path / "k")}
    certificates = {name: authority.issue(name) for name in ("before", "after")}
    server = authority.server_context("renewal", "IP:127.0.0.1", clients=True)
    async with (
        serve(hello, server) as url,
        Client(context(url, files, certificate_authority_data=authority.data)) as client,
    ):
        for name, (certificate, key) in certificates.items():
            (tmp_path / "c").write_bytes(certificate.read_bytes())
            (tmp_path / "k").write_bytes(key.read_bytes())
            assert (await client.version())["you"] == name


@pytest.mark.parametrize(
    ("user", "cluster", "message"),
    [
        ({}, {"certificate_authority_data": "QUFB"}, "certificate-authority: not a certificate in PEM form"),
        ({}, {"certificate_authority": "/nowhere/ca"}, "certificate-authority: /nowhere/ca: No such file"),
        ({"client-certificate-data": "QUFB", "client-key-data": "QUFB"}, {}, "not in PEM form"),
        ({"client-certificate": "/nowhere/c", "client-key": "/nowhere/k"}, {}, "client-certificate: /nowhere/c"),
    ],
)
async def test_what_is_no_certificate_is_named(user: dict[str, Any], cluster: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        await you("https://127.0.0.1:1", user, **cluster)
    assert "/test/config" in str(caught.value)


async def test_a_key_of_another_certificate_or_an_encrypted_one_is_named(authority: Authority) -> None:
    (certificate, key), (_, other) = authority.issue("one"), authority.issue("two")
    with pytest.raises(ConfigError, match="the key does not belong to the certificate"):
        await you("https://127.0.0.1:1", {"client-certificate": str(certificate), "client-key": str(other)})
    authority._run("ec", "-in", str(key), "-out", "locked.key", "-aes256", "-passout", "pass:secret")
    locked = str(authority.directory / "locked.key")
    with pytest.raises(ConfigError, match="encrypted keys are not supported"):
        await you("https://127.0.0.1:1", {"client-certificate": str(certificate), "client-key": locked})


async def test_plain_http_behind_https_and_the_other_way_round(authority: Authority) -> None:
    async with serve(hello) as url:
        with pytest.raises(Unreachable, match="TLS failed"):
            await you(url.replace("http:", "https:"), insecure_skip_tls_verify=True)
    async with serve(hello, authority.server_context("plain", "IP:127.0.0.1")) as url:
        with pytest.raises(Unreachable, match=r"cut|no valid HTTP"):
            await you(url.replace("https:", "http:"))


def test_clusters_without_certificates_share_one_context() -> None:
    assert tls.context_for(tls.Trust(), b"", b"", "x") is tls.default_context()
    assert tls.context_for(tls.Trust(insecure=True), b"", b"", "x") is not tls.default_context()
    assert tls.default_context().verify_mode is ssl.CERT_REQUIRED
    assert tls.default_context().check_hostname


async def test_later_connections_resume_the_session(authority: Authority) -> None:
    reused: list[bool] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        reused.append(request.transport.get_extra_info("ssl_object").session_reused)
        response = web.json_response({})
        response.force_close()
        return response

    async with serve(handle, authority.server_context("again", "IP:127.0.0.1")) as url:
        async with Client(context(url, certificate_authority_data=authority.data)) as client:
            for _ in range(3):
                await client.version()
        async with Client(context(url, certificate_authority_data=authority.data)) as client:
            await client.version()
    # Another client shares no session: it may be somebody else.
    assert reused == [False, True, True, False]


def test_tls_connections_keep_small_buffers() -> None:
    from asyncio.sslproto import SSLProtocol

    import fluxtui.kube.transport as transport

    assert transport.IDLE_TIMEOUT > 60
    assert getattr(SSLProtocol, "max_size", 16 << 10) == 16 << 10


class Proxy:
    """An HTTP proxy that remembers what went through it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.credentials: list[str] = []
        self.refuse = False

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: a CONNECT tunnel, or one request passed on."""
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        self.asked.append((method, target))
        self.credentials += [
            line.decode().partition(": ")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"proxy-auth")
        ]
        if self.refuse:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        elif method == "CONNECT":
            host, _, port = target.partition(":")
            # A name that only the proxy knows, as in real life.
            there, back = await asyncio.open_connection("127.0.0.1" if host.endswith(".test") else host, int(port))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                await asyncio.gather(_pump(reader, back), _pump(there, writer))
            finally:
                back.transport.abort()
        else:
            body = b'{"gitVersion": "via proxy", "you": "plain"}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()

    @asynccontextmanager
    async def running(self, tls_context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        """Serve; the port."""
        async with streams(self.handle, tls_context) as port:
            yield port


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, OSError):
        pass
    writer.close()


async def test_a_proxy_is_tunnelled_through_with_its_password(authority: Authority) -> None:
    proxy = Proxy()
    server = authority.server_context("proxied", "DNS:api.test")
    async with serve(hello, server) as url, proxy.running() as port:
        target = url.replace("127.0.0.1", "api.test")
        cluster: dict[str, Any] = {"certificate_authority_data": authority.data}
        through = f"http://me:p%40ss@127.0.0.1:{port}"
        assert await you(target, proxy_url=through, **cluster) == ""
        assert proxy.asked == [("CONNECT", target.removeprefix("https://"))]
        assert proxy.credentials == ["Basic " + base64.b64encode(b"me:p@ss").decode()]
        proxy.refuse = True
        with pytest.raises(Unreachable, match=r"proxy 127\.0\.0\.1:\d+: refused to connect \(407") as caught:
            await you(target, proxy_url=through, **cluster)
        assert "p@ss" not in str(caught.value)
        assert "p%40ss" not in str(caught.value)


async def test_a_server_name_holds_behind_a_proxy(authority: Authority) -> None:
    proxy = Proxy()
    async with serve(hello, authority.server_context("inner", "DNS:inner.name")) as url, proxy.running() as port:
        cluster: dict[str, Any] = {
            "certificate_authority_data": authority.data,
            "proxy_url": f"http://127.0.0.1:{port}",
        }
        assert await you(url, tls_server_name="inner.name", **cluster) == ""


async def test_an_https_proxy_is_verified_by_the_systems_authorities(
    authority: Authority, stranger: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy()
    server = authority.server_context("behind", "DNS:api.test", clients=True)
    certificate, key = authority.issue("agent")
    user = {"client-certificate": str(certificate), "client-key": str(key)}
    proxy_context = stranger.server_context("proxy", "DNS:localhost")
    async with serve(hello, server) as url, proxy.running(proxy_context) as port:
        target = url.replace("127.0.0.1", "api.test")
        cluster: dict[str, Any] = {
            "certificate_authority_data": authority.data,
            "proxy_url": f"https://localhost:{port}",
        }
        with pytest.raises(Unreachable, match="not trusted"):
            await you(target, user, **cluster)
        assert not proxy.asked
        system = ssl.create_default_context(cadata=stranger.certificate.decode())
        monkeypatch.setattr(tls, "default_context", lambda: system)
        assert await you(target, user, **cluster) == "agent"


async def test_plain_http_goes_through_the_proxy_as_a_request() -> None:
    proxy = Proxy()
    async with proxy.running() as port:
        assert await you("http://api.test:8080", proxy_url=f"http://me:pass@127.0.0.1:{port}") == "plain"
    assert proxy.credentials == ["Basic " + base64.b64encode(b"me:pass").decode()]
    assert proxy.asked == [("GET", "http://api.test:8080/version")]


async def test_a_proxy_that_is_not_there_is_named() -> None:
    with pytest.raises(Unreachable, match=r"api\.test: proxy 127\.0\.0\.1:1: connection refused"):
        await you("https://api.test", proxy_url="http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("server", "env", "expected"),
    [
        ("https://a.test", {}, ""),
        ("https://a.test", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://a.test", {"https_proxy": "p:1"}, "http://p:1"),
        ("http://a.test", {"HTTPS_PROXY": "http://p:1"}, ""),
        ("http://a.test", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("https://a.test", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, ""),
        ("https://a.test", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "b.test, a.test"}, ""),
        ("https://x.a.test", {"HTTPS_PROXY": "http://p:1", "no_proxy": "a.test"}, ""),
        ("https://xa.test", {"HTTPS_PROXY": "http://p:1", "no_proxy": "a.test"}, "http://p:1"),
        ("https://a.test", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".a.test"}, "http://p:1"),
        ("https://x.a.test", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".a.test"}, ""),
        ("https://a.test:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.test:6443"}, ""),
        ("https://a.test", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.test:6443"}, "http://p:1"),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, ""),
        ("https://11.1.2.3", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "http://p:1"),
        ("https://[fd00::1]:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "fd00::/8"}, ""),
        ("https://[fd00::1]", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "fd00::1"}, ""),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": "http://p:1"}, ""),
        ("https://localhost", {"HTTPS_PROXY": "http://p:1"}, ""),
        ("https://a.test", {"HTTPS_PROXY": "http://u:s3cret@p:1"}, "http://p:1"),
    ],
)
def test_the_environments_proxies(server: str, env: dict[str, str], expected: str) -> None:
    proxy = proxy_for(server, env=env)
    assert (proxy.url if proxy else "") == expected
    assert "s3cret" not in repr(proxy)


def test_a_clusters_proxy_wins_over_the_environment() -> None:
    env = {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}
    proxy = proxy_for("https://a.test", "http://own:2", env)
    assert proxy is not None
    assert proxy.url == "http://own:2"


@pytest.mark.parametrize("url", ["socks5://p:1", "ftp://p", "http://", "http://p:notaport"])
def test_a_proxy_that_is_not_spoken_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"HTTPS_PROXY: (SOCKS|expected|not a valid)"):
        proxy_for("https://a.test", env={"HTTPS_PROXY": url})


async def test_a_client_certificate_that_expired_is_named(authority: Authority) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "code": 401, "message": "Unauthorized"}, status=401)

    expired, good = authority.issue("late", days=0), authority.issue("good")
    async with serve(refuse) as url:
        for (certificate, key), words in (
            (expired, "the client certificate of user 'me' (has just )?expired"),
            (good, "Unauth"),
        ):
            user = {"client-certificate-data": inline(certificate), "client-key-data": inline(key)}
            made = msgspec.structs.replace(context(url, user), user_name="me")
            async with Client(made) as client:
                with pytest.raises(Unauthorized, match=words):
                    await client.version()


def test_until_when_a_certificate_is_good(authority: Authority) -> None:
    pem = authority.issue("until", days=3)[0].read_bytes()
    until = not_after(pem)
    assert until
    assert abs((until - datetime.now(UTC)).total_seconds() - 3 * 86400) < 600
    assert expiry(pem, until - timedelta(seconds=1)) == ""
    assert expiry(pem, until) == "has just expired"
    assert expiry(pem, until + timedelta(hours=1, minutes=5)) == "expired 1 hour ago"
    assert expiry(pem, until + timedelta(days=3, hours=5)) == "expired 3 days ago"


@pytest.mark.parametrize("content", [b"", b"0", b"0\x80", b"0\x05abc", b"0\x02\x30\x00", b"\xff" * 40])
def test_of_what_is_no_certificate_nothing_is_said(content: bytes) -> None:
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(content) + b"\n-----END CERTIFICATE-----\n"
    assert not_after(pem) is None
    assert not_after(content) is None
    assert expiry(pem, datetime.now(UTC)) == ""
