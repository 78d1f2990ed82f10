"""The artifact store: reproducible, verified, confined, bounded, safe against crashes."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import aiohttp
import msgspec
import pytest

from fluxtui.api.source import Artifact
from fluxtui.engine.runtime import archives
from fluxtui.engine.runtime.artifact_server import ArtifactServer
from fluxtui.engine.runtime.artifacts import (
    TEMPORARY,
    UNPACKED,
    ArtifactError,
    ArtifactNotFound,
    ArtifactStore,
    ClusterArtifacts,
    slug,
)
from tests.ports import held_port


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(tmp_path / "storage", keep=2)
    store.prepare()
    return store


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "apps").mkdir(parents=True)
    (root / "apps" / "web.yaml").write_text("kind: Deployment\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("/etc/passwd")
    return root


async def add(artifacts: ClusterArtifacts, tree: Path, commit: str = "a" * 40) -> Artifact:
    return await artifacts.add(
        "GitRepository", "flux-system", "fleet", tree, revision=f"main@sha1:{commit}", file=f"{commit}.tar.gz"
    )


async def test_an_artifact_has_path_url_digest_and_size_of_its_file(store: ArtifactStore, tree: Path) -> None:
    store.base_url = "http://127.0.0.1:1"
    artifact = await add(store.for_cluster("alpha"), tree)
    file = store.root / "alpha" / artifact.path
    assert artifact.path == f"gitrepository/flux-system/fleet/{'a' * 40}.tar.gz"
    assert artifact.url == f"http://127.0.0.1:1/alpha/{artifact.path}"
    assert artifact.digest == "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()
    assert artifact.size == file.stat().st_size
    with tarfile.open(file) as tar:
        entries = {entry.name: (entry.mode, entry.mtime, entry.uid, entry.uname) for entry in tar}
    assert entries == {
        ".": (0o750, 0, 0, ""),
        "apps": (0o750, 0, 0, ""),
        "apps/web.yaml": (0o600, 0, 0, ""),
        "run.sh": (0o700, 0, 0, ""),
    }


async def test_the_same_content_gives_the_same_digest(store: ArtifactStore, tree: Path) -> None:
    first = await add(store.for_cluster("alpha"), tree)
    os.utime(tree / "run.sh", (1, 1))
    second = await add(store.for_cluster("beta"), tree, "b" * 40)
    assert first.digest == second.digest
    (tree / "run.sh").write_text("#!/bin/bash\n")
    assert (await add(store.for_cluster("alpha"), tree)).digest != first.digest


async def test_open_gives_a_read_only_directory_unpacked_once(store: ArtifactStore, tree: Path) -> None:
    alpha, beta = store.for_cluster("alpha"), store.for_cluster("beta")
    first, second = await add(alpha, tree), await add(beta, tree)

    async def look(artifacts: ClusterArtifacts, artifact: Artifact) -> tuple[Path, int]:
        async with artifacts.open(artifact) as directory:
            assert (directory / "apps" / "web.yaml").read_text() == "kind: Deployment\n"
            assert not (directory / "link").exists()
            assert os.access(directory / "run.sh", os.X_OK)
            return directory, (directory / "run.sh").stat().st_ino

    found = await asyncio.gather(*(look(alpha, first) for _ in range(5)), look(beta, second))
    assert len(set(found)) == 1
    mode = found[0][0].stat().st_mode & 0o777
    assert mode == 0o500


async def test_a_damaged_file_is_not_opened(store: ArtifactStore, tree: Path) -> None:
    artifacts = store.for_cluster("alpha")
    artifact = await add(artifacts, tree)
    file = store.root / "alpha" / artifact.path
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match="computed digest doesn't match"):
        await artifacts.verify(artifact)
    with pytest.raises(ArtifactError, match="computed digest doesn't match"):
        async with artifacts.open(artifact):
            pass
    file.unlink()
    with pytest.raises(ArtifactNotFound):
        async with artifacts.open(artifact):
            pass


async def test_a_path_never_leaves_the_storage(store: ArtifactStore, tree: Path) -> None:
    artifacts = store.for_cluster("alpha")
    artifact = await add(artifacts, tree)
    for path in ("../../etc/passwd", "/etc/passwd", "a/../../../b", ""):
        bad = msgspec.structs.replace(artifact, path=path)
        assert not artifacts.exists(bad)
        with pytest.raises(ArtifactError, match="not inside"):
            await artifacts.remove(bad)


def _tar(**files: bytes) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    stream.seek(0)
    return stream


@pytest.mark.parametrize("name", ["../outside", "/absolute", "a/../../outside"])
def test_an_archive_that_reaches_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(archives.ArchiveError, match="reaches outside"):
        archives.unpack(_tar(**{name: b"x"}), tmp_path)


def test_an_archive_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(archives.ArchiveError, match="more than 100 bytes"):
        archives.unpack(_tar(big=b"x" * 101), tmp_path, size_limit=100)
    with pytest.raises(archives.ArchiveError, match="more than 2 entries"):
        archives.unpack(_tar(a=b"", b=b"", c=b""), tmp_path, entry_limit=2)
    with pytest.raises(archives.ArchiveError, match="damaged"):
        archives.unpack(io.BytesIO(b"no archive"), tmp_path)
    with pytest.raises(archives.ArchiveError, match="damaged"):
        archives.unpack(io.BytesIO(_tar(big=os.urandom(5000)).getvalue()[:2000]), tmp_path)


_PACKING = """
import resource, sys
from pathlib import Path
from fluxtui.engine.runtime import archives
tree, archive, back = map(Path, sys.argv[1:4])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with archive.open("wb") as target:
    archives.pack(tree, target)
with archive.open("rb") as source:
    archives.unpack(source, back)
with archive.open("rb") as source:
    try:
        archives.unpack(source, back / "..", size_limit=1 << 20)
    except archives.ArchiveError as error:
        print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_big_tree_takes_no_memory(tmp_path: Path) -> None:
    tree, back = tmp_path / "tree", tmp_path / "in" / "back"
    tree.mkdir()
    back.mkdir(parents=True)
    size = 64 << 20
    with (tree / "big").open("wb") as file:
        # A hole: it takes no place on the disk of the test.
        file.truncate(size)
    command = [sys.executable, "-c", _PACKING, str(tree), str(tmp_path / "archive"), str(back)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    refused, grown = done.stdout.splitlines()
    assert refused == "more than 1048576 bytes of content"
    # KiB on Linux; on others bytes, which is more.
    assert int(grown) < (24 << 10) * (1 if sys.platform == "linux" else 1024)
    assert (back / "big").stat().st_size == size
    assert sorted(path.name for path in back.parent.iterdir()) == ["back"]


def test_links_and_devices_in_an_archive_make_nothing(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
        device = tarfile.TarInfo("device")
        device.type = tarfile.CHRTYPE
        tar.addfile(device)
    stream.seek(0)
    archives.unpack(stream, tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_superseded_artifacts_go_by_count_and_age_but_never_the_current_one(
    store: ArtifactStore, tree: Path
) -> None:
    artifacts = store.for_cluster("alpha")
    made = [await add(artifacts, tree, letter * 40) for letter in "abcd"]
    for age, artifact in zip((30, 20, 10, 500), made, strict=True):
        file = store.root / "alpha" / artifact.path
        moment = file.stat().st_mtime - age
        os.utime(file, (moment, moment))
    removed = await artifacts.collect(made[3])
    assert sorted(removed) == [made[0].path, made[1].path]
    assert artifacts.exists(made[2])
    assert artifacts.exists(made[3])
    old = store.root / "alpha" / made[2].path
    os.utime(old, (1, 1))
    assert await artifacts.collect(made[3]) == [made[2].path]
    assert artifacts.exists(made[3])


async def test_unpacked_directories_are_kept_while_open_and_then_the_latest(store: ArtifactStore, tree: Path) -> None:
    artifacts = store.for_cluster("alpha")
    directories = []
    made = []
    for number in range(4):
        (tree / "number").write_text(str(number))
        made.append(await add(artifacts, tree, str(number) * 40))
    async with artifacts.open(made[0]) as held:
        for artifact in made[1:]:
            async with artifacts.open(artifact) as directory:
                directories.append(directory)
        assert (held / "number").read_text() == "0"
        assert not directories[0].exists()
    assert sum(1 for _ in (store.root / UNPACKED).iterdir()) == 2


async def test_what_a_crash_leaves_is_gone_after_the_next_start(store: ArtifactStore, tree: Path) -> None:
    artifacts = store.for_cluster("alpha")
    artifact = await add(artifacts, tree)
    async with artifacts.open(artifact):
        pass
    half = store.root / "alpha" / artifact.path
    half.with_name(f"{TEMPORARY}half").write_bytes(b"half")
    workspace = store.root / f"{TEMPORARY}work"
    (workspace / "home").mkdir(parents=True)
    (workspace / "home" / "identity").write_text("key")
    again = ArtifactStore(store.root)
    again.prepare()
    assert [path.name for path in half.parent.iterdir()] == [half.name]
    assert not workspace.exists()
    async with again.for_cluster("alpha").open(artifact) as directory:
        assert (directory / "run.sh").is_file()


async def test_deleting_an_object_removes_its_artifacts(store: ArtifactStore, tree: Path) -> None:
    artifacts = store.for_cluster("alpha")
    artifact = await add(artifacts, tree)
    await artifacts.remove_all("GitRepository", "flux-system", "fleet")
    assert not artifacts.exists(artifact)


@pytest.mark.parametrize(
    ("text", "prefix"), [("prod-eu", "prod-eu"), ("arn:aws:eks/x", "arn-aws-eks-x-"), ("../..", "cluster-"), ("é", "")]
)
def test_a_cluster_id_becomes_a_safe_directory_name(text: str, prefix: str) -> None:
    name = slug(text)
    assert name.startswith(prefix)
    assert "/" not in name
    assert not name.startswith(".")
    assert slug("a/b") != slug("a:b")


async def test_the_server_gives_out_artifacts_and_nothing_else(store: ArtifactStore, tree: Path) -> None:
    async with ArtifactServer(store), aiohttp.ClientSession() as session:
        artifacts = store.for_cluster("alpha")
        artifact = await add(artifacts, tree)
        (store.root / "secret.tar.gz.txt").write_text("x")
        async with session.get(artifact.url) as response:
            assert response.status == 200
            assert "sha256:" + hashlib.sha256(await response.read()).hexdigest() == artifact.digest
        for path in ("/port", "/alpha/..%2f..%2fetc/passwd.tar.gz", "/.unpacked/x.tar.gz", "/alpha", "/"):
            async with session.get(store.base_url + path) as response:
                assert response.status == 404, path


async def test_the_port_of_the_last_time_is_used_again(store: ArtifactStore) -> None:
    async with ArtifactServer(store):
        first = store.base_url
    # Nobody else's connection shall take it meanwhile.
    with held_port(int(first.rpartition(":")[2])):
        async with ArtifactServer(store):
            assert store.base_url == first
            other = ArtifactStore(store.root)
            async with ArtifactServer(other):
                assert other.base_url != first
