"""`namePrefix` and `nameSuffix`, and the hash at the end of generated names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fluxtui.kustomize import hashes
from fluxtui.kustomize.fieldspecs import Specs, set_scalar, visit
from fluxtui.kustomize.identities import Gvk
from fluxtui.kustomize.resources import Resource, Resources
from fluxtui.kustomize.scalars import Untagged, text_of

_NAME = "metadata/name"


def add_prefix(resources: Resources, prefix: str, specs: Specs) -> None:
    """Put a prefix before names. Raises BuildError."""
    _rename(resources, specs, prefix, lambda name: f"{prefix}{name}", lambda resource: resource.prefixes)


def add_suffix(resources: Resources, suffix: str, specs: Specs) -> None:
    """Put a suffix behind names. Raises BuildError."""
    _rename(resources, specs, suffix, lambda name: f"{name}{suffix}", lambda resource: resource.suffixes)


def _rename(
    resources: Resources,
    specs: Specs,
    part: str,
    change: Callable[[str], str],
    parts: Callable[[Resource], list[str]],
) -> None:
    def act(container: Any, key: Any) -> None:
        # Nothing to write leaves a field as it is, also one that has just been made and is null.
        if name := change(text_of(container[key])):
            set_scalar(container, key, Untagged(name))

    for resource in resources:
        original = resource.original.gvk
        if _keeps_its_name(original):
            continue
        current = resource.gvk
        for spec in specs:
            if not spec.fits(original):
                continue
            if spec.path == _NAME and part:
                parts(resource).append(part)
                resource.remember()
            if spec.fits(current):
                visit(resource.object, spec, act, "scalar")
    resources.changed()


def _keeps_its_name(gvk: Gvk) -> bool:
    return gvk.kind in ("CustomResourceDefinition", "Namespace") or gvk.fits("apiregistration.k8s.io", "", "APIService")


def add_hashes(resources: Resources) -> None:
    """Put the hash of their content behind the names of generated resources. Raises BuildError, Unsupported."""
    for resource in resources:
        if resource.hash_name:
            suffix = hashes.of(resource)
            resource.remember()
            resource.object["metadata"]["name"] = f"{resource.name}-{suffix}"
    resources.changed()
