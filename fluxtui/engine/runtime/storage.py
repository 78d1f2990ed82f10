"""The engine's directory: who uses it, and as whom it stands for election."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fluxtui.engine.runtime.leases import IDENTITY_PREFIX


class StorageError(Exception):
    """The directory can't be used; `str()` is a sentence for users."""


def default_directory(env: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_STATE_HOME/fluxtui/engine`, by default below `~/.local/state`."""
    base = env.get("XDG_STATE_HOME") or os.path.join(env.get("HOME") or os.path.expanduser("~"), ".local", "state")
    return Path(base) / "fluxtui" / "engine"


@contextmanager
def locked(directory: Path) -> Iterator[str]:
    """Keep other engines out of a directory; yields the identity to stand for election with.

    The identity stays the same as long as the directory and the host do: an engine that was killed gets its own
    Leases back at once when it is started again, and the lock makes sure that there is only one of it. Raises
    StorageError.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{directory} can't be used as storage: {error.strerror or error}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StorageError(f"another engine uses {directory}; give this one a --storage-path of its own") from error
        try:
            yield _identity(directory / "identity")
        except OSError as error:
            raise StorageError(f"{directory} can't be used as storage: {error.strerror or error}") from error
    finally:
        os.close(handle)


def _identity(file: Path) -> str:
    host = re.sub(r"[^A-Za-z0-9.-]+", "-", socket.gethostname()) or "localhost"
    known = file.read_text() if file.exists() else ""
    if re.fullmatch(rf"{IDENTITY_PREFIX}{re.escape(host)}_[0-9a-f-]{{36}}", known):
        return known
    identity = f"{IDENTITY_PREFIX}{host}_{uuid.uuid4()}"
    temporary = file.with_suffix(".new")
    temporary.write_text(identity)
    os.replace(temporary, file)
    return identity
