"""OIDC logins against an identity provider of the test's own."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from fluxtui.kube import kubeconfig
from fluxtui.kube.client import Client
from fluxtui.kube.errors import AuthError, Unauthorized
from fluxtui.kube.oidc import expiry
from tests.kube.support import Authority, serve, status


def jwt(seconds: float, **claims: Any) -> str:
    """An unsigned token that expires in so many seconds."""
    payload = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + seconds, **claims}).encode()).rstrip(b"=")
    return f"aGVhZA.{payload.decode()}.c2ln"


class Provider:
    """An identity provider that hands out tokens for the refresh tokens it knows."""

    def __init__(self) -> None:
        self.valid = "r1"
        self.answer: dict[str, Any] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Discovery and token endpoint."""
        if request.path.endswith("/openid-configuration"):
            return web.json_response({"token_endpoint": f"{self.url}/token"})
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.requests.append((request.headers["Authorization"], form))
        if form["refresh_token"] != self.valid:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response(self.answer)


@asynccontextmanager
async def provider(tmp_path: Path) -> AsyncIterator[tuple[Provider, Authority]]:
    """A provider over TLS and its authority."""
    authority = Authority(tmp_path, "idp")
    made = Provider()
    async with serve(made.handle, authority.server_context("idp", "IP:127.0.0.1")) as made.url:
        yield made, authority


async def api(request: web.Request) -> web.StreamResponse:
    """An API server that knows good tokens by their claim."""
    token = request.headers["Authorization"].removeprefix("Bearer ")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return web.json_response({"who": claims["who"]}) if claims.get("who") else status(401, "Unauthorized")


def write(path: Path, server: str, idp: str, authority: str = "", **config: str) -> kubeconfig.Context:
    """A kubeconfig with an OIDC user, written as a person writes."""
    settings = {"client-id": "kube", "client-secret": "shh", "idp-issuer-url": idp, **config}
    if authority:
        settings["idp-certificate-authority-data"] = authority
    user = {"auth-provider": {"name": "oidc", "config": settings}}
    document = {
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text("# my clusters\n" + yaml.safe_dump(document))
    path.chmod(0o600)
    return kubeconfig.load([str(path)]).contexts[0]


def files(directory: Path) -> set[str]:
    """Names in a directory."""
    return {path.name for path in directory.iterdir()}


async def test_a_valid_token_is_used_as_it_is(tmp_path: Path) -> None:
    async with serve(api) as url:
        context = write(tmp_path / "config", url, "https://127.0.0.1:1", **{"id-token": jwt(600, who="me")})
        async with Client(context) as client:
            assert await client.version() == {"who": "me"}


async def test_an_expired_token_is_renewed_and_written_back(tmp_path: Path) -> None:
    path = tmp_path / "config"
    async with serve(api) as url, provider(tmp_path) as (idp, authority):
        idp.answer = {"id_token": jwt(600, who="renewed"), "refresh_token": "r2"}
        expired = jwt(-10, who="old")
        tokens = {"id-token": expired, "refresh-token": "r1"}
        context = write(path, url, idp.url, authority.data, **tokens)
        async with Client(context) as client:
            assert await client.version() == {"who": "renewed"}
            assert await client.version() == {"who": "renewed"}
        assert len(idp.requests) == 1
        assert idp.requests[0][0] == "Basic " + base64.b64encode(b"kube:shh").decode()
        assert idp.requests[0][1] == {"grant_type": "refresh_token", "refresh_token": "r1"}
        text = path.read_text()
        assert text.startswith("# my clusters\n")
        assert idp.answer["id_token"] in text
        assert expired not in text
        assert path.stat().st_mode & 0o777 == 0o600
        again = kubeconfig.load([str(path)]).contexts[0]
        assert again.user["auth-provider"]["config"]["refresh-token"] == "r2"
        # Renewed tokens make no other context: nothing is disturbed by them.
        assert again == context
    assert files(tmp_path) == {"config", "idp"}


async def test_the_provider_is_verified(tmp_path: Path) -> None:
    async with serve(api) as url, provider(tmp_path) as (idp, _):
        tokens = {"id-token": jwt(-10), "refresh-token": "r1"}
        async with Client(write(tmp_path / "config", url, idp.url, **tokens)) as client:
            with pytest.raises(AuthError, match="could not be renewed: ClientConnectorCertificateError"):
                await client.version()
        assert not idp.requests


async def test_a_refused_refresh_is_an_auth_error_without_secrets(tmp_path: Path) -> None:
    async with serve(api) as url, provider(tmp_path) as (idp, authority):
        tokens = {"id-token": jwt(-10), "refresh-token": "st0len"}
        async with Client(write(tmp_path / "config", url, idp.url, authority.data, **tokens)) as client:
            with pytest.raises(AuthError, match="OIDC token could not be renewed") as caught:
                await client.version()
        assert "st0len" not in str(caught.value)


async def test_without_refresh_token_one_must_log_in_again(tmp_path: Path) -> None:
    context = write(tmp_path / "config", "http://127.0.0.1:1", "https://127.0.0.1:1", **{"id-token": jwt(-10)})
    async with Client(context) as client:
        with pytest.raises(AuthError, match="log in again"):
            await client.version()


async def test_tokens_that_another_program_renewed_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "config"
    async with serve(api) as url:
        context = write(path, url, "https://127.0.0.1:1", **{"id-token": jwt(-10), "refresh-token": "used"})
        write(path, url, "https://127.0.0.1:1", **{"id-token": jwt(600, who="kubectl"), "refresh-token": "new"})
        async with Client(context) as client:
            assert await client.version() == {"who": "kubectl"}


async def test_a_refused_token_is_renewed_once(tmp_path: Path) -> None:
    async with serve(api) as url, provider(tmp_path) as (idp, authority):
        idp.answer = {"id_token": jwt(600, who="fresh")}
        tokens = {"id-token": jwt(600), "refresh-token": "r1"}
        async with Client(write(tmp_path / "config", url, idp.url, authority.data, **tokens)) as client:
            assert await client.version() == {"who": "fresh"}
            idp.answer = {"id_token": jwt(600)}
        async with Client(write(tmp_path / "config", url, idp.url, authority.data, **tokens)) as client:
            with pytest.raises(Unauthorized):
                await client.version()
        assert len(idp.requests) == 2


def test_expiry_of_what_is_no_token() -> None:
    assert expiry("") == 0
    assert expiry("a.b.c") == 0
    assert expiry("a.e30.c") == float("inf")
    assert expiry(jwt(100)) == pytest.approx(time.time() + 100, abs=60)
