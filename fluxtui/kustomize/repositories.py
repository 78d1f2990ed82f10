"""Addresses of Git repositories, as `resources` has them: `https://host/org/repo//path?ref=v1`, `git@host:org/repo`.

What is no such address is a path. Source of the rules: kustomize 5.8.
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import parse_qs

import msgspec

TIMEOUT = 27
"""Seconds that Git may take unless the address says otherwise."""

_SCHEMES = ("ssh://", "https://", "http://", "file://")
_USER = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*@")
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?\Z", re.ASCII)
_SEGMENTS = 2
"""Parts of a path that are the repository's where nothing marks its end."""


class Repository(msgspec.Struct, frozen=True):
    """A directory of a repository at a revision."""

    url: str
    """What Git is given."""
    path: str = ""
    """From the repository's root."""
    ref: str = ""
    """A branch, tag or commit; empty for HEAD."""
    timeout: float = TIMEOUT
    """Seconds."""
    submodules: bool = True


def parse(text: str) -> Repository | None:
    """The repository that an address names, None for a path."""
    if text.startswith("/"):
        return None
    address, _, query = text.partition("?")
    split = _split_host(address)
    if split is None:
        return None
    host, rest = split
    parts = _split_path(rest, has_host=host != "file://")
    if parts is None or not parts[0]:
        return None
    path = posixpath.normpath(parts[1].lstrip("/") or ".")
    if path.split("/")[0] == "..":
        return None
    ref, timeout, submodules = _asked(query)
    return Repository(host + parts[0], "" if path == "." else path, ref, timeout, submodules)


def _split_host(address: str) -> tuple[str, str] | None:
    if address[:5].lower() == "git::":
        address = address[5:]
    scheme = next((scheme for scheme in _SCHEMES if address.lower().startswith(scheme)), "")
    rest = address[len(scheme) :]
    if scheme == "file://":
        return scheme, rest
    found = _USER.match(rest)
    user = found.group() if found else ""
    rest = rest[len(user) :]
    is_github = rest.lower().startswith(("github.com/", "github.com:"))
    may_have_colon = not scheme and bool(user or is_github)
    if not scheme and not may_have_colon:
        return None
    end = rest.find("/")
    colon = rest.find(":")
    if may_have_colon and (end < 0 or 0 < colon < end):
        end = colon
    if end < 0:
        return (scheme + user + rest, "") if rest else None
    host, rest = rest[: end + 1], rest[end + 1 :]
    if is_github:
        secure_shell = scheme == "ssh://" or bool(user)
        return (f"{user}github.com:" if secure_shell else "https://github.com/"), rest
    return scheme + user + host, rest


def _split_path(text: str, *, has_host: bool) -> tuple[str, str] | None:
    if "_git/" in text:
        before, _, after = text.partition("_git/")
        name, _, path = after.partition("/")
        return f"{before}_git/{name}", path
    if "//" in text:
        before, _, path = text.partition("//")
        return before, path
    if ".git" in text:
        before, _, path = text.partition(".git")
        return f"{before}.git", path
    if not has_host:
        return text, ""
    segments = text.split("/")
    if len(segments) < _SEGMENTS:
        return None
    return "/".join(segments[:_SEGMENTS]), "/".join(segments[_SEGMENTS:])


def _asked(query: str) -> tuple[str, float, bool]:
    values = {name: found[0] for name, found in parse_qs(query).items()}
    ref = values.get("ref") or values.get("version", "")
    submodules = values.get("submodules", "true").lower() not in ("0", "f", "false")
    return ref, _seconds(values.get("timeout", "")), submodules


def _seconds(text: str) -> float:
    if text.isascii() and text.isdigit():
        return float(text) or TIMEOUT
    found = _DURATION.match(text)
    if not found:
        return TIMEOUT
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds or TIMEOUT
