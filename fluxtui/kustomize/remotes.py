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
import urllib.error
import urllib.request
from pathlib import Path

from fluxtui.kustomize.errors import LoadError
from fluxtui.kustomize.filesystem import MAX_FILE_BYTES
from fluxtui.kustomize.repositories import Repository

FILE_TIMEOUT = 30
"""Seconds that a server may be silent."""

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_NOT_MODIFIED = 304


class Remotes:
    """Fetches over HTTP(S) and with the `git` program."""

    def __init__(self, cache: str | Path, git: str = "git") -> None:
        """`cache` is a directory of this class alone; it is made when something is fetched."""
        self._cache = Path(cache)
        self._git = git

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
            return str(copies / commit)
        return self._clone(wanted, copies)

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
                os.rename(work, place)
        except OSError as error:
            raise LoadError(f"{wanted.url}: the copy can't be kept: {error}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return str(place)

    def _run(self, wanted: Repository, *arguments: str) -> str:
        """What Git prints. Raises LoadError."""
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh"}
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

    def _keep(self, place: Path, content: bytes) -> None:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
                file.write(content)
            os.replace(file.name, place)
        except OSError as error:
            raise LoadError(f"{place}: can't be written to the cache: {error}") from error


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
