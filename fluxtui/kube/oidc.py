"""OIDC logins of kubeconfigs (`auth-provider: oidc`): id tokens, renewed by refresh token.

The exchange itself is kubernetes_asyncio's, loaded when a token first has to be renewed. Its connections do not verify
the identity provider unless told, so the session is ours.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from fluxtui.kube import configfile
from fluxtui.kube.errors import AuthError, ConfigError
from fluxtui.kube.tls import Trust, context_for, read_pem

logger = logging.getLogger("fluxtui.kube.auth")

TIMEOUT = 30.0
_LEEWAY = 10.0


class _Claims(msgspec.Struct):
    exp: float = 0.0


def expiry(token: str) -> float:
    """Unix time at which a JWT expires: 0 when it is no JWT, infinity when it says nothing."""
    parts = token.split(".")
    if len(parts) != 3:
        return 0.0
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(payload, type=_Claims).exp or float("inf")
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return 0.0


class OidcLogin:
    """The login of one user entry of a kubeconfig; renewed tokens are written back to the file, as kubectl does."""

    def __init__(self, provider: dict[str, Any], file: str, user_name: str) -> None:
        self._config: dict[str, Any] = dict(provider.get("config", {}))
        self._file = file
        self._user_name = user_name
        self._lock = asyncio.Lock()
        self._rejected = ""

    async def token(self) -> str:
        """A valid id token. Raises AuthError when none can be had, ConfigError for a wrong CA."""
        if self._valid():
            return str(self._config["id-token"])
        async with self._lock:
            if not self._valid():
                await asyncio.to_thread(self._reread)
            if not self._valid():
                await self._renew()
            return str(self._config["id-token"])

    def reject(self, token: str) -> bool:
        """Do not use `token` again; whether there is a way to another."""
        self._rejected = token
        return bool(self._config.get("refresh-token"))

    def _valid(self) -> bool:
        token = self._config.get("id-token", "")
        return token != self._rejected and expiry(token) > time.time() + _LEEWAY

    def _reread(self) -> None:
        """Take over tokens that another program renewed in the file meanwhile."""
        with contextlib.suppress(OSError, ConfigError):
            entry = configfile.read(self._file).users.get(self._user_name)
            config = (entry.content.get("auth-provider") or {}).get("config") if entry and not entry.error else None
            if config and any(config.get(key) != self._config.get(key) for key in ("id-token", "refresh-token")):
                self._config.update(config)

    async def _renew(self) -> None:
        config = self._config
        if not config.get("refresh-token"):
            raise AuthError("the OIDC login has expired and has no refresh token; log in again")
        trust = Trust(read_pem(config, "idp-certificate-authority", "auth-provider").decode("utf-8", "replace"))
        context = context_for(trust, b"", b"", "auth-provider: idp-certificate-authority")
        # Reading a module for the first time may take long, which is not the provider's fault.
        requestor, refused = await asyncio.to_thread(_requestor)
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await _exchange(config, context, requestor, refused)
        except TimeoutError:
            raise AuthError(f"the OIDC provider did not answer within {TIMEOUT:g} s") from None
        token = answer.get("id_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise AuthError("the OIDC provider answered without an id_token")
        fresh = {"id-token": token}
        refresh = answer.get("refresh_token")
        if isinstance(refresh, str) and refresh:
            fresh["refresh-token"] = refresh
        replaced = {config.get(key, ""): value for key, value in fresh.items()}
        config.update(fresh)
        await asyncio.to_thread(_write_back, self._file, replaced)


async def _exchange(config: dict[str, Any], context: Any, requestor_class: Any, refused: type[Exception]) -> Any:
    from fluxtui.kube.http import aiohttp

    requestor = requestor_class(config["client-id"], config.get("client-secret", ""), config["idp-issuer-url"])
    pair = f"{config['client-id']}:{config.get('client-secret', '')}".encode()
    headers = {**requestor._default_headers, "Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    requestor._client_session = lambda: aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context), headers=headers, raise_for_status=True, trust_env=True
    )
    try:
        return await requestor.refresh_token(config["refresh-token"])
    except refused as error:
        raise AuthError(f"the OIDC token could not be renewed: {error}") from None
    except (aiohttp.ClientError, OSError, ValueError, LookupError) as error:
        raise AuthError(f"the OIDC token could not be renewed: {type(error).__name__}") from None


def _requestor() -> tuple[Any, type[Exception]]:
    """kubernetes_asyncio's token exchange and its exception; the import takes a quarter of a second."""
    from kubernetes_asyncio.config.config_exception import ConfigException
    from kubernetes_asyncio.config.openid import OpenIDRequestor

    return OpenIDRequestor, ConfigException


def _write_back(path: str, replaced: dict[str, str]) -> None:
    """Replace tokens in a kubeconfig, leaving all else as it is. A refresh token that is used once only is lost for
    every other program if it is not written."""
    try:
        target = os.path.realpath(path)
        lock = f"{path}.lock"
        # kubectl's lock: whoever creates the file may write.
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            text = Path(target).read_text(encoding="utf-8")
            changed = text
            for old, new in replaced.items():
                if old and old != new:
                    changed = changed.replace(old, new)
            if changed != text:
                _replace(target, changed)
        finally:
            os.unlink(lock)
    except (OSError, UnicodeDecodeError) as error:
        logger.warning("%s: renewed OIDC tokens could not be written back: %s", path, type(error).__name__)


def _replace(target: str, text: str) -> None:
    mode = os.stat(target).st_mode & 0o777
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".kubeconfig-")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
