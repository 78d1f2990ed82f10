"""Artifacts behind the proxy of an API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from fluxtui.api.source import Artifact
from fluxtui.engine.runtime.artifacts import ArtifactError, ArtifactNotFound, ArtifactStore
from fluxtui.engine.runtime.proxied import ProxiedArtifacts, proxy_path
from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context
from fluxtui.serving import port_of, serving

HOST = "source-controller.flux-system.svc.cluster.local."
PATHS = [
    (f"http://{HOST}/gitrepository/a/b/1.tar.gz", "source-controller:80/proxy/gitrepository/a/b/1.tar.gz"),
    ("http://source-controller.flux-system.svc:9090/x", "source-controller:9090/proxy/x"),
    (f"https://{HOST}/x", "https:source-controller:443/proxy/x"),
]
ELSEWHERE = ["http://127.0.0.1:9790/x", "http://source.example.com/x", "http://svc/x", f"ftp://{HOST}/x", ""]


@pytest.mark.parametrize(("url", "path"), PATHS)
def test_services_are_reached_through_the_api_server(url: str, path: str) -> None:
    assert proxy_path(url) == f"/api/v1/namespaces/flux-system/services/{path}"


@pytest.mark.parametrize("url", ELSEWHERE)
def test_other_addresses_are_reached_as_they_are(url: str) -> None:
    assert proxy_path(url) == ""


@pytest.fixture
async def store(tmp_path: Path) -> ArtifactStore:
    found = ArtifactStore(tmp_path / "storage")
    found.prepare()
    return found


@pytest.fixture
async def artifact(store: ArtifactStore, tmp_path: Path) -> Artifact:
    """An artifact of one file, which a source-controller serves in its cluster."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.yaml").write_text("a")
    made = await store.for_cluster("x").add("GitRepository", "a", "b", tree, revision="main@sha1:1", file="1.tar.gz")
    return msgspec.structs.replace(made, url=f"http://{HOST}/{made.path}")


@pytest.fixture
async def client(store: ArtifactStore) -> AsyncIterator[Client]:
    """A client of an API server that proxies to that source-controller, and to nothing else."""
    prefix = "/api/v1/namespaces/flux-system/services/source-controller:80/proxy/"

    async def answer(request: web.Request) -> web.StreamResponse:
        file = store.root / "x" / request.path.removeprefix(prefix)
        return (
            web.FileResponse(file) if request.path.startswith(prefix) and file.is_file() else web.Response(status=404)
        )

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    async with (
        serving(runner) as listener,
        Client(Context("c", "c", "test", f"http://127.0.0.1:{port_of(listener)}")) as found,
    ):
        yield found


async def test_content_is_opened_once_verified(store: ArtifactStore, artifact: Artifact, client: Client) -> None:
    async with ProxiedArtifacts(store, client).open(artifact) as directory:
        assert (directory / "a.yaml").read_text() == "a"
    wrong = msgspec.structs.replace(artifact, digest="sha256:" + "0" * 64)
    with pytest.raises(ArtifactError, match="computed digest doesn't match"):
        async with ProxiedArtifacts(store, client).open(wrong):
            pass


async def test_what_is_not_served_is_not_found(store: ArtifactStore, artifact: Artifact, client: Client) -> None:
    gone = msgspec.structs.replace(artifact, url=f"http://{HOST}/gone.tar.gz")
    with pytest.raises(ArtifactNotFound, match="through the API server"):
        async with ProxiedArtifacts(store, client).open(gone):
            pass
