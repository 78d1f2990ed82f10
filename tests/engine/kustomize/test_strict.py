"""What is stopped before it breaks a cluster, and what upstream makes of the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.kustomize.world import World, config_map

HOLE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\ndata: {k: '${absent}'}\n"


async def variables(world: World, name: str, data: dict[str, str] | None) -> None:
    metadata = {"name": name, "namespace": "flux-system"}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    await world.client.create(await world.resource("ConfigMap"), obj)


@pytest.mark.parametrize(("strict", "reason"), [(True, "UnresolvedVariables"), (False, "BuildFailed")])
async def test_unresolved_variables(world: World, strict: bool, reason: str) -> None:
    await world.publish({"a.yaml": HOLE})
    await world.kustomization("apps", postBuild={"substitute": {"other": "x"}})
    async with world.running(strict=strict):
        await world.settled("apps", reason, 'ConfigMap/default/a\': variable not set (strict mode): "absent"')
    assert await world.get("ConfigMap", "a") is None


@pytest.mark.parametrize(("strict", "reason"), [(True, "SubstitutionSourceMissing"), (False, "BuildFailed")])
async def test_a_missing_source_of_variables(world: World, strict: bool, reason: str) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps", postBuild={"substituteFrom": [{"kind": "Secret", "name": "absent"}]})
    async with world.running(strict=strict):
        await world.settled("apps", reason, "substitute from 'Secret/absent' error: not found")


async def test_an_empty_source_of_variables(world: World) -> None:
    await world.publish({"a.yaml": HOLE})
    await variables(world, "empty", None)
    await world.kustomization("apps", postBuild={"substituteFrom": [{"kind": "ConfigMap", "name": "empty"}]})
    async with world.running():
        await world.settled("apps", "SubstitutionSourceMissing", "'ConfigMap/empty' error: it has no keys")
    assert await world.get("ConfigMap", "a") is None
    async with world.running(strict=False):
        await world.ready("apps")
    obj = await world.get("ConfigMap", "a")
    assert obj is not None
    assert obj["data"] == {"k": "${absent}"}


SCRIPT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\ndata: {k: 'echo ${1+x} $HOME'}\n"


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [(HOLE, "UnresolvedVariables"), (SCRIPT, ""), (HOLE.replace("}'", ":=x}'"), ""), (config_map("a"), "")],
)
async def test_an_optional_source_that_is_not_there(world: World, manifest: str, reason: str) -> None:
    await world.publish({"a.yaml": manifest})
    reference: dict[str, Any] = {"kind": "ConfigMap", "name": "absent", "optional": True}
    await world.kustomization("apps", postBuild={"substituteFrom": [reference]})
    async with world.running():
        await (world.settled("apps", reason, '"absent"') if reason else world.ready("apps"))


async def test_an_empty_build_does_not_prune_everything(world: World) -> None:
    await world.publish({"apps/a.yaml": config_map("a")})
    await world.kustomization("apps", path="apps")
    async with world.running():
        await world.ready("apps")
        await world.publish({"apps/README.md": "nothing left"})
        status = await world.settled("apps", "EmptyBuild", "would delete all 1 objects")
        assert status["inventory"]["entries"] == [{"id": "default_a__ConfigMap", "v": "v1"}]
        assert await world.get("ConfigMap", "a") is not None
        await world.change("apps", {"spec": {"prune": False}})
        await world.ready("apps")
    assert await world.get("ConfigMap", "a") is not None


async def test_upstream_prunes_what_an_empty_build_leaves_out(world: World) -> None:
    await world.publish({"apps/a.yaml": config_map("a")})
    await world.kustomization("apps", path="apps")
    async with world.running(strict=False):
        await world.ready("apps")
        await world.ready("apps", await world.publish({"apps/README.md": "nothing left"}))
    assert await world.get("ConfigMap", "a") is None


@pytest.mark.parametrize(("strict", "reason"), [(True, "PathNotFound"), (False, "ArtifactFailed")])
async def test_a_path_that_vanished(world: World, strict: bool, reason: str) -> None:
    await world.publish({"apps/a.yaml": config_map("a")})
    await world.kustomization("apps", path="apps")
    async with world.running(strict=strict):
        await world.ready("apps")
        await world.publish({"other/a.yaml": config_map("a")})
        await world.settled("apps", reason, "kustomization path not found: stat apps")
    assert await world.get("ConfigMap", "a") is not None


async def test_an_encrypted_secret_is_not_applied(world: World) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  namespace: default\ndata: {}\nsops: {mac: x}\n"
    await world.publish({"s.yaml": secret})
    await world.kustomization("apps")
    async with world.running():
        await world.settled("apps", "ReconciliationFailed", "Secret/default/s is SOPS encrypted")
    assert await world.get("Secret", "s") is None
