"""kustomization.yaml: its fields, typed, old spellings brought up to date.

Source: the reference of kustomize's Kustomization (v1beta1) and Component (v1alpha1) files.
"""

from __future__ import annotations

import difflib
import posixpath
from typing import Any, Literal

import msgspec

from fluxtui.kustomize import documents
from fluxtui.kustomize.errors import FieldError, LoadError, Unsupported
from fluxtui.kustomize.fields import FieldSpec
from fluxtui.kustomize.filesystem import FileSystem
from fluxtui.kustomize.resources import Selector

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_OLD = {"imageTags": "images"}
_UNSUPPORTED = (
    "crds",
    "openapi",
    "generators",
    "validators",
    "transformers",
    "helmCharts",
    "helmGlobals",
    "vars",
    "buildMetadata",
)
_REMOVED = ("helmChartInflationGenerator", "inventory")


class Part(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Base of the parts of a kustomization."""


class Patch(Part):
    """A patch, inline or in a file, and the resources it is for."""

    patch: str = ""
    path: str = ""
    target: Selector | None = None
    options: dict[str, bool] = msgspec.field(default_factory=dict)


class Image(Part):
    """An image to be changed by name."""

    name: str = ""
    new_name: str = ""
    new_tag: str = ""
    tag_suffix: str = ""
    digest: str = ""


class Replica(Part):
    """A number of replicas for a resource by name."""

    name: str
    count: int = 0


class Label(Part):
    """Labels, and where they are put."""

    pairs: dict[str, str] = msgspec.field(default_factory=dict)
    include_selectors: bool = False
    include_templates: bool = False
    fields: list[FieldSpec] = msgspec.field(default_factory=list)


class GeneratorOptions(Part):
    """Options of generated ConfigMaps and Secrets."""

    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    disable_name_suffix_hash: bool | None = None
    immutable: bool | None = None


class Generator(Part):
    """A ConfigMap or Secret to be generated."""

    name: str = ""
    namespace: str = ""
    behavior: Literal["", "unspecified", "create", "replace", "merge"] = ""
    literals: list[str] = msgspec.field(default_factory=list)
    files: list[str] = msgspec.field(default_factory=list)
    envs: list[str] = msgspec.field(default_factory=list)
    env: str = ""
    type: str = ""
    options: GeneratorOptions | None = None


class SortOptions(Part):
    """The order of the output."""

    order: Literal["", "legacy", "fifo"] = ""
    legacy_sort_options: dict[str, list[str]] | None = None


class Kustomization(Part):
    """The fields of a kustomization or component file."""

    api_version: str = ""
    kind: str = ""
    metadata: dict[str, Any] | None = None
    resources: list[str] = msgspec.field(default_factory=list)
    bases: list[str] = msgspec.field(default_factory=list)
    components: list[str] = msgspec.field(default_factory=list)
    name_prefix: str = ""
    name_suffix: str = ""
    namespace: str = ""
    common_labels: dict[str, str] = msgspec.field(default_factory=dict)
    labels: list[Label] = msgspec.field(default_factory=list)
    common_annotations: dict[str, str] = msgspec.field(default_factory=dict)
    patches: list[Patch] = msgspec.field(default_factory=list)
    patches_strategic_merge: list[str] = msgspec.field(default_factory=list)
    patches_json6902: list[Patch] = msgspec.field(default_factory=list, name="patchesJson6902")
    images: list[Image] = msgspec.field(default_factory=list)
    replicas: list[Replica] = msgspec.field(default_factory=list)
    replacements: list[dict[str, Any]] = msgspec.field(default_factory=list)
    config_map_generator: list[Generator] = msgspec.field(default_factory=list)
    secret_generator: list[Generator] = msgspec.field(default_factory=list)
    generator_options: GeneratorOptions | None = None
    configurations: list[str] = msgspec.field(default_factory=list)
    sort_options: SortOptions | None = None

    @property
    def is_component(self) -> bool:
        """Whether this is a Component."""
        return self.kind == "Component"


def find(fs: FileSystem, directory: str) -> str:
    """Path of the directory's kustomization file. Raises LoadError when there is none, or more than one."""
    found = [path for name in NAMES if fs.is_file(path := posixpath.join(directory, name))]
    if not found:
        raise LoadError(f"unable to find one of {', '.join(map(repr, NAMES))} in directory '{directory}'")
    if len(found) > 1:
        raise LoadError(f"found multiple kustomization files in '{directory}': {', '.join(found)}")
    return found[0]


def load(fs: FileSystem, path: str) -> Kustomization:
    """Read a kustomization file. Raises LoadError, FieldError, or Unsupported."""
    document = documents.read(fs.read(path), path)
    if not document:
        raise FieldError(f"{path}: kustomization.yaml is empty")
    if not isinstance(document, dict):
        raise FieldError(f"{path}: expected a map of fields")
    return parse({name: value for name, value in document.items() if value is not None}, path)


def parse(document: dict[str, Any], path: str) -> Kustomization:
    """A kustomization of plain data; `path` is for messages. Raises FieldError or Unsupported."""
    known = {field.encode_name.lower(): field.encode_name for field in msgspec.structs.fields(Kustomization)}
    document = {known.get(name.lower(), name): value for name, value in document.items()}
    for old, new in _OLD.items():
        if old in document:
            document[new] = [*document.get(new, []), *document.pop(old)]
    for name in (*_UNSUPPORTED, *_REMOVED):
        if document.get(name):
            raise Unsupported(f"{path}: field {name} is not supported yet")
        document.pop(name, None)
    for patch in document.get("patchesJson6902") or ():
        if isinstance(patch, dict) and not patch.get("target"):
            raise FieldError(f"{path}: patchesJson6902: a patch has no target")
    try:
        found = msgspec.convert(_inlined(document), Kustomization, strict=False)
    except msgspec.ValidationError as error:
        raise FieldError(f"{path}: {_explained(str(error))}") from error
    kinds = {"": "Kustomization", "kustomize.config.k8s.io/v1beta1": "Kustomization"}
    if found.kind not in ("", "Kustomization", "Component"):
        raise FieldError(f"{path}: kind: should be Kustomization or Component, not {found.kind!r}")
    if found.kind == "Component":
        kinds = {"": "Component", "kustomize.config.k8s.io/v1alpha1": "Component"}
    if found.api_version not in kinds:
        wanted = next(filter(None, kinds))
        raise FieldError(f"{path}: apiVersion: for {found.kind or 'Kustomization'} should be {wanted}")
    return found


def _inlined(document: dict[str, Any]) -> dict[str, Any]:
    """Fields that hold YAML as text or as itself, as text."""
    for patch in document.get("patches") or ():
        if isinstance(patch, dict) and isinstance(patch.get("patch"), dict | list):
            patch["patch"] = documents.write(patch["patch"])
    return document


def _explained(text: str) -> str:
    message, _, where = text.partition(" - at `$")
    path = where.rstrip("`").lstrip(".")
    if message.startswith("Object contains unknown field `"):
        name = message.split("`")[1]
        known = [field.encode_name for field in msgspec.structs.fields(Kustomization)]
        near = difflib.get_close_matches(name, known, n=1) if not path else []
        hint = f"; did you mean {near[0]}?" if near else ""
        return f'unknown field "{path}{"." if path else ""}{name}"{hint}'
    return f"{path or 'document'}: {message[:1].lower()}{message[1:]}"
