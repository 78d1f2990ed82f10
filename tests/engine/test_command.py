"""`fluxtui engine` as a process: what it says, what it refuses, how it stops and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

import msgspec
import pytest
import yaml
from click.testing import CliRunner

from fluxtui.cli.engine import command
from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context
from tests.engine.harness import create, lease, revision
from tests.engine.polling import eventually
from tests.engine.source.repositories import Repository
from tests.ports import held_port


def write_kubeconfig(path: Path, *contexts: Context) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": c.name, "cluster": {**c.cluster, "server": c.server}} for c in contexts],
        "users": [{"name": c.name, "user": dict(c.user)} for c in contexts],
        "contexts": [{"name": c.name, "context": {"cluster": c.name, "user": c.name}} for c in contexts],
    }
    path.write_text(yaml.safe_dump(document))
    return path


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "fluxtui", "engine", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_the_command_refuses_remote_bases_when_told_to(
    client: Client, context: Context, repository: Repository, tmp_path: Path
) -> None:
    address = "http://127.0.0.1:1/base//apps?ref=main"
    repository.commit(files={"remote/kustomization.yaml": f"resources: ['{address}']\n"})
    await create(client, repository.url)
    resource = (await client.resources()).by_plural("kustomizations")
    assert resource is not None
    metadata = {"name": "remote", "namespace": "flux-system"}
    source = {"kind": "GitRepository", "name": "fleet"}
    spec = {"interval": "10m", "prune": True, "path": "remote", "sourceRef": source}
    obj = {"apiVersion": resource.api_version, "kind": "Kustomization", "metadata": metadata, "spec": spec}
    await client.create(resource, obj)
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", context)
    options = ("--kubeconfig", str(kubeconfig), "--storage-path", str(tmp_path / "storage"), "--no-remote-bases")
    process = await start(*options)
    try:

        async def refused() -> bool:
            found = await client.get(resource, "remote", "flux-system")
            conditions = (found.get("status") or {}).get("conditions") or []
            said = next((item["message"] for item in conditions if item["reason"] == "BuildFailed"), "")
            return f"'{address}' is remote, and this build may read local files only" in said

        await eventually(refused, 60)
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 60)


async def test_the_command_does_what_options_of_upstream_say(
    client: Client, context: Context, repository: Repository, tmp_path: Path
) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared, namespace: default}\ndata: {key: '${unset}'}\n"
    repository.commit(files={"shared/a.yaml": text})
    await create(client, repository.url)
    maps = await client.resource_for(("", "v1", "ConfigMap"))
    place = {"name": "shared", "namespace": "default"}
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": place, "data": {"more": "x"}}
    await client.create(maps, foreign, field_manager="autopilot")
    kustomizations = await client.resource_for(("kustomize.toolkit.fluxcd.io", "v1", "Kustomization"))
    source = {"kind": "GitRepository", "name": "fleet"}
    given = {"interval": "10m", "prune": True, "path": "shared", "sourceRef": source}
    given["postBuild"] = {"substitute": {"other": "value"}}
    for name, more in (("shared", {}), ("waiting", {"dependsOn": [{"name": "absent"}]})):
        metadata = {"name": name, "namespace": "flux-system"}
        obj = {"apiVersion": kustomizations.api_version, "kind": "Kustomization", "metadata": metadata}
        await client.create(kustomizations, {**obj, "spec": {**given, **more}})
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", context)
    process = await start(
        *("--kubeconfig", str(kubeconfig), "--storage-path", str(tmp_path / "storage")),
        *("--override-manager=autopilot", "--requeue-dependency=7s", "--no-strict"),
        "--feature-gates=StrictPostBuildSubstitutions=false",
    )
    try:

        async def taken_over() -> bool:
            data: dict[str, str] = (await client.get(maps, "shared", "default"))["data"]
            return data == {"key": ""}

        await eventually(taken_over, 60)
        events = await client.resource_for(("", "v1", "Event"))

        async def waiting() -> bool:
            found = await client.list(events, "flux-system", field_selector="involvedObject.name=waiting")
            return any("retrying in 7s" in item["message"] for item in found.items)

        await eventually(waiting, 60)
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 60)


async def test_the_command_reconciles_says_ready_and_stops_in_order(
    client: Client, context: Context, repository: Repository, tmp_path: Path
) -> None:
    await create(client, repository.url)
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", context)
    storage = tmp_path / "storage"
    process = await start("--kubeconfig", str(kubeconfig), "--storage-path", str(storage))
    assert process.stdout is not None
    line = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    assert line["ready"]
    assert line["pid"] == process.pid
    assert [cluster["state"] for cluster in line["clusters"]] == ["leading"]
    await eventually(lambda: revision(client))
    second = await start("--kubeconfig", str(kubeconfig), "--storage-path", str(storage))
    _, errors = await second.communicate()
    assert second.returncode == 2
    assert b"another engine uses" in errors
    process.send_signal(signal.SIGTERM)
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, output) == (0, b"")
    assert (await lease(client))["spec"]["holderIdentity"] == ""
    logged = [json.loads(entry) for entry in errors.splitlines()]
    assert any(entry.get("GitRepository") == {"name": "fleet", "namespace": "flux-system"} for entry in logged)
    assert (storage / "engine.jsonl").read_bytes() == errors


async def test_a_killed_engine_is_back_at_once_with_its_artifacts(
    client: Client, context: Context, repository: Repository, tmp_path: Path
) -> None:
    await create(client, repository.url)
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", context)
    arguments = ("--kubeconfig", str(kubeconfig), "--storage-path", str(tmp_path / "storage"))
    urls: list[str] = []
    with contextlib.ExitStack() as ports:
        for last in (False, True):
            process = await start(*arguments)
            assert process.stdout is not None
            line = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
            assert [cluster["state"] for cluster in line["clusters"]] == ["leading"]
            urls.append(line["artifacts"])
            await eventually(lambda: revision(client))
            process.send_signal(signal.SIGTERM if last else signal.SIGKILL)
            await process.communicate()
            if not last:
                # Nobody else's connection shall take it meanwhile.
                ports.enter_context(held_port(int(urls[0].rpartition(":")[2])))
    assert urls[0] == urls[1]
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--kubeconfig", "/none/at/all"], "/none/at/all"),
        (["--context", "nope"], "no context matches 'nope'"),
        (["--concurrent", "0"], "--concurrent"),
        (["--events-addr", "notification-controller"], "'notification-controller' is no http:// or https:// URL"),
        (["--requeue-dependency", "soon"], "'soon' is not a duration"),
        (["--min-retry-delay", "2h"], "--min-retry-delay is longer than --max-retry-delay"),
        (["--custom-apply-stage-kinds", "apps/Deployment,"], "'/' is no GROUP/KIND"),
        (["--feature-gates", "CacheSecretsAndConfigMaps=true"], "there is no 'CacheSecretsAndConfigMaps' here"),
        (["--feature-gates", "ExternalArtifact"], "ExternalArtifact is neither true nor false"),
    ],
)
def test_wrong_usage_is_exit_code_2(tmp_path: Path, context: Context, arguments: list[str], text: str) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", context)
    given = arguments if "--kubeconfig" in arguments else ["--kubeconfig", str(kubeconfig), *arguments]
    result = CliRunner().invoke(command, [*given, "--storage-path", str(tmp_path / "storage")])
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in result.stderr


async def test_nothing_to_reconcile_is_exit_code_1(tmp_path: Path, context: Context) -> None:
    dead = msgspec.structs.replace(context, name="dead", server="http://127.0.0.1:1")
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", dead)
    process = await start("--kubeconfig", str(kubeconfig), "--storage-path", str(tmp_path / "storage"))
    assert process.stdout is not None
    line = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    assert line["clusters"][0]["state"] == "unreachable"
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
