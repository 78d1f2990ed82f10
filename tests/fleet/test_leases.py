"""Who reconciles a cluster, as its Leases say."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fluxtui.fleet import lookout, probe
from fluxtui.fleet.clusters import Mode
from fluxtui.fleet.states import State
from fluxtui.kube.client import Client, PatchType
from tests.engine.polling import eventually
from tests.fleet.conftest import Start
from tests.fleet.live import KS, LEASES, create, running
from tests.fleet.objects import flux, ready, ref

pytestmark = pytest.mark.usefixtures("quick")


def lease(controller: str, holder: str, renewed: float, **annotations: str) -> dict[str, Any]:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(renewed))
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": f"{controller}-leader-election",
            "namespace": "flux-system",
            "annotations": annotations,
        },
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 600, "renewTime": moment},
    }


async def test_the_leases_say_who_reconciles(start: Start) -> None:
    _, client = await start("east")
    async with running(client.context) as fleet:

        def info() -> tuple[Mode, str, tuple[str, ...]]:
            found = fleet.mirror.clusters["east"]
            return found.mode, found.holder, found.stale_controllers

        def state() -> State | None:
            row = fleet.mirror.rows.get(ref("ks", "apps", "east"))
            return row.state if row else None

        await eventually(lambda: info()[0] is Mode.NONE)
        await create(client, lease("source-controller", "source-controller-6d9f_1", time.time()))
        await create(client, lease("some-operator", "somebody", time.time()))
        await eventually(lambda: info() == (Mode.DELEGATED, "source-controller-6d9f_1", ()))
        await create(client, lease("kustomize-controller", "kustomize-controller_2", time.time() - 3600))
        await create(client, flux("ks", "apps", ready(), spec=KS))
        await eventually(lambda: info()[2] == ("kustomize-controller",))
        await eventually(lambda: state() is State.OVERDUE)
        for name in ("source-controller", "kustomize-controller"):
            spec = lease(name, "fluxtui_host_1", time.time(), **{"engine.fluxtui.dev/log-file": "/tmp/x"})
            patch = {"spec": spec["spec"], "metadata": {"annotations": spec["metadata"]["annotations"]}}
            await client.patch(LEASES, spec["metadata"]["name"], "flux-system", patch, type=PatchType.MERGE)
        await eventually(lambda: info() == (Mode.EMBEDDED, "fluxtui_host_1", ()))
        assert fleet.mirror.clusters["east"].log_file == "/tmp/x"
        await eventually(lambda: state() is State.READY)


async def test_who_begins_to_reconcile_is_seen_with_the_first_change(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "LEASES_EVERY", 3600.0)
    monkeypatch.setattr(lookout, "LEASES_STIRRED", 0.1)
    _, client = await start("east")
    async with running(client.context) as fleet:
        await eventually(lambda: fleet.mirror.clusters["east"].mode is Mode.NONE)
        await create(client, lease("kustomize-controller", "fluxtui_host_1", time.time()))
        await create(client, flux("ks", "apps", ready(), spec=KS))
        await eventually(lambda: fleet.mirror.clusters["east"].mode is Mode.EMBEDDED)


async def test_who_begins_to_reconcile_while_a_look_is_under_way_is_seen_with_the_next(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "LEASES_EVERY", 3600.0)
    monkeypatch.setattr(lookout, "LEASES_STIRRED", 0.1)
    _, client = await start("east")
    flux_version = probe.flux_version

    async def meanwhile(asked: Client) -> str:
        """The versions are asked for after the Leases."""
        await create(client, lease("kustomize-controller", "fluxtui_host_1", time.time()))
        await create(client, flux("ks", "apps", ready(), spec=KS))
        await eventually(lambda: ref("ks", "apps", "east") in fleet.mirror.rows)
        return await flux_version(asked)

    monkeypatch.setattr(probe, "flux_version", meanwhile)
    async with running(client.context) as fleet:
        await eventually(lambda: fleet.mirror.clusters["east"].mode is Mode.EMBEDDED)


async def test_a_lease_that_is_not_renewed_is_looked_at_sooner(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "LEASES_EVERY", 3600.0)
    monkeypatch.setattr(lookout, "LEASES_DOUBTED", 0.1)
    _, client = await start("east")
    made = await create(client, lease("kustomize-controller", "kustomize-controller_2", time.time() - 3600))
    async with running(client.context) as fleet:
        await eventually(lambda: fleet.mirror.clusters["east"].stale_controllers == ("kustomize-controller",))
        spec = lease("kustomize-controller", "kustomize-controller_2", time.time())["spec"]
        await client.patch(LEASES, made["metadata"]["name"], "flux-system", {"spec": spec}, type=PatchType.MERGE)
        await eventually(lambda: not fleet.mirror.clusters["east"].stale_controllers)
