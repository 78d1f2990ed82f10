"""The transformers of a kustomization: names, namespace, labels, annotations, images, replicas.

Each takes the resources and its part of the kustomization, and changes the resources in place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fluxtui.kustomize import schema
from fluxtui.kustomize.errors import BuildError
from fluxtui.kustomize.fields import FieldSpec, visit
from fluxtui.kustomize.kustomization import Image, Label, Replica
from fluxtui.kustomize.resources import Object, Resource, Resources

_UNPREFIXED = frozenset({"CustomResourceDefinition", "APIService", "Namespace"})
_METADATA_LABELS = FieldSpec(path="metadata/labels", create=True)
_IMAGE = re.compile(r"^(?P<name>.+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>\w+:[0-9A-Fa-f]+))?$")


def add_prefix(resources: Resources, prefix: str, specs: Sequence[FieldSpec]) -> None:
    """Put a prefix before names."""
    _rename(resources, specs, lambda name: f"{prefix}{name}", lambda item: item.prefixes.append(prefix))


def add_suffix(resources: Resources, suffix: str, specs: Sequence[FieldSpec]) -> None:
    """Put a suffix behind names."""
    _rename(resources, specs, lambda name: f"{name}{suffix}", lambda item: item.suffixes.append(suffix))


def _rename(
    resources: Resources, specs: Sequence[FieldSpec], change: Callable[[str], str], note: Callable[[Resource], None]
) -> None:
    for resource in resources:
        if resource.kind in _UNPREFIXED:
            continue
        for spec in specs:
            if not spec.fits(*resource.gvk):
                continue
            if spec.path == "metadata/name":
                resource.remember()
                note(resource)
            visit(resource.object, spec, lambda value: change(str(value)))


def set_namespace(resources: Resources, namespace: str, specs: Sequence[FieldSpec]) -> None:
    """Move all namespaced resources to a namespace. Raises BuildError when two become one."""
    for resource in resources:
        resource.remember()
        if not schema.is_cluster_scoped(resource.api_version, resource.kind):
            resource.metadata["namespace"] = namespace
        for spec in specs:
            if spec.fits(*resource.gvk) and spec.path != "metadata/namespace":
                visit(resource.object, spec, lambda _: namespace, empty=str)
        if resource.kind in ("RoleBinding", "ClusterRoleBinding"):
            for subject in resource.object.get("subjects") or ():
                if subject.get("kind") == "ServiceAccount" and subject.get("name") == "default":
                    subject["namespace"] = namespace
    resources.check_unique()


def add_labels(
    resources: Resources, label: Label, selectors: Sequence[FieldSpec], templates: Sequence[FieldSpec]
) -> None:
    """Add labels to metadata, and as asked for to selectors and templates."""
    specs = [_METADATA_LABELS, *label.fields]
    if label.include_selectors:
        specs += selectors
    elif label.include_templates:
        specs += templates
    add_entries(resources, label.pairs, specs)


def add_entries(resources: Resources, pairs: Mapping[str, str], specs: Sequence[FieldSpec]) -> None:
    """Add entries to the maps at some fields, replacing those of the same key."""
    if not pairs:
        return
    for resource in resources:
        for spec in specs:
            if spec.fits(*resource.gvk):
                visit(resource.object, spec, lambda old: {**(old or {}), **pairs}, empty=dict)


def set_images(resources: Resources, image: Image, specs: Sequence[FieldSpec]) -> None:
    """Change an image everywhere: at the field specs, and in every list named containers or initContainers."""
    for resource in resources:
        if resource.kind == "CustomResourceDefinition":
            continue
        for spec in specs:
            if spec.fits(*resource.gvk):
                visit(resource.object, _only_existing(spec), lambda old: renamed(old, image))
        _containers(resource.object, image)


def renamed(old: Any, image: Image) -> Any:
    """An image reference after a change, or as it is when the change is for another image."""
    if not isinstance(old, str):
        return old
    found = _IMAGE.match(old)
    if not found or found["name"] != image.name:
        return old
    name, tag, digest = image.new_name or found["name"], found["tag"] or "", found["digest"] or ""
    if image.new_tag and image.digest:
        tag, digest = image.new_tag, image.digest
    elif image.new_tag:
        tag, digest = image.new_tag, ""
    elif image.digest:
        tag, digest = "", image.digest
    if image.tag_suffix:
        tag += image.tag_suffix
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def _only_existing(spec: FieldSpec) -> FieldSpec:
    return FieldSpec(path=spec.path, group=spec.group, version=spec.version, kind=spec.kind)


def _containers(node: Any, image: Image) -> None:
    if isinstance(node, list):
        for item in node:
            _containers(item, image)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name in ("containers", "initContainers") and isinstance(value, list):
                for container in value:
                    if isinstance(container, dict) and "image" in container:
                        container["image"] = renamed(container["image"], image)
            else:
                _containers(value, image)


def set_replicas(resources: Resources, replica: Replica, specs: Sequence[FieldSpec]) -> None:
    """Set a number of replicas by name. Raises BuildError when no resource of the right kind has the name."""
    found = False
    for resource in resources:
        if not any(item.name == replica.name for item in resource.ids):
            continue
        for spec in specs:
            if spec.fits(*resource.gvk):
                found = True
                visit(resource.object, spec, lambda _: replica.count)
    if not found:
        kinds = ", ".join(sorted({spec.kind for spec in specs}))
        raise BuildError(f"resource with name {replica.name} does not match a config with the following GVK [{kinds}]")


def sort_legacy(resources: Resources, first: Sequence[str], last: Sequence[str]) -> None:
    """The fixed order by kind, then by group, version, namespace and name."""
    ranks = {kind: rank - len(first) for rank, kind in enumerate(first)}
    ranks.update({kind: rank + 1 for rank, kind in enumerate(last)})

    def key(resource: Resource) -> tuple[Any, ...]:
        group, version, kind = resource.gvk
        gvk = f"{group}_{version}_{kind}" if group else f"{version}_{kind}"
        return ranks.get(kind, 0), gvk, str(resource.metadata.get("namespace") or ""), resource.name

    resources.sort(key)


def annotate(obj: Object, entries: Mapping[str, str]) -> None:
    """Add annotations to an object."""
    metadata = obj.setdefault("metadata", {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **entries}
