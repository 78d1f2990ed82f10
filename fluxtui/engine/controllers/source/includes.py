"""What `spec.include` copies: a part of an unpacked artifact into the tree of another source."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath


def copy(directory: Path, origin: str, tree: Path, target: str) -> None:
    """Copy `origin` of an unpacked artifact to `target` in the tree; `..` in either is clamped to its root.

    Blocking. Raises OSError, also for a target that goes through a symbolic link.
    """
    source, destination = directory / _inside(origin), tree / _inside(target)
    if not source.exists():
        raise OSError(f"stat {_inside(origin)}: no such file or directory")
    for parent in (destination, *destination.parents):
        if parent == tree:
            break
        if parent.is_symlink():
            raise OSError(f"'{target}' goes through a symbolic link")
    if source.is_file():
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, destination)
        return
    shutil.copytree(source, destination, dirs_exist_ok=True, copy_function=_writable_copy)
    for folder in (destination, *(path for path in destination.rglob("*") if path.is_dir())):
        folder.chmod(0o700)


def _writable_copy(source: str, destination: str) -> None:
    shutil.copyfile(source, destination, follow_symlinks=False)
    Path(destination).chmod(0o700 if Path(source).stat().st_mode & 0o111 else 0o600)


def _inside(path: str) -> PurePosixPath:
    """A path as one below a root."""
    parts: list[str] = []
    for part in PurePosixPath("/", path).parts[1:]:
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    return PurePosixPath(*parts)
