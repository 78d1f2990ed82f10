"""`fluxtui create source git` with credentials: the Secret it makes, and what it does not say of it."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from fluxtui.api.kinds import GIT_REPOSITORY
from fluxtui.cli.main import cli
from fluxtui.kube.client import Client
from tests.cli.conftest import Fleet
from tests.cli.test_create import URL, spec_of
from tests.engine.source.signing import make_key
from tests.engine.source.sshd import ssh_server
from tests.fleet.live import controlled

Start = Callable[..., Awaitable[Fleet]]

SOURCE = ["create", "source", "git", "fleet", "--branch", "main"]


async def data_of(client: Client, name: str = "fleet") -> dict[str, bytes]:
    found = await client.get(await client.resource_for(("", "v1", "Secret")), name, "flux-system")
    return {key: base64.b64decode(value) for key, value in found["data"].items()}


async def test_user_password_and_authority_are_put_before_the_repository(start: Start, tmp_path: Path) -> None:
    fleet = await start("east", "west")
    authority = tmp_path / "ca.crt"
    await asyncio.to_thread(authority.write_text, "certificate")
    flags = [*URL.split(), "--username", "me", "--password-stdin", "--ca-file", str(authority), "--label", "team=a"]
    async with controlled(fleet.clients["east"], GIT_REPOSITORY), controlled(fleet.clients["west"], GIT_REPOSITORY):
        result = await fleet.run(*SOURCE, *flags, "--yes", stdin="pa55word\n")
    assert result.exit_code == 0, result.stderr
    for client in fleet.clients.values():
        assert await data_of(client) == {"username": b"me", "password": b"pa55word", "ca.crt": b"certificate"}
        assert (await spec_of(client, "fleet") or {})["secretRef"] == {"name": "fleet"}
    assert "pa55word" not in result.output
    written = [file.read_text() for file in Path.home().rglob("audit.jsonl")]
    assert written
    assert not [text for text in written if "pa55word" in text or "cGE1NXdvcmQ" in text]


async def test_a_password_is_asked_for_or_warned_of(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = await start("east")
    monkeypatch.setattr("fluxtui.cli.git_credentials.asked_at_a_terminal", lambda: True)
    async with controlled(fleet.clients["east"], GIT_REPOSITORY):
        result = await fleet.run(*SOURCE, *URL.split(), "-u", "me", stdin="typed\n")
        assert result.exit_code == 0, result.stderr
        assert (await data_of(fleet.clients["east"]))["password"] == b"typed"
        assert "typed" not in result.output
        plain = ["--url", "http://git.example.com/fleet", "-u", "me", "-p", "shown"]
        result = await fleet.run(*SOURCE, *plain)
        assert (await data_of(fleet.clients["east"]))["password"] == b"shown"
    assert "a password on the command line is seen by everybody" in result.stderr
    assert "the credentials go over http" in result.stderr


async def test_a_key_of_a_file_and_the_keys_that_the_host_shows(start: Start, tmp_path: Path) -> None:
    fleet = await start("east")
    async with ssh_server(tmp_path / "ssh") as server, controlled(fleet.clients["east"], GIT_REPOSITORY):
        key = server.directory / "client"
        change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "phrase", "-f", str(key)]
        await asyncio.to_thread(subprocess.run, change, check=True, capture_output=True)
        flags = ["--url", f"ssh://git@127.0.0.1:{server.port}/fleet", "--private-key-file", str(key)]
        result = await fleet.run(*SOURCE, *flags, "--password-stdin", stdin="wrong\n")
        assert (result.exit_code, "the passphrase is not the right one" in result.stderr) == (1, True), result.stderr
        result = await fleet.run(*SOURCE, *flags, "--password-stdin", stdin="phrase\n")
        assert result.exit_code == 0, result.stderr
        data = await data_of(fleet.clients["east"])
        public = (await asyncio.to_thread((server.directory / "client.pub").read_bytes)).split()[1]
        assert (data["password"], data["identity.pub"].split()[1]) == (b"phrase", public)
        assert server.known_hosts.split()[2].encode() in data["known_hosts"]
        assert data["identity"] == await asyncio.to_thread(key.read_bytes)
    assert "PRIVATE KEY" not in result.output


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ([], b"ecdsa-sha2-nistp384"),
        (["--ssh-ecdsa-curve", "p521"], b"ecdsa-sha2-nistp521"),
        (["--ssh-key-algorithm", "ed25519"], b"ssh-ed25519"),
        (["--ssh-key-algorithm", "rsa"], b"ssh-rsa"),
    ],
)
async def test_a_new_key(start: Start, tmp_path: Path, flags: list[str], kind: bytes) -> None:
    fleet = await start("east")
    hosts = tmp_path / "known_hosts"
    await asyncio.to_thread(hosts.write_text, "git.example.com ssh-ed25519 AAAA\n")
    where = ["--url", "ssh://git@git.example.com/fleet", "--known-hosts-file", str(hosts)]
    async with controlled(fleet.clients["east"], GIT_REPOSITORY):
        result = await fleet.run(*SOURCE, *where, *flags)
        assert (result.exit_code, "--silent goes on without" in result.stderr) == (2, True)
        assert await spec_of(fleet.clients["east"], "fleet") is None
        result = await fleet.run(*SOURCE, *where, *flags, "--silent")
        assert result.exit_code == 0, result.stderr
    data = await data_of(fleet.clients["east"])
    assert data["identity.pub"].startswith(kind)
    assert data["known_hosts"] == b"git.example.com ssh-ed25519 AAAA\n"
    assert data["identity.pub"].decode().strip() in result.stderr
    assert "PRIVATE KEY" not in result.output


MISTAKES = [
    ("https", "--username me --secret-ref x", "--secret-ref names a Secret that exists: --username"),
    ("https", "--username me --password a --password-stdin", "two ways to give one password"),
    ("https", "--password a", "--password needs --username"),
    ("https", "--private-key-file x", "--private-key-file has a meaning for ssh only"),
    ("http", "--ca-file x", "--ca-file has a meaning for https only"),
    ("ssh", "--username me", "--username has no meaning for ssh"),
    ("file", "--username me", "has no meaning for a repository on this machine"),
    ("https", "--username me", "--password-stdin reads it"),
    ("https", "--ca-file /nowhere", "--ca-file: /nowhere: No such file"),
    ("ssh", "--private-key-file /nowhere", "--private-key-file: /nowhere: No such file"),
]


@pytest.mark.parametrize(("scheme", "flags", "message"), MISTAKES)
async def test_mistakes(start: Start, scheme: str, flags: str, message: str) -> None:
    fleet = await start("east")
    result = await fleet.run(*SOURCE, "--url", f"{scheme}://host/fleet", *flags.split())
    assert (result.exit_code, message in " ".join(result.stderr.split())) == (2, True), result.stderr
    assert await spec_of(fleet.clients["east"], "fleet") is None


def test_a_file_that_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("rubbish")
    make_key(tmp_path / "host")
    words = ["--url", "ssh://git@host/x", "--private-key-file", str(tmp_path / "key")]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}], "
        "users: [], contexts: [{name: c, context: {cluster: c}}]}"
    )
    result = CliRunner().invoke(cli, [*SOURCE, *words, "--kubeconfig", str(kubeconfig)])
    assert (result.exit_code, "no private key" in result.stderr) == (1, True), result.stderr


def test_an_export_has_no_credentials_in_it() -> None:
    result = CliRunner().invoke(cli, [*SOURCE, *URL.split(), "-u", "me", "-p", "pa55word", "--export"])
    assert (result.exit_code, "pa55word" in result.output, "secretRef" in result.output) == (0, False, False)
