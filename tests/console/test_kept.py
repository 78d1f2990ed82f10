"""The YAML of kept objects: at once and without a request, and with its age while the cluster is silent."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fluxtui.config import ConsoleSettings, Settings, SettingsError
from fluxtui.console.screens.fleet import FleetScreen
from fluxtui.console.start import check
from fluxtui.fleet import manifests
from fluxtui.kube.liveness import Liveness
from fluxtui.sandbox.operations import Write
from tests.console import world
from tests.console.live import KS, erase, ks, names, plant, running, stored, until
from tests.console.opened import pane_text

Start = Callable[..., Any]


def words(screen: FleetScreen) -> str:
    """What the pane says, as it reads without its line breaks."""
    return " ".join(pane_text(screen).split())


def test_without_its_package_the_option_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "is_possible", lambda: False)
    check(Settings())
    with pytest.raises(SettingsError, match=r"--keep-objects.*pip install 'fluxtui\[zstd\]'"):
        check(Settings(console=ConsoleSettings(keep_objects=True)))


async def test_the_yaml_of_a_kept_object_asks_nothing_and_tells_its_age_while_its_cluster_is_silent(
    sandbox_fleet: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = functools.partial(Liveness, quiet=0.3, patience=3.0, max_pause=0.5)
    monkeypatch.setattr("fluxtui.kube.connection.Liveness", quick)
    fleet = await sandbox_fleet("prod-eu")
    cluster = fleet["prod-eu"]
    await plant(cluster, [world.git(), world.kustomization("apps"), world.kustomization("infra")])
    cluster.deny("get", "kustomizations")
    async with running(fleet, tmp_path / "kubeconfig", keep_objects=True) as (pilot, screen):
        await until(pilot, lambda: names(screen, "prod-eu") == {"apps", "infra"})
        screen.find(ks("prod-eu", "apps"))
        await pilot.press("y")
        await until(pilot, lambda: "path: ./apps" in words(screen) and "managedFields: …" in words(screen))
        kind = cluster.operations.kinds.by_kind(*KS)
        assert kind
        apps = stored(cluster, "apps")
        moved = {**apps, "spec": {**apps["spec"], "path": "./moved"}}
        cluster.operations.update(kind, (world.FLUX, "apps"), moved, Write(manager="test"))
        await until(pilot, lambda: "path: ./moved" in words(screen))
        await cluster.faults.set("freeze")
        version = stored(cluster, "apps")["metadata"]["resourceVersion"]
        told = f"ago, at resourceVersion {version}. prod-eu does not answer"
        await until(pilot, lambda: told in words(screen) and "path: ./moved" in words(screen))
        screen.find(ks("prod-eu", "infra"))
        await until(pilot, lambda: words(screen).startswith("As it was ") and "name: infra" in words(screen))
        erase(cluster, "infra")
        await cluster.faults.clear()
        await until(pilot, lambda: names(screen, "prod-eu") == {"apps"})
        screen.find(ks("prod-eu", "apps"))
        await until(pilot, lambda: "path: ./moved" in words(screen) and "As it was" not in words(screen))
