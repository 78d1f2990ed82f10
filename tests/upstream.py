"""Upstream's controllers on a real kube-apiserver, where `KUBEBUILDER_ASSETS` has them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from fluxtui.kube.kubeconfig import Context
from tests import apiserver
from tests.ports import free_port

CONTROLLERS = ("source-controller", "kustomize-controller")
NAMESPACE = "flux-system"


def binaries() -> Path:
    """The directory with API server and controllers; skips the test, with the reason, where something is missing."""
    found = apiserver.assets()
    if found is None:
        pytest.skip(apiserver.MISSING)
    missing = [name for name in CONTROLLERS if not (found / name).exists()]
    if missing:
        pytest.skip(f"KUBEBUILDER_ASSETS has no {' and no '.join(missing)}")
    return found


@asynccontextmanager
async def controllers(context: Context, directory: Path, *flags: str, events: str = "") -> AsyncIterator[None]:
    """The real controllers at work; `flags` are kustomize-controller's."""
    await asyncio.to_thread(directory.mkdir, exist_ok=True)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "KUBECONFIG": str(kubeconfig_of(context, directory)),
        "RUNTIME_NAMESPACE": NAMESPACE,
    }
    storage = f"127.0.0.1:{free_port()}"
    own = {
        "source-controller": [
            f"--storage-path={directory}",
            f"--storage-addr={storage}",
            f"--storage-adv-addr={storage}",
        ],
        # Else it asks for minutes for an artifact whose server is gone, instead of looking at the source again.
        "kustomize-controller": ["--http-retry=1", *flags],
    }
    processes = []
    try:
        for name in CONTROLLERS:
            places = [f"--{what}-addr=127.0.0.1:{free_port()}" for what in ("metrics", "health")]
            general = ["--watch-all-namespaces", "--enable-leader-election=false", f"--events-addr={events}"]
            command = [str(binaries() / name), *general, *places, *own.get(name, ())]
            with (directory / f"{name}.log").open("ab") as log:
                processes.append(await asyncio.create_subprocess_exec(*command, env=env, stdout=log, stderr=log))
        yield
    finally:
        for process in processes:
            if process.returncode is None:
                process.terminate()
        for process in processes:
            try:
                await asyncio.wait_for(process.wait(), 60)
            except TimeoutError:
                process.kill()
                await process.wait()


def kubeconfig_of(context: Context, directory: Path) -> Path:
    """A file with one context."""
    kubeconfig = directory / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "real",
        "clusters": [{"name": "real", "cluster": dict(context.cluster)}],
        "users": [{"name": "real", "user": dict(context.user)}],
        "contexts": [{"name": "real", "context": {"cluster": "real", "user": "real"}}],
    }
    kubeconfig.write_text(yaml.safe_dump(document))
    return kubeconfig
