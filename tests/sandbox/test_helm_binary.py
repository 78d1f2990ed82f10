"""helm works against the sandbox unchanged: a release through all its life."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fluxtui.sandbox.cluster import SandboxCluster

pytestmark = pytest.mark.peers

Helm = Callable[..., Awaitable[str]]


@pytest.fixture
async def helm(sandbox: SandboxCluster, tmp_path: Path) -> Helm:
    path = os.pathsep.join(filter(None, (os.environ.get("PATH"), os.environ.get("KUBEBUILDER_ASSETS"))))
    program = shutil.which("helm", path=path)
    if program is None:
        pytest.skip("no helm on PATH or in KUBEBUILDER_ASSETS")
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(sandbox.kubeconfig()))

    async def run(*arguments: str) -> str:
        """The stdout of a command that must succeed."""
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            cwd=tmp_path,
            env={**os.environ, "KUBECONFIG": str(kubeconfig)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(120):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
        assert process.returncode == 0, f"{arguments}: {out.decode()}{err.decode()}"
        return out.decode()

    return run


async def test_a_release_lives_and_ends(helm: Helm) -> None:
    async def revisions() -> list[tuple[int, str]]:
        history: list[dict[str, Any]] = json.loads(await helm("history", "web", "-o", "json"))
        return [(entry["revision"], entry["status"]) for entry in history]

    await helm("create", "chart")
    await helm("install", "web", "./chart", "--wait", "--timeout", "60s")
    assert await revisions() == [(1, "deployed")]
    await helm("upgrade", "web", "./chart", "--set", "replicaCount=2", "--wait", "--timeout", "60s")
    assert await revisions() == [(1, "superseded"), (2, "deployed")]
    assert json.loads(await helm("get", "values", "web", "-o", "json")) == {"replicaCount": 2}
    await helm("test", "web", "--timeout", "60s")
    await helm("rollback", "web", "1", "--wait", "--timeout", "60s")
    assert (await revisions())[-1] == (3, "deployed")
    await helm("uninstall", "web", "--wait", "--timeout", "60s")
    assert json.loads(await helm("list", "-o", "json")) == []
