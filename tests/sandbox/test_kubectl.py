"""kubectl works against the sandbox unchanged."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from fluxtui.sandbox.cluster import SandboxCluster
from tests.engine.polling import eventually

pytestmark = pytest.mark.peers

MANIFEST = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web}}
data: {colour: red}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {sandbox.fluxtui.dev/log: hello from web}
    spec: {containers: [{name: main, image: "web:1"}]}
"""


class Kubectl:
    """kubectl with the kubeconfig of a sandbox cluster."""

    def __init__(self, program: str, kubeconfig: Path, folder: Path) -> None:
        self._program = program
        self._kubeconfig = kubeconfig
        self.folder = folder

    @asynccontextmanager
    async def started(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """kubectl while it runs; killed if it still does at the end."""
        process = await asyncio.create_subprocess_exec(
            self._program,
            *("--kubeconfig", str(self._kubeconfig), *arguments),
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(120):
                yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr."""
        async with self.started(*arguments) as process:
            out, err = await process.communicate()
            return process.returncode or 0, out.decode(), err.decode()

    async def __call__(self, *arguments: str) -> str:
        """The stdout of a command that must succeed."""
        code, out, err = await self.run(*arguments)
        assert code == 0, f"{arguments}: {out}{err}"
        return out


@pytest.fixture
async def kubectl(sandbox: SandboxCluster, tmp_path: Path) -> Kubectl:
    path = os.pathsep.join(filter(None, (os.environ.get("PATH"), os.environ.get("KUBEBUILDER_ASSETS"))))
    program = shutil.which("kubectl", path=path)
    if program is None:
        pytest.skip("no kubectl on PATH or in KUBEBUILDER_ASSETS")
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(sandbox.kubeconfig()))
    (tmp_path / "web.yaml").write_text(MANIFEST)
    return Kubectl(program, kubeconfig, tmp_path)


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


async def test_objects_are_applied_shown_and_deleted(kubectl: Kubectl) -> None:
    out = await kubectl("apply", "-f", "web.yaml")
    assert out.splitlines() == ["configmap/settings created", "deployment.apps/web created"]
    assert await kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    await kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=60s")
    out = await kubectl("apply", "-f", "web.yaml")
    assert out.splitlines() == ["configmap/settings unchanged", "deployment.apps/web unchanged"]
    header, row = rows(await kubectl("get", "deployments", "-A"))
    assert header == ["NAMESPACE", "NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row[:5] == ["default", "web", "2/2", "2", "2"]
    header, *pods = rows(await kubectl("get", "pods", "-l", "app=web"))
    assert header == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [pod[1:4] for pod in pods] == [["1/1", "Running", "0"]] * 2
    assert await kubectl("get", "cm", "settings", "-o", "jsonpath={.data.colour}") == "red"
    assert "deployment.apps/web" in await kubectl("get", "all")
    await kubectl("delete", "-f", "web.yaml", "--timeout=60s")
    code, _, err = await kubectl.run("get", "deployment", "web")
    assert code == 1
    assert 'Error from server (NotFound): deployments.apps "web" not found' in err


async def test_objects_are_described_with_their_events(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "web.yaml")
    await kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    text = await kubectl("describe", "deployment", "web")
    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in text
    assert "ScalingReplicaSet" in text
    text = await kubectl("describe", "pod", "-l", "app=web")
    assert "Successfully assigned default/web-" in text
    assert rows(await kubectl("get", "events"))[0] == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]


async def test_logs_are_followed(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "web.yaml")
    await kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert "hello from web" in await kubectl("logs", "deployment/web")
    pod = (await kubectl("get", "pods", "-l", "app=web", "-o", "name")).split()[0]
    async with kubectl.started("logs", "-f", pod) as process:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"starting web:1\n"
        await kubectl("delete", pod, "--wait=false")
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert out.startswith(b"hello from web\n")


async def test_server_side_apply_reports_conflicts(kubectl: Kubectl) -> None:
    await kubectl("apply", "--server-side", "--field-manager=alpha", "-f", "web.yaml")
    changed = MANIFEST.replace("colour: red", "colour: blue")
    (kubectl.folder / "other.yaml").write_text(changed)
    arguments = ("apply", "--server-side", "--field-manager=beta", "-f", "other.yaml")
    code, _, err = await kubectl.run(*arguments)
    assert code == 1
    assert 'conflict with "alpha": .data.colour' in err
    assert "serverside-applied" in await kubectl(*arguments, "--force-conflicts")
    code, out, _ = await kubectl.run("diff", "--server-side", "--field-manager=beta", "-f", "other.yaml")
    assert (code, out) == (0, "")
    await kubectl(
        "apply", "--server-side", "--dry-run=server", "--field-manager=beta", "-f", "web.yaml", "--force-conflicts"
    )
    assert await kubectl("get", "cm", "settings", "-o", "jsonpath={.data.colour}") == "blue"


async def test_objects_are_changed_in_every_way(kubectl: Kubectl) -> None:
    await kubectl("create", "namespace", "side")
    await kubectl("create", "configmap", "one", "-n", "side", "--from-literal=a=1")
    await kubectl("create", "secret", "generic", "two", "-n", "side", "--from-literal=b=2")
    await kubectl("label", "configmap", "one", "-n", "side", "tier=back")
    await kubectl("annotate", "configmap", "one", "-n", "side", "note=x")
    await kubectl("patch", "configmap", "one", "-n", "side", "--type=merge", "-p", '{"data":{"c":"3"}}')
    assert rows(await kubectl("get", "cm", "-n", "side", "-l", "tier=back", "--show-labels"))[1][-1] == "tier=back"
    await kubectl("create", "deployment", "web", "-n", "side", "--image=web:1", "--replicas=1")
    await kubectl("scale", "deployment", "web", "-n", "side", "--replicas=3")
    await kubectl("set", "image", "deployment/web", "-n", "side", "web=web:2")
    await kubectl("rollout", "status", "deployment/web", "-n", "side", "--timeout=60s")
    await kubectl("rollout", "restart", "deployment/web", "-n", "side")
    await kubectl("rollout", "status", "deployment/web", "-n", "side", "--timeout=60s")
    assert len(rows(await kubectl("rollout", "history", "deployment/web", "-n", "side"))) >= 4
    await kubectl("delete", "namespace", "side", "--timeout=60s")
    assert "side" not in await kubectl("get", "namespaces")


async def test_custom_resources_have_columns_and_explanations(kubectl: Kubectl) -> None:
    version: dict[str, Any] = {
        "name": "v1",
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [{"name": "Colour", "type": "string", "jsonPath": ".spec.colour"}],
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": {"type": "object", "properties": {"colour": {"type": "string"}}}},
            }
        },
    }
    names = {"plural": "paints", "singular": "paint", "kind": "Paint", "shortNames": ["pt"]}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "paints.test.example.com"},
        "spec": {"group": "test.example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    (kubectl.folder / "crd.yaml").write_text(yaml.safe_dump(crd))
    await kubectl("apply", "-f", "crd.yaml")
    await kubectl("wait", "--for=condition=Established", "crd/paints.test.example.com", "--timeout=60s")
    paint = {
        "apiVersion": "test.example.com/v1",
        "kind": "Paint",
        "metadata": {"name": "wall"},
        "spec": {"colour": "red"},
    }
    (kubectl.folder / "paint.yaml").write_text(yaml.safe_dump(paint))

    async def applied() -> bool:
        # kubectl remembers for some seconds which kinds there are.
        return (await kubectl.run("apply", "-f", "paint.yaml"))[0] == 0

    await eventually(applied)
    assert rows(await kubectl("get", "pt")) == [["NAME", "COLOUR"], ["wall", "red"]]
    assert "colour" in await kubectl("explain", "paint.spec")
    await kubectl("delete", "-f", "crd.yaml", "--timeout=60s")
    assert "paints" not in await kubectl("api-resources", "--api-group=test.example.com")


async def test_rights_and_versions_are_told(kubectl: Kubectl, sandbox: SandboxCluster) -> None:
    assert await kubectl("auth", "can-i", "create", "deployments") == "yes\n"
    sandbox.deny("delete", "configmaps")
    code, out, _ = await kubectl.run("auth", "can-i", "delete", "configmaps")
    assert (code, out) == (1, "no - denied by the sandbox\n")
    await kubectl("create", "configmap", "kept")
    code, _, err = await kubectl.run("delete", "configmap", "kept")
    assert code == 1
    assert 'cannot delete resource "configmaps" in API group "" in the namespace "default"' in err
    assert "Server Version: v1." in await kubectl("version")
    assert "sandbox" in await kubectl("config", "current-context")
