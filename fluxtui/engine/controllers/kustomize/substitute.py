"""`spec.postBuild`: variables and their substitution in the built objects, before anything is applied.

Source: docs/spec/v1/kustomizations.md "Post build variable substitution"; fluxcd/pkg `kustomize`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from fluxtui.api.kustomize import PostBuild
from fluxtui.api.meta import SUBSTITUTE
from fluxtui.engine.controllers.kustomize.documents import DocumentError, parse, rounded
from fluxtui.engine.controllers.kustomize.expansion import ExpansionError, UnsetVariables, expand

Object = dict[str, Any]
Reader = Callable[[str, str], Awaitable[Object | None]]
"""(kind, name) → the ConfigMap or Secret in the Kustomization's namespace, None when it does not exist."""

_VARIABLE = re.compile(r"[_A-Za-z][_A-Za-z0-9]*")
_DISABLED = "disabled"


class SubstituteError(Exception):
    """Variables that are missing or malformed; `str()` names the variable and the object, and holds no value."""


class UnresolvedError(SubstituteError):
    """Variables that have neither a value nor a default."""


class SourceMissing(SubstituteError):
    """A ConfigMap or Secret of `substituteFrom` that is not there, or that has nothing in it."""


class Printable(Protocol):
    """A built object and its YAML."""

    @property
    def object(self) -> Object: ...

    def to_yaml(self) -> str: ...


async def load_variables(post_build: PostBuild, read: Reader, *, strict: bool = False) -> dict[str, str]:
    """The variables of `substituteFrom`, later references over earlier ones, and of `substitute` over them all.

    Line breaks are removed from the values. Raises SourceMissing for a missing reference that is not optional (and,
    when `strict`, for one without any key), SubstituteError for a malformed Secret and for a name that is none;
    whatever `read` raises goes through.
    """
    variables: dict[str, str] = {}
    for reference in post_build.substitute_from:
        source = await read(reference.kind, reference.name)
        if source is None:
            if reference.optional:
                continue
            raise SourceMissing(f"substitute from '{reference.kind}/{reference.name}' error: not found")
        data = source.get("data") or {}
        if strict and not data and not reference.optional:
            raise SourceMissing(f"substitute from '{reference.kind}/{reference.name}' error: it has no keys")
        variables |= _decoded(data, reference.name) if reference.kind == "Secret" else data
    variables |= post_build.substitute or {}
    for name in variables:
        if not _VARIABLE.fullmatch(name):
            raise SubstituteError(f"'{name}' var name is invalid, must match '^{_VARIABLE.pattern}$'")
    return {name: value.replace("\n", "") for name, value in variables.items()}


def substitute(
    resources: Iterable[Printable], variables: Mapping[str, str], *, always: bool = False, strict: bool = True
) -> list[Object]:
    """The objects with their variables substituted; each is printed, expanded as text and parsed again.

    Without variables the objects stay untouched, unless `always`. A label or annotation
    `kustomize.toolkit.fluxcd.io/substitute: disabled` leaves an object alone. Raises UnresolvedError that names every
    unset variable (when `strict`), SubstituteError for the object whose text is malformed.
    """
    resources = list(resources)
    if not variables and not always:
        return [resource.object for resource in resources]
    done, unset = [], []
    for resource in resources:
        try:
            done.append(_substituted(resource, variables, strict))
        except UnsetVariables as error:
            unset.append(f"post build failed for '{describe(resource.object)}': {error}")
    if unset:
        raise UnresolvedError("; ".join(unset))
    return done


def refuse_expansions(resources: Iterable[Printable]) -> None:
    """Raise UnresolvedError for variables without a default in objects that nothing will be substituted in."""
    unset = []
    for resource in resources:
        try:
            if not _is_disabled(resource.object) and "${" in (text := resource.to_yaml()):
                expand(text, {})
        except UnsetVariables as error:
            unset.append(f"post build failed for '{describe(resource.object)}': {error}")
        except ExpansionError:
            # A script that is no expansion: without substitution it is applied as it is.
            continue
    if unset:
        raise UnresolvedError("; ".join(unset))


def describe(obj: Object) -> str:
    """`Kind/namespace/name`, or `Kind/name`."""
    metadata = obj.get("metadata") or {}
    return "/".join(str(part) for part in (obj.get("kind"), metadata.get("namespace"), metadata.get("name")) if part)


def _substituted(resource: Printable, variables: Mapping[str, str], strict: bool) -> Object:
    obj = resource.object
    if _is_disabled(obj):
        return obj
    text = resource.to_yaml()
    if "$" not in text:
        return dict(rounded(obj))
    try:
        return parse(expand(text, variables, strict=strict))
    except UnsetVariables:
        raise
    except ExpansionError as error:
        place = f" in {error.excerpt!r}" if error.excerpt and obj.get("kind") != "Secret" else ""
        raise SubstituteError(f"post build failed for '{describe(obj)}': {error}{place}") from error
    except DocumentError as error:
        raise SubstituteError(f"post build failed for '{describe(obj)}': after substitution, {error}") from error


def _is_disabled(obj: Object) -> bool:
    metadata = obj.get("metadata") or {}
    return any((metadata.get(part) or {}).get(SUBSTITUTE) == _DISABLED for part in ("labels", "annotations"))


def _decoded(data: Mapping[str, str], name: str) -> dict[str, str]:
    decoded = {}
    for key, value in data.items():
        try:
            decoded[key] = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise SubstituteError(f"substitute from 'Secret/{name}' error: key '{key}' is no text") from None
    return decoded
