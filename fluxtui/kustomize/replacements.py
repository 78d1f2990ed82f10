"""`replacements`: the value of a field copied into fields of other resources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fluxtui.kustomize import documents, structured
from fluxtui.kustomize.conversion import converted
from fluxtui.kustomize.errors import BuildError, FieldError
from fluxtui.kustomize.fieldpaths import CREATED, MISSING, Place, lookup, lookup_place, matches, parsed
from fluxtui.kustomize.identities import DEFAULT_NAMESPACE, Id, Selector
from fluxtui.kustomize.kustomization import FieldOptions, Replacement, Source, Target
from fluxtui.kustomize.loader import Loader
from fluxtui.kustomize.patterns import fits
from fluxtui.kustomize.resources import Resource, Resources, fits_labels
from fluxtui.kustomize.scalars import Tree, Untagged, copied, is_empty, retyped, text_of

DEFAULT_PATH = "metadata.name"


def load(loader: Loader, replacements: Iterable[Replacement]) -> list[Replacement]:
    """Replacements with those of files read. Raises LoadError, FieldError."""
    result: list[Replacement] = []
    for replacement in replacements:
        if not replacement.path:
            result.append(replacement)
            continue
        if replacement.source is not None or replacement.targets:
            raise FieldError("replacements: cannot specify both path and inline replacement")
        document = documents.read_settings(loader.load(replacement.path), replacement.path)
        if not isinstance(document, dict | list):
            raise FieldError(f"{replacement.path}: a replacement or a list of replacements is expected")
        entries = document if isinstance(document, list) else [document]
        result += converted(entries, list[Replacement], replacement.path)
    return result


def replace(resources: Resources, replacements: Iterable[Replacement]) -> None:
    """Carry out replacements in turn. Raises BuildError, FieldError."""
    for replacement in replacements:
        if (replacement.source_value is None and replacement.source is None) or replacement.targets is None:
            raise FieldError("replacements must specify a source and at least one target")
        value = _value(resources, replacement)
        for target in replacement.targets:
            _replace_in_target(resources, value, target)
    resources.changed()


def _value(resources: Resources, replacement: Replacement) -> Callable[[], Tree]:
    """Tells the value whenever it is to be written: what a target has done to the source counts for the next."""
    source = replacement.source
    if source is None or replacement.source_value is not None:
        if source is not None:
            raise FieldError("replacements: value and resource selectors are mutually exclusive")
        text = Untagged(replacement.source_value or "")
        return lambda: text
    resource = _source_resource(resources, source)
    path = source.field_path or DEFAULT_PATH
    try:
        place = _looked_up(resource, parsed(path))
    except BuildError as error:
        raise BuildError(f"error looking up replacement source {_described(source)}: {error}") from error
    if place is None or is_empty(place[0][place[1]]):
        raise BuildError(f"fieldPath `{path}` is missing for replacement source {_described(source)}")
    container, key = place
    if source.options is None or not source.options.delimiter:
        return lambda: container[key]
    part = _part(container[key], source.options)
    return lambda: part


def _looked_up(resource: Resource, parts: list[str]) -> Place | None:
    """The place of a value, None without one; of all annotations, what is noted of the resource is a part."""
    if not _holds_annotations(parts):
        return lookup_place([resource.object], 0, parts)
    resource.mark()
    found = copied(lookup(resource.object, parts))
    resource.unmark(keep=True)
    return None if found is MISSING else ([found], 0)


def _holds_annotations(parts: list[str]) -> bool:
    """Whether a path leads to all annotations, or to what they are in."""
    return parts in (["metadata"], ["metadata", "annotations"])


def _source_resource(resources: Resources, source: Source) -> Resource:
    found = [resource for resource in resources if any(_is_source(item, source) for item in _ids(resource))]
    if len(found) > 1:
        raise BuildError(f"multiple matches for selector {_described(source)}")
    if not found:
        raise BuildError(f"nothing selected by {_described(source)}")
    return found[0]


def _is_source(identity: Id, source: Source) -> bool:
    if source.name not in ("", identity.name) or not identity.gvk.fits(source.group, source.version, source.kind):
        return False
    return not source.namespace or (identity.namespace or DEFAULT_NAMESPACE) == source.namespace


def _ids(resource: Resource) -> Iterator[Id]:
    """The current identity with the namespace as it is written, and the previous ones."""
    yield Id(resource.gvk, resource.namespace, resource.name)
    yield from resource.previous_ids


def _described(source: Source) -> str:
    fields = ("group", "version", "kind", "name", "namespace")
    return ", ".join(f"{field} {value}" for field in fields if (value := getattr(source, field))) or "everything"


def _part(value: Tree, options: FieldOptions) -> Tree:
    if isinstance(value, dict | list):
        raise BuildError("delimiter option can only be used with scalar nodes")
    parts = text_of(value).split(options.delimiter)
    if not 0 <= options.index < len(parts):
        raise BuildError(f"options.index {options.index} is out of bounds for value {text_of(value)}")
    part = parts[options.index]
    return retyped(value, part)


def _replace_in_target(resources: Resources, value: Callable[[], Tree], target: Target) -> None:
    select = target.select
    if select is None:
        raise FieldError("replacements: target must specify resources to select")
    for resource in resources:
        if not resource.object or not _chosen_by_labels(resource, select, target.reject):
            continue
        ids = list(_ids(resource))
        rejects = [reject for reject in target.reject if not reject.names_nothing]
        if any(_fits(reject, item) for reject in rejects for item in ids):
            continue
        if any(_fits(select, item) for item in ids):
            for path in target.field_paths or (DEFAULT_PATH,):
                marked = _holds_annotations(parsed(path))
                if marked:
                    resource.mark()
                _write(resource, path, value(), target.options)
                if marked:
                    resource.recall()


def _chosen_by_labels(resource: Resource, select: Selector, rejects: Iterable[Selector]) -> bool:
    if not fits_labels(resource, select):
        return False
    return not any(
        (reject.label_selector or reject.annotation_selector) and fits_labels(resource, reject) for reject in rejects
    )


def _fits(selector: Selector, identity: Id) -> bool:
    return (
        selector.fits_gvk(identity.gvk)
        and fits(selector.name, identity.name)
        and fits(selector.namespace, identity.namespace)
    )


def _write(resource: Resource, path: str, value: Tree, options: FieldOptions | None) -> None:
    create: Tree = MISSING
    if options is not None and options.create:
        create = {} if isinstance(value, dict) else [] if isinstance(value, list) else ""
    parts = parsed(path)
    try:
        if structured.write(resource.object, parts, value, create):
            return
        places = list(matches([resource.object], 0, parts, create))
    except BuildError as error:
        raise BuildError(f"{_missing(path, create)} {resource.id}: {error}") from error
    if not places:
        raise BuildError(f"{_missing(path, create)} {resource.id}")
    for container, key in places:
        _set(container, key, value, options)


def _missing(path: str, create: Tree) -> str:
    action = "find" if create is MISSING else "find or create"
    return f'unable to {action} field "{path}" in replacement target'


def _set(container: Any, key: Any, value: Tree, options: FieldOptions | None) -> None:
    old = container[key]
    text = text_of(value)
    if options is not None and options.delimiter:
        if isinstance(old, dict | list):
            raise BuildError("delimiter option can only be used with scalar nodes")
        text = _joined("" if old is CREATED else text_of(old), text, options)
        value = retyped(value, text)
    if isinstance(old, dict | list):
        container[key] = copied(value)
    elif old is CREATED:
        container[key] = Untagged(text)
    else:
        container[key] = retyped(old, text)


def _joined(old: str, text: str, options: FieldOptions) -> str:
    parts = old.split(options.delimiter)
    if options.index < 0:
        parts.insert(0, text)
    elif options.index >= len(parts):
        parts.append(text)
    else:
        parts[options.index] = text
    return options.delimiter.join(parts)
