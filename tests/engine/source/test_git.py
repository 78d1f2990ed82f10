"""Git over file:// and HTTP, against real repositories and git's own server."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from fluxtui.engine.adapters import git as adapter
from fluxtui.engine.adapters.git import (
    AuthenticationFailed,
    EmptyRepository,
    Git,
    GitError,
    GitMissing,
    Options,
    RepositoryNotFound,
)
from fluxtui.engine.adapters.git_access import AccessError, environment, remote
from fluxtui.engine.adapters.git_refs import Reference, ReferenceError
from fluxtui.kube import programs
from fluxtui.kube.programs import Finished
from tests.engine.polling import eventually
from tests.engine.source.repositories import GitServer, Repository, need_http_backend, self_signed, serving

MAIN = Reference(branch="main")


def make(url: str, tmp_path: Path, secret: dict[str, bytes] | None = None) -> Git:
    return Git(remote(url, secret), tmp_path / "home")


async def test_a_branch_is_resolved_and_checked_out_shallow(repository: Repository, tmp_path: Path) -> None:
    head = repository.commit("second", {"apps/web.yaml": "kind: StatefulSet\n"})
    git = make(repository.url, tmp_path)
    target = await git.resolve(MAIN)
    assert target.revision == f"main@sha1:{head}"
    commit = await git.checkout(target, tmp_path / "tree")
    assert (commit.target.revision, commit.subject) == (f"main@sha1:{head}", "second")
    assert (tmp_path / "tree/apps/web.yaml").read_text() == "kind: StatefulSet\n"
    assert (tmp_path / "tree/.git/shallow").exists()


async def test_a_branch_that_moved_since_is_what_it_is_now(repository: Repository, tmp_path: Path) -> None:
    git = make(repository.url, tmp_path)
    target = await git.resolve(MAIN)
    head = repository.commit("moved on")
    commit = await git.checkout(target, tmp_path / "tree")
    assert commit.target.commit == head


async def test_tags_versions_names_and_commits(repository: Repository, tmp_path: Path) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "v1.0.0")
    second = repository.commit("second")
    repository.git("tag", "--annotate", "--message", "release", "v1.1.0")
    repository.git("tag", "v2.0.0-rc.1")
    repository.git("update-ref", "refs/pull/7/head", first)
    repository.commit("third")
    git = make(repository.url, tmp_path)
    expected = {
        Reference(tag="v1.0.0"): f"v1.0.0@sha1:{first}",
        Reference(tag="v1.1.0"): f"v1.1.0@sha1:{second}",
        Reference(semver=">=1.0.0"): f"v1.1.0@sha1:{second}",
        Reference(semver="1.0.x", branch="main"): f"v1.0.0@sha1:{first}",
        Reference(semver=">=1.0.0-0"): f"v2.0.0-rc.1@sha1:{second}",
        Reference(name="refs/pull/7/head", tag="v1.1.0"): f"refs/pull/7/head@sha1:{first}",
        Reference(name="refs/tags/v1.1.0^{}"): f"refs/tags/v1.1.0^{{}}@sha1:{second}",
        Reference(commit=first, branch="main", semver="*"): f"main@sha1:{first}",
        Reference(commit=first): f"sha1:{first}",
    }
    for number, (reference, revision) in enumerate(expected.items()):
        target = await git.resolve(reference)
        assert target.revision == revision, reference
        commit = await git.checkout(target, tmp_path / f"tree{number}")
        assert commit.target.revision == revision, reference


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (Reference(branch="nope"), r'couldn\'t find remote ref "refs/heads/nope"'),
        (Reference(), r'couldn\'t find remote ref "refs/heads/master"'),
        (Reference(tag="v9"), r'couldn\'t find remote ref "refs/tags/v9"'),
        (Reference(semver=">=9"), "no match found for semver: >=9"),
        (Reference(semver="bogus"), "semver parse error"),
        (Reference(semver=">=" + "9" * 5000), "semver parse error: improper constraint"),
        (Reference(name="refs/heads/gone"), "unable to resolve ref"),
        (Reference(commit="abc"), "not a full hash"),
        (Reference(branch="--upload-pack=touch /tmp/x"), "not a valid Git reference"),
    ],
)
async def test_a_reference_the_remote_does_not_have(
    repository: Repository, tmp_path: Path, reference: Reference, message: str
) -> None:
    with pytest.raises(ReferenceError, match=message):
        await make(repository.url, tmp_path).resolve(reference)


async def test_a_commit_the_remote_does_not_have(repository: Repository, tmp_path: Path) -> None:
    git = make(repository.url, tmp_path)
    target = await git.resolve(Reference(commit="d" * 40, branch="main"))
    with pytest.raises((ReferenceError, GitError), match="d" * 40):
        await git.checkout(target, tmp_path / "tree")


@pytest.mark.parametrize("partial", [True, False])
async def test_a_commit_that_is_on_another_branch(
    repository: Repository, server: GitServer, tmp_path: Path, partial: bool
) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("config", "uploadpack.allowFilter", str(partial).lower())
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    repository.git("checkout", "--quiet", "-b", "other")
    other = repository.commit("other")
    git = make(f"{server.url}/fleet/.git", tmp_path)
    await git.checkout(await git.resolve(Reference(commit=first, branch="other")), tmp_path / "first")
    await git.checkout(await git.resolve(Reference(commit=other)), tmp_path / "any")
    target = await git.resolve(Reference(commit=other, branch="main"))
    with pytest.raises(ReferenceError, match=f"unable to resolve commit object for '{other}' on branch 'main'"):
        await git.checkout(target, tmp_path / "tree")


async def test_only_the_directories_asked_for_are_there(repository: Repository, tmp_path: Path) -> None:
    repository.commit("more", {"infra/x.yaml": "x", "apps/deep/y.yaml": "y", "top.yaml": "t"})
    git = make(repository.url, tmp_path)
    target = await git.resolve(MAIN)
    await git.checkout(target, tmp_path / "tree", Options(directories=("./apps",)))
    found = {str(p.relative_to(tmp_path / "tree")) for p in (tmp_path / "tree").rglob("*") if p.is_file()}
    assert {name for name in found if not name.startswith(".git")} == {"apps/web.yaml", "apps/deep/y.yaml"}
    await git.checkout(target, tmp_path / "one", Options(directories=("infra", "apps/web.yaml")))
    found = {str(p.relative_to(tmp_path / "one")) for p in (tmp_path / "one").rglob("*") if p.is_file()}
    assert {name for name in found if not name.startswith(".git")} == {"apps/web.yaml", "infra/x.yaml"}
    with pytest.raises(GitError, match="null byte"):
        await git.checkout(target, tmp_path / "null", Options(directories=("a\0b",)))
    with pytest.raises(ReferenceError, match="sparse checkout dir 'nope' does not exist"):
        await git.checkout(target, tmp_path / "other", Options(directories=("nope",)))


async def test_submodules_come_along_when_asked_for(repository: Repository, server: GitServer, tmp_path: Path) -> None:
    library = Repository(repository.path.parent / "library")
    library.commit("library", {"base.yaml": "base"})
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", library.url, "library")
    repository.git("config", "--file", ".gitmodules", "submodule.library.url", f"{server.url}/library/.git")
    repository.commit("with submodule")
    git = make(f"{server.url}/fleet/.git", tmp_path)
    target = await git.resolve(MAIN)
    await git.checkout(target, tmp_path / "with", Options(submodules=True))
    assert (tmp_path / "with/library/base.yaml").read_text() == "base"
    await git.checkout(target, tmp_path / "without")
    assert not (tmp_path / "without/library/base.yaml").exists()


async def test_a_remote_repository_can_not_name_local_ones(
    repository: Repository, server: GitServer, tmp_path: Path
) -> None:
    private = Repository(tmp_path / "private")
    private.commit("private", {"secret": "s"})
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", private.url, "stolen")
    repository.commit("bad submodule")
    git = make(f"{server.url}/fleet/.git", tmp_path)
    with pytest.raises(GitError, match="transport 'file' not allowed"):
        await git.checkout(await git.resolve(MAIN), tmp_path / "tree", Options(submodules=True))
    assert not (tmp_path / "tree/stolen/secret").exists()


async def test_an_empty_repository_and_one_that_is_not_there(tmp_path: Path) -> None:
    empty = Repository(tmp_path / "empty")
    with pytest.raises(EmptyRepository, match="git repository is empty"):
        await make(empty.url, tmp_path).resolve(MAIN)
    with pytest.raises(RepositoryNotFound, match="repository not found"):
        await make(f"file://{tmp_path}/none", tmp_path).resolve(MAIN)


async def test_credentials_reach_the_server_and_nothing_else(
    repository: Repository, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.require_basic("flux", "s3cr3t-pässword")
    secret = {"username": b"flux", "password": "s3cr3t-pässword\n".encode()}
    seen: list[str] = []
    execute = programs.execute

    async def spy(program: str, arguments: list[str], env: dict[str, str], cwd: Path) -> Finished:
        seen.extend([*arguments, *env.values()])
        return await execute(program, arguments, env, cwd)

    monkeypatch.setattr(adapter, "execute", spy)
    git = make(f"{server.url}/fleet/.git", tmp_path, secret)
    commit = await git.checkout(await git.resolve(MAIN), tmp_path / "tree")
    assert commit.subject == "fleet: first"
    assert seen
    assert not [text for text in seen if "s3cr3t" in text or server.authorization.split()[1] in text]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "home").iterdir())


async def test_wrong_and_missing_credentials_are_told_apart_from_a_missing_repository(
    server: GitServer, tmp_path: Path
) -> None:
    server.require_basic("flux", "right")
    url = f"{server.url}/fleet/.git"
    for secret in (None, {"username": b"flux", "password": b"wrong"}, {"bearerToken": b"wrong"}):
        with pytest.raises(AuthenticationFailed) as caught:
            await make(url, tmp_path, secret).resolve(MAIN)
        assert "wrong" not in str(caught.value)
    server.authorization = "Bearer t0ken"
    assert (await make(url, tmp_path, {"bearerToken": b"t0ken"}).resolve(MAIN)).ref == "refs/heads/main"
    with pytest.raises(RepositoryNotFound):
        await make(f"{server.url}/none.git", tmp_path, {"bearerToken": b"t0ken"}).resolve(MAIN)


async def test_a_redirect_is_not_followed(server: GitServer, repository: Repository, tmp_path: Path) -> None:
    with serving(repository.path.parent) as thief:
        server.redirect_to = thief.url
        with pytest.raises(GitError):
            await make(f"{server.url}/fleet/.git", tmp_path, {"username": b"u", "password": b"p"}).resolve(MAIN)
        assert thief.requests == []


async def test_the_configuration_of_the_user_plays_no_part(
    repository: Repository, server: GitServer, tmp_path: Path, isolated_home: Path
) -> None:
    (isolated_home / ".gitconfig").write_text(
        f'[url "{server.url}/elsewhere/"]\n  insteadOf = {server.url}/\n'
        f'[credential]\n  helper = "!touch {tmp_path}/asked"\n'
    )
    assert (await make(f"{server.url}/fleet/.git", tmp_path).resolve(MAIN)).ref == "refs/heads/main"
    server.require_basic("a", "b")
    with pytest.raises(AuthenticationFailed):
        await make(f"{server.url}/fleet/.git", tmp_path).resolve(MAIN)
    assert not (tmp_path / "asked").exists()


async def test_an_engine_started_by_a_git_hook_reads_the_right_repository(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Repository(tmp_path / "other")
    other.commit("of the hook")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    git = make(repository.url, tmp_path)
    commit = await git.checkout(await git.resolve(MAIN), tmp_path / "tree")
    assert commit.subject == "fleet: first"


async def test_a_cancelled_operation_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "pid"
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "git").write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {marker}.new\nmv {marker}.new {marker}\nwait\n")
    (tools / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    task = asyncio.ensure_future(make("file:///nowhere", tmp_path).resolve(MAIN))
    await eventually(marker.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    child = int(marker.read_text())
    await eventually(lambda: not _alive(child))


async def test_a_machine_without_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(GitMissing, match="no git on PATH"):
        await make("file:///nowhere", tmp_path).resolve(MAIN)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("url", "secret", "message"),
    [
        ("git@github.com:o/r", None, "failed to parse url"),
        ("ftp://host/x", None, "the scheme must be one of"),
        ("http://", None, "it names no host"),
        ("file://host/x", None, "file:///absolute/path"),
        ("https://u:p@host:port/x", None, "^failed to parse url 'https://host:port/x'"),
        ("https://host/\nx", None, "control characters"),
        ("ssh://host/x", None, "'identity' is required"),
        ("ssh://host/x", {"identity": b"k"}, "'known_hosts' is required"),
        ("https://host/x", {"password": b"p"}, "'password' requires 'username' to be set"),
        ("https://host/x", {"username": b"a\nb", "password": b"p"}, "control characters"),
        ("https://host/x", {"username": b"\xff"}, "'username' in the Secret is no text"),
        ("https://host/x", {"tls.crt": b"c"}, "must be given together"),
    ],
)
def test_addresses_and_secrets_that_can_not_be_used(url: str, secret: dict[str, bytes] | None, message: str) -> None:
    with pytest.raises(AccessError, match=message):
        remote(url, secret)


async def test_a_server_certificate_is_checked_against_the_secret(repository: Repository, tmp_path: Path) -> None:
    need_http_backend()
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on PATH")
    key, certificate = await asyncio.to_thread(self_signed, tmp_path)
    with serving(repository.path.parent, (certificate, key)) as server:
        url = f"{server.url}/fleet/.git"
        with pytest.raises(GitError, match="certificate"):
            await make(url, tmp_path / "without").resolve(MAIN)
        secret = {"ca.crt": certificate.read_bytes()}
        assert (await make(url, tmp_path / "with", secret).resolve(MAIN)).ref == "refs/heads/main"


def test_a_proxy_is_part_of_the_configuration(tmp_path: Path) -> None:
    proxy = {"address": b"http://proxy:3128", "username": b"me", "password": b"p@ss"}
    env = environment(remote("https://host/x", None, proxy), tmp_path / "home")
    assert 'proxy = "http://me:p%40ss@proxy:3128"' in (tmp_path / "home" / "gitconfig").read_text()
    assert "p%40ss" not in " ".join(env.values())
    for bad in ({}, {"address": b"gopher://x"}, {"address": b"proxy"}):
        with pytest.raises(AccessError, match="address"):
            remote("https://host/x", None, bad or {"username": b"x"})


def test_an_address_is_shown_without_its_password() -> None:
    access = remote("https://user:pa55word@host/x.git?a=b")
    assert access.url == "https://host/x.git?a=b"
    assert (access.username, access.password) == ("user", "pa55word")
    assert "pa55word" not in repr(access)
    assert access.redact("fatal: https://user:pa55word@host/: pa55word no") == "fatal: https://host/: *** no"
