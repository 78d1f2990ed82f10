"""Who writes, replaces, cancels or takes over while a run is under way."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from pathlib import Path

from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context
from tests.engine.polling import eventually
from tests.engine.runtime.bench import KEY, Bench, Run, Scripted, conditions, finalized, succeed, working


async def test_a_request_is_handled_and_one_that_comes_meanwhile_gets_a_run_of_its_own(
    bench: Bench, scripted: Scripted
) -> None:
    await bench.create()
    await bench.settled("Succeeded")
    busy, go_on = asyncio.Event(), asyncio.Event()

    async def slow(run: Run) -> None:
        assert run.requested
        busy.set()
        await go_on.wait()
        await succeed(run)

    scripted.scripts = [slow, succeed]
    await bench.request("one")
    await busy.wait()
    await bench.request("two")
    go_on.set()

    async def handled() -> bool:
        return bool((await bench.get())["status"].get("lastHandledReconcileAt") == "two")

    await eventually(handled)
    assert len(scripted.runs) == 3


async def test_somebody_who_writes_at_the_same_time_loses_nothing(bench: Bench, scripted: Scripted) -> None:
    async def raced(run: Run) -> None:
        await bench.patch({"metadata": {"labels": {"team": "web"}}})
        await succeed(run)

    scripted.scripts = [raced]
    await bench.create()
    obj = await bench.settled("Succeeded")
    assert obj["metadata"]["labels"] == {"team": "web"}
    assert len(scripted.runs) == 1


async def test_an_object_of_the_same_name_does_not_inherit_a_status(bench: Bench, scripted: Scripted) -> None:
    async def replaced(run: Run) -> None:
        await bench.patch({"metadata": {"finalizers": None}})
        await bench.client.delete(bench.resource, KEY.name, KEY.namespace)
        await bench.create(suspend=True)
        run.status["observedIgnore"] = "of the old one"
        await succeed(run)

    scripted.scripts = [replaced, succeed]
    await bench.create()
    await eventually(lambda: len(scripted.runs) == 1 and not bench.controller.queue.processing)
    await eventually(lambda: finalized(bench))
    obj = await bench.get()
    assert "observedIgnore" not in obj["status"]
    assert conditions(obj) == {}


def observing(scripted: Scripted) -> asyncio.Event:
    """A run that notes something in the status and goes on for ever; set once it has noted it."""
    reached = asyncio.Event()

    async def observe(run: Run) -> None:
        run.status["observedIgnore"] = "seen"
        reached.set()
        await asyncio.Event().wait()

    scripted.scripts = [observe]
    return reached


async def test_a_cancelled_run_keeps_what_it_observed(
    context: Context, client: Client, scripted: Scripted, tmp_path: Path
) -> None:
    reached = observing(scripted)
    async with working(context, client, scripted, tmp_path) as bench:
        await bench.create()
        await reached.wait()
    assert (await bench.get())["status"]["observedIgnore"] == "seen"


async def test_a_run_that_lost_its_lease_writes_nothing_more(
    context: Context, client: Client, scripted: Scripted, tmp_path: Path
) -> None:
    reached = observing(scripted)
    async with working(context, client, scripted, tmp_path) as bench:
        await bench.create()
        await reached.wait()
        before = await bench.get()
        bench.leading = False
    assert deepcopy(await bench.get()) == before
