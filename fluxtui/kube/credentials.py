"""Who we are on one cluster: the kubeconfig's user as headers and a client certificate, fresh whenever asked.

Tokens, token files, basic auth and client certificates are read here; exec plugins and OIDC logins are asked.
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from fluxtui.kube.errors import AuthError, KubeError
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.oidc import OidcLogin
from fluxtui.kube.plugins import Credential, ExecPlugins, PluginSpec, spec_of
from fluxtui.kube.tls import read_pem

LOOK_EVERY = 10.0
"""Seconds for which a token or certificate file is taken as read before its time stamp is looked at again."""
_MAX_TOKEN = 1 << 20


class Identity(msgspec.Struct, frozen=True):
    """What a request is sent with; the repr shows none of it."""

    authorization: str = ""
    """Value of the Authorization header; "" for none."""
    certificate: bytes = b""
    """PEM of the client certificate and its chain; b"" for none."""
    key: bytes = b""

    def __repr__(self) -> str:
        return "Identity(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class Credentials:
    """The identity of one context, kept current."""

    def __init__(self, context: Context, plugins: ExecPlugins) -> None:
        self._user = context.user
        self._cluster = context.cluster
        self._where = f"{context.user_source or context.source}: user {context.user_name!r}"
        self._name = context.user_name
        self._plugins = plugins
        self._files = [
            str(context.user[field])
            for field in ("tokenFile", "client-certificate", "client-key")
            if context.user.get(field)
        ]
        self._static: Identity | None = None
        self._stamps: list[tuple[int, int, int]] = []
        self._looked = -LOOK_EVERY
        self._spec: PluginSpec | None = None
        self._last: tuple[Identity, Credential] | None = None
        provider = context.user.get("auth-provider")
        self._login = OidcLogin(provider, context.user_source, context.user_name) if provider else None

    async def identity(self) -> Identity:
        """The identity to use now. Raises AuthError or ConfigError when it cannot be had."""
        static = await self._read()
        if "exec" in self._user:
            if self._spec is None:
                self._spec = await asyncio.to_thread(spec_of, self._user["exec"], self._cluster, self._where)
            credential = await self._plugins.credential(self._spec)
            if self._last is not None and self._last[1] is credential:
                return self._last[0]
            identity = Identity(
                _bearer(credential.token) if credential.token else static.authorization,
                credential.certificate or static.certificate,
                credential.key or static.key,
            )
            self._last = (identity, credential)
            return identity
        if self._login is not None:
            token = await self._login.token()
            return Identity(_bearer(token), static.certificate, static.key)
        return static

    def reject(self, rejected: Identity) -> bool:
        """The server answered 401 to `rejected`; whether asking again may bring another identity."""
        self._looked = -LOOK_EVERY
        if "exec" in self._user:
            if self._spec is not None and self._last is not None and self._last[0] == rejected:
                self._plugins.reject(self._spec, self._last[1])
            return True
        if self._login is not None:
            return self._login.reject(rejected.authorization.removeprefix("Bearer "))
        return bool(self._files)

    async def why_refused(self) -> str:
        """What we know of why the server does not take us for who we are, a sentence; "" when nothing."""
        from fluxtui.kube.certificates import expiry

        try:
            words = expiry((await self.identity()).certificate, datetime.now(UTC))
        except KubeError:
            return ""
        return f"the client certificate of user {self._name!r} {words}" if words else ""

    async def _read(self) -> Identity:
        """What stands in the kubeconfig and the files it names."""
        if self._static is None or (self._files and time.monotonic() - self._looked > LOOK_EVERY):
            self._static = await asyncio.to_thread(self._load) if self._files else self._load()
            self._looked = time.monotonic()
        return self._static

    def _load(self) -> Identity:
        stamps = [_stamp(path) for path in self._files]
        if self._static is not None and stamps == self._stamps:
            return self._static
        self._stamps = stamps
        user = self._user
        authorization = ""
        if user.get("tokenFile"):
            authorization = _bearer(self._token(str(user["tokenFile"])))
        elif user.get("token"):
            authorization = _bearer(user["token"].strip())
        elif user.get("username"):
            pair = f"{user['username']}:{user.get('password', '')}".encode()
            authorization = f"Basic {base64.b64encode(pair).decode()}"
        return Identity(
            authorization,
            read_pem(user, "client-certificate", self._where),
            read_pem(user, "client-key", self._where),
        )

    def _token(self, path: str) -> str:
        try:
            with open(path, encoding="utf-8") as file:
                token = file.read(_MAX_TOKEN).strip()
        except (OSError, UnicodeDecodeError) as error:
            if self._user.get("token"):
                return str(self._user["token"])
            why = error.strerror if isinstance(error, OSError) else "not text"
            raise AuthError(f"{self._where}: tokenFile: {path}: {why}") from None
        if not token:
            raise AuthError(f"{self._where}: tokenFile: {path}: empty")
        return token


def _bearer(token: str) -> str:
    if any(ord(char) < 33 or ord(char) > 126 for char in token):
        raise AuthError("the token contains characters that no token may have")
    return f"Bearer {token}"


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
