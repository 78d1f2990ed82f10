"""Tokens of GitHub Apps: a short-lived password for the repositories an app is installed on.

    GitHubAppError    `str()` is a sentence for users, free of secrets

The app's key signs a JSON Web Token (RS256, by the `openssl` program), which the API exchanges for the token of an
installation. Keys of the Secret: section "GitHub" of docs/spec/v1/gitrepositories.md; the exchange: GitHub's
"Authenticating as a GitHub App installation".
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import shutil
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from fluxtui.engine.adapters.web import WebError, ask
from fluxtui.kube.programs import ProgramError, execute

APP_ID = "githubAppID"
OWNER = "githubAppInstallationOwner"
INSTALLATION = "githubAppInstallationID"
PRIVATE_KEY = "githubAppPrivateKey"
BASE_URL = "githubAppBaseURL"
API = "https://api.github.com"
_DRIFT, _LIFETIME = 30, 120
"""Seconds a JSON Web Token is dated back, and lasts."""
_SHARE = 0.8
"""Part of a token's life for which it is used again."""

Question = Callable[[str, str], Awaitable[tuple[str, int, dict[str, Any]]]]
"""(method, path) → (URL, status, answer)."""


class GitHubAppError(Exception):
    """There is no token to be had."""


class App(msgspec.Struct, frozen=True):
    """An app as the Secret describes it."""

    id: int
    owner: str
    installation: int
    key: bytes
    base_url: str
    ca: bytes
    certificate: bytes
    certificate_key: bytes

    def __repr__(self) -> str:
        return f"App({self.id})"


class _Token(msgspec.Struct, frozen=True):
    text: str
    until: float
    """Wall clock until which it is used."""


class AppTokens:
    """Tokens of installations, kept for most of their life."""

    def __init__(self) -> None:
        self._tokens: dict[str, _Token] = {}

    async def token(self, secret: Mapping[str, bytes], workspace: Path, *, proxy: str = "") -> str:
        """The token for a Secret with the data of an app; `workspace` is a private directory that may not exist yet.

        Raises GitHubAppError.
        """
        app = parse(secret)
        name = hashlib.sha256(msgspec.json.encode(app)).hexdigest()
        moment = time.time()
        known = self._tokens.get(name)
        if known is not None and moment < known.until:
            return known.text
        await asyncio.to_thread(workspace.mkdir, 0o700, exist_ok=True)
        answer = await _exchange(app, await _web_token(app, workspace), workspace, proxy)
        text, expires = answer.get("token"), str(answer.get("expires_at", ""))
        if not isinstance(text, str) or not text:
            raise GitHubAppError("GitHub's answer has no token")
        try:
            end = datetime.fromisoformat(expires.replace("Z", "+00:00")).timestamp()
        except ValueError:
            end = moment
        self._tokens = {key: token for key, token in self._tokens.items() if moment < token.until}
        self._tokens[name] = _Token(text, moment + (end - moment) * _SHARE)
        return text


def parse(secret: Mapping[str, bytes]) -> App:
    """The app a Secret describes. Raises GitHubAppError, worded as upstream."""
    owner = _text(secret, OWNER)
    installation = _number(secret, INSTALLATION)
    app = App(
        id=_number(secret, APP_ID),
        owner=owner,
        installation=installation,
        key=secret.get(PRIVATE_KEY, b""),
        base_url=(_text(secret, BASE_URL) or API).rstrip("/"),
        ca=secret.get("ca.crt", b""),
        certificate=secret.get("tls.crt", b""),
        certificate_key=secret.get("tls.key", b""),
    )
    if not app.id:
        raise GitHubAppError("app ID must be provided to use github app authentication")
    if (OWNER in secret) == (INSTALLATION in secret):
        raise GitHubAppError(f"the secret must contain exactly one of '{OWNER}' or '{INSTALLATION}'")
    if not owner and not installation:
        raise GitHubAppError("app installation owner or ID must be provided to use github app authentication")
    if not app.key:
        raise GitHubAppError("private key must be provided to use github app authentication")
    parts = urlsplit(app.base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise GitHubAppError(f"invalid API URL: '{app.base_url}' is not http or https")
    return app


async def _web_token(app: App, workspace: Path) -> str:
    program = shutil.which("openssl")
    if program is None:
        raise GitHubAppError("there is no openssl on PATH; the engine needs it to sign as a GitHub App")
    issued = int(time.time()) - _DRIFT
    claims = {"iat": issued, "exp": issued + _LIFETIME, "iss": str(app.id)}
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    key, payload, signature = (workspace / name for name in ("key.pem", "payload", "signature"))
    await asyncio.to_thread(_write, key, app.key)
    await asyncio.to_thread(_write, payload, signed.encode())
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(workspace), "LC_ALL": "C"}
    arguments = ("dgst", "-sha256", "-passin", "pass:", "-sign", str(key), "-out", str(signature), str(payload))
    try:
        done = await execute(program, arguments, env, workspace)
    except ProgramError as error:
        raise GitHubAppError(str(error)) from error
    finally:
        await asyncio.to_thread(key.unlink, missing_ok=True)
    if done.code != 0:
        raise GitHubAppError("could not parse private key: it is no RSA key in PEM format without a passphrase")
    return f"{signed}.{_encoded(await asyncio.to_thread(signature.read_bytes))}"


async def _exchange(app: App, web_token: str, workspace: Path, proxy: str) -> dict[str, Any]:
    headers = {
        "Authorization": f"Bearer {web_token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    tls = await asyncio.to_thread(_tls, app, workspace)

    async def question(method: str, path: str) -> tuple[str, int, dict[str, Any]]:
        try:
            answer = await ask(method, f"{app.base_url}{path}", headers=headers, proxy=proxy, tls=tls)
        except WebError as error:
            raise GitHubAppError(str(error)) from error
        return answer.url, answer.status, answer.object()

    number = app.installation or await _installation(question, app)
    url, status, answer = await question("POST", f"/app/installations/{number}/access_tokens")
    if status != 201:
        raise GitHubAppError(f"{url} answered {status}{_said(answer)}")
    return answer


async def _installation(question: Question, app: App) -> int:
    said = []
    for place in ("orgs", "users"):
        url, status, answer = await question("GET", f"/{place}/{quote(app.owner, safe='')}/installation")
        if status == 200 and isinstance(answer.get("id"), int):
            return int(answer["id"])
        said.append(f"{url} answered {status}{_said(answer)}")
    raise GitHubAppError(f"failed to find an installation for '{app.owner}': {'; '.join(said)}")


def _said(answer: dict[str, Any]) -> str:
    message = answer.get("message")
    return f": {message[:200]}" if isinstance(message, str) else ""


def _tls(app: App, workspace: Path) -> ssl.SSLContext:
    """The system's authorities and those of the Secret. Raises GitHubAppError."""
    context = ssl.create_default_context()
    try:
        if app.ca:
            context.load_verify_locations(cadata=app.ca.decode("ascii", "replace"))
        if app.certificate and app.certificate_key:
            chain = workspace / "client.pem"
            _write(chain, app.certificate.rstrip() + b"\n" + app.certificate_key)
            context.load_cert_chain(chain)
            chain.unlink()
    except (ssl.SSLError, ValueError) as error:
        raise GitHubAppError("a certificate in the secret is not valid") from error
    return context


def _text(secret: Mapping[str, bytes], key: str) -> str:
    return secret.get(key, b"").decode("utf-8", "replace").strip()


def _number(secret: Mapping[str, bytes], key: str) -> int:
    text = _text(secret, key)
    return int(text) if text.isascii() and text.isdigit() else 0


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
