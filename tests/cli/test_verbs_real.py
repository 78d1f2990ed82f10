"""The verbs that ask servers for more than objects, on a real kube-apiserver: its dry runs, defaults and selectors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context
from tests.cli.conftest import Fleet
from tests.cli.test_diff import applied, config, inventory, spec, versions, write
from tests.cli.test_events import emit, reasons
from tests.fleet.live import create, install
from tests.fleet.objects import flux

Object = dict[str, Any]

pytestmark = pytest.mark.peers

WEB: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80}]}]},
        },
    },
}


@pytest.fixture
async def fleet(own_server: Context, tmp_path: Path) -> AsyncIterator[Fleet]:
    """A cluster with Flux's CRDs, `one`."""
    found = Fleet(tmp_path / "kubeconfig")
    parts = {
        "clusters": [{"name": "one", "cluster": own_server.cluster}],
        "users": [{"name": "one", "user": own_server.user}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
    }
    found.kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **parts}))
    async with Client(own_server) as client:
        await install(client)
        found.clients["one"] = client
        yield found


async def test_diffs_and_events(fleet: Fleet, tmp_path: Path) -> None:
    client = fleet.clients["one"]
    await create(client, applied(WEB))
    await create(client, applied(config("a", k="by hand")))
    await create(client, applied(config("old")))
    old = inventory("a", "old")
    old["inventory"]["entries"].append({"id": "default_web_apps_Deployment", "v": "v1"})
    await create(client, flux("ks", "apps", spec=spec(), status=old))
    before = await versions(client)
    wrong = {**config("wrong"), "data": {"k": {"nested": "no"}}}
    tree = write(tmp_path / "tree", apps__all=[WEB, config("a", k="v"), config("new", k="v")])
    words = ("diff", "ks", "apps", "--path", str(tree / "apps"))
    result = await fleet.run(*words)
    lines = result.stdout.splitlines()
    assert "    -  k: by hand" in lines
    assert "    +  k: v" in lines
    assert [line.split()[-1] for line in lines if line.startswith("  ConfigMap")] == ["changed", "created", "deleted"]
    assert lines[-1].split() == ["flux-system/apps", "local", "1", "1", "1", "1", "0"]
    assert (result.exit_code, result.stderr) == (1, "")
    write(tree, apps__wrong=wrong)
    result = await fleet.run(*words)
    assert (result.exit_code, "✗ ConfigMap/default/wrong dry-run failed" in result.stdout) == (2, True)
    assert await versions(client) == before
    await emit(client, "Kustomization/flux-system/apps", "Progressing", 2)
    await emit(client, "Pod/default/web", "Pulled", 1)
    assert reasons((await fleet.run("events", "-A", "-o", "json")).stdout) == ["one Progressing"]
    assert reasons((await fleet.run("events", "--for", "ks/apps", "-o", "json")).stdout) == ["one Progressing"]


async def test_a_diff_shows_what_the_service_account_may_not_do(fleet: Fleet, tmp_path: Path) -> None:
    client = fleet.clients["one"]
    await create(client, flux("ks", "limited", spec=spec(serviceAccountName="nobody")))
    tree = write(tmp_path / "tree", apps__a=config("limited", k="v"))
    result = await fleet.run("diff", "ks", "limited", "--path", str(tree / "apps"))
    refused = 'User "system:serviceaccount:flux-system:nobody" cannot patch resource "configmaps"'
    assert (result.exit_code, refused in result.stdout) == (2, True), result.output
