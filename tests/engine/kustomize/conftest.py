"""The world of the kustomize controller's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from fluxtui.engine.runtime.artifacts import ArtifactStore
from fluxtui.kube.client import Client
from tests.engine.kustomize.world import World


@pytest.fixture
def world(client: Client, tmp_path: Path) -> World:
    """A cluster with the Flux CRDs; nothing is reconciled until the test says so."""
    store = ArtifactStore(tmp_path / "storage")
    store.base_url = "http://127.0.0.1:1"
    store.prepare()
    return World(client, store, tmp_path)
