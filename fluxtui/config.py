"""The settings file as frozen structs; a leaf.

`~/.config/fluxtui/config.yaml` (or `$XDG_CONFIG_HOME/fluxtui/config.yaml`), YAML, every field optional. A mistake is
named by file and path; an unknown field is a mistake.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta

MAX_BYTES = 1 << 20
"""A larger settings file is refused."""

View = Literal["kind", "ownership", "source", "failure", "flat"]
Duration = Annotated[str, Meta(pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$")]


class SettingsError(Exception):
    """The settings file can't be read or has a mistake; the text names the file and the field."""


class Section(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of all settings."""


class ConsoleSettings(Section, frozen=True):
    """How the console looks and answers."""

    theme: str = "fluxtui-dark"
    """Name of a theme: fluxtui-dark, fluxtui-dim, fluxtui-light or fluxtui-paper (safe for colour-blind eyes)."""
    ascii: bool = False
    """Draw with ASCII characters only."""
    view: View = "kind"
    """The view of the tree at start."""
    filter: str = ""
    """The filter at start."""
    read_only: bool = False
    """Refuse every action that writes to a cluster."""
    frames_per_second: Annotated[int, Meta(ge=1, le=60)] = 20
    """How often data may repaint the screen; keys always repaint at once."""
    saver: bool = False
    """Write as little to the terminal as possible, for slow lines: few repaints, 256 colours, no seconds."""
    keep_objects: bool = False
    """Keep every object in memory, compressed: its YAML opens without a request, and while its cluster is silent, too.
    Wants the extra zstd."""
    mouse: bool = True
    """Whether the mouse is used."""
    keymap: dict[str, str] = {}
    """Key binding id → keys, comma-separated: `reconcile: "R,ctrl+r"`."""


class ClusterSettings(Section, frozen=True):
    """Which clusters belong to the fleet, when the command line does not say."""

    kubeconfigs: tuple[str, ...] = ()
    """Kubeconfig files; `~` and globs are expanded. Empty: $KUBECONFIG, then ~/.kube/config."""
    contexts: tuple[str, ...] = ()
    """Names or patterns (`prod-*`) of contexts. Empty: all."""
    protected: tuple[str, ...] = ()
    """Patterns of clusters on which an action wants the cluster's name typed."""


class ActionSettings(Section, frozen=True):
    """How actions are carried out."""

    concurrency: Annotated[int, Meta(ge=1, le=64)] = 8
    """How many objects an action works on at once."""
    timeout: Duration = "5m"
    """How long the outcome of an action is waited for."""


class Settings(Section, frozen=True):
    """Everything the settings file may say."""

    console: ConsoleSettings = ConsoleSettings()
    clusters: ClusterSettings = ClusterSettings()
    actions: ActionSettings = ActionSettings()


def default_path(env: Mapping[str, str] = os.environ) -> Path:
    """Where the settings file is, whether it exists or not."""
    base = env.get("XDG_CONFIG_HOME") or os.path.join(env.get("HOME") or os.path.expanduser("~"), ".config")
    return Path(base) / "fluxtui" / "config.yaml"


def load(path: Path | None = None) -> Settings:
    """Read the settings; without a `path` the default one, which may be missing.

    Raises SettingsError when the file is missing although named, unreadable, no YAML, or has a mistake.
    """
    file = path or default_path()
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if path is None:
            return Settings()
        raise SettingsError(f"{file}: no such file") from None
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise SettingsError(f"{file}: larger than {MAX_BYTES} bytes")
    try:
        document = yaml.load(data, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise SettingsError(f"{file}: {_yaml_problem(error)}") from error
    return parse(document if document is not None else {}, str(file))


def parse(document: Any, source: str = "settings") -> Settings:
    """Settings from a parsed document. Raises SettingsError that begins with `source` and the path of the mistake."""
    try:
        return msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{source}: {_problem(str(error))}") from error


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "not valid YAML"
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else str(problem)


def _problem(text: str) -> str:
    """msgspec's message with its path in front: `console.theme: expected str, got int`."""
    message, _, where = text.partition(" - at `$")
    path = where.rstrip("`").lstrip(".")
    unknown = re.fullmatch(r"Object contains unknown field `(.+)`", message)
    if unknown:
        import difflib

        name = unknown[1]
        near = difflib.get_close_matches(name, _fields(path), n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(_fields(path))}"
        return f"{path}{'.' if path else ''}{name}: unknown field{hint}"
    return f"{path or 'the document'}: {message[:1].lower()}{message[1:]}"


def _fields(path: str) -> list[str]:
    section: Any = Settings
    for part in filter(None, path.split(".")):
        section = next(field.type for field in msgspec.structs.fields(section) if field.encode_name == part)
    return [field.encode_name for field in msgspec.structs.fields(section)]
