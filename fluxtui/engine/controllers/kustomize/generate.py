"""The kustomization that is built: the source's own, or one made of all manifests, with what `spec` adds to it.

Nothing is written to the source; the result is a file laid over it. Source: fluxcd/pkg `kustomize` (the generator).
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Container
from typing import Any

import msgspec

from fluxtui.api.fields import Image, Patch
from fluxtui.api.kustomize import KustomizationSpec
from fluxtui.kustomize import documents
from fluxtui.kustomize.errors import FieldError
from fluxtui.kustomize.kustomization import NAMES

_API = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
_EMPTY = "_placeholder"
_REMOTE = ("git::", "gh:", "ssh://", "https://", "http://", "git@", "github.com:", "github.com/")


_ORIGINS = "originAnnotations"


class Additions(msgspec.Struct, frozen=True, kw_only=True):
    """What a Flux Kustomization adds to the kustomization of its path; fields as in its spec."""

    target_namespace: str = ""
    name_prefix: str = ""
    name_suffix: str = ""
    patches: tuple[Patch, ...] = ()
    images: tuple[Image, ...] = ()
    components: tuple[str, ...] = ()
    ignore_missing_components: bool = False
    build_metadata: tuple[str, ...] = ()


def additions_of(spec: KustomizationSpec) -> Additions:
    """What a spec adds."""
    return Additions(
        target_namespace=spec.target_namespace or "",
        name_prefix=spec.name_prefix or "",
        name_suffix=spec.name_suffix or "",
        patches=tuple(spec.patches),
        images=tuple(spec.images),
        components=tuple(spec.components),
        ignore_missing_components=spec.ignore_missing_components,
        build_metadata=tuple(spec.build_metadata),
    )


def kustomization(directory: str, additions: Additions, ignored: Container[str] = frozenset()) -> dict[str, bytes]:
    """Files (absolute path → content) to lay over a directory, so that building it gives what Flux would build.

    Manifests whose absolute paths are `ignored` are not collected. Empty when the directory's own kustomization is
    built as it is. Raises KustomizeError for a kustomization that can't be read, and for a component that is not a
    local path.
    """
    own = _find(directory)
    if own:
        with open(own, "rb") as file:
            document = documents.read(file.read(), own)
        if document is None:
            document = {}
        if not isinstance(document, dict):
            return {}
        if not document.get("resources"):
            # So does Flux, whose builder would else take it for an empty one; what generators make shows it.
            document = {**document, "buildMetadata": [_ORIGINS]}
        elif additions == Additions():
            return {}
    else:
        own = posixpath.join(directory, NAMES[0])
        document = {**_API, **_collected(directory, ignored)}
    return {own: documents.write(_added(document, additions, directory)).encode()}


def _find(directory: str) -> str:
    for name in NAMES:
        path = posixpath.join(directory, name)
        if os.path.isfile(path):
            return path
    return ""


def _collected(directory: str, ignored: Container[str]) -> dict[str, Any]:
    """All manifests below a directory; a sub-directory with a kustomization of its own counts as a whole."""
    found = _manifests(directory, ".", ignored)
    # An empty kustomization would be refused.
    return {"resources": found} if found else {"namespace": _EMPTY}


def _manifests(directory: str, relative: str, ignored: Container[str]) -> list[str]:
    found: list[str] = []
    for entry in sorted(os.scandir(directory), key=lambda item: item.name):
        path = f"{relative}/{entry.name}"
        if entry.path in ignored:
            continue
        if entry.is_dir(follow_symlinks=False):
            found += [path] if _find(entry.path) else _manifests(entry.path, path, ignored)
        elif entry.is_file() and entry.name.endswith((".yaml", ".yml")):
            found.append(path)
    return found


def _added(document: dict[str, Any], additions: Additions, directory: str) -> dict[str, Any]:
    done = {**_API, **document}
    for field, value in (
        ("namespace", additions.target_namespace),
        ("namePrefix", additions.name_prefix),
        ("nameSuffix", additions.name_suffix),
    ):
        if value:
            done[field] = value
    lists: tuple[tuple[str, list[Any]], ...] = (
        ("patches", [_patch(patch) for patch in additions.patches]),
        ("components", _components(additions, directory)),
    )
    for field, items in lists:
        if items:
            done[field] = [*(done.get(field) or []), *items]
    if additions.images:
        done["images"] = _images(done.get("images") or [], additions.images)
    if additions.build_metadata:
        done["buildMetadata"] = list(additions.build_metadata)
    return done


def _patch(patch: Patch) -> dict[str, Any]:
    target = msgspec.to_builtins(patch.target) if patch.target is not None else None
    return {"patch": patch.patch, **({"target": target} if target else {})}


def _components(additions: Additions, directory: str) -> list[str]:
    kept = []
    for path in additions.components:
        if posixpath.isabs(path.lower().removeprefix("file://")) or path.lower().startswith(_REMOTE):
            raise FieldError(f"spec.components: component path '{path}' must be local and relative")
        if additions.ignore_missing_components and not os.path.exists(posixpath.join(directory, path)):
            continue
        kept.append(path)
    return kept


def _images(own: list[dict[str, Any]], added: tuple[Image, ...]) -> list[dict[str, Any]]:
    """Images of the same name are merged: a new tag or digest takes the place of both."""
    merged = [dict(image) for image in own]
    for image in added:
        entry = next((found for found in merged if found.get("name") == image.name), None)
        if entry is None:
            entry = {"name": image.name}
            merged.append(entry)
        if image.new_name:
            entry["newName"] = image.new_name
        if image.new_tag or image.digest:
            for field in ("newTag", "digest"):
                entry.pop(field, None)
            # The digest wins over a tag that is given beside it.
            entry.update({"digest": image.digest} if image.digest else {"newTag": image.new_tag})
    return merged
