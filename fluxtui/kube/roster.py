"""A roster: contexts of any kubeconfigs by name, in a file of their own that is followed as it changes.

Credentials stay where they are; whoever reads a roster reads the kubeconfigs that it names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from fluxtui.kube import kubeconfig as kubeconfigs
from fluxtui.kube.errors import ConfigError
from fluxtui.kube.kubeconfig import Context, Kubeconfig
from fluxtui.kube.reload import Signature, signature_of


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A context by name."""

    id: str
    """Unique in the roster."""
    context: str
    kubeconfig: tuple[str, ...]
    """Absolute paths of files that are merged as those of $KUBECONFIG are."""


class Roster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file says."""

    clusters: tuple[Entry, ...] = ()

    def find(self, context: str, kubeconfig: Sequence[str]) -> Entry | None:
        """The entry of a context of these files."""
        wanted = (context, tuple(kubeconfig))
        return next((entry for entry in self.clusters if (entry.context, entry.kubeconfig) == wanted), None)


class Selection(msgspec.Struct, frozen=True):
    """What the entries of a roster are at the moment."""

    contexts: tuple[Context, ...] = ()
    """Each with the id of its entry."""
    problems: dict[str, str] = {}
    """Id of an entry → why it has no context, a sentence."""
    warnings: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the roster has no entries."""
        return not self.contexts and not self.problems


def read(path: Path) -> Roster:
    """The roster of a file. Raises ConfigError that names the file and the field."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Roster)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for index, entry in enumerate(found.clusters):
        if not entry.id or not entry.context or not entry.kubeconfig:
            raise ConfigError(f"{path}: clusters[{index}]: id, context and kubeconfig must not be empty")
        if any(other.id == entry.id for other in found.clusters[:index]):
            raise ConfigError(f"{path}: clusters[{index}].id: {entry.id!r} is there twice")
        if not all(os.path.isabs(file) for file in entry.kubeconfig):
            raise ConfigError(f"{path}: clusters[{index}].kubeconfig: the paths must be absolute")
    return found


def write(path: Path, roster: Roster) -> None:
    """Replace the file at once as a whole. Raises OSError."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(roster), indent=2) + b"\n")
    os.replace(beside, path)


class RosterReader:
    """Reads a roster and the kubeconfigs it names, for `reload.follow`; what is broken for now stays as it was."""

    def __init__(self, path: Path, env: Mapping[str, str] = os.environ) -> None:
        """Raises ConfigError when the roster can't be read."""
        self._path = path
        self._env = env
        self._roster = read(path)
        self._good: dict[tuple[str, ...], Kubeconfig] = {}
        self._signature: Signature | None = None
        self._last: Selection | None = None

    def places(self) -> list[str]:
        """The roster and the kubeconfigs."""
        files = [file for entry in self._roster.clusters for file in entry.kubeconfig]
        return [str(self._path), *dict.fromkeys(files)]

    def look(self) -> Selection | None:
        """What the entries are, if that is something else than before, else None."""
        signature = signature_of(self.places())
        if signature == self._signature:
            return None
        self._signature = signature
        warnings: list[str] = []
        try:
            self._roster = read(self._path)
        except ConfigError as error:
            warnings.append(f"{error} (keeping the clusters read before)")
        fresh = self._select(warnings)
        if fresh == self._last:
            return None
        self._last = fresh
        return fresh

    def _select(self, warnings: list[str]) -> Selection:
        sets = dict.fromkeys(entry.kubeconfig for entry in self._roster.clusters)
        self._good = {files: known for files, known in self._good.items() if files in sets}
        errors: dict[tuple[str, ...], str] = {}
        for files in sets:
            try:
                self._good[files] = self._load(files)
            except ConfigError as error:
                errors[files] = str(error)
                if files in self._good:
                    warnings.append(f"{error} (keeping the contexts read before)")
        contexts: list[Context] = []
        problems: dict[str, str] = {}
        for entry in self._roster.clusters:
            known = self._good.get(entry.kubeconfig)
            found = _named(known, entry) if known is not None else errors[entry.kubeconfig]
            if isinstance(found, Context):
                contexts.append(msgspec.structs.replace(found, id=entry.id))
            else:
                problems[entry.id] = found
        return Selection(tuple(contexts), problems, tuple(warnings))

    def _load(self, files: tuple[str, ...]) -> Kubeconfig:
        if len(files) == 1:
            return kubeconfigs.load(files, self._env)
        return kubeconfigs.load((), {**self._env, "KUBECONFIG": os.pathsep.join(files)})


def _named(kubeconfig: Kubeconfig, entry: Entry) -> Context | str:
    """The context of an entry, or a sentence that says why there is none."""
    for context in kubeconfig.contexts:
        if context.name == entry.context:
            return context
    broken = next((broken.error for broken in kubeconfig.broken if broken.name == entry.context), "")
    return broken or f"{', '.join(entry.kubeconfig)}: there is no context {entry.context!r}"
