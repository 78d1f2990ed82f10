"""Artifacts that somebody else serves: fetched once, verified, confined, and never trusted."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from fluxtui.api.source import Artifact
from fluxtui.engine.runtime import foreign
from fluxtui.engine.runtime.artifacts import ArtifactError, ArtifactNotFound, ArtifactStore, ClusterArtifacts
from fluxtui.serving import port_of, serving


class Controller:
    """A source-controller as far as it serves artifacts."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.base = ""

    async def get(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        content = self.files.get(request.path)
        if content is None:
            raise web.HTTPNotFound
        return web.Response(body=content, content_type="application/gzip")

    def artifact(self, path: str, content: bytes, algorithm: str = "sha256") -> Artifact:
        self.files[f"/{path}"] = content
        digest = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
        moment = "2026-01-01T00:00:00Z"
        return Artifact(
            path=path, url=f"{self.base}/{path}", revision="main@sha1:0", digest=digest, last_update_time=moment
        )


@pytest.fixture
async def controller() -> AsyncIterator[Controller]:
    controller = Controller()
    app = web.Application()
    app.router.add_get("/{path:.+}", controller.get)
    runner = web.AppRunner(app)
    async with serving(runner) as listener:
        controller.base = f"http://127.0.0.1:{port_of(listener)}"
        yield controller


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(tmp_path / "storage")
    store.prepare()
    store.base_url = "http://127.0.0.1:1"
    return store


@pytest.fixture
def artifacts(store: ArtifactStore) -> ClusterArtifacts:
    return store.for_cluster("alpha")


def packed(files: dict[str, str]) -> bytes:
    """A tar.gz of files."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return content.getvalue()


@pytest.mark.parametrize("algorithm", foreign.ALGORITHMS)
async def test_it_is_fetched_once_for_all_who_open_it(
    controller: Controller, artifacts: ClusterArtifacts, algorithm: str
) -> None:
    artifact = controller.artifact("ocirepository/apps/web/1.tar.gz", packed({"apps/web": "x"}), algorithm)
    async with artifacts.open(artifact) as first, artifacts.open(artifact) as second:
        assert first == second
        assert (first / "apps" / "web").read_text() == "x"
    async with artifacts.open(artifact):
        pass
    assert controller.asked == ["/ocirepository/apps/web/1.tar.gz"]


async def test_what_is_not_served_is_not_found(controller: Controller, artifacts: ClusterArtifacts) -> None:
    artifact = controller.artifact("a.tar.gz", packed({"a": "x"}))
    del controller.files["/a.tar.gz"]
    with pytest.raises(ArtifactNotFound, match="not found at http://127"):
        async with artifacts.open(artifact):
            pass
    artifact.url = "http://127.0.0.1:1/cluster/else.tar.gz"
    with pytest.raises(ArtifactNotFound, match="is not in the storage"):
        async with artifacts.open(artifact):
            pass
    artifact.url = "http://127.0.0.1:2/else.tar.gz"
    with pytest.raises(ArtifactNotFound, match="can't be fetched from"):
        async with artifacts.open(artifact):
            pass


def linked() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
        inside = tarfile.TarInfo("link/passwd")
        inside.size = 1
        tar.addfile(inside, io.BytesIO(b"x"))
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packed({"../../evil": "x"}), "reaches outside the archive"),
        (packed({"/tmp/evil": "x"}), "reaches outside the archive"),
        (packed({"a": "x" * 1000})[:-20], "damaged archive"),
        (gzip.compress(b"no tar at all" * 100), "damaged archive"),
        (b"no gzip", "damaged archive"),
    ],
    ids=["above", "absolute", "truncated", "no-tar", "no-gzip"],
)
async def test_damaged_and_escaping_archives_are_refused_and_leave_nothing(
    controller: Controller, artifacts: ClusterArtifacts, store: ArtifactStore, content: bytes, message: str
) -> None:
    with pytest.raises(ArtifactError, match=message):
        async with artifacts.open(controller.artifact("bad.tar.gz", content)):
            pass
    assert [path for path in store.root.rglob("*") if path.is_file()] == []
    assert not (store.root.parent / "evil").exists()


async def test_links_are_left_out(controller: Controller, artifacts: ClusterArtifacts) -> None:
    async with artifacts.open(controller.artifact("link.tar.gz", linked())) as directory:
        assert not (directory / "link").is_symlink()
        assert (directory / "link" / "passwd").read_text() == "x"


async def test_other_content_than_the_digest_says_is_refused(
    controller: Controller, artifacts: ClusterArtifacts
) -> None:
    artifact = controller.artifact("a.tar.gz", packed({"a": "x"}))
    controller.files["/a.tar.gz"] = packed({"a": "y"})
    with pytest.raises(ArtifactError, match="computed digest doesn't match"):
        async with artifacts.open(artifact):
            pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "file:///etc/passwd"}, "is not http or https"),
        ({"url": "http://[::1/x"}, "can't be fetched"),
        ({"digest": "md5:" + "0" * 32}, "is not sha256"),
        ({"path": "../../outside.tar.gz", "url": "ftp://x/y"}, "is not http or https"),
    ],
)
async def test_what_can_not_be_an_artifact(
    controller: Controller, artifacts: ClusterArtifacts, change: dict[str, str], message: str
) -> None:
    artifact = controller.artifact("a.tar.gz", packed({"a": "x"}))
    for name, value in change.items():
        setattr(artifact, name, value)
    with pytest.raises(ArtifactError, match=message):
        async with artifacts.open(artifact):
            pass


async def test_more_than_the_limit_is_not_taken(
    controller: Controller, artifacts: ClusterArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "SIZE_LIMIT", 100)
    with pytest.raises(ArtifactError, match="larger than 100 bytes"):
        async with artifacts.open(controller.artifact("a.tar.gz", b"x" * 101)):
            pass
