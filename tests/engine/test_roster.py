"""`fluxtui engine --roster`: the clusters of a file, come and go, and what is said of them."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fluxtui.cli.engine import command
from fluxtui.engine.embedding import ClusterState
from fluxtui.engine.states import StatesFile
from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.roster import Entry, Roster, write
from tests.engine.harness import lease
from tests.engine.polling import eventually


def states(storage: Path) -> dict[str, tuple[str, str]]:
    try:
        found: list[dict[str, Any]] = json.loads((storage / "states.json").read_bytes())["clusters"]
    except FileNotFoundError:
        return {}
    return {cluster["context"]: (cluster["state"], cluster["message"]) for cluster in found}


async def test_clusters_come_and_go_with_the_roster_and_it_ends_with_the_last(
    client: Client, context: Context, tmp_path: Path
) -> None:
    roster, storage = tmp_path / "roster.json", tmp_path / "storage"
    ours, lost = Entry("ours", context.name, (context.source,)), Entry("lost", "lost", (context.source,))
    write(roster, Roster((lost,)))
    arguments = ["engine", f"--roster={roster}", f"--storage-path={storage}", "--quiet"]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "fluxtui", *arguments)
    try:
        await eventually(lambda: states(storage).get("lost", ("", ""))[0] == "unusable")
        assert states(storage)["lost"] == ("unusable", f"{context.source}: there is no context 'lost'")
        write(roster, Roster((lost, ours)))
        await eventually(lambda: states(storage).get("ours", ("", ""))[0] == "leading")
        assert (await lease(client))["spec"]["holderIdentity"].endswith("_ours")
        write(roster, Roster((lost,)))
        await eventually(lambda: "ours" not in states(storage))
        # Who is not named any more has given its Leases back.
        assert (await lease(client))["spec"]["holderIdentity"] == ""
        assert process.returncode is None
        write(roster, Roster())
        async with asyncio.timeout(60):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_what_is_no_roster_ends_at_once(tmp_path: Path) -> None:
    storage = f"--storage-path={tmp_path / 'storage'}"
    missing = CliRunner().invoke(command, [f"--roster={tmp_path / 'none'}", storage])
    assert (missing.exit_code, missing.stderr) == (2, f"fluxtui engine: {tmp_path / 'none'}: no such file\n")
    (tmp_path / "roster").write_text("{")
    both = CliRunner().invoke(command, [f"--roster={tmp_path / 'roster'}", "--context=x", storage])
    assert both.exit_code == 2
    assert "--context are not for it" in both.stderr


def test_a_unit_for_a_roster_names_no_other_clusters(tmp_path: Path) -> None:
    roster = f"--roster={tmp_path / 'roster.json'}"
    unit = CliRunner().invoke(command, [roster, "--export=systemd"])
    assert unit.exit_code == 0
    assert roster in unit.stdout
    assert "--kubeconfig" not in unit.stdout
    deployment = CliRunner().invoke(command, [roster, "--export=deployment", "--image=x"])
    assert deployment.exit_code == 2
    assert "--roster are not" in deployment.stderr


async def test_states_that_cannot_be_written_are_written_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = tmp_path / "storage"
    file = StatesFile(storage / "states.json")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(file.run())
        file.tell([ClusterState("a", "connecting")])
        await eventually(lambda: "can't be written" in caplog.text)
        storage.mkdir()
        file.blame({"b": "no such file"})
        await eventually(lambda: states(storage))
        assert states(storage) == {"a": ("connecting", ""), "b": ("unusable", "no such file")}
        task.cancel()
