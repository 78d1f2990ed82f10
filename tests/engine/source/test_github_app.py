"""Repositories that are fetched as an app of GitHub."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from fluxtui.serving import port_of, serving
from tests.engine.source.bench import Bench, conditions, retry
from tests.engine.source.repositories import GitServer, Repository


class GitHub:
    """The part of GitHub's API that gives out tokens of installations; checks the signature of what it gets."""

    def __init__(self, public_key: Path) -> None:
        self.public_key = public_key
        self.asked: list[str] = []
        self.app = web.Application()
        self.app.router.add_get("/api/v3/orgs/{owner}/installation", self._organization)
        self.app.router.add_get("/api/v3/users/{owner}/installation", self._user)
        self.app.router.add_post("/api/v3/app/installations/{number}/access_tokens", self._token)

    async def _organization(self, request: web.Request) -> web.Response:
        await self._check(request)
        return web.json_response({"message": "Not Found"}, status=404)

    async def _user(self, request: web.Request) -> web.Response:
        await self._check(request)
        return web.json_response({"id": 77})

    async def _token(self, request: web.Request) -> web.Response:
        await self._check(request)
        token = f"ghs_{request.match_info['number']}"
        return web.json_response({"token": token, "expires_at": "2999-01-01T00:00:00Z"}, status=201)

    async def _check(self, request: web.Request) -> None:
        self.asked.append(request.path)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        signed, _, signature = token.rpartition(".")
        work = self.public_key.parent
        (work / "signed").write_text(signed)
        (work / "signature").write_bytes(decoded(signature))
        command = ["dgst", "-sha256", "-verify", self.public_key, "-signature", work / "signature", work / "signed"]
        process = await asyncio.create_subprocess_exec("openssl", *map(str, command), stdout=asyncio.subprocess.DEVNULL)
        if await process.wait() != 0:
            raise web.HTTPUnauthorized(text=json.dumps({"message": "A JSON web token could not be decoded"}))
        header, claims = (json.loads(decoded(part)) for part in signed.split("."))
        assert header == {"alg": "RS256", "typ": "JWT"}
        assert claims["iss"] == "42"
        assert claims["exp"] - claims["iat"] == 120


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def app_key(directory: Path) -> tuple[Path, Path]:
    """(private key, public key) of an app."""
    directory.mkdir()
    key, public = directory / "app.pem", directory / "app.pub"
    for command in (["genrsa", "-out", key, "2048"], ["rsa", "-in", key, "-pubout", "-out", public]):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
    return key, public


@asynccontextmanager
async def github(directory: Path) -> AsyncIterator[tuple[GitHub, dict[str, str]]]:
    """The API, and the data of a Secret of an app it knows."""
    key, public = app_key(directory)
    api = GitHub(public)
    runner = web.AppRunner(api.app)
    async with serving(runner) as listener:
        base = f"http://127.0.0.1:{port_of(listener)}/api/v3"
        yield api, {"githubAppID": "42", "githubAppPrivateKey": key.read_text(), "githubAppBaseURL": base}


async def test_a_github_app_fetches_with_a_token_that_is_used_again(
    bench: Bench, repository: Repository, server: GitServer, tmp_path: Path
) -> None:
    server.require_basic("x-access-token", "ghs_77")
    async with github(tmp_path / "github") as (api, secret):
        await bench.secret("app", **secret, githubAppInstallationOwner="fleet-owner")
        url = f"{server.url}/fleet/.git"
        await bench.create("fleet", url, provider="github", secretRef={"name": "app"})
        obj = await bench.ready("fleet", repository.git("rev-parse", "HEAD"))
        assert [path.rpartition("v3")[2] for path in api.asked] == [
            "/orgs/fleet-owner/installation",
            "/users/fleet-owner/installation",
            "/app/installations/77/access_tokens",
        ]
        await retry(bench, "fleet")
        obj = await bench.until("fleet", lambda obj: obj["status"].get("lastHandledReconcileAt") == "1")
        assert conditions(obj)["Ready"]["status"] == "True"
        assert len(api.asked) == 3
        await bench.create("plain", url, secretRef={"name": "app"})
        obj = await bench.failed("plain", "InvalidProviderConfiguration")
        message = "secretRef 'flux-system/app' has github app data but provider is not set to github"
        assert conditions(obj)["Ready"]["message"] == message
        assert "ghs_77" not in json.dumps(obj)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"githubAppInstallationOwner": "o", "githubAppInstallationID": "1"},
            "the secret must contain exactly one of 'githubAppInstallationOwner' or 'githubAppInstallationID'",
        ),
        ({}, "the secret must contain exactly one of 'githubAppInstallationOwner' or 'githubAppInstallationID'"),
        ({"githubAppInstallationID": "x"}, "app installation owner or ID must be provided"),
        ({"githubAppInstallationID": "1", "githubAppID": ""}, "app ID must be provided"),
        ({"githubAppInstallationID": "1", "githubAppPrivateKey": "rubbish"}, "could not parse private key"),
        ({"githubAppInstallationID": "1", "githubAppBaseURL": "ftp://x"}, "is not http or https"),
        ({"githubAppInstallationID": "1", "githubAppBaseURL": "http://127.0.0.1:1"}, "can't be asked"),
        ({"githubAppInstallationID": "1", "githubAppPrivateKey": "other"}, "answered 401: A JSON web token"),
    ],
)
async def test_a_github_app_that_is_not_right_is_explained(
    bench: Bench, repository: Repository, tmp_path: Path, change: dict[str, str], text: str
) -> None:
    async with github(tmp_path / "github") as (_, secret):
        merged: dict[str, Any] = {**secret, **change}
        if merged["githubAppPrivateKey"] == "other":
            merged["githubAppPrivateKey"] = app_key(tmp_path / "other")[0].read_text()
        await bench.secret("app", **merged)
        await bench.create("fleet", "https://github.invalid/x", provider="github", secretRef={"name": "app"})
        obj = await bench.failed("fleet", "AuthenticationFailed")
        message = conditions(obj)["Ready"]["message"]
        assert message.startswith("failed to configure authentication options: ")
        assert text in message


@pytest.mark.parametrize("missing", ["githubAppID", "githubAppPrivateKey"])
async def test_a_secret_that_lacks_what_makes_an_app_has_none(
    bench: Bench, repository: Repository, tmp_path: Path, missing: str
) -> None:
    async with github(tmp_path / "github") as (_, secret):
        data = {name: value for name, value in secret.items() if name != missing}
        await bench.secret("app", **data, githubAppInstallationID="1")
        await bench.create("fleet", "https://github.invalid/x", provider="github", secretRef={"name": "app"})
        obj = await bench.failed("fleet", "InvalidProviderConfiguration")
        message = "secretRef with github app data must be specified when provider is set to github"
        assert conditions(obj)["Ready"]["message"] == message
