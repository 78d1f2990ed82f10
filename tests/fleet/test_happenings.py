"""Events and logs: of the object and of what it owns, and of nothing else."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fluxtui.fleet.clusters import ClusterInfo, Mode, Phase
from fluxtui.fleet.fleet import Fleet
from fluxtui.fleet.happenings import Happening, happening
from fluxtui.fleet.logs import LogLine, about, follow_logs
from fluxtui.fleet.refs import Ref
from fluxtui.kube.client import Client
from fluxtui.kube.errors import Forbidden
from tests.engine.polling import eventually
from tests.fleet.conftest import Start
from tests.fleet.live import KS, applied, create, deployment, names, running
from tests.fleet.objects import flux, ready, ref


def event(kind: str, name: str, namespace: str, reason: str, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{name}.", "namespace": namespace},
        "involvedObject": {"kind": kind, "name": name, "namespace": namespace},
        "reason": reason,
        "type": "Normal",
        "firstTimestamp": "2026-11-21T05:00:00Z",
        "lastTimestamp": "2026-11-21T05:00:00Z",
        "count": 1,
        **more,
    }


@asynccontextmanager
async def following(fleet: Fleet, ref: Ref) -> AsyncIterator[list[tuple[Happening, ...]]]:
    shown: list[tuple[Happening, ...]] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(fleet.events(ref, shown.append))
        try:
            yield shown
        finally:
            task.cancel()


async def test_events_that_may_not_be_read_are_an_error(start: Start) -> None:
    cluster, client = await start("east")
    apps = await applied(client)
    cluster.deny("list", "events")
    async with running(client.context) as fleet:
        await eventually(lambda: names(fleet) == {"apps"})
        with pytest.raises(ExceptionGroup) as raised:
            async with asyncio.timeout(60):
                await fleet.events(apps, lambda found: None)
    assert raised.group_contains(Forbidden, match="events")


async def test_events_of_an_object_and_of_what_it_owns(start: Start) -> None:
    _, client = await start("east")
    apps = await applied(client)
    await create(client, event("Kustomization", "apps", "flux-system", "Applied", lastTimestamp="2026-11-21T06:00:00Z"))
    await create(client, event("Kustomization", "other", "flux-system", "NotOurs"))
    await create(client, event("Deployment", "api", "web", "Scaled", reportingComponent="deployment-controller"))
    await create(client, event("Pod", "api-6d9f7c-x2kqp", "web", "BackOff", type="Warning", count=6))
    await create(client, event("Pod", "apiary-1", "web", "NotOurs"))
    await create(client, event("ConfigMap", "unrelated", "web", "NotOurs"))
    async with running(client.context) as fleet:
        await eventually(lambda: names(fleet) == {"apps"})
        async with following(fleet, apps) as shown:

            def reasons() -> set[str]:
                return {found.reason for found in shown[-1]} if shown else set()

            def subjects() -> set[str]:
                return {found.name for found in shown[-1]}

            await eventually(lambda: {"Applied", "Scaled", "BackOff"} <= reasons() and "api-6d9f7c-x2kqp" in subjects())
            assert "NotOurs" not in reasons()
            assert shown[-1][-1].reason != ""
            # The pods that run in the sandbox may have events of their own.
            backoff = next(found for found in shown[-1] if found.name == "api-6d9f7c-x2kqp")
            assert (backoff.warning, backoff.count, backoff.kind) == (True, 6, "Pod")
            scaled = next(found for found in shown[-1] if found.reason == "Scaled")
            assert scaled.component == "deployment-controller"
            await create(client, event("Kustomization", "apps", "flux-system", "Later"))
            await eventually(lambda: "Later" in reasons())


@pytest.mark.parametrize(
    ("raw", "time", "count"),
    [
        ({"lastTimestamp": "2026-11-21T05:00:00Z", "count": 3}, 1795237200.0, 3),
        ({"eventTime": "2026-11-21T05:00:00.5Z", "series": {"count": 9}}, 1795237200.5, 9),
        (
            {"eventTime": "2026-11-21T05:00:00Z", "series": {"count": 9, "lastObservedTime": "2026-11-21T05:00:10Z"}},
            1795237210.0,
            9,
        ),
        ({"metadata": {"creationTimestamp": "2026-11-21T05:00:00Z"}}, 1795237200.0, 1),
        ({}, 0.0, 1),
    ],
)
def test_times_and_counts_of_events(raw: dict[str, Any], time: float, count: int) -> None:
    found = happening(raw)
    assert (found.time, found.count) == (time, count)


LINE = {
    "level": "info",
    "ts": "2026-11-21T05:15:08.140Z",
    "msg": "server-side apply completed",
    "controllerKind": "Kustomization",
    "name": "apps",
    "namespace": "flux-system",
}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "server-side apply completed"),
        (
            {"output": {"ConfigMap/a": "unchanged", "Service/b": "created"}},
            "server-side apply completed: Service/b created",
        ),
        ({"level": "error", "msg": "failed", "error": "no \x1b[31msuch file"}, "failed: no such file"),
        ({"name": "app"}, None),
        ({"namespace": "other"}, None),
        ({"controllerKind": "HelmRelease"}, None),
        ({"cluster": "west"}, None),
        ({"cluster": "east"}, "server-side apply completed"),
    ],
)
def test_which_lines_of_a_controller_are_about_an_object(change: dict[str, Any], text: str | None) -> None:
    line = json.dumps({**LINE, **change}).encode()
    found = about(line, ref("ks", "apps", "east"), "kustomize-controller", frozenset({"east"}))
    assert (found.text if found else None) == text


def test_what_is_no_json_is_about_nothing() -> None:
    assert about(b"apps: plain text", ref("ks", "apps"), "x") is None
    assert about(b'"apps"', ref("ks", "apps"), "x") is None


@asynccontextmanager
async def reading(client: Client, ref: Ref, info: ClusterInfo | None = None) -> AsyncIterator[list[LogLine]]:
    shown: list[LogLine] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow_logs(client, info, ref, shown.extend))
        try:
            yield shown
        finally:
            task.cancel()


async def controller_pod(client: Client, *lines: dict[str, Any]) -> None:
    """A pod of kustomize-controller whose log has these lines."""
    text = "\n".join(json.dumps(line) for line in lines)
    pod = deployment("kustomize-controller", namespace="flux-system", log=text)
    await create(client, pod)


async def test_the_controllers_lines_about_an_object(start: Start) -> None:
    _, client = await start("east")
    other = {**LINE, "name": "infra", "msg": "about infra, not about apps"}
    await controller_pod(client, other, LINE)
    async with reading(client, ref("ks", "apps", "east")) as shown:
        await eventually(lambda: any(line.text == "server-side apply completed" for line in shown))
        assert all("infra" not in line.text for line in shown)


async def test_the_engines_lines_come_from_its_file(start: Start, tmp_path: Path) -> None:
    _, client = await start("east")
    path = tmp_path / "engine.jsonl"
    path.write_text(json.dumps({**LINE, "cluster": "west"}) + "\n" + json.dumps({**LINE, "cluster": "east"}) + "\n")
    info = ClusterInfo(
        id="east", phase=Phase.LIVE, mode=Mode.EMBEDDED, log_file=str(path), log_host=socket.gethostname()
    )
    apps = ref("ks", "apps", "east")
    async with reading(client, apps, info) as shown:
        await eventually(lambda: len(shown) == 1)
        with path.open("a") as file:
            file.write(json.dumps({**LINE, "msg": "once more"}) + "\n")
        await eventually(lambda: [line.text for line in shown] == ["server-side apply completed", "once more"])
        path.replace(tmp_path / "engine.jsonl.1")
        path.write_text(json.dumps({**LINE, "msg": "in the new file"}) + "\n")
        await eventually(lambda: shown[-1].text == "in the new file")
    async with reading(client, apps, msgspec.structs.replace(info, log_host="elsewhere")) as shown:
        await eventually(lambda: shown and "runs on elsewhere" in shown[0].text)


async def test_the_logs_of_a_workload_are_its_pods_merged(start: Start) -> None:
    _, client = await start("east")
    await create(client, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    two = deployment("api", log="hello \x1b]0;evil\x07there")
    two["spec"]["replicas"] = 2
    await create(client, two)
    api = Ref("east", "apps", "Deployment", "web", "api")
    async with reading(client, api) as shown:
        await eventually(lambda: len({line.source for line in shown}) == 2)
    texts = {line.text for line in shown}
    assert any("hello there" in text for text in texts)
    assert all(line.time > 0 for line in shown)


async def test_a_workload_without_pods_says_so(start: Start) -> None:
    _, client = await start("east")
    await create(client, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    async with reading(client, Ref("east", "", "ConfigMap", "web", "x")) as shown:
        await eventually(lambda: [line.text for line in shown] == ["ConfigMap x has no pods"])
    async with reading(client, Ref("east", "apps", "Deployment", "web", "gone")) as shown:
        await eventually(lambda: shown and shown[0].level == "error")
    async with reading(client, ref("ks", "apps", "east")) as shown:
        await eventually(lambda: shown and shown[0].text == "no pod of kustomize-controller in flux-system")


async def test_following_needs_a_connection(start: Start) -> None:
    _, client = await start("east")
    await create(client, flux("ks", "apps", ready(), spec=KS))
    fleet = Fleet([client.context])
    with pytest.raises(Exception, match="east is not connected"):
        await fleet.logs(ref("ks", "apps", "east"), lambda lines: None)
