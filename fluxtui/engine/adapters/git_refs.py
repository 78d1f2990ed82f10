"""Which commit a GitRepository's reference stands for, from what the remote advertises."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from fluxtui.engine.adapters.git_versions import RangeError, newest

PEELED = "^{}"
"""Suffix under which `git ls-remote` shows the commit of an annotated tag."""
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.lock(/|$)|^[-/]|/$|\.$")


class ReferenceError(Exception):
    """A reference is malformed or the remote does not have it; `str()` is a sentence for users."""


class RangeMismatch(ReferenceError):
    """A range of versions is malformed, or no tag is in it."""


class Unresolved(ReferenceError):
    """A reference or a commit that stands for nothing in the repository."""


class MissingDirectory(ReferenceError):
    """A directory to check out that the commit does not have."""


class Reference(msgspec.Struct, frozen=True):
    """What to check out; the first that is given counts: commit, name, semver, tag, branch."""

    branch: str = ""
    tag: str = ""
    semver: str = ""
    name: str = ""
    commit: str = ""


class Target(msgspec.Struct, frozen=True):
    """What a reference was resolved to."""

    commit: str
    ref: str = ""
    """Full name such as refs/heads/main; empty for a commit that is on no named branch."""
    absolute: bool = False
    """Whether the revision shows the full name of the ref."""
    pinned: bool = False
    """Whether the commit was asked for by its hash."""

    @property
    def revision(self) -> str:
        """`main@sha1:…`, `v1.0.0@sha1:…`, `refs/pull/1/head@sha1:…` or `sha1:…`, as Flux writes them."""
        algorithm = "sha1" if len(self.commit) == 40 else "sha256"
        digest = f"{algorithm}:{self.commit}"
        if self.absolute and self.ref:
            return f"{self.ref}@{digest}"
        parts = self.ref.split("/", 2)
        return f"{parts[2]}@{digest}" if len(parts) == 3 else digest


def known(reference: Reference) -> Target | None:
    """The target of a reference that says it all by itself, a commit; None when the remote has to be asked.

    Raises ReferenceError when the reference is malformed.
    """
    for text in (reference.branch, reference.tag, reference.name.removesuffix(PEELED)):
        if text and _BAD_REF.search(text):
            raise ReferenceError(f"ref {text!r} is not a valid Git reference")
    if not reference.commit:
        return None
    if not _HASH.fullmatch(reference.commit):
        raise ReferenceError(f"commit {reference.commit!r} is not a full hash")
    return Target(reference.commit, f"refs/heads/{reference.branch}" if reference.branch else "", pinned=True)


def patterns(reference: Reference) -> list[str]:
    """What to ask `git ls-remote` for."""
    if reference.name:
        plain = reference.name.removesuffix(PEELED)
        return [plain, plain + PEELED]
    if reference.semver:
        return ["refs/tags/*"]
    if reference.tag:
        return [f"refs/tags/{reference.tag}", f"refs/tags/{reference.tag}{PEELED}"]
    return [f"refs/heads/{reference.branch or 'master'}"]


def resolve(reference: Reference, refs: Mapping[str, str]) -> Target:
    """The target of a reference among the refs (name → hash) of a remote. Raises ReferenceError."""
    if reference.name:
        plain = reference.name.removesuffix(PEELED)
        found = _commit(plain, refs)
        if found is None:
            raise Unresolved(f"unable to resolve ref '{reference.name}' to a specific commit")
        return Target(found, reference.name, absolute=True)
    if reference.semver:
        tags = [name.removeprefix("refs/tags/") for name in refs if _is_tag(name)]
        try:
            tag = newest(tags, reference.semver)
        except RangeError as error:
            raise RangeMismatch(f"semver parse error: {error}") from error
        if tag is None:
            raise RangeMismatch(f"no match found for semver: {reference.semver}")
        return _named(f"refs/tags/{tag}", refs)
    if reference.tag:
        return _named(f"refs/tags/{reference.tag}", refs)
    return _named(f"refs/heads/{reference.branch or 'master'}", refs)


def _named(ref: str, refs: Mapping[str, str]) -> Target:
    found = _commit(ref, refs)
    if found is None:
        raise ReferenceError(f'couldn\'t find remote ref "{ref}"')
    return Target(found, ref)


def _commit(ref: str, refs: Mapping[str, str]) -> str | None:
    return refs.get(ref + PEELED) or refs.get(ref)


def _is_tag(name: str) -> bool:
    return name.startswith("refs/tags/") and not name.endswith(PEELED)
