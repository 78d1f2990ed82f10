"""Remote files and bases, from an HTTP server and from Git repositories on this machine."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fluxtui.kustomize import KustomizeError, Options, Remotes, Resources, build
from fluxtui.kustomize.repositories import Repository, parse
from tests.engine.source.sshd import ssh_server

OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"


class Site(ThreadingHTTPServer):
    """Serves texts by path, with tags, and notes what is asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, str] = {}
        self.asked: list[tuple[str, int]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        content = self.server.files.get(self.path)
        tag = f'"{hash(content)}"'
        status = 404 if content is None else 304 if self.headers["If-None-Match"] == tag else 200
        if content == "redirect":
            status = 302
        self.server.asked.append((self.path, status))
        self.send_response(status)
        self.send_header("ETag", tag)
        if status == 302:
            self.send_header("Location", "file:///etc/hostname")
        self.end_headers()
        if status == 200 and content is not None:
            self.wfile.write(content.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", directory, *arguments], capture_output=True, check=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "origin"
    (root / "deploy").mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "deploy" / "kustomization.yaml").write_text("resources: [x.yaml]\n")
    (root / "deploy" / "x.yaml").write_text(OBJECT)
    commit(root, "first")
    git(root, "tag", "v1")
    return root


def commit(root: Path, message: str) -> str:
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "-m", message)
    return git(root, "rev-parse", "HEAD")


def built(tmp_path: Path, resource: str, more: str = "") -> Resources:
    directory = tmp_path / "overlay"
    directory.mkdir(exist_ok=True)
    (directory / "kustomization.yaml").write_text(f"resources: ['{resource}']\n{more}")
    return build(str(directory), options=Options(remotes=Remotes(tmp_path / "cache")))


def names(resources: Resources) -> list[str]:
    return [resource.name for resource in resources]


def test_a_file_is_asked_for_anew_and_kept(tmp_path: Path, site: Site) -> None:
    site.files["/x.yaml"] = OBJECT
    assert names(built(tmp_path, site.url("/x.yaml"))) == ["x"]
    assert names(built(tmp_path, site.url("/x.yaml"), "namePrefix: a-\n")) == ["a-x"]
    assert site.asked == [("/x.yaml", 200), ("/x.yaml", 304)]
    site.files["/x.yaml"] = OBJECT.replace("name: x", "name: y")
    assert names(built(tmp_path, site.url("/x.yaml"))) == ["y"]


def test_a_file_that_is_not_there(tmp_path: Path, site: Site) -> None:
    with pytest.raises(KustomizeError, match="status code 404"):
        built(tmp_path, site.url("/x.yaml"))


def test_a_server_does_not_lead_to_files_of_this_machine(tmp_path: Path, site: Site) -> None:
    site.files["/x.yaml"] = "redirect"
    with pytest.raises(KustomizeError, match=r"x\.yaml"):
        built(tmp_path, site.url("/x.yaml"))


def test_nobody_listens(tmp_path: Path, site: Site) -> None:
    with pytest.raises(KustomizeError, match="refused"):
        built(tmp_path, "http://127.0.0.1:1/x.yaml")


def test_a_repository_at_a_tag_a_branch_and_a_commit(tmp_path: Path, repository: Path) -> None:
    (repository / "deploy" / "x.yaml").write_text(OBJECT.replace("name: x", "name: y"))
    second = commit(repository, "second")
    address = f"file://{repository}//deploy"
    assert names(built(tmp_path, f"{address}?ref=v1")) == ["x"]
    assert names(built(tmp_path, f"{address}?ref=main")) == ["y"]
    assert names(built(tmp_path, address)) == ["y"]
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    assert names(built(tmp_path, f"{address}?ref={second}")) == ["y"]
    repository.rename(tmp_path / "gone")
    assert names(built(tmp_path, f"{address}?ref={second}")) == ["y"]
    with pytest.raises(KustomizeError, match="git failed"):
        built(tmp_path, f"{address}?ref=main")


def test_a_repository_is_the_build_itself(tmp_path: Path, repository: Path) -> None:
    options = Options(remotes=Remotes(tmp_path / "cache"))
    assert names(build(f"file://{repository}//deploy?ref=v1", options=options)) == ["x"]


def test_origins_name_the_repository(tmp_path: Path, repository: Path) -> None:
    found = built(tmp_path, f"file://{repository}//deploy?ref=v1", "buildMetadata: [originAnnotations]\n")
    origin = found[0].object["metadata"]["annotations"]["config.kubernetes.io/origin"]
    assert origin == f"path: deploy/x.yaml\nrepo: file://{repository}\nref: v1\n"


@pytest.mark.parametrize(
    ("kustomization", "problem"),
    [
        ("resources: [../../outside]", "security"),
        ("resources: [link.yaml]", "security"),
        ("resources: [/etc/hostname]", "hostname"),
        ("configMapGenerator: [{name: x, files: [link.yaml]}]", "security"),
    ],
)
def test_a_repository_does_not_read_outside_of_itself(
    tmp_path: Path, repository: Path, kustomization: str, problem: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kustomization.yaml").write_text("namePrefix: x\n")
    (repository / "deploy" / "link.yaml").symlink_to(outside / "kustomization.yaml")
    (repository / "deploy" / "kustomization.yaml").write_text(f"{kustomization}\n")
    commit(repository, "hostile")
    with pytest.raises(KustomizeError, match=problem):
        built(tmp_path, f"file://{repository}//deploy")


def test_a_repository_that_builds_on_itself(tmp_path: Path, repository: Path) -> None:
    (repository / "deploy" / "kustomization.yaml").write_text(f"resources: ['file://{repository}//deploy']\n")
    commit(repository, "cycle")
    with pytest.raises(KustomizeError, match="cycle detected"):
        built(tmp_path, f"file://{repository}//deploy")


def test_a_revision_is_no_option(tmp_path: Path, repository: Path) -> None:
    with pytest.raises(KustomizeError, match="dash"):
        built(tmp_path, f"file://{repository}//deploy?ref=--upload-pack=x")


def test_no_git(tmp_path: Path, repository: Path) -> None:
    options = Options(remotes=Remotes(tmp_path / "cache", git=str(tmp_path / "absent")))
    with pytest.raises(KustomizeError, match="there is no program"):
        build(f"file://{repository}//deploy", options=options)


@pytest.mark.parametrize(
    ("address", "url", "path", "ref"),
    [
        ("https://github.com/org/repo//path/to?ref=v1", "https://github.com/org/repo", "path/to", "v1"),
        ("github.com/org/repo/path?version=v2", "https://github.com/org/repo", "path", "v2"),
        ("git@github.com:org/repo.git//a", "git@github.com:org/repo.git", "a", ""),
        ("ssh://git@github.com/org/repo", "git@github.com:org/repo", "", ""),
        ("git::https://x.example.com/o/repo.git/sub?ref=b&timeout=1m", "https://x.example.com/o/repo.git", "sub", "b"),
        ("https://dev.azure.com/org/project/_git/repo/a/b", "https://dev.azure.com/org/project/_git/repo", "a/b", ""),
        ("user@host.xz:path/to/repo.git/", "user@host.xz:path/to/repo.git", "", ""),
        ("file:///srv/repo//sub", "file:///srv/repo", "sub", ""),
    ],
)  # fmt: skip
def test_addresses(address: str, url: str, path: str, ref: str) -> None:
    found = parse(address)
    assert isinstance(found, Repository)
    assert (found.url, found.path, found.ref) == (url, path, ref)


@pytest.mark.parametrize(
    "path", ["../base", "/abs/dir", "dir", "a/b/c.yaml", "https://host/x", "host/org/repo", "git@h:o/r//../x"]
)
def test_paths_are_no_addresses(path: str) -> None:
    assert parse(path) is None


def test_what_an_address_asks_for() -> None:
    found = parse("https://github.com/org/repo?timeout=2m30s&submodules=false")
    assert found is not None
    assert (found.timeout, found.submodules) == (150, False)


async def test_a_repository_over_ssh(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ssh_server(tmp_path / "sshd") as server:
        hosts = tmp_path / "hosts"
        hosts.write_text(server.known_hosts)
        program = f"ssh -F none -i {server.directory / 'client'} -o IdentitiesOnly=yes -o UserKnownHostsFile={hosts}"
        monkeypatch.setenv("GIT_SSH_COMMAND", program)
        address = f"{server.url(repository)}//deploy?ref=v1"
        assert names(await asyncio.to_thread(built, tmp_path, address)) == ["x"]
        hosts.write_text("")
        with pytest.raises(KustomizeError, match="git failed"):
            await asyncio.to_thread(built, tmp_path, address)


@pytest.mark.parametrize(("query", "found"), [("", True), ("&submodules=true", True), ("&submodules=false", False)])
def test_submodules_come_along_unless_they_are_not_wanted(
    tmp_path: Path, repository: Path, query: str, found: bool
) -> None:
    part = tmp_path / "part"
    part.mkdir()
    git(part, "init", "--quiet", "--initial-branch=main")
    (part / "kustomization.yaml").write_text("resources: [y.yaml]\n")
    (part / "y.yaml").write_text(OBJECT.replace("name: x", "name: y"))
    commit(part, "part")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", f"file://{part}", "part")
    (repository / "deploy" / "kustomization.yaml").write_text("resources: [x.yaml, ../part]\n")
    commit(repository, "with a part")
    address = f"file://{repository}//deploy?ref=main{query}"
    if found:
        assert names(built(tmp_path, address)) == ["x", "y"]
    else:
        with pytest.raises(KustomizeError, match="part"):
            built(tmp_path, address)


def test_settings_of_the_user_can_be_kept_out(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text('[url "file:///nowhere/"]\n\tinsteadOf = file:///\n')
    wanted = Repository(f"file://{repository}")
    with pytest.raises(KustomizeError, match="git failed"):
        Remotes(tmp_path / "cache").repository(wanted)
    found = Remotes(tmp_path / "cache", anonymous=True).repository(wanted)
    assert (Path(found) / ".git").is_dir()
    with pytest.raises(KustomizeError, match="transport 'file' not allowed"):
        Remotes(tmp_path / "cache", anonymous=True, protocols=("https",)).repository(wanted)


def test_copies_that_nobody_uses_go_beyond_the_limit(tmp_path: Path, repository: Path) -> None:
    remotes = Remotes(tmp_path / "cache", limit=1)
    wanted = Repository(f"file://{repository}")
    first = Path(remotes.repository(wanted))
    assert first.is_dir()
    os.utime(first, (0, 0))
    (repository / "new").write_text("new")
    commit(repository, "next")
    second = Path(remotes.repository(wanted))
    assert (first.exists(), second.is_dir()) == (False, True)
