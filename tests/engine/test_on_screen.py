"""The console on a cluster that the engine reconciles: a commit is seen, through each fault of the API server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fluxtui.engine.process import Engine
from fluxtui.kube.kubeconfig import load
from fluxtui.sandbox.faults import FAULTS
from tests.console import live
from tests.engine.harness import QUICK, running
from tests.engine.source.repositories import Repository

Object = dict[str, Any]
SHORT = 0.5
"""Seconds of a fault: shorter than a Lease lasts."""


def object_of(kind: str, group: str, spec: Object) -> Object:
    metadata = {"name": "fleet", "namespace": "flux-system"}
    return {"apiVersion": f"{group}.toolkit.fluxcd.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def config_map(value: str) -> str:
    metadata = {"name": "settings", "namespace": "flux-system"}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}})


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_commit_during_a_fault_is_seen_when_it_is_over(
    sandbox_fleet: Callable[..., Any], repository: Repository, tmp_path: Path, fault: str
) -> None:
    fleet = await sandbox_fleet("alpha")
    head = await asyncio.to_thread(repository.commit, "one", {"settings/settings.yaml": config_map("one")})
    source = {"kind": "GitRepository", "name": "fleet"}
    await live.plant(
        fleet["alpha"],
        [
            object_of("GitRepository", "source", {"interval": "10m", "url": repository.url, "ref": {"branch": "main"}}),
            object_of(
                "Kustomization",
                "kustomize",
                {"interval": "10m", "sourceRef": source, "path": "settings", "prune": True},
            ),
        ],
    )
    async with live.running(fleet, tmp_path / "kubeconfig") as (pilot, screen):
        (context,) = load([str(tmp_path / "kubeconfig")]).contexts

        def seen(revision: str) -> bool:
            rows = [line for line in live.shown(screen) if f"main@{revision[:8]}" in line]
            return len(rows) == 2 and all("✓" in row for row in rows)

        async with running(Engine(QUICK, tmp_path / "storage", "fluxtui_one"), context):
            await live.until(pilot, lambda: seen(head))
            await fleet["alpha"].faults.set(fault)
            head = await asyncio.to_thread(repository.commit, "two", {"settings/settings.yaml": config_map("two")})
            await asyncio.sleep(SHORT)
            await fleet["alpha"].faults.clear()
            await live.until(pilot, lambda: seen(head))
            await live.until(pilot, lambda: not any("⌁" in line for line in live.shown(screen)))
