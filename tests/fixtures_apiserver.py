"""Real API servers for tests of any room; such tests skip with a reason where there are no binaries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fluxtui.kube.kubeconfig import Context
from tests import apiserver


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """An administrator's context of a kube-apiserver that tests share: leave nothing cluster-wide there."""
    yield from _served(tmp_path_factory)


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """An administrator's context of a kube-apiserver for the tests of one module."""
    yield from _served(tmp_path_factory)


def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    binaries = apiserver.assets()
    if binaries is None:
        pytest.skip(apiserver.MISSING)
    with apiserver.running(binaries, tmp_path_factory.mktemp("apiserver")) as context:
        yield context
