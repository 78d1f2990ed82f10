"""Objects that are deleted, and what of them belongs to others."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from fluxtui.api.meta import FINALIZER
from fluxtui.engine.runtime.outcomes import Failed
from tests.engine.polling import eventually
from tests.engine.runtime.bench import KEY, Bench, Run, Scripted, conditions, finalized


class Spec(msgspec.Struct):
    url: Annotated[str, msgspec.Meta(pattern="fits$")]


class Strict(msgspec.Struct):
    """A type that not all objects fit."""

    metadata: dict[str, Any]
    spec: Spec


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

    await eventually(bench.is_gone)
    assert asked == ["https://host/x"] * 2


async def test_a_foreign_finalizer_and_foreign_conditions_are_left_alone(bench: Bench, scripted: Scripted) -> None:
    await bench.create(suspend=True)
    await eventually(lambda: finalized(bench))
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


async def test_an_object_that_fits_no_type_is_stalled_and_let_go_once_it_fits(
    bench: Bench, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripted, "type", Strict)
    await bench.create()
    obj = await bench.settled("InvalidObject", "False")
    assert "spec.url: expected" in conditions(obj)["Stalled"].message
    assert scripted.runs == []
    # What its finalizer has to clean up is not known as long as it can't be read.
    await bench.client.delete(bench.resource, KEY.name, KEY.namespace)
    await bench.patch({"spec": {"url": "https://host/fits"}})
    await eventually(bench.is_gone)
    assert scripted.runs == []
