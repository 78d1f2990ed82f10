"""Patches of a kustomization: finding what they are for, and applying them."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from fluxtui.kustomize import documents
from fluxtui.kustomize.errors import BuildError, FieldError, LoadError
from fluxtui.kustomize.kustomization import Patch
from fluxtui.kustomize.merging import json_patch, merge
from fluxtui.kustomize.resources import Resource, Resources, Selector
from fluxtui.kustomize.schema import type_of


def apply_patch(resources: Resources, patch: Patch, text: bytes | str, source: str) -> None:
    """Apply one entry of `patches` (or an older spelling): strategic merge or JSON 6902, by what the text is.

    Raises BuildError, FieldError or LoadError.
    """
    parsed = _parse(text, source)
    if parsed and all(isinstance(item, list) for item in parsed):
        operations = [operation for item in parsed for operation in item]
        if patch.target is None:
            raise FieldError(f"{source}: must specify a target for a JSON 6902 patch")
        for resource in resources.select(patch.target):
            _patch_json(resource, operations)
        return
    if not parsed or not all(isinstance(item, dict) for item in parsed):
        raise FieldError(f"{source}: unable to parse SM or JSON patch")
    if patch.target is not None:
        if len(parsed) > 1:
            raise FieldError(f"{source}: several strategic merge patches in one entry of patches can not have a target")
        for resource in resources.select(patch.target):
            _patch_merge(resources, resource, parsed[0], patch.options, targeted=True)
        return
    for item in parsed:
        _patch_merge(resources, _target_of(resources, item, source), item, patch.options, targeted=False)


def apply_json6902(resources: Resources, target: Selector, text: bytes | str, source: str) -> None:
    """Apply an entry of `patchesJson6902`. Raises BuildError when nothing fits the target."""
    parsed = _parse(text, source)
    operations = [operation for item in parsed for operation in (item if isinstance(item, list) else [item])]
    if not operations:
        raise FieldError(f"{source}: patch is empty")
    for resource in resources.select(target):
        _patch_json(resource, operations)


def _parse(text: bytes | str, source: str) -> list[Any]:
    try:
        return documents.read_all(text, source)
    except LoadError as error:
        raise FieldError(f"unable to parse SM or JSON patch: {error}") from error


def _target_of(resources: Resources, patch: dict[str, Any], source: str) -> Resource:
    wanted = Resource(patch).id
    if not wanted.name or not wanted.kind:
        raise FieldError(f"{source}: a strategic merge patch needs kind and metadata.name")
    found = resources.by_any_id(wanted)
    if not found:
        raise BuildError(f'{source}: no resource matches strategic merge patch "{wanted}": no matches for Id {wanted}')
    if len(found) > 1:
        raise BuildError(f'{source}: several resources match strategic merge patch "{wanted}"')
    return found[0]


def _patch_merge(
    resources: Resources, resource: Resource, patch: dict[str, Any], options: Mapping[str, bool], *, targeted: bool
) -> None:
    before = (resource.api_version, resource.kind, resource.name, resource.metadata.get("namespace"))
    behavior = resource.behavior
    result = merge(resource.object, patch, type_of(resource.api_version, resource.kind))
    if result is None:
        resources.remove(resource)
        return
    metadata = result.setdefault("metadata", {})
    keep_name = not options.get("allowNameChange")
    keep_kind = not options.get("allowKindChange")
    if (metadata.get("name") != before[2] and not keep_name) or (result.get("kind") != before[1] and not keep_kind):
        resource.remember()
    if keep_name:
        metadata["name"] = before[2]
    if keep_kind:
        result["apiVersion"], result["kind"] = before[0], before[1]
    if targeted or before[3] is not None:
        # A targeted patch does not move a resource.
        if before[3] is None:
            metadata.pop("namespace", None)
        else:
            metadata["namespace"] = before[3]
    elif "namespace" in metadata:
        del metadata["namespace"]
    resource.object = result
    resource.behavior = behavior


def _patch_json(resource: Resource, operations: list[Any]) -> None:
    identity = resource.id
    try:
        result = json_patch(resource.object, operations)
    except BuildError as error:
        raise BuildError(f"{identity}: {error}") from error
    if not isinstance(result, dict):
        raise BuildError(f"{identity}: the patch leaves no object")
    if Resource(result).id != identity:
        resource.remember()
    resource.object = result


def file_or_inline(path_or_text: str) -> bool:
    """Whether an entry of `patchesStrategicMerge` is inline YAML and no path."""
    return "\n" in path_or_text or path_or_text.lstrip().startswith(("{", "apiVersion:", "kind:"))


def join(directory: str, path: str) -> str:
    """A path of a kustomization, from its directory."""
    return posixpath.normpath(posixpath.join(directory, path))
