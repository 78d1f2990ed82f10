"""The loop around a reconciler, on a cluster: what it writes, when it runs again, and what it survives."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fluxtui.api.kinds import GIT_REPOSITORY
from fluxtui.api.meta import FINALIZER, REQUESTED_AT, Condition
from fluxtui.api.source import GitRepository
from fluxtui.engine.runtime.artifacts import ArtifactStore
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.conditions import violations
from fluxtui.engine.runtime.controller import Controller
from fluxtui.engine.runtime.guard import GuardedClient
from fluxtui.engine.runtime.limits import Limits
from fluxtui.engine.runtime.objects import Key
from fluxtui.engine.runtime.outcomes import Failed, Stalled, Unchanged, Waiting
from fluxtui.engine.runtime.reconciler import Reconciler
from fluxtui.engine.runtime.reconciliation import Reconciliation
from fluxtui.engine.runtime.settings import EngineSettings
from fluxtui.engine.runtime.workers import WorkerPool
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.errors import NotFound
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.resources import Resource
from tests.engine.polling import eventually

Run = Reconciliation[GitRepository]
Script = Callable[[Run], Awaitable[None]]
KEY = Key("flux-system", "fleet")


class Scripted(Reconciler[GitRepository]):
    """A reconciler whose only step is whatever the test says; the last script repeats."""

    kind = GIT_REPOSITORY
    type = GitRepository
    manager = "gotk-test-controller"
    controller = "test-controller"
    owned = ("FetchFailed", "ArtifactInStorage")
    negative = ("FetchFailed",)

    def __init__(self) -> None:
        self.scripts: list[Script] = [succeed]
        self.finalizer: Script = _nothing
        self.runs: list[Run] = []
        self.retry: float | None = None

    async def play(self, run: Run) -> None:
        self.runs.append(run)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        await script(run)

    steps = (play,)

    async def finalize(self, run: Run) -> None:
        await self.finalizer(run)

    def interval(self, obj: GitRepository) -> float:
        return 3600.0

    def retry_interval(self, obj: GitRepository) -> float | None:
        return self.retry


async def _nothing(run: Run) -> None:
    return


async def succeed(run: Run) -> None:
    run.conditions.delete("FetchFailed")
    run.conditions.set("ArtifactInStorage", "True", "Succeeded", "stored")


def fails(message: str = "no route") -> Script:
    async def script(run: Run) -> None:
        raise Failed("GitOperationFailed", message, condition="FetchFailed")

    return script


class Bench:
    """A controller at work, and hands to play the user."""

    def __init__(self, client: Client, resource: Resource, controller: Controller[GitRepository]) -> None:
        self.client = client
        self.resource = resource
        self.controller = controller
        self.leading = True

    async def create(self, name: str = KEY.name, **spec: object) -> dict[str, Any]:
        return await self.client.create(
            self.resource,
            {
                "apiVersion": self.resource.api_version,
                "kind": "GitRepository",
                "metadata": {"name": name, "namespace": KEY.namespace},
                "spec": {"interval": "10m", "url": "https://host/x", **spec},
            },
        )

    async def get(self) -> dict[str, Any]:
        return await self.client.get(self.resource, KEY.name, KEY.namespace)

    async def patch(self, patch: dict[str, Any], subresource: str = "") -> None:
        await self.client.patch(
            self.resource, KEY.name, KEY.namespace, patch, type=PatchType.MERGE, subresource=subresource
        )

    async def request(self, text: str) -> None:
        await self.patch({"metadata": {"annotations": {REQUESTED_AT: text}}})

    async def settled(self, reason: str, status: str | None = None) -> dict[str, Any]:
        """The object once Ready has a reason; its conditions are sane then."""

        async def look() -> dict[str, Any] | None:
            obj = await self.get()
            ready = conditions(obj).get("Ready")
            wanted = ready is not None and ready.reason == reason and status in (None, ready.status)
            return obj if wanted else None

        obj: dict[str, Any] = await eventually(look)
        assert violations(conditions(obj).values()) == []
        return obj


def conditions(obj: dict[str, Any]) -> dict[str, Condition]:
    items = (obj.get("status") or {}).get("conditions") or []
    return {item["type"]: msgspec.convert(item, Condition) for item in items}


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
async def bench(context: Context, client: Client, scripted: Scripted, tmp_path: Path) -> AsyncIterator[Bench]:
    async with working(context, client, scripted, tmp_path) as bench:
        yield bench


@asynccontextmanager
async def working(context: Context, client: Client, scripted: Scripted, tmp_path: Path) -> AsyncIterator[Bench]:
    found: list[Bench] = []

    def leading() -> bool:
        return found[0].leading

    async with GuardedClient(context, lambda: 30.0 if leading() else 0.0) as guarded:
        store = ArtifactStore(tmp_path / "storage")
        settings = EngineSettings(min_retry=0.05, interval_jitter=0.0)
        cluster = Cluster(guarded, store.for_cluster("alpha"), settings, WorkerPool(1), Limits(settings), leading)
        controller = Controller(scripted, cluster, 2)
        bench = Bench(client, await cluster.resource(GIT_REPOSITORY), controller)
        found.append(bench)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part.run()) for part in (cluster.cache, controller, cluster.recorder)]
            try:
                yield bench
            finally:
                for task in tasks:
                    task.cancel()


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
    await eventually(lambda: _finalized(bench))
    assert conditions(await bench.get()) == {}
    assert scripted.runs == []
    await bench.patch({"spec": {"suspend": False}})
    await bench.settled("Succeeded")


async def _finalized(bench: Bench) -> bool:
    return bool((await bench.get())["metadata"].get("finalizers") == [FINALIZER])


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


async def test_deletion_runs_the_finalizer_and_lets_the_object_go(bench: Bench, scripted: Scripted) -> None:
    asked: list[str] = []

    async def refuse_once(run: Run) -> None:
        asked.append(run.object.spec.url)
        if len(asked) == 1:
            raise Failed("PruneFailed", "not now")

    scripted.finalizer = refuse_once
    await bench.create()
    await bench.settled("Succeeded")
    await bench.client.delete(bench.resource, KEY.name, KEY.namespace)

    async def gone() -> bool:
        try:
            await bench.get()
        except NotFound:
            return True
        return False

    await eventually(gone)
    assert asked == ["https://host/x"] * 2


async def test_a_foreign_finalizer_and_foreign_conditions_are_left_alone(bench: Bench, scripted: Scripted) -> None:
    await bench.create(suspend=True)
    await eventually(lambda: _finalized(bench))
    foreign = {
        "type": "Audited",
        "status": "True",
        "reason": "Yes",
        "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "observedGeneration": 1,
    }
    await bench.patch({"metadata": {"finalizers": [FINALIZER, "example.com/other"]}})
    await bench.patch({"status": {"conditions": [foreign]}}, "status")
    await bench.patch({"spec": {"suspend": False}})
    obj = await bench.settled("Succeeded")
    assert foreign in obj["status"]["conditions"]
    await bench.client.delete(bench.resource, KEY.name, KEY.namespace)

    async def only_foreign() -> bool:
        return bool((await bench.get())["metadata"]["finalizers"] == ["example.com/other"])

    await eventually(only_foreign)
    await bench.patch({"metadata": {"finalizers": None}})


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
    await eventually(lambda: _finalized(bench))
    obj = await bench.get()
    assert "observedIgnore" not in obj["status"]
    assert conditions(obj) == {}


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


async def test_an_object_that_fits_no_type_is_stalled_and_can_still_be_deleted(
    bench: Bench, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Strict(msgspec.Struct):
        metadata: dict[str, Any]
        spec: dict[str, int]

    monkeypatch.setattr(scripted, "type", Strict)
    await bench.create()
    obj = await bench.settled("InvalidObject", "False")
    assert "$.spec" in conditions(obj)["Stalled"].message
    assert scripted.runs == []


async def test_a_cancelled_run_keeps_what_it_observed(
    context: Context, client: Client, scripted: Scripted, tmp_path: Path
) -> None:
    reached = asyncio.Event()

    async def observe(run: Run) -> None:
        run.status["observedIgnore"] = "seen"
        reached.set()
        await asyncio.Event().wait()

    scripted.scripts = [observe]
    async with working(context, client, scripted, tmp_path) as bench:
        await bench.create()
        await reached.wait()
    assert (await bench.get())["status"]["observedIgnore"] == "seen"


async def test_a_run_that_lost_its_lease_writes_nothing_more(
    context: Context, client: Client, scripted: Scripted, tmp_path: Path
) -> None:
    reached = asyncio.Event()

    async def observe(run: Run) -> None:
        run.status["observedIgnore"] = "seen"
        reached.set()
        await asyncio.Event().wait()

    scripted.scripts = [observe]
    async with working(context, client, scripted, tmp_path) as bench:
        await bench.create()
        await reached.wait()
        before = await bench.get()
        bench.leading = False
    assert deepcopy(await bench.get()) == before


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
