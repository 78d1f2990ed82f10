"""Actions: what is refused and why, what is written, and how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fluxtui.api.kinds import GIT_REPOSITORY, HELM_RELEASE, KUSTOMIZATION, Kind
from fluxtui.api.meta import REQUESTED_AT
from fluxtui.config import ActionSettings, ClusterSettings, ConsoleSettings, Settings
from fluxtui.fleet.actions import Action, Ending, Outcome, Step, refusal
from fluxtui.fleet.audit import AuditLog
from fluxtui.fleet.clusters import ClusterInfo, Phase
from fluxtui.fleet.commands import Commands
from fluxtui.fleet.facts import SUSPEND_REASON, SUSPENDED_AT, SUSPENDED_BY
from fluxtui.fleet.fleet import Fleet
from fluxtui.fleet.rows import row_of
from fluxtui.kube.client import Client
from fluxtui.kube.errors import Unreachable
from tests.engine.polling import eventually
from tests.fleet.conftest import Start
from tests.fleet.live import controlled, create, running
from tests.fleet.objects import SECONDS, ago, failed, flux, ready, ref

GIT = {"url": "https://example.com/fleet"}
KS = {"path": "./", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}}


@asynccontextmanager
async def acting(*clients: Client, **options: Any) -> AsyncIterator[Commands]:
    """Commands over these clients, whose audit log stands in a file of the test's HOME."""
    known = {client.id: client for client in clients}

    def client(cluster: str) -> Client:
        if cluster not in known:
            raise Unreachable(f"{cluster} is not connected")
        return known[cluster]

    yield Commands(client, **options)


async def get(client: Client, kind: Kind, name: str) -> dict[str, Any]:
    resource = await client.resource_for((kind.group, "", kind.kind))
    return await client.get(resource, name, "flux-system")


async def scene(client: Client) -> None:
    await create(client, flux("git", "fleet", spec=GIT))
    await create(client, flux("ks", "apps", spec=KS))


async def settled(client: Client) -> None:
    async def ready_now() -> bool:
        objects = [await get(client, kind, name) for kind, name in ((GIT_REPOSITORY, "fleet"), (KUSTOMIZATION, "apps"))]
        return all((obj.get("status") or {}).get("observedGeneration") == 1 for obj in objects)

    await eventually(ready_now)


def endings(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(outcome.ending.value, outcome.message) for outcome in outcomes]


async def test_reconcile_is_followed_to_its_outcome(start: Start) -> None:
    _, client = await start("east")
    await scene(client)
    apps = ref("ks", "apps", "east")
    async with controlled(client, GIT_REPOSITORY, KUSTOMIZATION) as controllers, acting(client) as commands:
        await settled(client)
        steps: list[Step] = []
        [outcome] = await commands.run(Action.RECONCILE, [apps], on_step=steps.append)
        assert (outcome.ending, outcome.message) == (Ending.DONE, "applied main@7148a354")
        assert outcome.good
        assert [step.text for step in steps] == ["requested, waiting for the controller"]
        obj = await get(client, KUSTOMIZATION, "apps")
        assert obj["metadata"]["annotations"][REQUESTED_AT] == obj["status"]["lastHandledReconcileAt"]
        managers = {entry["manager"] for entry in obj["metadata"]["managedFields"]}
        assert "fluxtui" in managers

        controllers["Kustomization"].verdicts["apps"] = ("False", "kustomize build failed: no such file")
        [outcome] = await commands.run(Action.RECONCILE, [apps])
        assert (outcome.ending, outcome.message) == (Ending.FAILED, "no such file")


async def test_reconcile_with_source_fetches_the_source_first_and_once(start: Start) -> None:
    _, client = await start("east")
    await scene(client)
    await create(client, flux("ks", "more", spec=KS))
    both = [ref("ks", "apps", "east"), ref("ks", "more", "east")]
    async with controlled(client, GIT_REPOSITORY, KUSTOMIZATION) as controllers, acting(client) as commands:
        await settled(client)
        git, ks = controllers["GitRepository"], controllers["Kustomization"]
        git.handled.clear()
        ks.handled.clear()
        outcomes = await commands.run(Action.RECONCILE_WITH_SOURCE, both)
        assert [outcome.ending for outcome in outcomes] == [Ending.DONE, Ending.DONE]
        assert len([name for name, request in git.handled if request]) == 1
        assert {name for name, request in ks.handled if request} == {"apps", "more"}

        git.verdicts["fleet"] = ("False", "authentication required")
        ks.handled.clear()
        outcomes = await commands.run(Action.RECONCILE_WITH_SOURCE, both[:1])
        assert endings(outcomes) == [("failed", "source git fleet: authentication required")]
        assert ks.handled == []


async def test_a_release_takes_its_repository_from_its_chart(start: Start) -> None:
    _, client = await start("east")
    await create(client, flux("git", "fleet", spec=GIT))
    chart = {"spec": {"chart": "./charts/web", "sourceRef": {"kind": "GitRepository", "name": "fleet"}}}
    await create(client, flux("hr", "web", spec={"chart": chart}))
    async with controlled(client, GIT_REPOSITORY, HELM_RELEASE) as controllers, acting(client) as commands:
        [outcome] = await commands.run(Action.RECONCILE_WITH_SOURCE, [ref("hr", "web", "east")])
        assert outcome.ending is Ending.DONE
        assert [name for name, request in controllers["GitRepository"].handled if request] == ["fleet"]


async def test_suspend_keeps_why_and_by_whom_and_resume_takes_it_back(start: Start) -> None:
    _, client = await start("east")
    await scene(client)
    apps = ref("ks", "apps", "east")
    async with controlled(client, KUSTOMIZATION) as controllers, acting(client) as commands:
        [outcome] = await commands.run(Action.SUSPEND, [apps], reason="migration\x1b[31m", until="2026-11-22T00:00:00Z")
        assert outcome.good
        obj = await get(client, KUSTOMIZATION, "apps")
        notes = obj["metadata"]["annotations"]
        assert obj["spec"]["suspend"] is True
        assert notes[SUSPEND_REASON] == "migration"
        assert notes[SUSPENDED_BY]
        assert notes[SUSPENDED_AT]

        [outcome] = await commands.run(Action.RECONCILE, [apps])
        assert outcome.ending is Ending.REFUSED
        assert outcome.message.startswith("it is suspended (migration, by ")
        [outcome] = await commands.run(Action.SUSPEND, [apps])
        assert (outcome.ending, outcome.message) == (Ending.DONE, "it is suspended already")
        assert (await get(client, KUSTOMIZATION, "apps"))["metadata"]["annotations"] == notes
        [outcome] = await commands.run(Action.SUSPEND, [apps], reason="it takes longer")
        assert (outcome.ending, outcome.message) == (Ending.DONE, "suspended")
        obj = await get(client, KUSTOMIZATION, "apps")
        assert obj["metadata"]["annotations"][SUSPEND_REASON] == "it takes longer"

        controllers["Kustomization"].verdicts["apps"] = ("False", "still broken")
        [outcome] = await commands.run(Action.RESUME, [apps])
        assert (outcome.ending, outcome.message) == (Ending.FAILED, "still broken")
        obj = await get(client, KUSTOMIZATION, "apps")
        assert obj["spec"]["suspend"] is False
        assert not {key for key in obj["metadata"].get("annotations") or {} if key.startswith("fluxtui.dev/")}
        [outcome] = await commands.run(Action.RESUME, [apps])
        assert (outcome.ending, outcome.message) == (Ending.DONE, "it is not suspended")


async def test_many_objects_in_many_clusters_each_have_their_own_outcome(start: Start) -> None:
    _, east = await start("east")
    cluster, west = await start("west")
    for client in (east, west):
        await scene(client)
    await create(east, flux("ks", "stuck", spec=KS))
    cluster.deny("patch", "kustomizations")
    refs = [
        ref("ks", "apps", "east"),
        ref("ks", "stuck", "east"),
        ref("ks", "apps", "west"),
        ref("ks", "nothing", "east"),
        ref("ks", "apps", "north"),
    ]
    async with controlled(east, KUSTOMIZATION) as controllers, acting(east, west, timeout=10) as commands:
        controllers["Kustomization"].idle.add("stuck")
        plan = await commands.plan(Action.RECONCILE, refs)
        assert [ref.path for ref in plan.targets] == ["flux-system/apps", "flux-system/stuck"]
        assert plan.clusters == ("east",)
        outcomes = await commands.execute(plan)
        assert endings(outcomes) == [
            ("done", "applied main@7148a354"),
            (
                "timed out",
                "no result after 10s: kustomize-controller has not handled the request: nobody holds its lease",
            ),
            ("refused", "you may not patch kustomizations.kustomize.toolkit.fluxcd.io in flux-system"),
            ("refused", "it does not exist"),
            ("refused", "north is not connected"),
        ]


@pytest.mark.parametrize(
    ("renewed", "why"),
    [
        ("2001-01-01T00:00:00.000000Z", "it does not renew its lease"),
        ("2126-01-01T00:00:00.000000Z", "kustomize-controller-0 holds its lease"),
    ],
)
async def test_a_timeout_says_who_should_have_answered(start: Start, renewed: str, why: str) -> None:
    _, client = await start("east")
    await scene(client)
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "kustomize-controller-leader-election", "namespace": "flux-system"},
        "spec": {"holderIdentity": "kustomize-controller-0", "leaseDurationSeconds": 15, "renewTime": renewed},
    }
    await create(client, lease)
    async with acting(client, timeout=3) as commands:
        [outcome] = await commands.run(Action.RECONCILE, [ref("ks", "apps", "east")])
    assert outcome.ending is Ending.TIMEOUT
    assert outcome.message == f"no result after 3s: kustomize-controller has not handled the request: {why}"


async def test_a_timeout_says_that_the_cluster_went_away(start: Start) -> None:
    cluster, client = await start("east")
    await scene(client)
    steps: list[str] = []
    async with acting(client, timeout=3) as commands, asyncio.TaskGroup() as group:
        asked = group.create_task(
            commands.run(Action.RECONCILE, [ref("ks", "apps", "east")], on_step=lambda step: steps.append(step.text))
        )
        await eventually(lambda: bool(steps))
        await cluster.faults.set("refuse")
        [outcome] = await asked
    assert outcome.ending is Ending.TIMEOUT
    assert outcome.message.startswith("no result after 3s: ")
    assert "lease" not in outcome.message


async def test_what_others_depend_on_is_reconciled_first(start: Start) -> None:
    _, client = await start("east")
    await create(client, flux("git", "fleet", spec=GIT))
    for name, needs in (("apps", "infra"), ("infra", "crds"), ("crds", "elsewhere"), ("one", "two"), ("two", "one")):
        await create(client, flux("ks", name, spec={**KS, "dependsOn": [{"name": needs}]}))
    refs = [ref("ks", name, "east") for name in ("apps", "infra", "crds", "one", "two")] + [ref("git", "fleet", "east")]
    events: list[str] = []
    async with acting(client) as commands, controlled(client, KUSTOMIZATION, GIT_REPOSITORY) as controllers:
        controllers["Kustomization"].verdicts["infra"] = ("False", "no such file")
        plan = await commands.plan(Action.RECONCILE, refs)
        outcomes = await commands.execute(
            plan,
            lambda step: events.append(f"> {step.ref.name}"),
            lambda outcome: events.append(f"< {outcome.ref.name}"),
        )
    assert {outcome.ref.name: outcome.good for outcome in outcomes} == {
        **dict.fromkeys(("apps", "crds", "one", "two", "fleet"), True),
        "infra": False,
    }
    chain = [event for event in events if event[2:] in ("fleet", "crds", "infra", "apps")]
    assert chain == [f"{sign} {name}" for name in ("fleet", "crds", "infra", "apps") for sign in "><"]
    assert {item.ref.name: [each.name for each in item.after] for item in plan.items} == {
        "apps": ["infra", "fleet"],
        "infra": ["crds", "fleet"],
        "crds": ["fleet"],
        "one": ["fleet"],
        "two": ["fleet"],
        "fleet": [],
    }
    assert all(not item.after for item in (await commands.plan(Action.SUSPEND, refs)).items)


async def test_what_is_deleted_meanwhile_has_failed(start: Start) -> None:
    _, client = await start("east")
    await scene(client)
    apps = ref("ks", "apps", "east")
    async with acting(client) as commands, asyncio.TaskGroup() as group:
        asked = group.create_task(commands.run(Action.RECONCILE, [apps]))

        async def requested() -> bool:
            return REQUESTED_AT in ((await get(client, KUSTOMIZATION, "apps"))["metadata"].get("annotations") or {})

        await eventually(requested)
        resource = await client.resource_for((KUSTOMIZATION.group, "", KUSTOMIZATION.kind))
        await client.delete(resource, "apps", "flux-system")
        assert endings(await asked) == [("failed", "it was deleted")]


async def test_an_object_suspended_meanwhile_has_failed(start: Start) -> None:
    _, client = await start("east")
    await scene(client)
    apps = ref("ks", "apps", "east")
    async with acting(client) as commands, asyncio.TaskGroup() as group:
        asked = group.create_task(commands.run(Action.RECONCILE, [apps]))

        async def requested() -> bool:
            return REQUESTED_AT in ((await get(client, KUSTOMIZATION, "apps"))["metadata"].get("annotations") or {})

        await eventually(requested)
        await commands.run(Action.SUSPEND, [apps])
        assert endings(await asked) == [("failed", "it was suspended meanwhile")]


async def test_every_write_is_in_the_audit_log_and_nothing_else(start: Start, tmp_path: Path) -> None:
    _, client = await start("east")
    await scene(client)
    log = AuditLog(tmp_path / "state" / "audit.jsonl")
    apps = ref("ks", "apps", "east")
    async with acting(client, audit=log, timeout=0.2) as commands:
        await commands.run(Action.SUSPEND, [apps], reason="why")
        await commands.run(Action.RECONCILE, [apps])
        await commands.run(Action.RESUME, [apps])
    entries = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [(entry["action"], entry["name"], entry["result"]) for entry in entries] == [
        ("suspend", "apps", "written"),
        ("resume", "apps", "written"),
    ]
    assert entries[0]["cluster"] == "east"
    assert entries[0]["reason"] == "why"
    assert entries[0]["server"] == client.context.host
    assert log.path.stat().st_mode & 0o777 == 0o600


async def test_a_full_disk_keeps_nobody_from_acting(start: Start, tmp_path: Path) -> None:
    _, client = await start("east")
    await scene(client)
    (tmp_path / "state").write_text("a file where a directory should be")
    log = AuditLog(tmp_path / "state" / "audit.jsonl")
    async with acting(client, audit=log) as commands:
        [outcome] = await commands.run(Action.SUSPEND, [ref("ks", "apps", "east")])
    assert outcome.good
    assert "audit.jsonl" in log.problem


LIVE = ClusterInfo(id="c", phase=Phase.LIVE)
LOST = ClusterInfo(id="c", phase=Phase.UNREACHABLE, lost_since=SECONDS - 400)
DENIED = ClusterInfo(id="c", phase=Phase.DENIED, error="the token expired")


@pytest.mark.parametrize(
    ("action", "obj", "info", "read_only", "reason"),
    [
        (Action.RECONCILE, flux("ks", "a", ready()), LIVE, False, ""),
        (Action.RECONCILE, flux("ks", "a", ready()), LIVE, True, "read-only: the settings forbid every write"),
        (Action.RECONCILE, flux("ks", "a", ready()), LOST, False, "c does not answer for 6m"),
        (Action.RESUME, flux("ks", "a", ready()), DENIED, False, "c refuses us: the token expired"),
        (Action.RECONCILE, flux("alert"), LIVE, False, "no controller handles a requested reconcile of an Alert"),
        (Action.RECONCILE, flux("ks", spec={"suspend": True}), LIVE, False, "it is suspended: resume it first"),
        (Action.RECONCILE, flux("ks", deletionTimestamp=ago()), LIVE, False, "it is being deleted"),
        (Action.RECONCILE_WITH_SOURCE, flux("git", "a", ready()), LIVE, False, "it has no source"),
        (
            Action.RECONCILE,
            flux("helm", spec={"type": "oci", "url": "oci://example.com/charts"}),
            LIVE,
            False,
            "a HelmRepository of type oci is never reconciled: nothing is stored for it",
        ),
        (Action.SUSPEND, flux("ext"), LIVE, False, "an ExternalArtifact can't be suspended"),
        (Action.SUSPEND, flux("alert"), LIVE, False, ""),
        (Action.SUSPEND, flux("ks", "a", failed()), None, False, ""),
    ],
)
def test_refusals(action: Action, obj: dict[str, Any], info: ClusterInfo | None, read_only: bool, reason: str) -> None:
    assert refusal(action, row_of("c", obj, SECONDS), info, SECONDS, read_only=read_only) == reason


async def test_settings_decide_what_is_protected_and_read_only(start: Start) -> None:
    _, client = await start("prod-east")
    await scene(client)
    protect = Settings(clusters=ClusterSettings(protected=("prod-*",)), actions=ActionSettings(timeout="1s"))
    async with running(client.context, settings=protect) as fleet:
        apps = ref("ks", "apps", "prod-east")
        await eventually(lambda: apps in fleet.mirror.rows)
        assert fleet.plan(Action.SUSPEND, [apps]).protected == ("prod-east",)
        assert (await fleet.commands.plan(Action.SUSPEND, [apps])).protected == ("prod-east",)
    still = Fleet([client.context], Settings(console=ConsoleSettings(read_only=True)))
    still.mirror.upsert("prod-east", [flux("ks", "apps", ready(), spec=KS)])
    plan = still.plan(Action.SUSPEND, [apps])
    assert (plan.targets, plan.refused[0].refusal) == ((), "read-only: the settings forbid every write")
