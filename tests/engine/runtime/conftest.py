"""A controller at work, and its reconciler."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context
from tests.engine.runtime.bench import Bench, Scripted, working


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
async def bench(context: Context, client: Client, scripted: Scripted, tmp_path: Path) -> AsyncIterator[Bench]:
    async with working(context, client, scripted, tmp_path) as bench:
        yield bench
