"""The audit log: one line of JSON for every write to a cluster, kept on this machine."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec

LIMIT = 16 << 20
"""Bytes after which the file is set aside as `audit.jsonl.1`; an older one is replaced."""


def default_path(env: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_STATE_HOME/fluxtui/audit.jsonl`, by default below ~/.local/state."""
    base = env.get("XDG_STATE_HOME") or os.path.join(env.get("HOME") or os.path.expanduser("~"), ".local", "state")
    return Path(base) / "fluxtui" / "audit.jsonl"


@cache
def who() -> str:
    """`user@host` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the audit log."""

    time: str
    """RFC 3339, UTC."""
    user: str
    action: str
    cluster: str
    server: str
    kind: str
    namespace: str
    name: str
    result: str
    """`written`, or the error of the server."""
    reason: str = ""
    """Of a suspension."""


class AuditLog:
    """Appends entries to a file; only the user may read it."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_path()
        self.problem = ""
        """Why the last entry could not be written; a full disk must not keep anyone from acting."""

    async def write(self, entry: Entry) -> None:
        """Append an entry. Never raises for the file: see `problem`."""
        try:
            await asyncio.to_thread(self._append, msgspec.json.encode(entry) + b"\n")
            self.problem = ""
        except OSError as error:
            self.problem = f"{self.path}: {error.strerror}"

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.path.exists() and self.path.stat().st_size > LIMIT:
            self.path.replace(self.path.with_name(self.path.name + ".1"))
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def timestamp(now: float, digits: int = 0) -> str:
    """RFC 3339 in UTC with so many digits of a second."""
    moment = datetime.fromtimestamp(now, UTC)
    fraction = f".{moment.microsecond:06d}"[: digits + 1] if digits else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
