"""With which credentials a GitRepository is fetched: `spec.secretRef`, `spec.proxySecretRef` and `spec.provider`.

Reasons and messages are those of source-controller.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import msgspec

from fluxtui.api import durations
from fluxtui.api.source import GitRepository
from fluxtui.engine.adapters.clouds import aws, azure
from fluxtui.engine.adapters.clouds.tokens import Account, CloudError, TokenCache
from fluxtui.engine.adapters.git_access import AccessError, Remote, remote
from fluxtui.engine.adapters.github_app import APP_ID, PRIVATE_KEY, AppTokens, GitHubAppError
from fluxtui.engine.controllers.source.secrets import SecretError, read_secret
from fluxtui.engine.controllers.source.vocabulary import (
    AUTHENTICATION_FAILED,
    FETCH_FAILED,
    INVALID_PROVIDER,
)
from fluxtui.engine.runtime import service_accounts
from fluxtui.engine.runtime.objects import Key
from fluxtui.engine.runtime.outcomes import Failed, Stalled
from fluxtui.engine.runtime.reconciliation import Reconciliation
from fluxtui.engine.runtime.service_accounts import ServiceAccountError
from fluxtui.kube.errors import KubeError

Run = Reconciliation[GitRepository]


class _Login(msgspec.Struct, frozen=True):
    """What a provider lets one in with, until when (seconds since the epoch)."""

    expires: float
    username: str = ""
    password: str = ""
    bearer_token: str = ""


class Access:
    """Puts together how the repositories of one cluster are reached; keeps tokens until they expire."""

    def __init__(self) -> None:
        self._tokens = AppTokens()
        self._credentials: TokenCache[_Login] = TokenCache()

    async def remote(self, run: Run, workspace: Path) -> Remote:
        """How to reach the repository of an object. `workspace` is a private directory. Raises Failed and Stalled."""
        spec = run.object.spec
        proxy = await self._secret(run, spec.proxy_secret_ref.name, proxy=True) if spec.proxy_secret_ref else None
        secret = await self._secret(run, spec.secret_ref.name) if spec.secret_ref else None
        try:
            found = remote(spec.url, secret, proxy)
        except AccessError as error:
            text = str(error)
            if text.startswith("failed to parse url"):
                raise Stalled("URLInvalid", text, condition=FETCH_FAILED) from error
            _refuse(f"failed to configure authentication options: {text}", error)
        name = f"{run.key.namespace}/{spec.secret_ref.name}" if spec.secret_ref else ""
        if found.scheme == "ssh" and not found.password and is_encrypted(found.identity):
            _refuse(f"SSH identity key is encrypted but no 'password' field was provided in the secret '{name}'")
        if spec.provider == "github":
            return await self._github(run, found, secret, workspace)
        if spec.provider in ("aws", "azure"):
            return await self._cloud(run, found)
        if secret and secret.get(APP_ID):
            message = f"secretRef '{name}' has github app data but provider is not set to github"
            raise Failed(INVALID_PROVIDER, message, condition=FETCH_FAILED)
        return found

    async def _github(self, run: Run, found: Remote, secret: Mapping[str, bytes] | None, workspace: Path) -> Remote:
        wanted = "secretRef with github app data must be specified when provider is set to github"
        if secret is None:
            raise Stalled(INVALID_PROVIDER, wanted, condition=FETCH_FAILED)
        if APP_ID not in secret or PRIVATE_KEY not in secret:
            raise Failed(INVALID_PROVIDER, wanted, condition=FETCH_FAILED)
        limit = run.object.spec.timeout
        try:
            async with run.cluster.limits.remotes, asyncio.timeout(durations.parse(limit)):
                token = await self._tokens.token(secret, workspace / "github", proxy=found.proxy)
        except (GitHubAppError, TimeoutError) as error:
            cause = f"timed out after {limit}" if isinstance(error, TimeoutError) else str(error)
            _refuse(f"failed to configure authentication options: {cause}", error)
        return msgspec.structs.replace(found, username="x-access-token", password=token, bearer_token="")

    async def _cloud(self, run: Run, found: Remote) -> Remote:
        """With what the identity of a ServiceAccount, or of the engine, gets from the provider."""
        spec, namespace = run.object.spec, run.key.namespace
        try:
            async with run.cluster.limits.remotes, asyncio.timeout(durations.parse(spec.timeout)):
                account = None
                if spec.service_account_name:
                    key = Key(namespace, spec.service_account_name)
                    account = await service_accounts.read(run.cluster.client, key)
                # Annotations are what an account stands for: with others it is another one.
                marks = sorted(account.annotations.items()) if account is not None else ()
                name = (spec.provider, found.url, found.proxy, namespace, spec.service_account_name, str(marks))
                login = await self._credentials.get(name, lambda: _login(spec.provider, found, account))
        except (CloudError, ServiceAccountError, KubeError, TimeoutError) as error:
            cause = f"timed out after {spec.timeout}" if isinstance(error, TimeoutError) else str(error)
            _refuse(f"failed to configure authentication options: {cause}", error)
        # Both at once would be two Authorization headers.
        return msgspec.structs.replace(
            found, username=login.username, password=login.password, bearer_token=login.bearer_token
        )

    async def _secret(self, run: Run, name: str, *, proxy: bool = False) -> dict[str, bytes]:
        try:
            return await read_secret(run, name)
        except SecretError as error:
            message = f"failed to get secret '{run.key.namespace}/{name}': {error}"
            _refuse(f"failed to configure proxy options: {message}" if proxy else message, error)


async def _login(provider: str, found: Remote, account: Account | None) -> _Login:
    if provider == "azure":
        token = await azure.access_token(account, azure.DEVOPS, found.proxy)
        return _Login(token.expires, bearer_token=token.text)
    owner = await aws.credentials(account, aws.region_of_repository(found.url), found.proxy)
    username, password = aws.repository_password(found.url, owner)
    return _Login(aws.password_expires(owner), username, password)


def is_encrypted(identity: bytes) -> bool:
    """Whether a private key needs a passphrase: in OpenSSH's own format, PKCS #8, or the older PEM."""
    text = identity.decode("ascii", "replace")
    if "BEGIN ENCRYPTED PRIVATE KEY" in text or "Proc-Type: 4,ENCRYPTED" in text:
        return True
    _, begin, rest = text.partition("-----BEGIN OPENSSH PRIVATE KEY-----")
    if not begin:
        return False
    try:
        blob = base64.b64decode("".join(rest.partition("-----END")[0].split()))
    except binascii.Error:
        return False
    # "openssh-key-v1", NUL, then the cipher's name with its length.
    return blob.startswith(b"openssh-key-v1\x00") and blob[19:23] != b"none"


def _refuse(message: str, cause: Exception | None = None) -> NoReturn:
    raise Failed(AUTHENTICATION_FAILED, message, condition=FETCH_FAILED) from cause
