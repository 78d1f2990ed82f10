"""`images`: new names, tags and digests for container images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fluxtui.kustomize.errors import BuildError
from fluxtui.kustomize.fieldspecs import Specs, set_scalar, visit
from fluxtui.kustomize.kustomization import Image
from fluxtui.kustomize.patterns import compiled
from fluxtui.kustomize.resources import Resources
from fluxtui.kustomize.scalars import Tree, Untagged, is_null, text_of

_LISTS = frozenset({"containers", "initContainers"})


def set_images(resources: Resources, image: Image, specs: Specs) -> None:
    """Change an image in all lists named containers or initContainers, and at the field specs. Raises BuildError."""
    pattern = compiled(f"{image.name}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?")

    def act(container: Any, key: Any) -> None:
        value = container[key]
        if isinstance(value, dict | list):
            raise BuildError("wrong node kind: an image must be a scalar")
        if not is_null(value) and pattern.fits(text_of(value)):
            set_scalar(container, key, Untagged(renamed(text_of(value), image)))

    for resource in resources:
        if resource.kind == "CustomResourceDefinition":
            continue
        for container in _containers(resource.object):
            act(container, "image")
        gvk = resource.gvk
        for spec in specs:
            if spec.fits(gvk):
                visit(resource.object, spec, act)


def _containers(tree: Tree) -> Iterator[dict[str, Tree]]:
    """Every container with an image, wherever a list of containers is."""
    if isinstance(tree, list):
        for item in tree:
            if isinstance(item, dict | list):
                yield from _containers(item)
        return
    for name, value in tree.items():
        if isinstance(value, dict | list):
            yield from _containers(value)
            if name in _LISTS and isinstance(value, list):
                for item in value:
                    if isinstance(item, dict):
                        if "image" in item:
                            yield item
                    elif not is_null(item):
                        raise BuildError(f"wrong node kind: an item of {name} must be a map")


def renamed(reference: str, image: Image) -> str:
    """An image reference with name, tag and digest changed."""
    name, tag, digest = split(reference)
    name = image.new_name or name
    if image.new_tag:
        tag, digest = image.new_tag, image.digest
    elif image.digest:
        tag, digest = "", image.digest
    elif image.tag_suffix:
        tag, digest = tag + image.tag_suffix, ""
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def split(reference: str) -> tuple[str, str, str]:
    """Name, tag and digest of an image reference; a colon before the first slash belongs to the name."""
    slash = max(reference.find("/"), 0)
    at, colon = reference.find("@", slash), reference.find(":", slash)
    if at >= 0 and (colon < 0 or at < colon):
        return reference[:at], "", reference[at + 1 :]
    if colon < 0:
        return reference, "", ""
    if at >= 0:
        return reference[:colon], reference[colon + 1 : at], reference[at + 1 :]
    return reference[:colon], reference[colon + 1 :], ""
