"""The fields of a GitRepository that decide what is in its artifact, each on a cluster; and a disk that is full."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fluxtui.api.kinds import GIT_REPOSITORY
from fluxtui.api.meta import REQUESTED_AT
from fluxtui.kube.client import PatchType
from tests.engine.source.bench import NAMESPACE, Bench, conditions, status
from tests.engine.source.repositories import GitServer, Repository


async def test_names_of_references(bench: Bench, repository: Repository) -> None:
    base = repository.git("rev-parse", "HEAD")
    await asyncio.to_thread(repository.git, "checkout", "-q", "-b", "change")
    head = await asyncio.to_thread(repository.commit, "proposed")
    repository.git("update-ref", "refs/pull/420/head", head)
    repository.git("checkout", "-q", "main")
    repository.git("tag", "-a", "v1", "-m", "one")
    await bench.create("pull", repository.url, ref={"name": "refs/pull/420/head"})
    await bench.create("branch", repository.url, ref={"name": "refs/heads/change", "tag": "v1"})
    await bench.create("tag", repository.url, ref={"name": "refs/tags/v1"})
    await bench.create("peeled", repository.url, ref={"name": "refs/tags/v1^{}"})
    await bench.create("commit", repository.url, ref={"commit": base, "branch": "change"})
    revisions = {
        "pull": f"refs/pull/420/head@sha1:{head}",
        "branch": f"refs/heads/change@sha1:{head}",
        "tag": f"refs/tags/v1@sha1:{base}",
        "peeled": f"refs/tags/v1^{{}}@sha1:{base}",
        "commit": f"change@sha1:{base}",
    }
    for name, revision in revisions.items():
        assert (await bench.ready(name))["status"]["artifact"]["revision"] == revision, name
    await bench.create("none", repository.url, ref={"name": "refs/pull/1/head"})
    obj = await bench.failed("none", "GitOperationFailed")
    assert "unable to resolve ref 'refs/pull/1/head' to a specific commit" in conditions(obj)["Ready"]["message"]


async def test_sparse_checkout(bench: Bench, repository: Repository) -> None:
    await asyncio.to_thread(repository.commit, "more", {"base/a/b.yaml": "b", "other/c.yaml": "c", "top.yaml": "t"})
    await bench.create("fleet", repository.url, sparseCheckout=["./apps", "base/a"])
    obj = await bench.ready("fleet")
    assert bench.files(obj) == {"apps/web.yaml", "base/a/b.yaml"}
    assert obj["status"]["observedSparseCheckout"] == ["./apps", "base/a"]
    await bench.patch("fleet", {"spec": {"sparseCheckout": ["nowhere"]}})
    obj = await bench.failed("fleet", "GitOperationFailed")
    message = "failed to sparse checkout directories: sparse checkout dir 'nowhere' does not exist in repository"
    assert conditions(obj)["Ready"]["message"] == message
    await bench.patch("fleet", {"spec": {"sparseCheckout": None}})
    obj = await bench.until("fleet", lambda obj: status(obj, "Ready") == "True")
    assert "top.yaml" in bench.files(obj)
    assert "observedSparseCheckout" not in obj["status"]


async def test_submodules(bench: Bench, repository: Repository, server: GitServer, tmp_path: Path) -> None:
    library = Repository(tmp_path / "repositories" / "library")
    library.commit("library", {"lib.yaml": "l"})
    url = f"{server.url}/library/.git"
    await asyncio.to_thread(repository.git, "submodule", "--quiet", "add", url, "vendor/library")
    await asyncio.to_thread(repository.commit, "with library")
    await bench.create("fleet", f"{server.url}/fleet/.git", recurseSubmodules=True)
    obj = await bench.ready("fleet")
    assert "vendor/library/lib.yaml" in bench.files(obj)
    assert obj["status"]["observedRecurseSubmodules"] is True
    await bench.patch("fleet", {"spec": {"recurseSubmodules": False}})
    obj = await bench.until("fleet", lambda obj: obj["status"]["observedGeneration"] == 2)
    assert "vendor/library/lib.yaml" not in bench.files(obj)
    assert "observedRecurseSubmodules" not in obj["status"]


async def test_includes_stay_inside_their_trees(bench: Bench, repository: Repository, tmp_path: Path) -> None:
    library = Repository(tmp_path / "repositories" / "library")
    library.commit("library", {"base/x.yaml": "x", "y.yaml": "y"})
    await bench.create("library", library.url)
    await bench.ready("library")
    include = [{"repository": {"name": "library"}, "fromPath": "../../base", "toPath": "../../../up"}]
    await bench.create("fleet", repository.url, include=[*include, {"repository": {"name": "library"}}])
    obj = await bench.ready("fleet")
    inside = {"apps/web.yaml", "README.md", "up/x.yaml", "library/base/x.yaml", "library/y.yaml"}
    assert bench.files(obj) == inside
    assert len(obj["status"]["includedArtifacts"]) == 2
    (repository.path / "link").symlink_to(tmp_path)
    await asyncio.to_thread(repository.commit, "a link out")
    through = [{"repository": {"name": "library"}, "toPath": "link/out"}]
    await bench.patch("fleet", {"spec": {"include": through}})
    obj = await bench.failed("fleet", "CopyFailure")
    assert conditions(obj)["StorageOperationFailed"]["reason"] == "CopyFailure"
    assert not (tmp_path / "out").exists()
    missing = [{"repository": {"name": "library"}, "fromPath": "none"}]
    await bench.patch("fleet", {"spec": {"include": missing}})
    obj = await bench.until("fleet", lambda obj: "from none to" in conditions(obj)["Ready"]["message"])
    assert status(obj, "Ready") == "False"


async def test_nothing_happens_while_suspended(bench: Bench, repository: Repository) -> None:
    await bench.create("fleet", repository.url, suspend=True)
    obj = await bench.until("fleet", lambda obj: bool(obj["metadata"].get("finalizers")))
    assert not conditions(obj)
    await bench.patch("fleet", {"spec": {"suspend": False}})
    await bench.ready("fleet")
    await bench.patch("fleet", {"spec": {"suspend": True}})
    # As source-controller, it says of the suspended generation what it said of the one before.
    obj = await bench.until("fleet", lambda obj: obj["status"]["observedGeneration"] == 3)
    assert {type: found["observedGeneration"] for type, found in conditions(obj).items()} == {
        "Ready": 3,
        "ArtifactInStorage": 2,
    }


async def test_superseded_artifacts_are_collected_by_count_and_said(bench: Bench, repository: Repository) -> None:
    await bench.create("fleet", repository.url)
    revisions = []
    for number in range(4):
        head = await asyncio.to_thread(repository.commit, f"{number}", {"a.yaml": f"{number}"})
        await bench.ready("fleet", head)
        revisions.append(head)
    await bench.patch("fleet", {"metadata": {"annotations": {REQUESTED_AT: "1"}}})
    await bench.until("fleet", lambda obj: obj["status"].get("lastHandledReconcileAt") == "1")
    directory = bench.store.root / "alpha" / "gitrepository" / NAMESPACE / "fleet"
    assert {file.name for file in directory.iterdir()} == {f"{head}.tar.gz" for head in revisions[-2:]}
    event = await bench.event("fleet", "GarbageCollectionSucceeded")
    assert event["type"] == "Normal"
    assert event["message"].startswith("garbage collected ")


async def test_an_artifact_of_another_controller_is_replaced_without_news(bench: Bench, repository: Repository) -> None:
    """What a hand-over leaves: a status, and an artifact that is in the storage of somebody else."""
    head = repository.git("rev-parse", "HEAD")
    await bench.create("fleet", repository.url, suspend=True)
    await bench.until("fleet", lambda obj: bool(obj["metadata"].get("finalizers")))
    stored = f"stored artifact for revision 'main@sha1:{head}'"
    moment = "2026-01-01T00:00:00Z"
    condition = {"status": "True", "reason": "Succeeded", "message": stored, "lastTransitionTime": moment}
    path = f"gitrepository/{NAMESPACE}/fleet/{head}.tar.gz"
    left = {
        "observedGeneration": 1,
        "artifact": {
            "digest": "sha256:" + "0" * 64,
            "lastUpdateTime": moment,
            "path": path,
            "revision": f"main@sha1:{head}",
            "size": 1,
            "url": f"http://source-controller.flux-system.svc.cluster.local./{path}",
        },
        "conditions": [{"type": type, "observedGeneration": 1, **condition} for type in ("Ready", "ArtifactInStorage")],
    }
    kind = await bench.cluster.resource(GIT_REPOSITORY)
    merge = PatchType.MERGE
    await bench.client.patch(kind, "fleet", NAMESPACE, {"status": left}, type=merge, subresource="status")
    await bench.patch("fleet", {"spec": {"suspend": False}})
    obj = await bench.until("fleet", lambda obj: obj["status"]["observedGeneration"] == 2)
    assert status(obj, "Ready") == "True"
    assert obj["status"]["artifact"]["digest"] != "sha256:" + "0" * 64
    assert obj["status"]["artifact"]["url"].startswith("http://127.0.0.1:")
    after = await asyncio.to_thread(repository.commit, "news", {"a.yaml": "a"})
    await bench.ready("fleet", after)
    event = await bench.event("fleet", "NewArtifact")
    assert event["message"] == "stored artifact for commit 'news'"
    assert event["count"] == 1


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel lets no file of this process grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="this system has no limit for files")
async def test_a_disk_that_takes_no_more_leaves_the_artifact_of_before(bench: Bench, repository: Repository) -> None:
    await bench.create("fleet", repository.url)
    before = (await bench.ready("fleet"))["status"]["artifact"]
    block = os.urandom(1 << 16).hex()
    with files_of_at_most(1 << 20):
        # Git keeps the block once, the archive as often as it is there.
        big = {f"copy-{number}.txt": block for number in range(32)}
        head = await asyncio.to_thread(repository.commit, "big", big)
        obj = await bench.failed("fleet", "ArchiveOperationFailed")
        assert obj["status"]["artifact"] == before
        assert status(obj, "StorageOperationFailed") == "True"
        assert "unable to archive artifact to storage" in conditions(obj)["Ready"]["message"]
        directory = bench.store.root / "alpha" / "gitrepository" / NAMESPACE / "fleet"
        assert [file.name for file in directory.iterdir()] == [before["path"].rpartition("/")[2]]
    obj = await bench.ready("fleet", head)
    assert status(obj, "StorageOperationFailed") == ""
