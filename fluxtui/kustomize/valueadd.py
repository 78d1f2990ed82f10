"""The built-in ValueAddTransformer: a text put into fields, or into the paths of files that they hold."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

import msgspec

from fluxtui.kustomize import documents
from fluxtui.kustomize.conversion import converted
from fluxtui.kustomize.errors import BuildError, FieldError
from fluxtui.kustomize.fieldpaths import split
from fluxtui.kustomize.fieldspecs import set_scalar
from fluxtui.kustomize.identities import Selector
from fluxtui.kustomize.loader import Loader
from fluxtui.kustomize.namespaces import Mover
from fluxtui.kustomize.resources import Resource, Resources
from fluxtui.kustomize.scalars import Untagged, is_null, text_of


class Target(msgspec.Struct, rename="camel"):
    """Resources and the field in them."""

    selector: Selector | None = None
    field_path: str = ""
    file_path_position: int = 0


class ValueAdd(msgspec.Struct, rename="camel"):
    """The configuration of the transformer."""

    value: str = ""
    targets: tuple[Target, ...] = ()
    target_file_path: str = ""


def loaded(loader: Loader, configuration: ValueAdd) -> ValueAdd:
    """The configuration with the targets of its file. Raises LoadError, FieldError."""
    targets = configuration.targets
    path = configuration.target_file_path
    if path:
        document = documents.read_settings(loader.load(path), path)
        targets += converted(document or {}, ValueAdd, path, strict=False).targets
    if not targets:
        raise FieldError("ValueAddTransformer: must specify at least one target")
    for target in targets:
        if not target.field_path:
            raise FieldError("ValueAddTransformer: fieldPath cannot be empty")
        if target.file_path_position < 0:
            raise FieldError("ValueAddTransformer: filePathPosition cannot be negative")
    value = configuration.value.strip() or posixpath.basename(loader.root)
    return ValueAdd(value=value, targets=targets)


def add_value(resources: Resources, configuration: ValueAdd) -> None:
    """Put the value into the fields of all targets. Raises BuildError, FieldError."""
    for target in configuration.targets:
        chosen: Iterable[Resource] = resources if target.selector is None else resources.select(target.selector)
        for resource in chosen:
            if target.field_path == "metadata/namespace":
                Mover(configuration.value).move(resource)
            else:
                _add(resource, target, configuration.value)
    resources.changed()


def _add(resource: Resource, target: Target, value: str) -> None:
    *parents, name = split(target.field_path, "/")
    node = resource.object
    for part in parents:
        if is_null(node.get(part)):
            node[part] = {}
        if not isinstance(node[part], dict):
            raise BuildError(f"{resource.id}: field {target.field_path} leads through something that is no map")
        node = node[part]
    node.setdefault(name, None)
    if target.file_path_position > 0:
        value = with_part(text_of(node[name]), target.file_path_position - 1, value)
    set_scalar(node, name, Untagged(value))


def with_part(path: str, position: int, part: str) -> str:
    """The path of a file with a part inserted; a position too large puts it at the end, an absolute path stays so."""
    absolute = path.startswith("/")
    parts = [piece for piece in path.split("/") if piece]
    parts.insert(min(position, len(parts)), part)
    return ("/" if absolute else "") + "/".join(parts)
