"""Drift: seen when it happens, corrected, reported with whoever made it; its switches and its budget."""

from __future__ import annotations

from typing import Any

import pytest

from fluxtui.engine.controllers.kustomize.drift import DELETED, Budget, DriftWatch
from fluxtui.engine.runtime.objects import Key
from fluxtui.kube.changes import Action, Change, ChangeSet
from fluxtui.kube.client import PatchType
from fluxtui.kube.identity import identity_of
from tests.engine.kustomize.world import World, deployment
from tests.engine.polling import eventually


async def edit(world: World, name: str, value: str, manager: str = "kubectl-edit") -> None:
    resource = await world.resource("ConfigMap")
    patch = {"data": {"k": value}}
    await world.client.patch(resource, name, "default", patch, type=PatchType.MERGE, field_manager=manager)


async def value(world: World, name: str = "a") -> str:
    obj = await world.get("ConfigMap", name)
    return str(((obj or {}).get("data") or {}).get("k", ""))


def data(name: str, text: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\ndata: {{k: {text}}}\n"


async def watched(world: World, kind: str = "configmaps") -> None:
    """Wait until the stream of a kind is there, so that nothing is missed."""

    async def streaming() -> bool:
        return kind in world.streams

    await eventually(streaming)


@pytest.fixture
def streams(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world, which notes the kinds whose metadata is streamed."""
    send, world.streams = world.client.stream, set()

    def stream(path: str, **options: Any) -> Any:
        if "PartialObjectMetadata" in str(options.get("accept")):
            assert "labelSelector" in options["params"]
            world.streams.add(path.rpartition("/")[2])
        return send(path, **options)

    monkeypatch.setattr(world.client, "stream", stream)
    return world


async def test_a_foreign_change_is_corrected_and_reported(streams: World) -> None:
    world = streams
    await world.publish({"a.yaml": data("a", "ours"), "b.yaml": data("b", "ours")})
    await world.kustomization("apps")
    async with world.running():
        await world.ready("apps")
        await watched(world)
        for round in ("theirs", "again"):
            await edit(world, "a", round)

            async def corrected() -> bool:
                return await value(world) == "ours"

            await eventually(corrected)
        await world.delete("ConfigMap", "b", "default")

        async def restored() -> bool:
            return await value(world, "b") == "ours"

        await eventually(restored)
    events = [(reason, message) for _, reason, message in await world.events("apps")]
    corrected_by = "ConfigMap/default/a configured: it had been changed by kubectl-edit"
    assert ("DriftCorrected", corrected_by) in events
    assert ("DriftCorrected", "ConfigMap/default/b created: it had been deleted") in events


async def test_what_the_engine_itself_and_status_writers_do_is_no_drift(streams: World) -> None:
    world = streams
    await world.publish({"web.yaml": deployment("web"), "a.yaml": data("a", "one")})
    await world.kustomization("apps", wait=True)
    async with world.running() as controller:
        await world.ready("apps")
        await watched(world)
        await watched(world, "deployments")
        await world.ready("apps", await world.publish({"web.yaml": deployment("web"), "a.yaml": data("a", "two")}))
        await world.ready("apps", await world.publish({"a.yaml": data("a", "three")}))

        async def quiet() -> bool:
            return not controller.queue.processing and len(controller.queue) == 0

        await eventually(quiet)
    assert not [event for event in await world.events("apps") if event[1] == "DriftCorrected"]
    assert await world.get("Deployment", "web") is None


@pytest.mark.parametrize(
    ("annotations", "settings"),
    [({"engine.fluxtui.dev/drift-detection": "Disabled"}, {}), ({}, {"drift_detection": False})],
)
async def test_switched_off(streams: World, annotations: dict[str, str], settings: dict[str, Any]) -> None:
    world = streams
    await world.publish({"a.yaml": data("a", "ours")})
    await world.kustomization("apps")
    await world.change("apps", {"metadata": {"annotations": annotations}})
    async with world.running(**settings):
        await world.ready("apps")
        await edit(world, "a", "theirs")
        await world.kustomization("other", path="none")
        await world.settled("other", "PathNotFound")
        assert await value(world) == "theirs"
        assert not world.streams


async def test_the_budget_of_kinds(streams: World) -> None:
    world = streams
    await world.publish({"a.yaml": data("a", "ours"), "web.yaml": deployment("web")})
    await world.kustomization("apps")
    async with world.running(drift_kinds=1):
        await world.ready("apps")

        async def streaming() -> bool:
            return len(world.streams) > 0

        await eventually(streaming)
        await world.ready("apps", await world.publish({"a.yaml": data("a", "new"), "web.yaml": deployment("web")}))
    assert len(world.streams) == 1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_fight_over_a_field_is_left_to_the_interval() -> None:
    clock = Clock()
    woken: list[Key] = []
    drift = DriftWatch("alpha", Budget(1, 1), clock)
    drift._wake = woken.append
    key = Key("flux-system", "apps")
    live = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default", "uid": "1"}}
    identity = identity_of(live)
    drift.track(key, ChangeSet([Change(identity, "v1", Action.CREATED, live)]))
    for number in range(10):
        entry = {"manager": "other", "operation": "Update", "time": str(number)}
        drift._seen(identity, {"metadata": {"uid": "1", "resourceVersion": str(number), "managedFields": [entry]}})
    assert woken == [key] * 6
    with drift.applying(key) as notes:
        assert notes == {identity: "other"}
    clock.now = 61
    drift._note(identity, "other")
    assert len(woken) == 7


def config_map(name: str, version: int, manager: str = "", uid: str = "1") -> dict[str, Any]:
    """A ConfigMap in a version, which a manager has changed then."""
    entries = [{"manager": manager, "operation": "Update", "time": str(version)}] if manager else []
    metadata = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, "managedFields": entries}}


def done(action: Action, *objects: dict[str, Any]) -> ChangeSet:
    return ChangeSet(Change(identity_of(obj), "v1", action, obj) for obj in objects)


async def test_many_objects_changed_at_once_all_wake() -> None:
    woken: list[Key] = []
    drift = DriftWatch("alpha", Budget(1, 20))
    drift._wake = woken.append
    key = Key("flux-system", "apps")
    objects = [config_map(f"m{number}", 1) for number in range(20)]
    drift.track(key, done(Action.CREATED, *objects))
    for obj in objects:
        drift._seen(identity_of(obj), config_map(obj["metadata"]["name"], 2, "kubectl-edit"))
        with drift.applying(key) as notes:
            assert notes == {identity_of(obj): "kubectl-edit"}
    assert woken == [key] * 20


async def test_what_is_changed_after_it_was_read_is_neither_forgotten_nor_taken_for_the_same() -> None:
    woken: list[Key] = []
    drift = DriftWatch("alpha", Budget(1, 2))
    drift._wake = woken.append
    drift._streaming.add(("", "ConfigMap"))
    key = Key("flux-system", "apps")
    changed, gone = identity_of(config_map("changed", 1)), identity_of(config_map("gone", 1))
    read = [config_map("changed", 1), config_map("gone", 1)]
    drift.track(key, done(Action.CREATED, *read))
    for obj in read:
        drift._seen(identity_of(obj), obj)
    assert (drift.version(key, changed), drift.version(key, gone)) == ("1", "1")
    with drift.applying(key):
        drift._seen(changed, config_map("changed", 2, "kubectl-edit"))
        drift._tracked[gone].current = ""
        drift._note(gone, DELETED)
        drift.track(key, done(Action.UNCHANGED, *read))
    # What is known of the first versions must not count for what there is now.
    assert (drift.version(key, changed), drift.version(key, gone)) == ("2", "")
    assert woken == [key, key]


async def test_what_could_not_be_corrected_is_kept_for_the_next_time() -> None:
    woken: list[Key] = []
    drift = DriftWatch("alpha", Budget(1, 2))
    drift._wake = woken.append
    key = Key("flux-system", "apps")
    one, two = identity_of(config_map("one", 1)), identity_of(config_map("two", 1))
    drift.track(key, done(Action.CREATED, config_map("one", 1), config_map("two", 1)))
    drift._seen(one, config_map("one", 2, "kubectl-edit"))

    def fail() -> None:
        with drift.applying(key):
            drift._note(two, DELETED)
            raise TimeoutError

    with pytest.raises(TimeoutError):
        fail()
    assert woken == [key, key]
    with drift.applying(key) as notes:
        assert notes == {one: "kubectl-edit", two: DELETED}


async def test_what_the_engine_has_written_over_does_not_wake_again() -> None:
    woken: list[Key] = []
    drift = DriftWatch("alpha", Budget(1, 1))
    drift._wake = woken.append
    key = Key("flux-system", "apps")
    drift.track(key, done(Action.CREATED, config_map("a", 1)))
    with drift.applying(key):
        for version in (2, 3):
            # The last one is the engine's own, in which another manager still has some fields.
            drift._seen(identity_of(config_map("a", 1)), config_map("a", version, "kubectl-edit"))
        drift.track(key, done(Action.CONFIGURED, config_map("a", 3, "kubectl-edit")))
    assert woken == []


async def test_an_object_that_the_engine_makes_anew_is_no_drift() -> None:
    woken: list[Key] = []
    drift = DriftWatch("alpha", Budget(1, 1))
    drift._wake = woken.append
    key = Key("flux-system", "apps")

    def live(uid: str) -> dict[str, Any]:
        metadata = {"name": "a", "namespace": "default", "uid": uid, "resourceVersion": uid}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}

    identity = identity_of(live("1"))
    drift.track(key, ChangeSet([Change(identity, "v1", Action.CREATED, live("1"))]))
    drift._seen(identity, live("1"))
    with drift.applying(key):
        drift._note(identity, DELETED)
        drift.track(key, ChangeSet([Change(identity, "v1", Action.CREATED, live("2"))]))
    drift._seen(identity, live("2"))
    assert woken == []
    with drift.applying(key) as notes:
        assert notes == {}
        drift._note(identity, DELETED)
    assert woken == [key]


async def test_an_immutable_object_that_is_forced_is_applied_once(streams: World) -> None:
    world = streams
    await world.publish({"a.yaml": data("a", "one") + "immutable: true\n"})
    await world.kustomization("apps", force=True)
    async with world.running() as controller:
        await world.ready("apps")
        await watched(world)
        await world.ready("apps", await world.publish({"a.yaml": data("a", "two") + "immutable: true\n"}))

        async def quiet() -> bool:
            return not controller.queue.processing and len(controller.queue) == 0

        await eventually(quiet)
        assert await value(world) == "two"
        assert [item["totalReconciliations"] for item in (await world.status("apps"))["history"]] == [1, 1]
