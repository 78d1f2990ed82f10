"""What only a real kube-apiserver proves: who owns fields, what RBAC forbids, tokens that another cluster accepts."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fluxtui.engine.installation import install
from fluxtui.engine.runtime import service_accounts
from fluxtui.engine.runtime.artifacts import ArtifactStore
from fluxtui.engine.runtime.objects import Key
from fluxtui.kube.client import Client
from fluxtui.kube.errors import KubeError, NotFound
from fluxtui.kube.kubeconfig import Context
from tests import apiserver
from tests.engine.clouds.provider import AZURE, clouds
from tests.engine.kustomize.test_cel import WIDGETS, checks, widget
from tests.engine.kustomize.test_configs import follows_labelled
from tests.engine.kustomize.test_drift import data, edit, value, watched
from tests.engine.kustomize.test_target import kubeconfig
from tests.engine.kustomize.world import World, condition_of, config_map
from tests.engine.polling import eventually

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Context, Path]]:
    """A real API server and the directory of its state."""
    binaries = apiserver.assets()
    if binaries is None:
        pytest.skip(apiserver.MISSING)
    state = tmp_path_factory.mktemp("apiserver")
    with apiserver.running(binaries, state) as context:
        yield context, state


@pytest.fixture
async def world(server: tuple[Context, Path], tmp_path: Path) -> AsyncIterator[World]:
    """The server with the Flux CRDs, left without Kustomizations."""
    store = ArtifactStore(tmp_path / "storage")
    store.base_url = "http://127.0.0.1:1"
    store.prepare()
    async with Client(server[0]) as client:
        await install(client)

        async def served() -> bool:
            found = await client.resources(refresh=True)
            return all(found.by_plural(plural) for plural in ("kustomizations", "gitrepositories"))

        await eventually(served)
        world = World(client, store, tmp_path)
        yield world
        resource = await world.resource("Kustomization")
        for obj in (await client.list(resource)).items:
            patch: dict[str, Any] = {"metadata": {"finalizers": None}}
            await world.change(obj["metadata"]["name"], patch)
            await world.delete("Kustomization", obj["metadata"]["name"])


async def test_drift_by_the_same_manager_again_and_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    send = world.client.stream

    def stream(path: str, **options: Any) -> Any:
        world.streams.add(path.rpartition("/")[2])
        return send(path, **options)

    monkeypatch.setattr(world.client, "stream", stream)
    await world.publish({"a.yaml": data("a", "ours")})
    await world.kustomization("drift")
    async with world.running():
        await world.ready("drift")
        await watched(world)
        for text in ("one", "two", "three"):
            await edit(world, "a", text)

            async def corrected() -> bool:
                return await value(world) == "ours"

            await eventually(corrected)
        await world.delete("ConfigMap", "a", "default")
        await eventually(corrected)
        await world.delete("Kustomization", "drift")
        await world.gone("Kustomization", "drift", "flux-system")
    messages = [message for _, reason, message in await world.events("drift") if reason == "DriftCorrected"]
    assert "ConfigMap/default/a configured: it had been changed by kubectl-edit" in messages
    assert "ConfigMap/default/a created: it had been deleted" in messages


async def test_a_service_account_without_rights_is_refused_by_name(world: World) -> None:
    await world.publish({"a.yaml": config_map("rbac")})
    await world.kustomization("rbac", serviceAccountName="nobody")
    async with world.running():
        refused = 'User "system:serviceaccount:flux-system:nobody" cannot patch resource "configmaps"'
        await world.settled("rbac", "ReconciliationFailed", refused)
    assert await world.get("ConfigMap", "rbac") is None


async def test_custom_health_of_a_custom_resource(world: World) -> None:
    files = {"crd.yaml": WIDGETS, "w.yaml": widget("slow")}
    await world.publish(files)
    await world.kustomization("cel", wait=True, timeout="5m", healthCheckExprs=checks(current="spec.phase == 'done'"))
    async with world.running():

        async def checking() -> bool:
            return (await world.condition("cel", "Healthy")).get("status") == "Unknown"

        await eventually(checking)
        await world.ready("cel", await world.publish({**files, "w.yaml": widget("done")}))


async def test_labelled_variables_are_followed(world: World) -> None:
    await follows_labelled(world)


async def test_a_cluster_that_trusts_tokens_of_this_one(world: World, server: tuple[Context, Path]) -> None:
    context, state = server
    account = {"name": "remote", "namespace": "flux-system"}
    subject = {"kind": "ServiceAccount", **account}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    certificate = (state / "pki" / "apiserver.crt").read_text()
    config = {
        "provider": "generic",
        "address": context.server,
        "audiences": "https://kubernetes.default.svc",
        "serviceAccountName": "remote",
        "ca.crt": certificate,
    }
    for obj in (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**account, "name": "cluster"}, "data": config},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "remote"},
            "roleRef": role,
            "subjects": [subject],
        },
    ):
        await world.client.create(await world.client.resource_for(obj), obj)
    await world.publish({"a.yaml": config_map("remote")})
    await world.kustomization("remote", kubeConfig={"configMapRef": {"name": "cluster"}})
    async with world.running():
        await world.ready("remote")
        await world.delete("Kustomization", "remote")
        await world.gone("Kustomization", "remote", "flux-system")
    assert await world.get("ConfigMap", "remote") is None


async def test_a_cluster_that_azure_gives_tokens_of(
    world: World, server: tuple[Context, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two exchanges for real: the API server signs for the cloud, whose token the API server takes."""
    context, state = server
    metadata = {"name": "cloud", "namespace": "flux-system", "annotations": AZURE}
    certificate = await asyncio.to_thread((state / "pki" / "apiserver.crt").read_text)
    cluster = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/g"
    config = {
        "provider": "azure",
        "cluster": f"{cluster}/providers/Microsoft.ContainerService/managedClusters/mine",
        "serviceAccountName": "cloud",
        "ca.crt": certificate,
    }
    for obj in (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": config},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "cloud"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "cloud", "namespace": "flux-system"}],
        },
    ):
        await world.client.create(await world.client.resource_for(obj), obj)
    account = await service_accounts.read(world.client, Key("flux-system", "cloud"))
    async with clouds(monkeypatch, tmp_path) as provider:
        provider.token = await account.token(["https://kubernetes.default.svc"])
        provider.accepts = is_for_azure
        provider.kubeconfig = kubeconfig({"server": context.server})
        await world.publish({"a.yaml": config_map("cloud")})
        await world.kustomization("cloud", kubeConfig={"configMapRef": {"name": "cloud"}})
        async with world.running():
            await world.ready("cloud")
            await world.delete("Kustomization", "cloud")
            await world.gone("Kustomization", "cloud", "flux-system")
    assert any(line.endswith("6dae42f8-4368-4678-94ff-3960e28e3630/.default") for line in provider.asked)


def is_for_azure(token: str) -> bool:
    """Whether a JSON Web Token is for Azure's exchange, and that account's."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    account = "system:serviceaccount:flux-system:cloud"
    return bool(claims["aud"] == ["api://AzureADTokenExchange"] and claims["sub"] == account)


async def test_one_object_of_a_hundred_that_admission_refuses(world: World) -> None:
    """A policy refuses what a webhook would, in dry runs, too: it is named, and as upstream nothing is applied."""
    group = "admissionregistration.k8s.io"
    rules = [
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    ]
    validations = [{"expression": "object.metadata.name != 'c-42'", "message": "c-42 is not welcome"}]
    policy = {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": rules}, "validations": validations}
    binding = {"policyName": "unwelcome", "validationActions": ["Deny"]}
    made = [
        {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "unwelcome"}, "spec": spec}
        for kind, spec in (("ValidatingAdmissionPolicy", policy), ("ValidatingAdmissionPolicyBinding", binding))
    ]
    for obj in made:
        await world.client.create(await world.client.resource_for(obj), obj)
    config_maps = await world.resource("ConfigMap")
    probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c-42", "namespace": "default"}}

    async def refused() -> bool:
        try:
            await world.client.create(config_maps, probe, dry_run=True)
        except KubeError as error:
            return "not welcome" in str(error)
        return False

    try:
        await eventually(refused, 60)
        await world.publish({f"c-{number}.yaml": config_map(f"c-{number}") for number in range(100)})
        await world.kustomization("admission", retryInterval="1s")
        async with world.running():
            message = "ConfigMap/default/c-42 dry-run failed"
            status = await world.settled("admission", "ReconciliationFailed", message)
            assert "c-42 is not welcome" in condition_of(status)["message"]
            assert await world.get("ConfigMap", "c-1") is None
            for obj in reversed(made):
                await world.client.delete(await world.client.resource_for(obj), "unwelcome")
            status = await world.ready("admission", within=60)
            assert len(status["inventory"]["entries"]) == 100
            await world.delete("Kustomization", "admission")
            await world.gone("Kustomization", "admission", "flux-system")
    finally:
        for obj in made:
            with suppress(NotFound):
                await world.client.delete(await world.client.resource_for(obj), "unwelcome")
