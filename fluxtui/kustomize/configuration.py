"""The field specs that transformers work by: the defaults, with those of `configurations` and `crds` added."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import msgspec

from fluxtui.kustomize import documents, schema
from fluxtui.kustomize.conversion import converted, prepare
from fluxtui.kustomize.errors import FieldError
from fluxtui.kustomize.fieldspecs import FieldSpec, Specs, merged
from fluxtui.kustomize.identities import Gvk
from fluxtui.kustomize.loader import Loader


class NameReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """A kind, and the fields of other kinds that hold the name of one."""

    group: str = ""
    version: str = ""
    kind: str = ""
    field_specs: Specs = ()

    @property
    def gvk(self) -> Gvk:
        """The kind that is referred to."""
        return Gvk(self.group, self.version, self.kind)


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Field specs of all transformers."""

    name_prefix: Specs = ()
    name_suffix: Specs = ()
    namespace: Specs = ()
    common_labels: Specs = ()
    labels: Specs = ()
    template_labels: Specs = ()
    common_annotations: Specs = ()
    images: Specs = ()
    replicas: Specs = ()
    name_reference: tuple[NameReference, ...] = ()
    var_reference: Specs = ()

    def merged(self, other: Configuration) -> Configuration:
        """Both together. Raises FieldError when they contradict each other."""
        if other is self or other is EMPTY:
            return self
        if self is EMPTY:
            return other
        values = {
            name: merged(getattr(self, name), getattr(other, name))
            for name in self.__struct_fields__
            if name != "name_reference"
        }
        return Configuration(**values, name_reference=_merged(self.name_reference, other.name_reference))


EMPTY = Configuration()


@functools.cache
def default() -> Configuration:
    """What kustomize does unless told otherwise."""
    facts = {name: value for name, value in schema.field_specs().items() if name != "legacySortOrder"}
    prepare(Configuration)
    return msgspec.convert(facts, Configuration)


def load(loader: Loader, paths: Iterable[str]) -> Configuration:
    """The defaults with those of `configurations` added. Raises LoadError, FieldError."""
    result, added = default(), EMPTY
    for path in paths:
        document = documents.read_settings(loader.load(path), path)
        if not isinstance(document, dict | None):
            raise FieldError(f"{path}: a transformer configuration is a map")
        added = added.merged(converted(document or {}, Configuration, path))
    return result.merged(added)


def _merged(mine: tuple[NameReference, ...], theirs: Iterable[NameReference]) -> tuple[NameReference, ...]:
    result = {reference.gvk: reference for reference in mine}
    for other in theirs:
        own = result.get(other.gvk)
        if own is None:
            result[other.gvk] = other
        elif own is not other:
            specs: tuple[FieldSpec, ...] = merged(own.field_specs, other.field_specs)
            result[other.gvk] = msgspec.structs.replace(own, field_specs=specs)
    return tuple(result.values())
