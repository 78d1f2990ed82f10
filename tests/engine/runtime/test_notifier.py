"""Events for notification-controller: which, in what words, and how often when it does not take them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from fluxtui.engine.process import Engine
from fluxtui.engine.runtime import notifier
from fluxtui.engine.runtime.events import Recorder
from fluxtui.engine.runtime.notifier import Notifier
from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context
from fluxtui.serving import port_of, serving
from tests.engine.harness import QUICK, create, running
from tests.engine.polling import eventually
from tests.engine.runtime.test_events import INVOLVED, OBJECT, posted, posting
from tests.engine.source.repositories import Repository


class Receiver:
    """A notification-controller as far as it takes events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.answers: Iterator[int] = iter(())
        """Status of the next answers; 202 from then on."""
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.events.append(await request.json())
        return web.Response(status=next(self.answers, 202))

    def reasons(self) -> list[str]:
        return [event["reason"] for event in self.events]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/", receiver.take)
    async with serving(web.AppRunner(app)) as listener:
        receiver.url = f"http://127.0.0.1:{port_of(listener)}/"
        yield receiver


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "PAUSES", (0.0,) * 4)


async def test_news_and_failures_are_told_and_traces_are_not(client: Client, receiver: Receiver) -> None:
    recorder = Recorder(client, notifier=Notifier(receiver.url))
    async with posting(recorder):
        recorder.event(OBJECT, "kustomize-controller", "Normal", "Progressing", "applied", {"g/revision": "main@1"})
        recorder.event(OBJECT, "kustomize-controller", "Trace", "ArtifactUpToDate", "the same")
        recorder.event(OBJECT, "kustomize-controller", "Warning", "BuildFailed", "no such file")
    news, failure = receiver.events
    assert news.pop("timestamp").endswith("Z")
    assert news.pop("reportingInstance")
    assert news == {
        "involvedObject": INVOLVED,
        "severity": "info",
        "reason": "Progressing",
        "message": "applied",
        "metadata": {"event.toolkit.fluxcd.io/team": "web", "g/revision": "main@1"},
        "reportingController": "kustomize-controller",
    }
    assert (failure["severity"], failure["reason"]) == ("error", "BuildFailed")
    assert {(event["type"], event["reason"]) for event in await posted(client)} == {
        ("Normal", "Progressing"),
        ("Normal", "ArtifactUpToDate"),
        ("Warning", "BuildFailed"),
    }


@pytest.mark.parametrize(
    ("answers", "tried", "dropped"),
    [((503, 500), 3, 0), ((503,) * 9, 5, 1), ((429,), 1, 0), ((400,), 1, 1), ((302,), 1, 1)],
)
async def test_what_is_not_taken_is_posted_again_or_lost(
    client: Client, receiver: Receiver, answers: tuple[int, ...], tried: int, dropped: int
) -> None:
    told = Notifier(receiver.url)
    receiver.answers = iter(answers)
    recorder = Recorder(client, notifier=told)
    async with posting(recorder):
        recorder.event(OBJECT, "kustomize-controller", "Normal", "Progressing", "applied")
        await eventually(lambda: len(receiver.events) == tried)
    assert (receiver.reasons(), told.dropped) == (["Progressing"] * tried, dropped)
    assert len(await posted(client)) == 1


async def test_a_receiver_that_is_away_holds_up_no_event_of_the_cluster(client: Client) -> None:
    told = Notifier("http://127.0.0.1:1/")
    recorder = Recorder(client, notifier=told)
    async with posting(recorder):
        recorder.event(OBJECT, "kustomize-controller", "Normal", "Progressing", "applied")
    assert told.dropped == 1
    assert len(await posted(client)) == 1


async def test_an_engine_tells_what_it_has_fetched(
    client: Client, context: Context, repository: Repository, receiver: Receiver, tmp_path: Path
) -> None:
    engine = Engine(msgspec.structs.replace(QUICK, events_addr=receiver.url), tmp_path / "storage", "laptop_1")
    await create(client, repository.url)
    async with running(engine, context):
        await eventually(receiver.reasons)
    head = repository.git("rev-parse", "HEAD")
    told = receiver.events[0]
    assert (told["reason"], told["reportingController"]) == ("NewArtifact", "source-controller")
    assert told["metadata"]["source.toolkit.fluxcd.io/revision"] == f"main@sha1:{head}"
