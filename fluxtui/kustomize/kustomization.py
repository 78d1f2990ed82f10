"""The fields of a kustomization file, and reading them.

A field that kustomize does not have is refused; spelling that `kustomize edit fix` would change is read as what it
means.
"""

from __future__ import annotations

import difflib
import functools
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from fluxtui.kustomize import documents
from fluxtui.kustomize.errors import FieldError, LoadError, Unsupported
from fluxtui.kustomize.fieldspecs import FieldSpec
from fluxtui.kustomize.identities import Selector
from fluxtui.kustomize.loader import Loader

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
KIND = "Kustomization"
COMPONENT = "Component"
API_VERSIONS = {KIND: "kustomize.config.k8s.io/v1beta1", COMPONENT: "kustomize.config.k8s.io/v1alpha1"}

_T = TypeVar("_T")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`(?: - at `\$(?P<path>.*)`)?")
_AT = re.compile(r"(?P<problem>.*?) - at `\$(?P<path>.*)`", re.DOTALL)


class _Fields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """A map of fixed fields."""


class Metadata(_Fields, frozen=True):
    """The name of a kustomization; it has no meaning."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Label(_Fields, frozen=True):
    """Labels to add, and where to."""

    pairs: dict[str, str] = {}
    include_selectors: bool = False
    include_templates: bool = False
    fields: tuple[FieldSpec, ...] = ()


class Image(_Fields, frozen=True):
    """A change of an image reference."""

    name: str = ""
    new_name: str = ""
    new_tag: str = ""
    tag_suffix: str = ""
    digest: str = ""


class Replica(_Fields, frozen=True):
    """A number of replicas."""

    name: str = ""
    count: int = 0


class PatchOptions(_Fields, frozen=True):
    """What a patch may change that it may not otherwise."""

    allow_name_change: bool = False
    allow_kind_change: bool = False


class Patch(_Fields, frozen=True):
    """A patch, strategic or JSON 6902, from a file or inline."""

    path: str = ""
    patch: str = ""
    target: Selector | None = None
    options: PatchOptions | None = None


class GeneratorOptions(_Fields, frozen=True):
    """How to make generated resources."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    disable_name_suffix_hash: bool = False
    immutable: bool = False


class GeneratorArguments(_Fields, frozen=True):
    """A ConfigMap to generate."""

    name: str = ""
    namespace: str = ""
    behavior: str = ""
    literals: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    envs: tuple[str, ...] = ()
    env: str = ""
    options: GeneratorOptions | None = None


class SecretArguments(GeneratorArguments, frozen=True):
    """A Secret to generate."""

    type: str = ""


class FieldOptions(_Fields, frozen=True):
    """A part of a value between delimiters; whether to make fields."""

    delimiter: str = ""
    index: int = 0
    encoding: str = ""
    create: bool = False


class Source(_Fields, frozen=True):
    """Where a replacement's value comes from."""

    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    field_path: str = ""
    options: FieldOptions | None = None


class Target(_Fields, frozen=True):
    """Where a replacement's value goes."""

    select: Selector | None = None
    reject: tuple[Selector, ...] = ()
    field_paths: tuple[str, ...] = ()
    options: FieldOptions | None = None


class Replacement(_Fields, frozen=True):
    """A value copied from one resource to fields of others, or a file with such."""

    source: Source | None = None
    targets: tuple[Target, ...] | None = None
    source_value: str | None = None
    path: str = ""


class ObjectReference(_Fields, frozen=True):
    """The object that a var reads from."""

    api_version: str = ""
    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""


class FieldReference(_Fields, frozen=True):
    """The field that a var reads."""

    field_path: str = ""


class Var(_Fields, frozen=True):
    """A variable, `$(NAME)` in some fields."""

    name: str = ""
    objref: ObjectReference = ObjectReference()
    fieldref: FieldReference = FieldReference()


class LegacyOrder(_Fields, frozen=True):
    """Kinds that the legacy order puts first and last."""

    order_first: tuple[str, ...] = ()
    order_last: tuple[str, ...] = ()


class SortOptions(_Fields, frozen=True):
    """The order of the output."""

    order: str = ""
    legacy_sort_options: LegacyOrder | None = None


class Kustomization(_Fields, frozen=True):
    """A kustomization or a component."""

    api_version: str = ""
    kind: str = KIND
    metadata: Metadata | None = None
    openapi: dict[str, str] = {}
    name_prefix: str = ""
    name_suffix: str = ""
    namespace: str = ""
    common_labels: dict[str, str] = {}
    labels: tuple[Label, ...] = ()
    common_annotations: dict[str, str] = {}
    patches_strategic_merge: tuple[str, ...] = ()
    patches_json6902: tuple[Patch, ...] = ()
    patches: tuple[Patch, ...] = ()
    images: tuple[Image, ...] = ()
    image_tags: tuple[Image, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    replicas: tuple[Replica, ...] = ()
    vars: tuple[Var, ...] = ()
    sort_options: SortOptions | None = None
    resources: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    crds: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    config_map_generator: tuple[GeneratorArguments, ...] = ()
    secret_generator: tuple[SecretArguments, ...] = ()
    helm_globals: dict[str, Any] | None = None
    helm_charts: tuple[dict[str, Any], ...] = ()
    helm_chart_inflation_generator: tuple[dict[str, Any], ...] = ()
    generator_options: GeneratorOptions | None = None
    configurations: tuple[str, ...] = ()
    generators: tuple[str, ...] = ()
    transformers: tuple[str, ...] = ()
    validators: tuple[str, ...] = ()
    build_metadata: tuple[str, ...] = ()


FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(Kustomization))
"""Names of the fields of a kustomization file."""


def load(loader: Loader) -> tuple[Kustomization, str]:
    """The kustomization of a directory and the name of its file. Raises KustomizeError."""
    found = []
    for name in NAMES:
        try:
            found.append((name, loader.load(name)))
        except LoadError:
            continue
    if not found:
        names = "', '".join(NAMES)
        raise LoadError(f"unable to find one of '{names}' in directory '{loader.root}'")
    if len(found) > 1:
        raise LoadError(f"Found multiple kustomization files under: {loader.root}")
    name, data = found[0]
    return parse(data, loader.path(name)), name


def parse(data: bytes, source: str) -> Kustomization:
    """A kustomization of the content of its file. Raises LoadError, FieldError, Unsupported."""
    document = documents.read_settings(data, source)
    if not isinstance(document, dict):
        if document is None:
            raise FieldError(f"{source}: kustomization.yaml is empty")
        raise FieldError(f"{source}: invalid Kustomization: a map is expected")
    found = converted(document, Kustomization, source)
    _check(found, document, source)
    return msgspec.structs.replace(
        found,
        resources=found.resources + found.bases,
        images=found.images + found.image_tags,
        bases=(),
        image_tags=(),
    )


def _check(found: Kustomization, document: Mapping[str, Any], source: str) -> None:
    if found.kind not in API_VERSIONS:
        raise FieldError(f"{source}: kind should be {KIND} or {COMPONENT}")
    if found.api_version not in ("", API_VERSIONS[found.kind]):
        raise FieldError(f"{source}: apiVersion for {found.kind} should be {API_VERSIONS[found.kind]}")
    if found.helm_charts or found.helm_chart_inflation_generator:
        raise Unsupported(f"{source}: field helmCharts is not supported yet")
    content = {name for name, value in document.items() if value not in (None, "")} - {"apiVersion", "kind"}
    if not content - {name for name in ("bases", "imageTags") if document.get(name) == []}:
        raise FieldError(f"{source}: kustomization.yaml is empty")


def converted(value: Any, kind: type[_T], source: str, *, strict: bool = True) -> _T:
    """Plain data as a type. Raises FieldError that names `source`, the field, and a near miss.

    The case of field names does not count, a null is the same as nothing. Unless strict, numbers and booleans become
    text where text is expected.
    """
    try:
        return msgspec.convert(_shaped(value, kind, strict), kind)
    except msgspec.ValidationError as error:
        raise FieldError(f"{source}: {_sentence(str(error), kind)}") from error


def _shaped(value: Any, kind: Any, strict: bool) -> Any:
    """Plain data with the field names, nulls and texts that a type wants."""
    if kind is str and not strict and isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, dict | list):
        return value
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _shaped_fields(value, kind, strict) if isinstance(value, dict) else value
    arguments = [argument for argument in typing.get_args(kind) if argument not in (type(None), ...)]
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return _shaped(value, arguments[0], strict)
    if isinstance(value, list):
        return [_shaped(item, arguments[0] if arguments else None, strict) for item in value]
    if arguments[-1:] == [str]:
        return {key: "" if item is None else _shaped(item, str, strict) for key, item in value.items()}
    return value


def _shaped_fields(value: dict[str, Any], kind: type[msgspec.Struct], strict: bool) -> dict[str, Any]:
    names = {name.lower(): (name, field_type) for name, field_type in _types(kind)}
    shaped = {}
    for key, item in value.items():
        name, field_type = names.get(key.lower(), (key, None))
        if item is not None and (name == key or name not in value):
            shaped[name] = _shaped(item, field_type, strict)
    return shaped


@functools.cache
def _types(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    return tuple((field.encode_name, field.type) for field in msgspec.structs.fields(kind))


def _sentence(message: str, kind: type) -> str:
    if found := _UNKNOWN.match(message):
        near = difflib.get_close_matches(found["field"], _names(kind), 1, 0.6)
        hint = f' (did you mean "{near[0]}"?)' if near else ""
        place = f" in {_path(found['path'])}" if found["path"] else ""
        return f'unknown field "{found["field"]}"{place}{hint}'
    if found := _AT.match(message):
        return f"field {_path(found['path'])}: {found['problem'][:1].lower()}{found['problem'][1:]}"
    return message


def _path(path: str) -> str:
    return path.lstrip(".").replace("[...]", "") or "the whole"


def _names(kind: Any) -> list[str]:
    """Names of the fields of a type and of those in it."""
    names: list[str] = []
    waiting, seen = [kind], set()
    while waiting:
        current = waiting.pop(0)
        if isinstance(current, type) and issubclass(current, msgspec.Struct):
            if current not in seen:
                seen.add(current)
                fields = msgspec.structs.fields(current)
                names += [field.encode_name for field in fields]
                waiting += [field.type for field in fields]
        else:
            waiting += getattr(current, "__args__", ())
    return names
