"""Git remotes: what they advertise, and shallow checkouts of them.

    GitError                  `str()` is a sentence for users, free of secrets
    ├── GitMissing            there is no git on PATH
    ├── RepositoryNotFound    the remote has no such repository
    ├── AuthenticationFailed  the remote refused the credentials, or wants some
    └── EmptyRepository       the remote has no commit

Transport is the `git` command, killed with all its children when the caller is cancelled; what was fetched is read with
GitPython. Both stay off the event loop.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fluxtui.engine.adapters.git_access import Remote, environment
from fluxtui.engine.adapters.git_refs import (
    PEELED,
    MissingDirectory,
    Reference,
    ReferenceError,
    Target,
    Unresolved,
    known,
    patterns,
    resolve,
)
from fluxtui.kube.programs import ProgramError, execute

if TYPE_CHECKING:
    import git

OBJECT_LIMIT = 8 << 20
"""Most bytes of a commit or tag that is read."""
_FETCHED = "refs/fluxtui/fetched"
_TAGS = "refs/tags/"
_SUBJECT = 50


class GitError(Exception):
    """A Git operation failed."""


class GitMissing(GitError):
    """There is no git on PATH."""


class RepositoryNotFound(GitError):
    """The remote has no such repository."""


class AuthenticationFailed(GitError):
    """The remote refused the credentials, or wants some."""


class EmptyRepository(GitError):
    """The remote has no commit."""


class Tag(msgspec.Struct, frozen=True):
    """The tag a commit was reached by."""

    name: str
    hash: str = ""
    """Empty for a lightweight tag, which is no object."""
    raw: bytes = b""

    def __str__(self) -> str:
        return f"{self.name}@{self.hash}" if self.hash else self.name


class Commit(msgspec.Struct, frozen=True):
    """A commit that was checked out."""

    target: Target
    subject: str
    """First line of the message, at most 50 characters and "..."."""
    raw: bytes = b""
    """The commit object as Git stores it."""
    tag: Tag | None = None


class _Found(msgspec.Struct, frozen=True):
    """What a fetched ref holds."""

    commit: str
    message: str
    raw: bytes
    tag: tuple[str, bytes] | None
    """Hash and content of the annotated tag."""

    @property
    def subject(self) -> str:
        text = self.message.split("\n", 1)[0]
        return text if len(text) <= _SUBJECT else f"{text[:_SUBJECT]}..."


class Options(msgspec.Struct, frozen=True):
    """How a checkout is made."""

    submodules: bool = False
    directories: tuple[str, ...] = ()
    """Only these directories; empty for all."""


class Git:
    """Operations on one remote. `home` is a private directory that outlives this object."""

    def __init__(self, access: Remote, home: Path) -> None:
        self._access = access
        self._home = home
        self._env: dict[str, str] | None = None

    async def resolve(self, reference: Reference) -> Target:
        """What a reference stands for at the moment, without fetching anything. Raises GitError, ReferenceError."""
        target = known(reference)
        if target is not None:
            return target
        refs = await self._list(patterns(reference))
        if not refs and not await self._list([]):
            raise EmptyRepository("git repository is empty")
        return resolve(reference, refs)

    async def checkout(self, target: Target, directory: Path, options: Options | None = None) -> Commit:
        """Fetch a target, as little as possible, into a new directory. Raises GitError, ReferenceError.

        A branch that has moved on meanwhile is checked out as it is now, and the commit says so.
        """
        options = options or Options()
        algorithm = "sha1" if len(target.commit) == 40 else "sha256"
        await self._run("init", "--quiet", "--template=", f"--object-format={algorithm}", "--", str(directory))
        if target.pinned and target.ref:
            await self._require(target, directory)
        where = await self._fetch(target, directory, blobless=bool(options.directories))
        found = await asyncio.to_thread(_read_commit, directory, where)
        if options.directories:
            paths = [f"/{path.removeprefix('./').strip('/')}" for path in options.directories]
            await self._run("sparse-checkout", "set", "--no-cone", "--", *paths, cwd=directory)
        await self._run("checkout", "--quiet", "--detach", found.commit, cwd=directory)
        if options.submodules:
            await self._run("config", "remote.origin.url", self._access.url, cwd=directory)
            await self._run(
                "submodule", "--quiet", "update", "--init", "--recursive", "--depth=1", "--single-branch", cwd=directory
            )
        missing = await asyncio.to_thread(_missing, directory, options.directories)
        if missing:
            raise MissingDirectory(f"sparse checkout dir '{missing}' does not exist in repository")
        tag = None
        if target.ref.startswith(_TAGS) and not target.pinned:
            name = target.ref.removeprefix(_TAGS).removesuffix(PEELED)
            tag = Tag(name, *found.tag) if found.tag else Tag(name)
        return Commit(msgspec.structs.replace(target, commit=found.commit), found.subject, found.raw, tag)

    async def _list(self, wanted: Sequence[str]) -> dict[str, str]:
        output = await self._run("ls-remote", "--quiet", "--", self._access.url, *wanted)
        refs = {}
        for line in output.splitlines():
            commit, tab, name = line.partition("\t")
            if tab and re.fullmatch(r"[0-9a-f]{40,64}", commit):
                refs[name] = commit
        return refs

    async def _fetch(self, target: Target, directory: Path, *, blobless: bool) -> str:
        """Fetch the commit, shallow if the server can; where it is then."""
        flags = ["--quiet", "--no-tags", "--no-recurse-submodules", "--force"]
        if blobless:
            await self._run("config", "remote.origin.url", self._access.url, cwd=directory)
            await self._run("config", "remote.origin.promisor", "true", cwd=directory)
            await self._run("config", "remote.origin.partialclonefilter", "blob:none", cwd=directory)
            flags.append("--filter=blob:none")
        where = "origin" if blobless else self._access.url
        ref = target.ref.removesuffix(PEELED)
        source = f"+{target.commit if target.pinned else ref}:{_FETCHED}"
        try:
            await self._run("fetch", *flags, "--depth=1", where, source, cwd=directory)
        except (AuthenticationFailed, RepositoryNotFound):
            raise
        except GitError:
            # Servers may know no shallow fetches, or give out no commit by its hash: fetch the history then.
            history = f"+{ref}:{_FETCHED}" if ref else "+refs/heads/*:refs/fluxtui/heads/*"
            await self._run("fetch", *flags, where, history, cwd=directory)
        return target.commit if target.pinned else _FETCHED

    async def _require(self, target: Target, directory: Path) -> None:
        """Refuse a commit that is not on its branch. Raises GitError, ReferenceError."""
        history = directory.with_name(f"{directory.name}-history")
        await self._run("init", "--quiet", "--bare", "--template=", "--", str(history))
        for name, value in (("url", self._access.url), ("promisor", "true"), ("partialclonefilter", "tree:0")):
            await self._run("config", f"remote.origin.{name}", value, cwd=history)
        flags = ["--quiet", "--no-tags", "--force", "--filter=tree:0"]
        await self._run("fetch", *flags, "origin", f"+{target.ref}:{_FETCHED}", cwd=history)
        # Commits alone are here. One that is not would be asked for, and found where forks share their objects.
        await self._run("config", "remote.origin.url", f"file://{history}-none", cwd=history)
        try:
            await self._run("merge-base", "--is-ancestor", target.commit, _FETCHED, cwd=history)
        except GitError as error:
            branch = target.ref.removeprefix("refs/heads/")
            message = f"unable to resolve commit object for '{target.commit}' on branch '{branch}'"
            raise Unresolved(message) from error
        await asyncio.to_thread(shutil.rmtree, history, ignore_errors=True)

    async def _run(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run git and return what it prints. Raises GitError."""
        program = shutil.which("git")
        if program is None:
            raise GitMissing("there is no git on PATH; the engine needs it to fetch Git repositories")
        if self._env is None:
            self._env = await asyncio.to_thread(environment, self._access, self._home)
        try:
            done = await execute(program, arguments, self._env, cwd or self._home)
        except ProgramError as error:
            raise GitError(str(error)) from error
        if done.code != 0:
            raise self._translate(done.errors)
        return done.output

    def _translate(self, errors: str) -> GitError:
        text = self._access.redact(errors)
        low = text.lower()
        if any(sign in low for sign in _NOT_FOUND):
            return RepositoryNotFound("repository not found")
        if "host key verification failed" in low:
            return AuthenticationFailed("the server's host key is not in known_hosts")
        if 'load key "' in low:
            return AuthenticationFailed("the private key can't be read")
        if any(sign in low for sign in _DENIED):
            return AuthenticationFailed("authentication required")
        return GitError(_reason(text))


_NOT_FOUND = (
    "' not found",
    "does not exist",
    "does not appear to be a git repository",
    "repository not found",
)
_DENIED = (
    "authentication failed",
    "could not read username",
    "could not read password",
    "permission denied (",
    "error: 401",
    "error: 403",
)


_TELLING = ("fatal:", "error:", "ssh: ", "kex_exchange", "Connection closed", "Connection reset")
_BROKEN = "Could not read from remote repository."


def _reason(errors: str) -> str:
    """The telling lines of git's complaint, on one line."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    telling = [re.sub(r"^(fatal|error): ", "", line) for line in lines if line.startswith(_TELLING)]
    if len(telling) > 1:
        # What ssh said before is the cause.
        telling = [line for line in telling if line != _BROKEN]
    return "; ".join(dict.fromkeys(telling or lines[-3:]))[:1000] or "git failed without a word"


def _missing(directory: Path, paths: Sequence[str]) -> str:
    """The first path that a directory does not have."""
    return next((path for path in paths if not os.path.lexists(directory / path)), "")


def _read_commit(directory: Path, name: str) -> _Found:
    """The commit a name stands for, and the tag it was reached by."""
    # The engine starts without GitPython: it is only needed once something was fetched.
    import git

    with git.Repo(directory, odbt=git.GitCmdObjectDB) as repository:
        # An engine that was started by a Git hook must not read the hook's repository.
        own = directory / ".git"
        repository.git.update_environment(GIT_DIR=str(own), GIT_OBJECT_DIRECTORY=str(own / "objects"))
        try:
            found = repository.rev_parse(name)
            tag = None
            while isinstance(found, git.TagObject):
                tag = tag or (found.hexsha, _content(repository, found))
                found = found.object
            if not isinstance(found, git.Commit):
                raise ReferenceError(f"'{name}' is a {found.type}, not a commit")
            message = found.message
            raw = _content(repository, found)
        except (ValueError, git.exc.BadObject, git.BadName) as error:
            raise Unresolved(f"unable to resolve commit object for '{name}'") from error
    text = message if isinstance(message, str) else message.decode("utf-8", "replace")
    return _Found(found.hexsha, text, raw, tag)


def _content(repository: git.Repo, found: git.TagObject | git.Commit) -> bytes:
    stream = repository.odb.stream(found.binsha)
    if stream.size > OBJECT_LIMIT:
        raise ReferenceError(f"{found.type} {found.hexsha} is larger than {OBJECT_LIMIT >> 20} MiB")
    content: bytes = stream.read()
    return content
