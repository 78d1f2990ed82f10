"""Watches through every fault that a sandbox cluster can have."""

from __future__ import annotations

import pytest

from fluxtui.kube.client import Client
from fluxtui.kube.errors import ServerError, TooManyRequests, Unauthorized, Unreachable
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.liveness import Liveness
from fluxtui.kube.resources import Resource
from fluxtui.kube.watch import Phase, Timing
from fluxtui.sandbox.cluster import SandboxCluster
from tests.kube.following import follow
from tests.kube.support import CONFIG_MAPS, config_map, until

pytest_plugins = ("tests.fixtures_sandbox",)

FAST = Timing(recheck=0.2, max_pause=0.3)


def context_of(cluster: SandboxCluster) -> Context:
    """The context of a sandbox's kubeconfig."""
    config = cluster.kubeconfig()
    fields = config["clusters"][0]["cluster"]
    return Context(
        cluster.name, cluster.name, "/sandbox", fields["server"], cluster=fields, user=config["users"][0]["user"]
    )


def named(name: str, **data: str) -> dict[str, object]:
    """A ConfigMap to create."""
    return {**config_map(name, 0, **data), "metadata": {"name": name, "namespace": "default"}}


@pytest.mark.parametrize(
    ("fault", "error", "lists"),
    [
        ("refuse", Unreachable, 1),
        ("freeze", Unreachable, 1),
        ("too-many", TooManyRequests, 1),
        ("error", ServerError, 1),
        ("unauthorized", Unauthorized, 1),
        ("gone", None, 2),
        ("garbage", Unreachable, 2),
        ("cut", Unreachable, 1),
        ("slow", None, 1),
    ],
)
async def test_after_every_fault_the_picture_is_right(
    sandbox: SandboxCluster, fault: str, error: type[Exception] | None, lists: int
) -> None:
    liveness = Liveness(quiet=0.3, patience=0.3 if fault != "slow" else 5, max_pause=0.2)
    async with (
        Client(context_of(sandbox), liveness=liveness) as client,
        Client(context_of(sandbox)) as other,
        follow(client, CONFIG_MAPS, namespace="default", timing=FAST) as mirror,
    ):
        await other.create(CONFIG_MAPS, named("kept"))
        await other.create(CONFIG_MAPS, named("ghost"))
        await until(lambda: set(mirror.objects) >= {"kept", "ghost"})
        told = len(mirror.states)
        await sandbox.faults.set(fault)
        if fault in ("too-many", "error", "unauthorized"):
            # These refuse requests and leave streams alone: end the stream to make the watch ask.
            sandbox._cut()
        if fault == "garbage":
            await other.create(CONFIG_MAPS, named("spoiled"))
        if error is not None and fault != "cut":
            broken = (Phase.BROKEN, error)
            # A list may heal it soon.
            await until(lambda: any((state.phase, type(state.error)) == broken for state in mirror.states[told:]))
            assert {"kept", "ghost"} <= set(mirror.objects)
        if fault == "gone":
            await until(lambda: mirror.lists >= lists)
        await sandbox.faults.clear()
        await other.delete(CONFIG_MAPS, "ghost", "default")
        await other.create(CONFIG_MAPS, named("late"))
        await until(lambda: "late" in mirror.objects and "ghost" not in mirror.objects)
        await until(lambda: mirror.phase is Phase.LIVE)
        assert "kept" in mirror.objects
        # A stream that only broke is taken up without a list.
        assert mirror.lists == 1 if lists == 1 else mirror.lists >= 2


async def test_one_kind_that_is_served_again_brings_the_others_back(
    sandbox: SandboxCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pauses have grown long after a longer outage: not every kind waits for the end of its own."""
    monkeypatch.setattr("fluxtui.kube.watch.full_jitter", lambda attempt, cap: cap)
    secrets = Resource("", "v1", "Secret", "secrets")
    await sandbox.faults.set("error")
    async with (
        Client(context_of(sandbox)) as client,
        follow(client, CONFIG_MAPS, timing=FAST) as soon,
        follow(client, secrets, timing=Timing(max_pause=1000)) as late,
    ):
        await until(lambda: soon.phase is Phase.BROKEN and late.phase is Phase.BROKEN)
        await sandbox.faults.clear()
        await until(lambda: soon.phase is Phase.LIVE)
        await until(lambda: late.phase is Phase.LIVE)


async def test_a_denied_kind_is_forbidden_and_comes_back_when_allowed(sandbox: SandboxCluster) -> None:
    denial = sandbox.deny("list", "configmaps")
    async with (
        Client(context_of(sandbox)) as client,
        follow(client, CONFIG_MAPS, namespace="default", timing=FAST) as mirror,
    ):
        await until(lambda: mirror.phase is Phase.FORBIDDEN)
        sandbox.access.allow(denial)
        await until(lambda: mirror.phase is Phase.LIVE)


async def test_a_kind_comes_with_its_crd_and_goes_with_it(sandbox: SandboxCluster) -> None:
    async with Client(context_of(sandbox)) as client:
        crds = await client.resource_for(("apiextensions.k8s.io", "v1", "CustomResourceDefinition"))
        await client.resources()
        toys = Resource("toys.test", "v1", "Toy", "toys")
        async with follow(client, toys, timing=Timing(recheck=1000)) as mirror:
            await until(lambda: mirror.phase is Phase.ABSENT)
            await client.create(crds, _crd())
            await client.resources(refresh=True)
            await until(lambda: mirror.phase is Phase.LIVE)
            toy = {"apiVersion": "toys.test/v1", "kind": "Toy", "metadata": {"name": "bear", "namespace": "default"}}
            await client.create(await client.resource_for(toy), toy)
            await until(lambda: list(mirror.objects) == ["bear"])
            await client.delete(crds, "toys.toys.test")
            await until(lambda: not mirror.objects)


def _crd() -> dict[str, object]:
    names = {"plural": "toys", "singular": "toy", "kind": "Toy", "listKind": "ToyList"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "toys.toys.test"},
        "spec": {"group": "toys.test", "scope": "Namespaced", "names": names, "versions": [version]},
    }
