"""Files and repositories that a kustomization takes from elsewhere, kept in a cache directory.

A file is asked for anew with the tag that the server gave it; a commit of a repository is fetched once.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from fluxtui.kustomize.errors import LoadError
from fluxtui.kustomize.filesystem import MAX_FILE_BYTES
from fluxtui.kustomize.repositories import Repository

FILE_TIMEOUT = 30
"""Seconds that a server may be silent."""

PROTOCOLS = ("file", "git", "http", "https", "ssh")
"""What Git may speak."""
_IN_USE = 600.0
"""Seconds for which a copy that was used may still be read by a build."""
_PERSONAL = ("GIT_", "SSH_", "XDG_")
"""What begins the names of variables that lead to the user's settings and keys."""
_TRUST = ("GIT_SSL_CAINFO", "GIT_SSL_CAPATH")
_NOBODY = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_SSH_COMMAND": "ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityFile=none",
}
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_NOT_MODIFIED = 304


class Remotes:
    """Fetches over HTTP(S) and with the `git` program."""

    def __init__(
        self,
        cache: str | Path,
        git: str = "git",
        *,
        protocols: Sequence[str] = PROTOCOLS,
        anonymous: bool = False,
        limit: int = 0,
    ) -> None:
        """`cache` is a directory of this class alone; it is made when something is fetched.

        `protocols` are those that Git may speak. `anonymous` keeps Git from the user's settings, keys and passwords.
        `limit` is how many bytes of repositories are kept, 0 for any; those that were not used for a while go first.
        """
        self._cache = Path(cache)
        self._git = git
        self._protocols = tuple(protocols)
        self._anonymous = anonymous
        self._limit = limit

    def file(self, url: str) -> bytes:
        """The content of a file. Raises LoadError."""
        kept = self._cache / "files" / hashlib.sha256(url.encode()).hexdigest()
        tag = kept.with_suffix(".etag")
        request = urllib.request.Request(url, headers={"User-Agent": "fluxtui"})
        if kept.is_file() and tag.is_file():
            request.add_header("If-None-Match", tag.read_text())
        try:
            with _opener().open(request, timeout=FILE_TIMEOUT) as response:
                content: bytes = response.read(MAX_FILE_BYTES + 1)
                found_tag = response.headers.get("ETag", "")
        except urllib.error.HTTPError as error:
            with error:
                if error.code == _NOT_MODIFIED:
                    return kept.read_bytes()
                raise LoadError(f"{url}: HTTP error: status code {error.code} ({error.reason})") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise LoadError(f"{url}: {getattr(error, 'reason', error)}") from error
        if len(content) > MAX_FILE_BYTES:
            raise LoadError(f"{url}: larger than {MAX_FILE_BYTES} bytes")
        if found_tag:
            self._keep(kept, content)
            self._keep(tag, found_tag.encode())
        return content

    def repository(self, wanted: Repository) -> str:
        """The directory of a working copy. Raises LoadError."""
        if wanted.ref.startswith("-"):
            raise LoadError(f"{wanted.url}: a revision can't begin with a dash: {wanted.ref}")
        name = hashlib.sha256(f"{wanted.url} {wanted.submodules}".encode()).hexdigest()
        copies = self._cache / "repositories" / name
        commit = wanted.ref if _COMMIT.match(wanted.ref) else self._commit(wanted)
        if commit and (copies / commit).is_dir():
            os.utime(copies / commit)
            return str(copies / commit)
        place = self._clone(wanted, copies)
        if self._limit:
            self._trim()
        return place

    def _commit(self, wanted: Repository) -> str:
        """What the revision is now, empty when the server does not tell."""
        lines = self._run(wanted, "ls-remote", "--", wanted.url).splitlines()
        listed = {name: commit for commit, _, name in (line.partition("\t") for line in lines)}
        ref = wanted.ref or "HEAD"
        names = (f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", f"refs/heads/{ref}", ref)
        return next((listed[name] for name in names if name in listed), "")

    def _clone(self, wanted: Repository, copies: Path) -> str:
        try:
            copies.mkdir(parents=True, exist_ok=True)
            work = tempfile.mkdtemp(prefix="new-", dir=copies)
        except OSError as error:
            raise LoadError(f"{wanted.url}: no place to keep a copy: {error}") from error
        try:
            self._run(wanted, "-C", work, "init", "--quiet")
            self._run(wanted, "-C", work, "remote", "add", "origin", wanted.url)
            self._run(wanted, "-C", work, "fetch", "--quiet", "--depth=1", wanted.url, wanted.ref or "HEAD")
            self._run(wanted, "-C", work, "checkout", "--quiet", "FETCH_HEAD")
            if wanted.submodules:
                self._run(wanted, "-C", work, "submodule", "--quiet", "update", "--init", "--recursive")
            place = copies / self._run(wanted, "-C", work, "rev-parse", "HEAD").strip()
            if not place.is_dir():
                _move(work, place)
        except OSError as error:
            raise LoadError(f"{wanted.url}: the copy can't be kept: {error}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return str(place)

    def _run(self, wanted: Repository, *arguments: str) -> str:
        """What Git prints. Raises LoadError."""
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": ":".join(self._protocols)}
        if self._anonymous:
            kept = {name: value for name, value in environment.items() if not name.startswith(_PERSONAL)}
            environment = {**kept, **_NOBODY, "HOME": str(self._cache), "XDG_CONFIG_HOME": str(self._cache)}
            environment |= {name: os.environ[name] for name in _TRUST if name in os.environ}
            environment["GIT_ALLOW_PROTOCOL"] = ":".join(self._protocols)
        try:
            done = subprocess.run(
                [self._git, *arguments],
                capture_output=True,
                timeout=wanted.timeout,
                check=False,
                env=environment,
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError as error:
            raise LoadError(f"{wanted.url}: there is no program '{self._git}' to fetch it with") from error
        except subprocess.TimeoutExpired as error:
            raise LoadError(f"{wanted.url}: hit {wanted.timeout:g}s timeout") from error
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise LoadError(f"{wanted.url}: git failed: {said[-1] if said else f'exit code {done.returncode}'}")
        return done.stdout.decode("utf-8", "replace")

    def _trim(self) -> None:
        """Remove the copies used least recently beyond the limit, but none that a build may be reading."""
        found = []
        for place in self._cache.glob("repositories/*/*"):
            try:
                found.append((place.stat().st_mtime, _size(place), place))
            except OSError:
                continue
        surplus = sum(size for _, size, _ in found) - self._limit
        for used, size, place in sorted(found):
            if surplus <= 0 or time.time() - used < _IN_USE:
                return
            shutil.rmtree(place, ignore_errors=True)
            surplus -= size

    def _keep(self, place: Path, content: bytes) -> None:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
                file.write(content)
            os.replace(file.name, place)
        except OSError as error:
            raise LoadError(f"{place}: can't be written to the cache: {error}") from error


def _move(work: str, place: Path) -> None:
    try:
        os.rename(work, place)
    except OSError:
        # Another build has fetched the same meanwhile.
        if not place.is_dir():
            raise


def _size(place: Path) -> int:
    """Bytes of the files below a directory."""
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(place) for name in names)


def _opener() -> urllib.request.OpenerDirector:
    """Opens http and https, and nothing that a server could redirect to."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener
