"""Who asks: credentials, impersonation, and what of it is seen on the wire and in logs."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from fluxtui.kube.client import Client
from fluxtui.kube.errors import (
    ApiError,
    AuthError,
    ConfigError,
    Unauthorized,
)
from tests.kube.support import CONFIG_MAPS, Recorder, context, scripted, serve, status


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({"token": "abc"}, "Bearer abc"),
        ({"username": "u", "password": "pä"}, "Basic " + base64.b64encode("u:pä".encode()).decode()),
        ({}, None),
    ],
)
async def test_identity_goes_into_the_header(user: dict[str, Any], header: str | None) -> None:
    server = Recorder()
    async with serve(server.handle) as url, Client(context(url, user)) as client:
        await client.version()
    assert server.last.headers.get("Authorization") == header


async def test_a_token_file_is_read_again_when_the_server_refuses_the_token(tmp_path: Path) -> None:
    valid = "old"
    seen: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        return web.json_response({}) if seen[-1] == f"Bearer {valid}" else status(401, "Unauthorized", "no")

    path = tmp_path / "token"
    path.write_text("old\n")
    async with serve(handle) as url, Client(context(url, {"tokenFile": str(path)})) as client:
        await client.version()
        valid = "new"
        path.write_text("new\n")
        await client.version()
        assert seen == ["Bearer old", "Bearer old", "Bearer new"]
        # The same token again is no second try.
        valid = "newer"
        with pytest.raises(Unauthorized):
            await client.version()
        assert seen[3:] == ["Bearer new"]


@pytest.mark.parametrize(
    ("content", "message"), [(None, "No such file"), ("", "empty"), ("a\nb", "characters that no token may have")]
)
async def test_a_token_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    async with Client(context("http://127.0.0.1:1", {"tokenFile": str(path)})) as client:
        with pytest.raises(AuthError, match=message):
            await client.version()


async def test_impersonation_of_the_kubeconfig_and_of_the_caller() -> None:
    user = {
        "as": "jane",
        "as-uid": "7",
        "as-groups": ["dev", "ops"],
        "as-user-extra": {"example.org/Scope": ["a", "b"]},
    }
    server = Recorder()
    async with serve(server.handle) as url:
        async with Client(context(url, user)) as client:
            await client.version()
        headers = server.last.headers
        assert headers["Impersonate-User"] == "jane"
        assert headers["Impersonate-Uid"] == "7"
        assert headers.getall("Impersonate-Group") == ["dev", "ops"]
        assert headers.getall("Impersonate-Extra-example.org%2FScope") == ["a", "b"]
        async with Client(context(url, user), impersonate_user="sa", impersonate_groups=("g",)) as client:
            await client.version()
        headers = server.last.headers
        assert (headers["Impersonate-User"], headers.getall("Impersonate-Group")) == ("sa", ["g"])
        assert "Impersonate-Uid" not in headers
    with pytest.raises(ConfigError, match="control characters"):
        Client(context("http://x"), impersonate_user="a\r\nX-Evil: 1")
    with pytest.raises(ConfigError, match="needs a user"):
        Client(context("http://x"), impersonate_groups=("g",))


async def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    server = Recorder({"data": {"password": "cGFzcw=="}})
    async with serve(server.handle) as url, Client(context(url, {"token": "s3cret"})) as client:
        await client.get(CONFIG_MAPS, "a", "default")
        assert "s3cret" not in repr(client)
    assert "s3cret" not in caplog.text
    assert "cGFzcw" not in caplog.text
    assert "GET /api/v1/namespaces/default/configmaps/a 200" in caplog.text


async def test_redirects_are_not_followed() -> None:
    elsewhere = Recorder()

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"{other}/stolen"})

    async with serve(elsewhere.handle) as other, serve(handle) as url, Client(context(url, {"token": "t"})) as client:
        with pytest.raises(ApiError, match="307"):
            await client.version()
    assert not elsewhere.requests


async def test_the_process_environment_is_left_alone() -> None:
    before = dict(os.environ)
    async with scripted() as api, Client(context(api.url)) as client:
        await client.version()
    assert dict(os.environ) == before
