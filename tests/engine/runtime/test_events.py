"""Events: folded, limited, never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fluxtui.engine.runtime.events import BURST, EVENTS, MESSAGE_LIMIT, Recorder
from fluxtui.kube.client import Client
from tests.engine.polling import eventually

OBJECT: dict[str, Any] = {
    "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
    "kind": "Kustomization",
    "metadata": {
        "name": "apps",
        "namespace": "flux-system",
        "uid": "11111111-1111-1111-1111-111111111111",
        "resourceVersion": "7",
        "annotations": {"event.toolkit.fluxcd.io/team": "web", "other": "x"},
    },
}
INVOLVED = {
    "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
    "kind": "Kustomization",
    "name": "apps",
    "namespace": "flux-system",
    "resourceVersion": "7",
    "uid": OBJECT["metadata"]["uid"],
}
"""What its events refer to."""


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def posting(recorder: Recorder) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(recorder.run())
        try:
            yield
            await recorder.flush()
        finally:
            task.cancel()


async def posted(client: Client, obj: dict[str, Any] = OBJECT) -> list[dict[str, Any]]:
    found = await client.list(EVENTS, "flux-system")
    uid = obj["metadata"]["uid"]
    return sorted((e for e in found.items if e["involvedObject"]["uid"] == uid), key=lambda e: str(e["message"]))


async def test_a_repeated_event_raises_a_count_and_another_one_is_new(client: Client) -> None:
    recorder = Recorder(client)
    async with posting(recorder):
        for _ in range(3):
            recorder.event(OBJECT, "kustomize-controller", "Warning", "BuildFailed", "a: no such file")
        recorder.event(OBJECT, "kustomize-controller", "Normal", "Progressing", "b: applied", {"g/revision": "main@1"})
    first, second = await posted(client)
    assert (first["count"], first["type"], first["reason"]) == (3, "Warning", "BuildFailed")
    assert first["metadata"]["annotations"] == {"event.toolkit.fluxcd.io/team": "web"}
    assert (second["count"], second["message"]) == (1, "b: applied")
    assert second["metadata"]["annotations"] == {"event.toolkit.fluxcd.io/team": "web", "g/revision": "main@1"}
    assert second["involvedObject"] == INVOLVED
    assert second["metadata"]["name"].startswith("apps.")


async def test_after_a_while_a_repeated_event_is_a_new_one(client: Client) -> None:
    clock = Clock()
    recorder = Recorder(client, clock)
    async with posting(recorder):
        recorder.event(OBJECT, "c", "Normal", "R", "again")
        await recorder.flush()
        clock.now += 601
        recorder.event(OBJECT, "c", "Normal", "R", "again")
    assert [item["count"] for item in await posted(client)] == [1, 1]


async def test_an_event_the_server_has_forgotten_is_posted_anew(client: Client) -> None:
    recorder = Recorder(client)
    async with posting(recorder):
        recorder.event(OBJECT, "c", "Normal", "R", "again")
        (first,) = await eventually(lambda: posted(client))
        await client.delete(EVENTS, first["metadata"]["name"], "flux-system")
        recorder.event(OBJECT, "c", "Normal", "R", "again")
    assert [item["count"] for item in await posted(client)] == [1]


async def test_a_chatty_object_is_limited_and_the_others_are_not(client: Client) -> None:
    clock = Clock()
    recorder = Recorder(client, clock)
    other = {**OBJECT, "metadata": {**OBJECT["metadata"], "uid": "22222222-2222-2222-2222-222222222222"}}
    async with posting(recorder):
        for number in range(BURST + 10):
            recorder.event(OBJECT, "c", "Normal", "R", f"message {number}")
        recorder.event(other, "c", "Normal", "R", "hello")
        clock.now += 301
        recorder.event(OBJECT, "c", "Normal", "R", "one more after five minutes")
        recorder.event(OBJECT, "c", "Normal", "R", "but not two")
    assert recorder.dropped == 11
    assert len(await posted(client)) == BURST + 1
    assert len(await posted(client, other)) == 1


async def test_an_event_about_a_namespace_that_is_gone_is_no_error(client: Client) -> None:
    recorder = Recorder(client)
    lost = {**OBJECT, "metadata": {**OBJECT["metadata"], "namespace": "gone"}}
    async with posting(recorder):
        recorder.event(lost, "c", "Normal", "R", "x")
        recorder.event(OBJECT, "c", "Normal", "R", "x" * (MESSAGE_LIMIT + 1))
    assert recorder.dropped == 1
    (event,) = await posted(client)
    assert len(event["message"]) == MESSAGE_LIMIT
