"""The engine over many clusters: hand-over, contexts that come and go, start and stop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fluxtui.engine.adapters.git import Git
from fluxtui.engine.process import HOST_ANNOTATION, LOG_ANNOTATION, Engine
from fluxtui.engine.runtime.artifacts import slug
from fluxtui.engine.runtime.leases import LEASES
from fluxtui.engine.runtime.objects import micro_timestamp
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.kubeconfig import Context
from tests.engine.harness import LEASE, QUICK, create, lease, revision, running, state
from tests.engine.polling import eventually
from tests.engine.source.repositories import Repository
from tests.listening import streams, swallow


async def test_a_dead_cluster_does_not_touch_a_live_one(
    client: Client, context: Context, repository: Repository, tmp_path: Path
) -> None:
    dead = msgspec.structs.replace(context, id="dead", name="dead", server="http://127.0.0.1:1")
    lines: list[dict[str, Any]] = []
    engine = Engine(QUICK, tmp_path / "storage", "fluxtui_one", on_ready=lines.append)
    await create(client, repository.url)
    async with running(engine, dead, context):
        await eventually(lambda: revision(client))
        await eventually(lambda: lines)
        assert state(engine, context.id) == "leading"
        assert state(engine, "dead") == "unreachable"
    assert engine.has_led
    states = {cluster["context"]: cluster["state"] for cluster in lines[0]["clusters"]}
    assert states == {"dead": "unreachable", context.id: "leading"}
    assert (lines[0]["ready"], lines[0]["pid"], len(lines)) == (True, os.getpid(), 1)
    assert lines[0]["artifacts"].startswith("http://127.0.0.1:")


async def test_a_cluster_in_other_hands_is_left_alone_until_they_let_go(
    client: Client, context: Context, repository: Repository, tmp_path: Path
) -> None:
    upstream = {
        "apiVersion": LEASES.api_version,
        "kind": "Lease",
        "metadata": {"name": LEASE, "namespace": "flux-system"},
        "spec": {
            "holderIdentity": "source-controller-7d4b9_1c2e",
            "leaseDurationSeconds": 600,
            "renewTime": micro_timestamp(),
            "acquireTime": micro_timestamp(),
            "leaseTransitions": 0,
        },
    }
    held = await client.create(LEASES, upstream)
    await create(client, repository.url)
    engine = Engine(QUICK, tmp_path / "storage", "fluxtui_one", log_file=tmp_path / "engine.jsonl")
    async with running(engine, context):
        await eventually(lambda: state(engine, context.id) == "waiting")
        message = engine.states[0].message
        assert f"{LEASE} is held by source-controller-7d4b9_1c2e (renewed" in message
        await asyncio.sleep(0.5)
        assert await revision(client) == ""
        held["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
        await client.replace(LEASES, held)
        await eventually(lambda: revision(client))
        ours = await lease(client)
        assert (ours["spec"]["holderIdentity"], ours["spec"]["leaseTransitions"]) == (
            f"fluxtui_one_{slug(context.id)}",
            1,
        )
        assert ours["metadata"]["annotations"][LOG_ANNOTATION] == str(tmp_path / "engine.jsonl")
        assert HOST_ANNOTATION in ours["metadata"]["annotations"]
    assert (await lease(client))["spec"]["holderIdentity"] == ""


async def test_an_engine_that_never_led_says_so(client: Client, context: Context, tmp_path: Path) -> None:
    dead = msgspec.structs.replace(context, id="dead", name="dead", server="http://127.0.0.1:1")
    engine = Engine(QUICK, tmp_path / "storage", "fluxtui_one")
    async with running(engine, dead):
        await eventually(lambda: state(engine, "dead") == "unreachable")
    assert not engine.has_led


async def test_two_engines_hand_a_cluster_over(
    client: Client, context: Context, repository: Repository, tmp_path: Path
) -> None:
    await create(client, repository.url)
    one = Engine(QUICK, tmp_path / "one", "fluxtui_one")
    two = Engine(QUICK, tmp_path / "two", "fluxtui_two")
    async with running(two, context):
        await eventually(lambda: state(two, context.id) == "leading")
        async with running(one, context):
            await eventually(lambda: state(one, context.id) == "waiting")
            two.stop.set()
            await eventually(lambda: state(one, context.id) == "leading")
            head = await asyncio.to_thread(repository.commit, "after the hand-over")

            async def walked() -> bool:
                return head in await revision(client)

            await eventually(walked)


async def test_a_stop_does_not_wait_for_a_remote_that_says_nothing(
    client: Client, context: Context, tmp_path: Path
) -> None:
    asked = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await swallow(reader, writer)

    async with streams(listen) as port:
        await create(client, f"http://127.0.0.1:{port}/x.git")
        settings = msgspec.structs.replace(QUICK, drain_deadline=0.2)
        async with asyncio.timeout(60), running(Engine(settings, tmp_path / "storage", "fluxtui_one"), context):
            await asked.wait()
    assert (await lease(client))["spec"]["holderIdentity"] == ""
    assert [path for path in (tmp_path / "storage").iterdir() if path.name.startswith(".tmp-")] == []


async def test_contexts_come_and_go_while_running(
    client: Client, context: Context, repository: Repository, tmp_path: Path
) -> None:
    offered: asyncio.Queue[Sequence[Context]] = asyncio.Queue()

    async def changes() -> AsyncIterator[Sequence[Context]]:
        while True:
            yield await offered.get()

    dead = msgspec.structs.replace(context, id="dead", name="dead", server="http://127.0.0.1:1")
    engine = Engine(QUICK, tmp_path / "storage", "fluxtui_one")
    async with running(engine, dead, changes=changes()):
        await eventually(lambda: state(engine, "dead") == "unreachable")
        offered.put_nowait([context])
        await eventually(lambda: state(engine, context.id) == "leading")
        assert state(engine, "dead") == ""
        offered.put_nowait([dead])

        async def released() -> bool:
            return bool((await lease(client))["spec"]["holderIdentity"] == "")

        await eventually(released)


async def test_two_contexts_of_one_cluster_do_not_both_reconcile_it(
    client: Client, context: Context, tmp_path: Path
) -> None:
    alias = msgspec.structs.replace(context, id="alias", name="alias")
    engine = Engine(QUICK, tmp_path / "storage", "fluxtui_one")
    async with running(engine, context, alias):
        await eventually(lambda: {found.state for found in engine.states} == {"leading", "waiting"})


async def test_a_context_that_changed_is_let_go_before_it_is_taken_up_again(
    client: Client, context: Context, tmp_path: Path
) -> None:
    offered: asyncio.Queue[Sequence[Context]] = asyncio.Queue()

    async def changes() -> AsyncIterator[Sequence[Context]]:
        while True:
            yield await offered.get()

    changed = msgspec.structs.replace(context, namespace="elsewhere")
    engine = Engine(QUICK, tmp_path / "storage", "fluxtui_one")
    async with running(engine, context, changes=changes()):
        await eventually(lambda: state(engine, context.id) == "leading")
        before = (await lease(client))["spec"]["leaseTransitions"]
        offered.put_nowait([changed])

        async def taken_up() -> bool:
            spec = (await lease(client))["spec"]
            return bool(spec["holderIdentity"]) and spec["leaseTransitions"] > before

        await eventually(taken_up)
        await eventually(lambda: state(engine, context.id) == "leading")


async def test_an_idle_engine_only_watches_and_renews(
    client: Client, context: Context, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(client, repository.url)
    engine = Engine(QUICK, tmp_path / "storage", "fluxtui_one")
    requests: list[tuple[str, str]] = []
    request = Client.request

    async def counted(self: Client, method: str, path: str, **options: Any) -> Any:
        requests.append((method, path))
        return await request(self, method, path, **options)

    async def quiet() -> bool:
        """Nothing but renewals for a while."""
        del requests[:]
        await asyncio.sleep(0.7)
        return bool(requests) and all(
            method == "PUT" and path.endswith("-leader-election") for method, path in requests
        )

    async with running(engine, context):
        await eventually(lambda: revision(client))
        monkeypatch.setattr(Client, "request", counted)
        await eventually(quiet)
        monkeypatch.undo()


async def test_nothing_is_written_once_the_leases_are_lost(
    client: Client, context: Context, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is in the middle of its work when somebody else takes the Leases: its result is not written any more."""
    fetching, go_on = asyncio.Event(), asyncio.Event()
    checkout = Git.checkout

    async def held_up(self: Git, *arguments: Any) -> Any:
        found = await checkout(self, *arguments)
        fetching.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(Git, "checkout", held_up)
    await create(client, repository.url)
    engine = Engine(QUICK, tmp_path / "storage", "fluxtui_one")
    async with running(engine, context):
        await asyncio.wait_for(fetching.wait(), 60)
        for name in ("source", "kustomize", "helm"):
            taken = {"holderIdentity": "upstream_1", "renewTime": micro_timestamp(), "leaseDurationSeconds": 600}
            # Without a resourceVersion: the engine renews these Leases at the same time.
            name = f"{name}-controller-leader-election"
            await client.patch(LEASES, name, "flux-system", {"spec": taken}, type=PatchType.MERGE)
        await eventually(lambda: state(engine, context.id) == "waiting")
        resource = (await client.resources()).by_plural("gitrepositories")
        assert resource is not None
        before = await client.get(resource, "fleet", "flux-system")
        go_on.set()
        await eventually(lambda: not list((tmp_path / "storage").glob(".tmp-*")))
        after = await client.get(resource, "fleet", "flux-system")
        assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        assert "artifact" not in after["status"]
        assert (await lease(client))["spec"]["holderIdentity"] == "upstream_1"


async def test_leases_lost_while_stopping_do_not_hold_up_the_stop(
    client: Client, context: Context, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching = asyncio.Event()

    async def held_up(self: Git, *arguments: Any) -> Any:
        fetching.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Git, "checkout", held_up)
    await create(client, repository.url)
    engine = Engine(msgspec.structs.replace(QUICK, drain_deadline=3600), tmp_path / "storage", "fluxtui_one")
    async with running(engine, context) as task:
        await asyncio.wait_for(fetching.wait(), 60)
        engine.stop.set()
        taken = {"holderIdentity": "upstream_1", "renewTime": micro_timestamp(), "leaseDurationSeconds": 600}
        await client.patch(LEASES, LEASE, "flux-system", {"spec": taken}, type=PatchType.MERGE)
        await asyncio.wait((task,), timeout=60)
        assert task.done()
    assert (await lease(client))["spec"]["holderIdentity"] == "upstream_1"
