"""Where `diff kustomization` and `build kustomization` take manifests and the Kustomization itself from."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
import yaml

from fluxtui.api.kinds import KUSTOMIZE_GROUP
from fluxtui.api.meta import FLUX_NAMESPACE
from fluxtui.cli.options import Option, fail, gathered

if TYPE_CHECKING:
    from fluxtui.engine.controllers.kustomize.preview import Local

Object = dict[str, Any]

_LARGEST = 5 << 20
"""Bytes of a file with a Kustomization."""


class Manifests(msgspec.Struct, frozen=True):
    """What the options say."""

    path: Path | None = None
    kustomization_file: Path | None = None
    ignore_paths: tuple[str, ...] = ()
    strict_substitute: bool | None = None
    """None: the verb decides."""
    recursive: bool = False
    local_sources: Mapping[str, Path] = {}
    """`Kind/namespace/name` → directory."""


def _commas(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _local_sources(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:
    found = {}
    for text in _commas(ctx, param, values):
        source, equals, path = text.partition("=")
        if not equals or source.count("/") != 2 or not all(source.split("/")):
            raise click.BadParameter(f"{text!r} is not KIND/NAMESPACE/NAME=DIR", ctx, param)
        if not os.path.isdir(path):
            raise click.BadParameter(f"{path!r} is no directory", ctx, param)
        found[source] = Path(path)
    return found


def manifest_options(*, verb: str) -> Option:
    """--path, --kustomization-file, --ignore-paths, --strict-substitute, --recursive and --local-sources.

    The command gets `manifests`.
    """
    directory = click.Path(exists=True, file_okay=False, path_type=Path)
    file = click.Path(exists=True, dir_okay=False, path_type=Path)
    options: list[Option] = [
        click.option("--path", type=directory, metavar="DIR", help="Local directory that stands for spec.path."),
        click.option("--kustomization-file", type=file, metavar="FILE", help="YAML file with the Kustomization."),
        click.option(
            "--ignore-paths",
            multiple=True,
            callback=_commas,
            metavar="RULES",
            help="Local files left out, in .gitignore's language; commas, or repeatable.",
        ),
        click.option(
            "--strict-substitute/--no-strict-substitute",
            default=None,
            help="Refuse variables without a value or default, as the controllers do.",
        ),
        click.option("-r", "--recursive", is_flag=True, help=f"{verb} the Kustomizations among the objects, too."),
        click.option(
            "--local-sources",
            multiple=True,
            callback=_local_sources,
            metavar="KIND/NAMESPACE/NAME=DIR",
            help="Local directory that stands for a source; commas, or repeatable.",
        ),
    ]
    return gathered("manifests", Manifests, options)


class LocalTree:
    """The directories of this machine that stand for artifacts."""

    def __init__(self, manifests: Manifests) -> None:
        self._manifests = manifests
        self._roots = {source: os.path.realpath(path) for source, path in manifests.local_sources.items()}
        self._ignored: dict[tuple[str, str], frozenset[str]] = {}

    def top(self, raw: Object) -> Local | None:
        """What `--path` means for a Kustomization, else what its source means. Blocking. Raises ValueError."""
        from fluxtui.engine.controllers.kustomize.preview import local_root

        if self._manifests.path is None:
            return self.below(raw)
        directory = os.path.realpath(self._manifests.path)
        path = str((raw.get("spec") or {}).get("path") or "")
        root = local_root(directory, path)
        if _inside(root, path) == directory:
            # Kustomizations of the same source are found beside it.
            self._roots.setdefault(source_of(raw), root)
        return self._local(root, directory)

    def below(self, raw: Object) -> Local | None:
        """What is local of a Kustomization's source; None when nothing is. Blocking. Raises ValueError."""
        root = self._roots.get(source_of(raw))
        if root is None:
            return None
        directory = _inside(root, str((raw.get("spec") or {}).get("path") or ""))
        if not os.path.isdir(directory):
            raise ValueError(f"kustomization path not found: {directory} is no directory")
        return self._local(root, directory)

    def _local(self, root: str, directory: str) -> Local:
        from fluxtui.engine.controllers.kustomize.preview import Local

        if (root, directory) not in self._ignored:
            self._ignored[root, directory] = frozenset(_ignored(root, directory, self._manifests.ignore_paths))
        return Local(root, directory, self._ignored[root, directory])


def kustomization_in(file: Path, name: str, namespace: str) -> Object:
    """The Kustomization of a name in a YAML file; one without a namespace gets `namespace`, empty for flux-system.

    Ends the program with exit code 2 when there is none.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            fail(f"{file}: larger than {_LARGEST >> 20} MiB")
        found = [document for document in yaml.safe_load_all(text) if is_kustomization(document)]
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        fail(f"{file}: {error}")
    placed = [_placed(document, namespace) for document in found]
    meant = [obj for obj in placed if _is_named(obj["metadata"], name, namespace)]
    if not meant:
        where = f" in namespace {namespace}" if namespace else ""
        fail(f"{file}: there is no Kustomization {name}{where}")
    return meant[0]


def _placed(document: Object, namespace: str) -> Object:
    metadata = document["metadata"]
    return {**document, "metadata": {**metadata, "namespace": metadata.get("namespace") or namespace or FLUX_NAMESPACE}}


def _is_named(metadata: Object, name: str, namespace: str) -> bool:
    return metadata.get("name") == name and namespace in ("", metadata["namespace"])


def is_kustomization(document: Any) -> bool:
    """Whether a document is a Kustomization of Flux."""
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        return False
    group = str(document.get("apiVersion", "")).partition("/")[0]
    return (group, document.get("kind")) == (KUSTOMIZE_GROUP, "Kustomization")


def source_of(raw: Object) -> str:
    """The source of a Kustomization as `Kind/namespace/name`."""
    reference = (raw.get("spec") or {}).get("sourceRef") or {}
    namespace = reference.get("namespace") or raw["metadata"].get("namespace", "")
    return f"{reference.get('kind', '')}/{namespace}/{reference.get('name', '')}"


def _inside(root: str, path: str) -> str:
    """`spec.path` in a directory; what leads out of it is clamped to it."""
    inside = posixpath.normpath(posixpath.join("/", path)).strip("/")
    return posixpath.join(root, inside) if inside else root


def _ignored(root: str, directory: str, rules: Sequence[str]) -> Iterator[str]:
    """What an artifact of `root` would not have, at and below `directory`. Raises ValueError."""
    from fluxtui.engine.controllers.source.ignore import IgnoreError, exclusions

    try:
        excluded = exclusions(Path(root), "\n".join(rules) if rules else None)
    except IgnoreError as error:
        raise ValueError(str(error)) from error
    above = Path(os.path.relpath(directory, root))
    for parent in [above, *above.parents][::-1]:
        if str(parent) != ".":
            excluded(parent.as_posix(), True)
    for folder, folders, files in os.walk(directory):
        relative = os.path.relpath(folder, root)
        prefix = "" if relative == "." else f"{relative}/"
        yield from (f"{folder}/{name}" for name in folders if excluded(prefix + name, True))
        yield from (f"{folder}/{name}" for name in files if excluded(prefix + name, False))
