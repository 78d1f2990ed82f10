"""The loop around a reconciler, on a cluster: what it writes, when it runs again, and what it survives."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

import pytest

from fluxtui.api.meta import FINALIZER, REQUESTED_AT
from fluxtui.engine.runtime.outcomes import Stalled, Unchanged, Waiting
from tests.engine.polling import eventually
from tests.engine.runtime.bench import KEY, Bench, Run, Scripted, conditions, fails, finalized, succeed


async def test_a_new_object_gets_finalizer_conditions_and_observed_generation(bench: Bench, scripted: Scripted) -> None:
    await bench.create()
    obj = await bench.settled("Succeeded")
    assert obj["metadata"]["finalizers"] == [FINALIZER]
    assert obj["status"]["observedGeneration"] == 1
    assert [item["type"] for item in obj["status"]["conditions"]] == ["Ready", "ArtifactInStorage"]
    assert {item["message"] for item in obj["status"]["conditions"]} == {"stored"}
    managers = {
        (item["manager"], item["operation"], item.get("subresource")) for item in obj["metadata"]["managedFields"]
    }
    assert {("gotk-test-controller", "Update", None), ("gotk-test-controller", "Update", "status")} <= managers
    assert len(scripted.runs) == 1


async def test_what_is_on_its_way_is_visible_before_it_is_there(bench: Bench, scripted: Scripted) -> None:
    go_on = asyncio.Event()

    async def slow(run: Run) -> None:
        await go_on.wait()
        await run.progress("building artifact: new upstream revision 'main@sha1:1'")
        await asyncio.Event().wait()

    scripted.scripts = [slow]
    await bench.create()
    obj = await bench.settled("Progressing", "Unknown")
    assert conditions(obj)["Reconciling"].message == "processing object: new generation -1 -> 1"
    assert obj["status"]["observedGeneration"] == -1
    go_on.set()
    await eventually(lambda: _message(bench, "Reconciling", "building artifact: new upstream revision 'main@sha1:1'"))


async def _message(bench: Bench, type: str, message: str) -> bool:
    found = conditions(await bench.get()).get(type)
    return found is not None and found.message == message


async def test_an_object_born_suspended_gets_its_finalizer_and_nothing_else(bench: Bench, scripted: Scripted) -> None:
    await bench.create(suspend=True)
    await eventually(lambda: finalized(bench))
    assert conditions(await bench.get()) == {}
    assert scripted.runs == []
    await bench.patch({"spec": {"suspend": False}})
    await bench.settled("Succeeded")


async def test_a_suspended_object_is_seen_and_its_request_handled_without_a_run(
    bench: Bench, scripted: Scripted
) -> None:
    await bench.create()
    await bench.settled("Succeeded")
    await bench.patch({"spec": {"suspend": True}, "metadata": {"annotations": {REQUESTED_AT: "while asleep"}}})

    async def seen() -> dict[str, Any] | None:
        obj = await bench.get()
        return obj if obj["status"].get("lastHandledReconcileAt") == "while asleep" else None

    obj = await eventually(seen)
    assert obj["status"]["observedGeneration"] == obj["metadata"]["generation"] == 2
    assert len(scripted.runs) == 1


async def test_a_failure_is_shown_retried_with_back_off_and_recovered_from(bench: Bench, scripted: Scripted) -> None:
    scripted.scripts = [fails(), fails(), fails("still no route"), succeed]
    hold = asyncio.Event()

    async def late(run: Run) -> None:
        await hold.wait()
        await succeed(run)

    scripted.scripts[3] = late
    await bench.create()
    await eventually(lambda: len(scripted.runs) == 4)
    obj = await bench.settled("GitOperationFailed", "False")
    found = conditions(obj)
    assert found["Ready"].message == found["FetchFailed"].message == "still no route"
    assert found["FetchFailed"].status == "True"
    assert (found["Reconciling"].status, found["Reconciling"].reason) == ("True", "ProgressingWithRetry")
    assert obj["status"]["observedGeneration"] == -1
    hold.set()
    obj = await bench.settled("Succeeded")
    assert set(conditions(obj)) == {"Ready", "ArtifactInStorage"}


async def test_failures_that_say_the_same_are_written_once(bench: Bench, scripted: Scripted) -> None:
    scripted.scripts = [fails()]
    await bench.create()
    await eventually(lambda: len(scripted.runs) >= 2)
    version = (await bench.settled("GitOperationFailed"))["metadata"]["resourceVersion"]
    runs = len(scripted.runs)
    await eventually(lambda: len(scripted.runs) >= runs + 2)
    assert (await bench.get())["metadata"]["resourceVersion"] == version


async def test_a_stalled_object_waits_for_its_spec(bench: Bench, scripted: Scripted) -> None:
    async def stall(run: Run) -> None:
        raise Stalled("URLInvalid", "no such scheme", condition="FetchFailed")

    scripted.scripts = [stall, succeed]
    await bench.create()
    obj = await bench.settled("URLInvalid", "False")
    assert conditions(obj)["Stalled"].message == "no such scheme"
    assert obj["status"]["observedGeneration"] == 1
    assert bench.controller.queue.due(KEY) is None
    await bench.patch({"spec": {"url": "https://host/y"}})
    obj = await bench.settled("Succeeded")
    assert obj["status"]["observedGeneration"] == 2


async def test_waiting_comes_back_after_its_own_time(bench: Bench, scripted: Scripted) -> None:
    async def wait(run: Run) -> None:
        raise Waiting("DependencyNotReady", "dependency 'a/b' is not ready", 100)

    scripted.scripts = [wait]
    await bench.create()
    obj = await bench.settled("DependencyNotReady", "False")
    assert "Stalled" not in conditions(obj)
    await eventually(lambda: bench.controller.queue.due(KEY) is not None)
    due = bench.controller.queue.due(KEY)
    assert due is not None
    assert 90 < due - asyncio.get_running_loop().time() <= 100


async def test_the_retry_interval_of_a_reconciler_replaces_the_back_off(bench: Bench, scripted: Scripted) -> None:
    scripted.scripts, scripted.retry = [fails()], 200.0
    await bench.create()
    await bench.settled("GitOperationFailed")
    await eventually(lambda: bench.controller.queue.due(KEY) is not None)
    due = bench.controller.queue.due(KEY)
    assert due is not None
    assert 190 < due - asyncio.get_running_loop().time() <= 200


async def test_a_run_without_news_writes_nothing(bench: Bench, scripted: Scripted) -> None:
    async def same(run: Run) -> None:
        raise Unchanged("GitOperationSucceeded", "no changes", event=None)

    def ran(before: int) -> bool:
        return len(scripted.runs) > before and not bench.controller.queue.processing

    await bench.create()
    version = (await bench.settled("Succeeded"))["metadata"]["resourceVersion"]
    for script in (succeed, same):
        scripted.scripts = [script]
        runs = len(scripted.runs)
        bench.controller.queue.add(KEY)
        await eventually(functools.partial(ran, runs))
        obj = await bench.get()
        assert obj["metadata"]["resourceVersion"] == version


async def test_a_bug_is_shown_logged_with_its_traceback_and_retried(
    bench: Bench, scripted: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    async def bug(run: Run) -> None:
        raise KeyError("oops")

    scripted.scripts = [bug]
    with caplog.at_level(logging.ERROR):
        await bench.create()
        obj = await bench.settled("Failed", "False")
        await eventually(lambda: len(scripted.runs) >= 2)
    assert "KeyError" in conditions(obj)["Ready"].message
    assert any(record.exc_info and record.exc_info[0] is KeyError for record in caplog.records)


async def test_one_event_a_transition_with_the_annotations_of_the_run(bench: Bench, scripted: Scripted) -> None:
    async def annotated(run: Run) -> None:
        run.annotations["source.toolkit.fluxcd.io/revision"] = "main@sha1:1"
        run.event("Normal", "NewArtifact", "stored artifact for commit 'x'")
        await succeed(run)

    scripted.scripts = [fails(), fails(), annotated]
    created = await bench.create()
    await bench.settled("Succeeded")
    events = (await bench.client.resources()).find("", "Event")
    assert events is not None

    async def posted() -> list[dict[str, Any]]:
        found = await bench.client.list(events, KEY.namespace)
        mine = [item for item in found.items if item["involvedObject"]["uid"] == created["metadata"]["uid"]]
        return mine if len(mine) == 2 and max(item["count"] for item in mine) == 2 else []

    failed, stored = sorted(await eventually(posted), key=lambda item: item["type"] != "Warning")
    assert (failed["reason"], failed["count"], failed["message"]) == ("GitOperationFailed", 2, "no route")
    assert (stored["reason"], stored["count"]) == ("NewArtifact", 1)
    assert stored["metadata"]["annotations"] == {"source.toolkit.fluxcd.io/revision": "main@sha1:1"}
    assert stored["reportingComponent"] == stored["source"]["component"] == "test-controller"
    assert stored["involvedObject"]["apiVersion"] == "source.toolkit.fluxcd.io/v1"
