"""`spec.kubeConfig`: applying to another cluster."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from fluxtui.engine.controllers.kustomize.drift import Budget
from fluxtui.engine.controllers.kustomize.drifts import Drifts, Remote
from fluxtui.engine.runtime.objects import Key
from fluxtui.kube.changes import Action, Change, ChangeSet
from fluxtui.kube.client import Client
from fluxtui.kube.errors import ConfigError
from fluxtui.kube.identity import identity_of
from fluxtui.kube.kubeconfig import load
from fluxtui.kube.remote import context_of
from fluxtui.sandbox.cluster import SandboxCluster
from tests.engine.kustomize.test_drift import data, edit, value
from tests.engine.kustomize.world import World, config_map
from tests.engine.polling import eventually


def kubeconfig(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> bytes:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "remote",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", **(cluster or {})}}],
        "users": [{"name": "u", "user": {"token": "t", **(user or {})}}],
        "contexts": [{"name": "remote", "context": {"cluster": "c", "user": "u"}}],
    }
    return yaml.safe_dump(document).encode()


def test_a_kubeconfig_of_itself() -> None:
    context = context_of(kubeconfig(), "Secret a/b")
    assert (context.server, context.user["token"], context.id) == ("https://127.0.0.1:1", "t", "Secret a/b")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (kubeconfig(user={"token": "", "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "rm",
                                   "interactiveMode": "Never"}}), "a program"),
        (kubeconfig(user={"token": "", "tokenFile": "/etc/passwd"}), "names a file in tokenFile"),
        (kubeconfig(user={"client-certificate": "/a", "client-key": "/b"}), "names a file in client-certificate"),
        (kubeconfig(cluster={"certificate-authority": "/etc/ssl"}), "names a file in certificate-authority"),
        (b"kind: Config\n", "has no current-context"),
        (b"current-context: x\n", "there is no context named 'x'"),
        (b"{", "not valid YAML"),
    ],
)  # fmt: skip
def test_what_a_kubeconfig_may_not_do(text: bytes, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        context_of(text, "Secret a/b")
    assert reason in str(caught.value)
    assert "Secret a/b" in str(caught.value)


async def secret(world: World, name: str, **data: bytes) -> None:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    metadata = {"name": name, "namespace": "flux-system"}
    obj = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}
    await world.client.create(await world.resource("Secret"), obj)


async def test_objects_go_to_the_cluster_of_the_secret(world: World, tmp_path: Any) -> None:
    async with SandboxCluster("remote", speed=20) as remote:
        text = yaml.safe_dump(remote.kubeconfig()).encode()
        file = tmp_path / "remote.kubeconfig"
        file.write_bytes(text)
        await secret(world, "remote", value=text)
        await world.publish({"a.yaml": config_map("a")})
        await world.kustomization("apps", wait=True, kubeConfig={"secretRef": {"name": "remote"}})
        async with world.running(), Client(load([str(file)]).contexts[0]) as client:
            there = World(client, world.store, world.scratch)
            await world.ready("apps")
            assert await there.get("ConfigMap", "a") is not None
            await world.ready("apps", await world.publish({"b.yaml": config_map("b")}))
            assert await there.get("ConfigMap", "a") is None
            await world.delete("Kustomization", "apps")
            await world.gone("Kustomization", "apps", "flux-system")
            assert await there.get("ConfigMap", "b") is None
    assert await world.get("ConfigMap", "a") is None


async def test_drift_in_another_cluster_is_corrected_at_once(world: World, tmp_path: Path) -> None:
    async with SandboxCluster("remote", speed=20) as remote:
        text = yaml.safe_dump(remote.kubeconfig()).encode()
        file = tmp_path / "remote.kubeconfig"
        await asyncio.to_thread(file.write_bytes, text)
        await secret(world, "remote", value=text)
        await world.publish({"a.yaml": data("a", "ours")})
        await world.kustomization("apps", kubeConfig={"secretRef": {"name": "remote"}})
        async with world.running(drift_kinds=1), Client(load([str(file)]).contexts[0]) as client:
            there = World(client, world.store, world.scratch)

            async def corrected() -> bool:
                return await value(there) == "ours"

            await world.ready("apps")
            await edit(there, "a", "theirs")
            await eventually(corrected)
            await there.delete("ConfigMap", "a", "default")
            await eventually(corrected)
            # What was watched there no longer counts when it is applied here, and the budget is free again.
            await world.change("apps", {"spec": {"kubeConfig": None}})

            async def here() -> bool:
                return await value(world) == "ours"

            await eventually(here)
            await edit(world, "a", "theirs")
            await eventually(here)
    messages = [message for _, reason, message in await world.events("apps") if reason == "DriftCorrected"]
    assert "ConfigMap/default/a configured: it had been changed by kubectl-edit" in messages
    assert "ConfigMap/default/a created: it had been deleted" in messages


async def test_credentials_that_a_cluster_no_longer_takes_are_replaced_by_those_of_the_next_run(client: Client) -> None:
    old, new = (context_of(kubeconfig(user={"token": token}), "Secret a/b") for token in ("old", "new"))
    drifts = Drifts(client, Budget(1, 1))
    watch = drifts.of(Remote("there", old))
    woken: list[Key] = []

    async def given_up() -> bool:
        return watch.faulty

    live = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default", "uid": "1"}}
    key = Key("flux-system", "apps")
    watch.track(key, ChangeSet([Change(identity_of(live), "v1", Action.CREATED, live)]))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(drifts.run(woken.append))
        # Nobody listens there.
        await eventually(given_up)
        assert drifts.of(Remote("there", new)) is watch
        assert [other.context for other in drifts._others.values()] == [new]
        drifts.forget(key)
        assert not drifts._others
        task.cancel()


async def test_what_is_wrong_with_a_kubeconfig_is_said(world: World) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await secret(world, "broken", value=b"current-context: x\n")
    await secret(world, "empty", other=b"")
    config = {"provider": "aws", "cluster": "arn:aws:eks:eu-central-1:1:cluster/x"}
    metadata = {"name": "cloud", "namespace": "flux-system"}
    cloud = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": config}
    await world.client.create(await world.resource("ConfigMap"), cloud)
    for name, reference in (
        ("absent", {"secretRef": {"name": "absent"}}),
        ("broken", {"secretRef": {"name": "broken"}}),
        ("empty", {"secretRef": {"name": "empty"}}),
        ("key", {"secretRef": {"name": "broken", "key": "k"}}),
        ("cloud", {"configMapRef": {"name": "cloud"}}),
    ):
        await world.kustomization(name, kubeConfig=reference)
    async with world.running():
        for name, reason in (
            ("absent", "unable to read KubeConfig secret 'flux-system/absent' error"),
            ("broken", "there is no context named 'x'"),
            ("empty", "does not contain a 'value' key with a kubeconfig"),
            ("key", "does not contain a 'k' key with a kubeconfig"),
            ("cloud", "the engine has no identity in AWS"),
        ):
            await world.settled(name, "ReconciliationFailed", reason)
    assert await world.get("ConfigMap", "a") is None
