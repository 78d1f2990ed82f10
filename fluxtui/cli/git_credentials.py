"""The Secret that `create source git` makes: user and password, a certificate authority, or an SSH key.

Keys and meaning: docs/spec/v1/gitrepositories.md "Secret reference". A password is asked for, or read from the standard
input, since what is on a command line is seen by everybody on the machine.
"""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import click
import msgspec

from fluxtui.cli.asking import asked_at_a_terminal

Object = dict[str, Any]

ALGORITHMS = ("ecdsa", "ed25519", "rsa")
CURVES = {"p256": 256, "p384": 384, "p521": 521}
_LARGEST = 1 << 20
"""Bytes of a file that goes into the Secret."""
_SCAN = 20
"""Seconds a host may take to tell its keys."""


class Credentials(msgspec.Struct, frozen=True):
    """Flags about credentials."""

    username: str = ""
    password: str = ""
    password_stdin: bool = False
    ca_file: Path | None = None
    private_key_file: Path | None = None
    known_hosts_file: Path | None = None
    ssh_key_algorithm: str = "ecdsa"
    ssh_ecdsa_curve: str = "p384"
    ssh_rsa_bits: int = 2048
    silent: bool = False

    def __repr__(self) -> str:
        return f"Credentials({self.username!r})"


def check(url: str, given: Credentials, secret_ref: str) -> bool:
    """Whether a Secret is to be made. Raises click.UsageError for flags that don't fit the URL, or each other."""
    scheme = urlsplit(url).scheme
    secret = {
        "--username": given.username,
        "--password": given.password or given.password_stdin,
        "--ca-file": given.ca_file,
        "--private-key-file": given.private_key_file,
        "--known-hosts-file": given.known_hosts_file,
    }
    used = [flag for flag, value in secret.items() if value]
    if secret_ref and used:
        raise click.UsageError(f"--secret-ref names a Secret that exists: {', '.join(used)} can't go into it")
    if given.password and given.password_stdin:
        raise click.UsageError("--password and --password-stdin are two ways to give one password")
    if scheme == "ssh":
        for flag in ("--username", "--ca-file"):
            if flag in used:
                raise click.UsageError(f"{flag} has no meaning for ssh")
        return not secret_ref
    for flag in ("--private-key-file", "--known-hosts-file"):
        if flag in used:
            raise click.UsageError(f"{flag} has a meaning for ssh only")
    if "--password" in used and not given.username:
        raise click.UsageError("--password needs --username")
    if scheme == "file" and used:
        raise click.UsageError(f"{', '.join(used)} has no meaning for a repository on this machine")
    if "--ca-file" in used and scheme == "http":
        raise click.UsageError("--ca-file has a meaning for https only")
    return bool(used)


def secret(name: str, url: str, given: Credentials) -> Object:
    """The Secret of a repository; asks for what is missing, and whether a new key is known to the server.

    Raises click.UsageError and click.ClickException.
    """
    parts = urlsplit(url)
    if parts.scheme == "ssh":
        data = _of_ssh(parts, given)
    else:
        data = {}
        if given.username:
            if parts.scheme == "http":
                click.echo("⚠ the credentials go over http, which anybody on the way can read", err=True)
            data = {"username": given.username.encode(), "password": _password(given, "password").encode()}
        if given.ca_file is not None:
            data["ca.crt"] = _content(given.ca_file, "--ca-file")
    encoded = {key: base64.b64encode(value).decode() for key, value in sorted(data.items())}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "data": encoded}


def _of_ssh(parts: SplitResult, given: Credentials) -> dict[str, bytes]:
    data = {}
    with tempfile.TemporaryDirectory(prefix="fluxtui-") as directory:
        work = Path(directory)
        if given.private_key_file is not None:
            identity = _content(given.private_key_file, "--private-key-file")
            password = _password(given, "passphrase of the key") if given.password or given.password_stdin else ""
            if password:
                data["password"] = password.encode()
            public = _public_key(identity, password, work)
        else:
            identity, public = _new_key(given, work)
    if given.known_hosts_file is not None:
        hosts = _content(given.known_hosts_file, "--known-hosts-file")
    else:
        hosts = _scanned(parts)
        click.echo(f"► keys of the server, as it shows them:\n{hosts.decode(errors='replace').strip()}", err=True)
    click.echo(f"► deploy key: {public.decode(errors='replace').strip()}", err=True)
    if given.private_key_file is None and not given.silent:
        if not asked_at_a_terminal():
            raise click.UsageError("a new deploy key has to be made known to the server: --silent goes on without")
        click.confirm("has the deploy key been added to the repository?", abort=True, err=True)
    return {**data, "identity": identity, "identity.pub": public, "known_hosts": hosts}


def _password(given: Credentials, what: str) -> str:
    if given.password:
        click.echo("⚠ a password on the command line is seen by everybody on this machine", err=True)
        return given.password
    if given.password_stdin:
        found = sys.stdin.readline().rstrip("\r\n")
    elif asked_at_a_terminal():
        found = str(click.prompt(what, hide_input=True, err=True))
    else:
        raise click.UsageError(f"the {what} is missing, and nobody is there to be asked: --password-stdin reads it")
    if not found:
        raise click.UsageError(f"the {what} is empty")
    return found


def _new_key(given: Credentials, work: Path) -> tuple[bytes, bytes]:
    """(private key, public key)."""
    size = {"rsa": given.ssh_rsa_bits, "ecdsa": CURVES[given.ssh_ecdsa_curve]}.get(given.ssh_key_algorithm)
    bits = ["-b", str(size)] if size else []
    file = work / "identity"
    _run("ssh-keygen", "-q", "-t", given.ssh_key_algorithm, *bits, "-N", "", "-C", "", "-f", str(file))
    return file.read_bytes(), file.with_suffix(".pub").read_bytes()


def _public_key(identity: bytes, password: str, work: Path) -> bytes:
    """The public key of a private one. Raises click.ClickException for what is none, or has another passphrase."""
    file, words, program = work / "identity", work / "passphrase", work / "askpass"
    for path, content, mode in (
        (file, identity.rstrip() + b"\n", 0o600),
        (words, password.encode() + b"\n", 0o600),
        (program, f"#!/bin/sh\nexec cat {shlex.quote(str(words))}\n".encode(), 0o700),
    ):
        path.touch(mode)
        path.write_bytes(content)
    asked = {"SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force"}
    return _run(
        "ssh-keygen",
        "-y",
        "-f",
        str(file),
        problem="--private-key-file: no private key, or the passphrase is not the right one",
        **asked,
    )


def _scanned(parts: SplitResult) -> bytes:
    host = parts.hostname or ""
    if not host or host.startswith("-"):
        raise click.UsageError("--url names no host")
    port = ["-p", str(parts.port)] if parts.port else []
    found = _run(
        "ssh-keyscan", "-T", str(_SCAN // 2), *port, host, problem=f"{host} shows no key; is it an ssh server?"
    )
    if not found.strip():
        raise click.ClickException(f"{host} shows no key: it can't be reached, or is no ssh server; --known-hosts-file")
    return found


def _run(program: str, *arguments: str, problem: str = "", **env: str) -> bytes:
    found = shutil.which(program)
    if found is None:
        raise click.ClickException(f"the program {program} is needed: it is not installed")
    try:
        done = subprocess.run(
            [found, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_SCAN,
            env={**os.environ, **env},
        )
    except subprocess.TimeoutExpired as error:
        raise click.ClickException(problem or f"{program} did not end within {_SCAN} s") from error
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it says no more"]
        raise click.ClickException(problem or f"{program} failed: {last[0]}")
    return done.stdout


def _content(file: Path, flag: str) -> bytes:
    try:
        with file.open("rb") as stream:
            found = stream.read(_LARGEST + 1)
    except OSError as error:
        raise click.UsageError(f"{flag}: {file}: {error.strerror}") from error
    if len(found) > _LARGEST:
        raise click.UsageError(f"{flag}: {file} has more than {_LARGEST >> 20} MiB")
    return found
