"""`fluxtui diff kustomization` of what is encrypted, and of what is applied to another cluster."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fluxtui.engine.adapters import sops
from fluxtui.kube.client import Client
from tests.cli.conftest import Fleet
from tests.cli.test_diff import applied, config, inventory, spec, write
from tests.fleet.live import create
from tests.fleet.objects import flux

Start = Callable[..., Awaitable[Fleet]]


def has_sops() -> bool:
    try:
        return bool(sops.find())
    except sops.SopsError:
        return False


needs_sops = pytest.mark.skipif(not has_sops(), reason="there is no sops program")


async def secret(client: Client, name: str, **data: bytes) -> None:
    encoded = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}
    metadata = {"name": name, "namespace": "flux-system"}
    await create(client, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded})


async def test_another_cluster(start: Start, tmp_path: Path) -> None:
    fleet = await start("east", "west")
    east, west = fleet.clients["east"], fleet.clients["west"]
    await secret(east, "far", value=yaml.safe_dump(fleet.clusters["west"].kubeconfig()).encode())
    far = spec(kubeConfig={"secretRef": {"name": "far"}})
    await create(east, flux("ks", "apps", spec=far, status=inventory("a", "old")))
    await create(east, applied(config("a", k="east")))
    await create(west, applied(config("a", k="west")))
    await create(west, applied(config("old")))
    tree = write(tmp_path / "tree", apps__a=config("a", k="v"))
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree / "apps"), "--context", "east")
    assert "    -  k: west\n    +  k: v\n" in result.stdout
    assert "  ConfigMap/default/old deleted\n" in result.stdout
    assert result.exit_code == 1
    await fleet.clusters["west"].faults.set("refuse")
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree / "apps"), "--context", "east")
    assert (result.exit_code, "✗ " in result.stdout) == (2, True)


@pytest.mark.parametrize("user", [{}, {"as": "somebody", "as-groups": ["people"]}])
async def test_the_service_account_is_one_of_the_other_cluster(
    start: Start, tmp_path: Path, user: dict[str, Any]
) -> None:
    fleet = await start("east", "west")
    east, west = fleet.clusters["east"], fleet.clusters["west"]
    kubeconfig = west.kubeconfig()
    kubeconfig["users"][0]["user"] |= user
    await secret(fleet.clients["east"], "far", value=yaml.safe_dump(kubeconfig).encode())
    far = spec(kubeConfig={"secretRef": {"name": "far"}}, serviceAccountName="deployer")
    await create(fleet.clients["east"], flux("ks", "apps", spec=far))
    tree = write(tmp_path / "tree", apps__a=config("a", k="v"))
    # Whether it could be impersonated here does not matter.
    east.access.deny("impersonate", "serviceaccounts")
    west.access.deny("patch", "configmaps")
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree / "apps"), "--context", "east")
    assert 'User "system:serviceaccount:flux-system:deployer" cannot patch' in result.stdout
    assert result.stdout.startswith("► kustomization/flux-system/apps  as deployer\n")
    assert result.exit_code == 2


@needs_sops
async def test_what_is_encrypted_is_compared_and_masked(start: Start, tmp_path: Path) -> None:
    from tests.engine.kustomize.test_decryption import AGE, DECRYPTION, ONLY_DATA, encrypted, manifest

    fleet = await start("east")
    client = fleet.clients["east"]
    await create(client, flux("ks", "apps", spec=spec(decryption=DECRYPTION), status=inventory("s", kind="Secret")))
    live: dict[str, Any] = yaml.safe_load(manifest("s", "x"))
    del live["stringData"]
    await create(client, applied({**live, "data": {"k": base64.b64encode(b"hunter2").decode()}}))
    tree = tmp_path / "tree" / "apps"
    tree.mkdir(parents=True)
    (tree / "s.yaml").write_text(encrypted(manifest("s", "hunter2"), "yaml", *ONLY_DATA))
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree))
    assert (result.exit_code, "decryption Secret 'flux-system/keys' not found" in result.stdout) == (2, True)
    await secret(client, "keys", identity_agekey=AGE)
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree))
    assert (result.exit_code, result.stderr) == (0, "")
    (tree / "s.yaml").write_text(encrypted(manifest("s", "hunter3"), "yaml", *ONLY_DATA))
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree))
    assert (result.exit_code, "+  k: '*** (after)'" in result.stdout) == (1, True)
    assert "hunter" not in result.output


def controller(name: str, *arguments: str, replicas: int = 1) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "manager", "image": "example.com/controller:1", "args": list(arguments)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


@needs_sops
async def test_keys_are_those_of_the_controller_where_none_are_named(start: Start, tmp_path: Path) -> None:
    from tests.engine.kustomize.test_decryption import AGE, ONLY_DATA, encrypted, manifest

    fleet = await start("east")
    client = fleet.clients["east"]
    await create(client, flux("ks", "apps", spec=spec(decryption={"provider": "sops"})))
    await create(client, controller("kustomize-controller", "--sops-age-secret=old", replicas=0))
    await create(client, controller("fluxtui-engine", "--log-level=info", "--sops-age-secret", "fleet-keys"))
    await secret(client, "fleet-keys", identity_agekey=AGE)
    tree = tmp_path / "tree" / "apps"
    tree.mkdir(parents=True)
    (tree / "s.yaml").write_text(encrypted(manifest("s", "hunter2"), "yaml", *ONLY_DATA))
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree))
    assert (result.exit_code, "Secret/default/s created" in result.stdout) == (1, True)
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree), "--sops-age-secret", "other")
    said = "sops age decryption Secret 'flux-system/other' not found"
    assert (result.exit_code, said in result.stdout) == (2, True)


async def test_dry_runs_have_the_rights_the_controller_would_have(start: Start, tmp_path: Path) -> None:
    fleet = await start("east")
    client = fleet.clients["east"]
    await create(client, flux("ks", "apps", spec=spec()))
    await create(client, controller("kustomize-controller", "--default-service-account=tenant"))
    tree = write(tmp_path / "tree", apps__a=config("a", k="v"))
    words = ("diff", "ks", "apps", "--path", str(tree / "apps"))
    assert (await fleet.run(*words)).stdout.startswith("► kustomization/flux-system/apps  as tenant\n")
    fleet.clusters["east"].access.deny("impersonate", "serviceaccounts")
    heading = "► kustomization/flux-system/apps  with your rights, not those of tenant\n"
    assert (await fleet.run(*words)).stdout.startswith(heading)
