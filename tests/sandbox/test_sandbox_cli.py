"""`fluxtui sandbox`: one line of JSON, a kubeconfig, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

Object = dict[str, Any]


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "fluxtui", "sandbox", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def serving(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Object]]:
    """A sandbox in a process of its own, and what it said once it served."""
    process = await start(*arguments)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            yield process, json.loads(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def refused(*arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a start that must not come to serve."""
    process = await start(*arguments)
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert out == b""
    return process.returncode or 0, err.decode()


def read(kubeconfig: Path) -> tuple[int, Object]:
    """Permissions and content."""
    return stat.S_IMODE(kubeconfig.stat().st_mode), yaml.safe_load(kubeconfig.read_text())


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
async def test_clusters_are_served_until_a_signal(ending: signal.Signals) -> None:
    async with serving("--clusters", "2") as (process, said):
        kubeconfig = Path(said["kubeconfig"])
        assert said["contexts"] == ["sandbox-1", "sandbox-2"]
        mode, config = read(kubeconfig)
        assert mode == 0o600
        assert [context["name"] for context in config["contexts"]] == said["contexts"]
        assert config["current-context"] == "sandbox-1"
        servers = {item["name"]: item["cluster"]["server"] for item in config["clusters"]}
        tokens = {item["name"]: item["user"]["token"] for item in config["users"]}
        assert len(set(tokens.values())) == 2
        async with aiohttp.ClientSession() as session:
            for name, server in servers.items():
                headers = {"Authorization": f"Bearer {tokens[name]}"}
                async with session.get(f"{server}/api/v1/namespaces", headers=headers) as response:
                    names = [item["metadata"]["name"] for item in (await response.json())["items"]]
                assert "default" in names
            # The token of one cluster is worth nothing on another.
            plain = servers["sandbox-1"].partition("/token/")[0]
            headers = {"Authorization": f"Bearer {tokens['sandbox-2']}"}
            async with session.get(f"{plain}/api/v1/namespaces", headers=headers) as response:
                assert response.status == 401
            async with session.get(f"{said['control']}/clusters") as response:
                assert len((await response.json())["clusters"]) == 2
        process.send_signal(ending)
        out, err = await process.communicate()
        assert (process.returncode, out, err) == (0, b"", b"")
        assert not kubeconfig.parent.exists()


async def test_names_and_the_file_can_be_chosen(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "deep" / "config.yaml"
    async with serving("--names", "edge, core", "--kubeconfig-out", str(kubeconfig)) as (process, said):
        assert said["contexts"] == ["edge", "core"]
        assert said["kubeconfig"] == str(kubeconfig)
        assert kubeconfig.exists()
        process.terminate()
        await process.communicate()
    assert not kubeconfig.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--clusters", "0"), 2, "0 is not in the range 1<=x<=200"),
        (("--names", "a,a"), 2, "--names: every cluster needs a name of its own"),
        (("--names", "a,,b"), 2, "--names: every cluster needs a name of its own"),
        (("--names", ""), 2, "--names: every cluster needs a name of its own"),
        (("--names", "a,b", "--clusters", "3"), 2, "--clusters 3 and 2 names: give one of both"),
        (("--speed", "0"), 2, "0.0 is not in the range"),
        (("--kubeconfig-out", "/dev/null/config"), 1, "fluxtui sandbox: "),
        (("--bogus",), 2, "No such option"),
    ],
)
async def test_wrong_usage_is_said(arguments: tuple[str, ...], code: int, text: str) -> None:
    found, err = await refused(*arguments)
    assert found == code, err
    assert text in err
    assert "Traceback" not in err
