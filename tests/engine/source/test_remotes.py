"""Every way to reach a repository, against real servers: sshd, TLS with client certificates, proxies, GitHub Apps."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fluxtui.engine.adapters import tunnel
from fluxtui.engine.controllers.source.access import is_encrypted
from fluxtui.engine.runtime.service_accounts import ServiceAccount
from tests.engine.clouds.provider import AZURE, clouds
from tests.engine.source.bench import Bench, conditions, retry
from tests.engine.source.repositories import GitServer, Repository, need_http_backend, self_signed, serving
from tests.engine.source.signing import make_key
from tests.engine.source.sshd import ssh_server
from tests.listening import streams
from tests.ports import free_port


async def test_ssh_with_a_key_and_known_hosts(bench: Bench, repository: Repository, tmp_path: Path) -> None:
    async with ssh_server(tmp_path / "ssh") as server:
        await bench.secret("auth", identity=server.identity, known_hosts=server.known_hosts)
        await bench.create("fleet", server.url(repository.path), secretRef={"name": "auth"})
        await bench.ready("fleet", repository.git("rev-parse", "HEAD"))
        head = await asyncio.to_thread(repository.commit, "second")
        await retry(bench, "fleet")
        await bench.ready("fleet", head)


async def test_ssh_refuses_another_host_and_another_key(bench: Bench, repository: Repository, tmp_path: Path) -> None:
    async with ssh_server(tmp_path / "ssh") as server:
        make_key(tmp_path / "stranger")
        stranger = (tmp_path / "stranger.pub").read_text().rsplit(" ", 1)[0]
        wrong_host = f"[127.0.0.1]:{server.port} {stranger}\n"
        url = server.url(repository.path)
        await bench.secret("host", identity=server.identity, known_hosts=wrong_host)
        await bench.create("host", url, secretRef={"name": "host"})
        obj = await bench.failed("host", "GitOperationFailed")
        assert conditions(obj)["Ready"]["message"].endswith("the server's host key is not in known_hosts")
        await bench.secret("key", identity=(tmp_path / "stranger").read_text(), known_hosts=server.known_hosts)
        await bench.create("key", url, secretRef={"name": "key"})
        obj = await bench.failed("key", "GitOperationFailed")
        assert conditions(obj)["Ready"]["message"].endswith("authentication required")
        await bench.secret("garbage", identity="garbage", known_hosts=server.known_hosts)
        await bench.create("garbage", url, secretRef={"name": "garbage"})
        obj = await bench.failed("garbage", "GitOperationFailed")
        assert conditions(obj)["Ready"]["message"].endswith("the private key can't be read")
        await bench.create("deaf", f"ssh://127.0.0.1:{free_port()}/x", secretRef={"name": "host"})
        obj = await bench.failed("deaf", "GitOperationFailed")
        assert conditions(obj)["Ready"]["message"].endswith("Connection refused")
        await bench.create("missing", f"{url}-none", secretRef={"name": "good"})
        await bench.secret("good", identity=server.identity, known_hosts=server.known_hosts)
        obj = await bench.failed("missing", "GitOperationFailed")
        assert conditions(obj)["Ready"]["message"].endswith("repository not found")


async def test_ssh_with_a_key_that_has_a_passphrase(bench: Bench, repository: Repository, tmp_path: Path) -> None:
    async with ssh_server(tmp_path / "ssh") as server:
        key = tmp_path / "locked"
        make_key(key, "open sesame")
        server.authorize(key)
        await bench.secret("auth", identity=key.read_text(), known_hosts=server.known_hosts)
        await bench.secret("full", identity=key.read_text(), known_hosts=server.known_hosts, password="open sesame")
        await bench.create("fleet", server.url(repository.path), secretRef={"name": "auth"})
        obj = await bench.failed("fleet", "AuthenticationFailed")
        assert conditions(obj)["Ready"]["message"] == (
            "SSH identity key is encrypted but no 'password' field was provided in the secret 'flux-system/auth'"
        )
        await bench.patch("fleet", {"spec": {"secretRef": {"name": "full"}}})
        await bench.ready("fleet", repository.git("rev-parse", "HEAD"))


def test_keys_of_every_format_tell_whether_they_are_encrypted(tmp_path: Path) -> None:
    make_key(tmp_path / "plain")
    assert not is_encrypted((tmp_path / "plain").read_bytes())
    for name, options in (("pem", ("-traditional",)), ("pkcs8", ())):
        command = ["openssl", "genrsa", "-aes128", "-passout", "pass:x", *options, "-out", str(tmp_path / name), "2048"]
        subprocess.run(command, check=True, capture_output=True)
        assert is_encrypted((tmp_path / name).read_bytes()), name
    assert not is_encrypted(b"no key")


async def test_tls_with_an_authority_and_a_client_certificate(
    bench: Bench, repository: Repository, tmp_path: Path
) -> None:
    need_http_backend()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    key, certificate = self_signed(tmp_path / "a")
    client_key, client = self_signed(tmp_path / "b")
    with serving(repository.path.parent, (certificate, key), client) as server:
        url = f"{server.url}/fleet/.git"
        await bench.create("fleet", url)
        obj = await bench.failed("fleet", "GitOperationFailed")
        assert "certificate" in conditions(obj)["Ready"]["message"]
        await bench.secret("half", ca__crt=certificate.read_text(), tls__crt=client.read_text())
        await bench.patch("fleet", {"spec": {"secretRef": {"name": "half"}}})
        obj = await bench.failed("fleet", "AuthenticationFailed")
        assert "'tls.crt' and 'tls.key' must be given together" in conditions(obj)["Ready"]["message"]
        # caFile is the older name.
        whole = {"caFile": certificate.read_text(), "tls__crt": client.read_text(), "tls__key": client_key.read_text()}
        await bench.secret("whole", **whole)
        await bench.patch("fleet", {"spec": {"secretRef": {"name": "whole"}}})
        await bench.ready("fleet", repository.git("rev-parse", "HEAD"))


async def test_a_bearer_token(bench: Bench, repository: Repository, server: GitServer) -> None:
    server.authorization = "Bearer t0ken"
    await bench.secret("auth", bearerToken="t0ken\n")
    await bench.create("fleet", f"{server.url}/fleet/.git", secretRef={"name": "auth"})
    await bench.ready("fleet", repository.git("rev-parse", "HEAD"))


@asynccontextmanager
async def proxy(authorization: str) -> AsyncIterator[tuple[int, list[str]]]:
    """A forward proxy for plain HTTP; the requests it was asked for."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        asked.append(first)
        if f"Proxy-Authorization: {authorization}" not in lines:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        else:
            method, url, version = first.split()
            _, _, host, path = url.split("/", 3)
            far_reader, far_writer = await asyncio.open_connection(*host.split(":"))
            far_writer.write("\r\n".join([f"{method} /{path} {version}", *lines]).encode())
            length = next((int(line.split(":")[1]) for line in lines if line.startswith("Content-Length")), 0)
            try:
                far_writer.write(await reader.readexactly(length))
                writer.write(await far_reader.read())
            finally:
                far_writer.transport.abort()
        with suppress(ConnectionError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    async with streams(serve) as port:
        yield port, asked


async def test_a_proxy_with_a_password(bench: Bench, repository: Repository, server: GitServer) -> None:
    token = base64.b64encode(b"mandalorian:gro:gu").decode()
    async with proxy(f"Basic {token}") as (port, asked):
        address = f"http://127.0.0.1:{port}"
        await bench.secret("proxy", address=address, username="mandalorian", password="gro:gu")
        await bench.create("fleet", f"{server.url}/fleet/.git", proxySecretRef={"name": "proxy"})
        await bench.ready("fleet", repository.git("rev-parse", "HEAD"))
        assert asked
        assert all(f"{server.url}/fleet/.git/" in line for line in asked)
        await bench.create("none", f"{server.url}/fleet/.git", proxySecretRef={"name": "nothing"})
        obj = await bench.failed("none", "AuthenticationFailed")
        message = "failed to configure proxy options: failed to get secret 'flux-system/nothing'"
        assert conditions(obj)["Ready"]["message"].startswith(message)
        # Nothing goes past a proxy because its Secret is empty.
        await bench.secret("nothing")
        await bench.patch("none", {"spec": {"timeout": "61s"}})

        def refused(obj: dict[str, Any]) -> bool:
            return "the proxy Secret has no 'address'" in conditions(obj)["Ready"]["message"]

        await bench.until("none", refused)


@asynccontextmanager
async def socks(user: bytes, password: bytes) -> AsyncIterator[tuple[int, list[str]]]:
    """A SOCKS5 proxy that wants a password; the places it was asked for."""
    asked: list[str] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while block := await reader.read(1 << 16):
                writer.write(block)
                await writer.drain()
            writer.write_eof()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            _, count = await reader.readexactly(2)
            methods = await reader.readexactly(count)
            writer.write(b"\x05\x02" if 2 in methods else b"\x05\xff")
            if 2 in methods:
                _, length = await reader.readexactly(2)
                given = await reader.readexactly(length), await reader.readexactly((await reader.readexactly(1))[0])
                writer.write(b"\x01\x00" if given == (user, password) else b"\x01\x01")
                await reader.readexactly(3)
                kind = (await reader.readexactly(1))[0]
                length = 4 if kind == 1 else (await reader.readexactly(1))[0]
                host = await reader.readexactly(length)
                port = int.from_bytes(await reader.readexactly(2), "big")
                asked.append(f"{'.'.join(map(str, host)) if kind == 1 else host.decode()}:{port}")
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"\x05\x00\x00\x03\x01x\x00\x00")
                try:
                    await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
                finally:
                    far_writer.transport.abort()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with streams(serve) as port:
        yield port, asked


async def test_ssh_through_a_socks_proxy(bench: Bench, repository: Repository, tmp_path: Path) -> None:
    async with ssh_server(tmp_path / "ssh") as server, socks(b"mandalorian", b"gro:gu%") as (port, asked):
        await bench.secret("auth", identity=server.identity, known_hosts=server.known_hosts)
        address = f"socks5://127.0.0.1:{port}"
        await bench.secret("anonymous", address=address)
        await bench.secret("wrong", address=address, username="mandalorian", password="grogu")
        await bench.secret("right", address=address, username="mandalorian", password="gro:gu%")
        proxied = {"secretRef": {"name": "auth"}, "proxySecretRef": {"name": "anonymous"}}
        await bench.create("fleet", server.url(repository.path), **proxied)
        obj = await bench.failed("fleet", "GitOperationFailed")
        assert "proxy: the SOCKS5 proxy wants a user and a password" in conditions(obj)["Ready"]["message"]
        await bench.patch("fleet", {"spec": {"proxySecretRef": {"name": "wrong"}}})

        def refused(obj: dict[str, Any]) -> bool:
            return "refuses the user or the password" in conditions(obj)["Ready"]["message"]

        await bench.until("fleet", refused)
        assert not asked
        await bench.patch("fleet", {"spec": {"proxySecretRef": {"name": "right"}}})
        await bench.ready("fleet", repository.git("rev-parse", "HEAD"))
        assert set(asked) == {f"127.0.0.1:{server.port}"}


@asynccontextmanager
async def connecting(authorization: str) -> AsyncIterator[int]:
    """A proxy that answers CONNECT with one line, then repeats what it gets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        allowed = head[0] == "CONNECT git.example.com:22 HTTP/1.1" and f"Proxy-Authorization: {authorization}" in head
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" if allowed else b"HTTP/1.1 407 No\r\n\r\n")
        if allowed:
            writer.write(await reader.read(100))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with streams(serve) as port:
        yield port


async def test_a_tunnel_through_an_http_proxy() -> None:
    token = base64.b64encode(b"me:pass word").decode()
    async with connecting(f"Basic {token}") as port:
        reader, writer = await tunnel.connect(f"http://me:pass%20word@127.0.0.1:{port}", "git.example.com", 22)
        writer.write(b"SSH-2.0")
        assert await reader.read() == b"SSH-2.0"
        writer.close()
        await writer.wait_closed()
        with pytest.raises(tunnel.TunnelError, match="answers 407 for git"):
            await tunnel.connect(f"http://127.0.0.1:{port}", "git.example.com", 22)


async def test_authorities_of_a_secret_come_beside_those_of_the_system(
    bench: Bench, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_http_backend()
    for name in "ab":
        (tmp_path / name).mkdir()
    key, certificate = self_signed(tmp_path / "a")
    _, other = self_signed(tmp_path / "b")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(repository.path.parent, (certificate, key)) as server:
        await bench.secret("other", ca__crt=other.read_text())
        await bench.create("fleet", f"{server.url}/fleet/.git", secretRef={"name": "other"})
        await bench.ready("fleet", repository.git("rev-parse", "HEAD"))


async def test_azure_lets_in_the_identity_of_a_service_account(
    bench: Bench, repository: Repository, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def token(account: ServiceAccount, audiences: Sequence[str]) -> str:
        return f"jwt for {audiences[0]}"

    monkeypatch.setattr(ServiceAccount, "token", token)
    server.authorization = "Bearer provided"
    resource = await bench.client.resource_for(("", "v1", "ServiceAccount"))
    async with clouds(monkeypatch, tmp_path) as provider:
        url, spec = f"{server.url}/fleet/.git", {"provider": "azure", "serviceAccountName": "tenant"}
        await bench.create("fleet", url, **spec)
        obj = await bench.failed("fleet", "AuthenticationFailed")
        missing = "failed to configure authentication options: failed to get service account 'flux-system/tenant'"
        assert conditions(obj)["Ready"]["message"] == f"{missing}: not found"
        await bench.create("own", url, provider="azure")
        obj = await bench.failed("own", "AuthenticationFailed")
        assert "the engine has no identity in Azure" in conditions(obj)["Ready"]["message"]
        metadata = {"name": "tenant", "namespace": "flux-system", "annotations": AZURE}
        await bench.client.create(resource, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        await retry(bench, "fleet")
        await bench.ready("fleet", repository.git("rev-parse", "HEAD"))
        await retry(bench, "fleet", 2)
        await bench.until("fleet", lambda obj: obj["status"].get("lastHandledReconcileAt") == "2")
        assert provider.asked == ["azure 499b84ac-1321-427f-aa17-267ca6975798/.default"]
        await bench.create("commit", url, provider="aws", serviceAccountName="tenant")
        obj = await bench.failed("commit", "AuthenticationFailed")
        assert "AWS CodeCommit authentication requires an HTTPS Git URL" in conditions(obj)["Ready"]["message"]


async def test_a_remote_that_goes_away_in_the_middle_of_a_fetch(
    bench: Bench, repository: Repository, server: GitServer
) -> None:
    server.cut_packs = True
    await bench.create("fleet", f"{server.url}/fleet/.git")
    obj = await bench.failed("fleet", "GitOperationFailed")
    assert "artifact" not in obj["status"]
    assert list(bench.store.root.glob("alpha/gitrepository/**/*.tar.gz")) == []
    server.cut_packs = False
    await bench.ready("fleet", repository.git("rev-parse", "HEAD"))
