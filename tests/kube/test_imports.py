"""What each module loads: kubeconfigs and errors are light, and kubernetes_asyncio is loaded by need only."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from fluxtui.kube.limits import raise_open_files


def loaded(statement: str) -> set[str]:
    """Modules of a fresh interpreter after a statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["errors", "resources", "kubeconfig", "configfile", "proxy", "gate", "limits"])
def test_light_modules_load_no_client(module: str) -> None:
    modules = loaded(f"import fluxtui.kube.{module}")
    assert not modules & {"aiohttp", "kubernetes_asyncio", "watchfiles"}


def test_reading_kubeconfigs_loads_no_client() -> None:
    statement = "from fluxtui.kube import kubeconfig; kubeconfig.in_cluster({})"
    assert "aiohttp" not in loaded(statement)


def test_the_client_loads_no_other_one() -> None:
    modules = loaded("import fluxtui.kube.client, fluxtui.kube.watch, fluxtui.kube.oidc, fluxtui.kube.http2")
    assert "hpack" in modules
    assert not modules & {"aiohttp", "kubernetes_asyncio"}


def test_the_limit_of_open_files_is_raised() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        assert raise_open_files(1000) == 1000
        assert raise_open_files(500) == 1000
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
