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
        """Both together, sorted by kind. Raises FieldError when they contradict each other.

        What has the path of one that is there, and fits all that it fits, is left out: a spec for one kind takes the
        place of that for all kinds, which it comes before.
        """
        if other is self or other is EMPTY or (self is EMPTY and other is default()):
            return self if self is not EMPTY else other
        values = {
            name: tuple(sorted(merged(getattr(self, name), getattr(other, name)), key=_rank))
            for name in self.__struct_fields__
            if name != "name_reference"
        }
        references = sorted(_merged(self.name_reference, other.name_reference), key=_rank)
        return Configuration(**values, name_reference=tuple(references))


EMPTY = Configuration()


def _rank(item: FieldSpec | NameReference) -> tuple[int, str]:
    """The order by kind: that of the output, and then the alphabet's, where what is not said comes last."""
    rank = _kind_ranks().get(item.kind, 0)
    return rank, f"{item.group or '~G'}_{item.version or '~V'}_{item.kind or '~K'}"


@functools.cache
def _kind_ranks() -> dict[str, int]:
    order = schema.field_specs()["legacySortOrder"]
    first, last = order["orderFirst"], order["orderLast"]
    ranks = {kind: rank - len(first) for rank, kind in enumerate(first)}
    return ranks | {kind: rank + 1 for rank, kind in enumerate(last)}


@functools.cache
def default() -> Configuration:
    """What kustomize does unless told otherwise."""
    facts = {name: value for name, value in schema.field_specs().items() if name != "legacySortOrder"}
    prepare(Configuration)
    found: Configuration = msgspec.convert(facts, Configuration)
    values = {name: tuple(sorted(getattr(found, name), key=_rank)) for name in found.__struct_fields__}
    return Configuration(**values)


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
