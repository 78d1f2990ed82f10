"""How a Git remote is reached: credentials, certificates and proxy, as files only the git child reads.

Everything goes into a private directory (mode 0700) as a Git configuration of its own and key files of mode 0600;
nothing secret is on a command line or in an environment. The user's and the system's Git configuration, credential
helpers, agents and prompts are out of the game. Keys of the Secrets and their checks: fluxcd/pkg `git.AuthOptions`.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

import msgspec

AMBIENT = (
    *("PATH", "GIT_EXEC_PATH", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
"""What the git child gets of the engine's environment."""
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep the certificates they trust."""
SCHEMES = ("http", "https", "ssh", "file")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_USERINFO = re.compile(r"(?<=://)[^/@\s'\"]+@")


class AccessError(Exception):
    """An address or a Secret can't be used; `str()` is a sentence for users without any secret."""


class Remote(msgspec.Struct, frozen=True):
    """Address and secrets of a remote; `repr` shows neither password nor key."""

    url: str
    """Without user and password."""
    scheme: str
    host: str
    username: str = ""
    password: str = ""
    bearer_token: str = ""
    identity: bytes = b""
    known_hosts: bytes = b""
    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    proxy: str = ""

    def __repr__(self) -> str:
        return f"Remote({self.url!r})"

    @property
    def path(self) -> Path:
        """The directory of a `file://` remote."""
        return Path(unquote(urlsplit(self.url).path))

    def redact(self, text: str) -> str:
        """`text` without anything secret of this remote."""
        for secret in (self.password, self.bearer_token, _basic(self.username, self.password)):
            if len(secret) > 2:
                text = text.replace(secret, "***")
        return _USERINFO.sub("", text)


def remote(url: str, secret: Mapping[str, bytes] | None = None, proxy: Mapping[str, bytes] | None = None) -> Remote:
    """Put together how to reach `url`, from the data of the Secrets named for it.

    Raises AccessError, worded as upstream's validation.
    """
    parts = _split(url)
    data = secret or {}
    text = {key: _text(data, key) for key in ("username", "password", "bearerToken")}
    if parts.scheme == "ssh":
        identity, hosts = data.get("identity", b""), data.get("known_hosts", b"")
        for name, value in (("identity", identity), ("known_hosts", hosts)):
            if not value:
                raise AccessError(f"invalid 'ssh' auth option: '{name}' is required")
        user = unquote(parts.username or "") or "git"
        return Remote(
            url=_address(parts, user),
            scheme="ssh",
            host=parts.netloc.rpartition("@")[2],
            username=user,
            password=text["password"],
            identity=identity,
            known_hosts=hosts,
            proxy=_proxy(proxy) if proxy is not None else "",
        )
    username = text["username"] or unquote(parts.username or "")
    password = text["password"] or unquote(parts.password or "")
    if password and not username:
        raise AccessError(f"invalid '{parts.scheme}' auth option: 'password' requires 'username' to be set")
    if bool(data.get("tls.crt")) != bool(data.get("tls.key")):
        raise AccessError("'tls.crt' and 'tls.key' must be given together")
    return Remote(
        url=_address(parts),
        scheme=parts.scheme,
        host=parts.netloc.rpartition("@")[2],
        username="" if text["bearerToken"] else username,
        password="" if text["bearerToken"] else password,
        bearer_token=text["bearerToken"],
        ca=data.get("ca.crt") or data.get("caFile") or b"",
        certificate=data.get("tls.crt", b""),
        key=data.get("tls.key", b""),
        proxy=_proxy(proxy) if proxy is not None else "",
    )


def environment(access: Remote, home: Path, ambient: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Write configuration and keys into the private directory `home`; the whole environment of the git child.

    Raises OSError.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = home / "gitconfig"
    _write(config, _configuration(access, home, ambient).encode())
    env = {
        **{name: ambient[name] for name in AMBIENT if name in ambient},
        "HOME": str(home),
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        # A repository may name other repositories (submodules); a remote one never gets to name local ones.
        "GIT_ALLOW_PROTOCOL": "file:http:https:ssh" if access.scheme == "file" else "http:https:ssh",
    }
    if access.scheme == "ssh":
        env |= _ssh(access, home)
    return env


def _configuration(access: Remote, home: Path, ambient: Mapping[str, str]) -> str:
    lines = [
        *("[core]", "hooksPath = /dev/null", "autocrlf = false", "fsmonitor = false", "symlinks = true"),
        *("[http]", "followRedirects = false", "sslVerify = true", "emptyAuth = false"),
        *("[credential]", "helper ="),
        *("[gc]", "auto = 0"),
        *("[advice]", "detachedHead = false"),
        *("[init]", "defaultBranch = main"),
        *("[protocol]", "version = 2"),
    ]
    if access.scheme == "file":
        for directory in (access.path, access.path / ".git"):
            lines += ["[safe]", f"directory = {_quoted(str(directory))}"]
        lines += ['[protocol "file"]', "allow = always"]
    if access.scheme in ("http", "https"):
        lines.append(f"[http {_quoted(f'{access.scheme}://{access.host}/')}]")
        if access.bearer_token:
            lines.append(f"extraHeader = {_quoted(f'Authorization: Bearer {access.bearer_token}')}")
        elif access.username:
            token = _basic(access.username, access.password)
            lines.append(f"extraHeader = {_quoted(f'Authorization: Basic {token}')}")
        for name, content in (
            ("sslCAInfo", access.ca and access.ca.rstrip() + b"\n" + _authorities(ambient)),
            ("sslCert", access.certificate),
            ("sslKey", access.key),
        ):
            if content:
                _write(home / name, content)
                lines.append(f"{name} = {_quoted(str(home / name))}")
        if access.proxy:
            lines.append(f"proxy = {_quoted(access.proxy)}")
            if "@" in access.proxy:
                # Given with the first request, as upstream does: not every proxy asks for it.
                lines.append("proxyAuthMethod = basic")
    return "\n".join(lines) + "\n"


def _authorities(ambient: Mapping[str, str]) -> bytes:
    """The certificates that the system trusts, which those of a Secret come beside."""
    for path in (ambient.get("SSL_CERT_FILE", ""), *_BUNDLES):
        with suppress(OSError):
            return Path(path).read_bytes()
    return b""


def _ssh(access: Remote, home: Path) -> dict[str, str]:
    _write(home / "identity", access.identity.rstrip() + b"\n")
    _write(home / "known_hosts", access.known_hosts.rstrip() + b"\n")
    options = {
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": str(home / "known_hosts"),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "PreferredAuthentications": "publickey",
        "NumberOfPasswordPrompts": "1",
        "ConnectTimeout": "30",
    }
    env = {}
    if access.password:
        _write(home / "passphrase", access.password.encode() + b"\n")
        script = f"#!/bin/sh\nexec cat {shlex.quote(str(home / 'passphrase'))}\n"
        _write(home / "askpass", script.encode(), 0o700)
        env = {"SSH_ASKPASS": str(home / "askpass"), "SSH_ASKPASS_REQUIRE": "force"}
    else:
        options["BatchMode"] = "yes"
    if access.proxy:
        _write(home / "proxy", access.proxy.encode())
        tunnel = shlex.join([sys.executable, "-I", "-m", "fluxtui.engine.adapters.tunnel", str(home / "proxy")])
        # ssh has tokens of its own, which begin with a percent sign.
        options["ProxyCommand"] = f"{tunnel.replace('%', '%%')} %h %p"
    command = ["ssh", "-F", "/dev/null", "-i", str(home / "identity")]
    command += [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return {**env, "GIT_SSH_COMMAND": shlex.join(command), "GIT_SSH_VARIANT": "ssh"}


def _split(url: str) -> SplitResult:
    if _CONTROL.search(url):
        raise AccessError("the URL has control characters in it")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise AccessError(f"failed to parse url '{_USERINFO.sub('', url)}': {error}") from error
    if parts.scheme not in SCHEMES:
        raise AccessError(
            f"failed to parse url '{_USERINFO.sub('', url)}': the scheme must be one of {', '.join(SCHEMES)}"
        )
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise AccessError(f"failed to parse url '{url}': a file URL is file:///absolute/path")
    elif not parts.hostname or parts.hostname.startswith("-"):
        raise AccessError(f"failed to parse url '{_USERINFO.sub('', url)}': it names no host")
    return parts


def _address(parts: SplitResult, user: str = "") -> str:
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme == "file":
        return f"file://{parts.path}"
    return parts._replace(netloc=f"{quote(user)}@{host}" if user else host).geturl()


def _proxy(data: Mapping[str, bytes]) -> str:
    address = _text(data, "address")
    if not address:
        raise AccessError("the proxy Secret has no 'address'")
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise AccessError("the proxy Secret's 'address' is no URL") from error
    if parts.scheme not in ("http", "https", "socks5", "socks5h") or not parts.hostname:
        raise AccessError("the proxy Secret's 'address' must be an http, https or socks5 URL")
    user, password = _text(data, "username"), _text(data, "password")
    if not user:
        return address
    userinfo = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    return parts._replace(netloc=f"{userinfo}@{parts.netloc.rpartition('@')[2]}").geturl()


def _text(data: Mapping[str, bytes], key: str) -> str:
    try:
        text = data.get(key, b"").decode()
    except UnicodeDecodeError as error:
        raise AccessError(f"'{key}' in the Secret is no text") from error
    # An editor's line break at the end is never part of a credential.
    text = text.rstrip("\r\n")
    if _CONTROL.search(text):
        raise AccessError(f"'{key}' in the Secret has control characters in it")
    return text


def _basic(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode() if username else ""


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write(path: Path, content: bytes, mode: int = 0o600) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
