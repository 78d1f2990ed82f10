"""Patches: strategic ones that name their resource or have a target, and JSON patches with a target."""

from __future__ import annotations

from collections.abc import Iterable

from fluxtui.kustomize import jsonpatch, resources, strategic
from fluxtui.kustomize.errors import BuildError, KustomizeError
from fluxtui.kustomize.identities import Selector
from fluxtui.kustomize.kustomization import Patch
from fluxtui.kustomize.loader import Loader
from fluxtui.kustomize.resources import Resource, Resources
from fluxtui.kustomize.scalars import Untagged, copied, finished, of_json
from fluxtui.kustomize.schema import Kinds


class StrategicPatch:
    """A patch that looks like a part of what it changes."""

    def __init__(self, resource: Resource, *, rename: bool = False, change_kind: bool = False) -> None:
        self.resource = resource
        self.rename = rename
        """Whether it may change the name."""
        self.change_kind = change_kind

    def apply_to_named(self, found: Resources) -> None:
        """Apply to the resource that the patch names. Raises BuildError."""
        try:
            target = found.only(self.resource.id)
        except BuildError as error:
            raise BuildError(f"no resource matches strategic merge patch {self.resource.id}: {error}") from error
        self.apply(target)
        found.changed()

    def apply_to(self, targets: Iterable[Resource]) -> None:
        """Apply to resources of any kind and name: they keep theirs, labels and annotations are taken as text."""
        for target in targets:
            patch = self.resource.copy()
            for field in ("labels", "annotations"):
                patch.set_texts(field, patch.texts(field))
            metadata = patch.object.setdefault("metadata", {})
            metadata.setdefault("name", "")
            if not patch.namespace:
                metadata.pop("namespace", None)
            patch.object["apiVersion"] = Untagged(target.api_version)
            _merge(target, patch, self.rename, self.change_kind)

    def apply(self, target: Resource) -> None:
        """Apply to a resource of the same identity."""
        _merge(target, self.resource.copy(), self.rename, self.change_kind)


def _merge(target: Resource, patch: Resource, rename: bool, change_kind: bool) -> None:
    identity = target.id
    kept = {field: target.metadata[field] for field in ("name", "namespace") if field in target.metadata}
    kind = target.object.get("kind")
    if rename or change_kind:
        target.remember()
    target.mark()
    try:
        merged = strategic.merge(target.object, patch.object, target.kinds)
    except BuildError as error:
        raise BuildError(f"patch of {identity}: {error}") from error
    target.object = merged or {}
    if not merged:
        return
    if not change_kind:
        merged["kind"] = kind
    metadata = merged.setdefault("metadata", {})
    if not rename and "name" in kept:
        metadata["name"] = kept["name"]
    metadata.pop("namespace", None)
    if "namespace" in kept:
        metadata["namespace"] = kept["namespace"]
    target.unmark()


def apply_json(target: Resource, operations: jsonpatch.Operations) -> None:
    """Apply a JSON patch. Raises BuildError that names the resource.

    The names that the resource had survive the removal of its annotations.
    """
    identity = target.id
    target.mark()
    try:
        patched = jsonpatch.apply(finished(target.object), copied(operations))
    except BuildError as error:
        raise BuildError(f"JSON patch of {identity}: {error}") from error
    target.object = of_json(patched)
    target.unmark(keep=True)
    if "annotations" in target.metadata:
        target.set_texts("annotations", target.texts("annotations"))


class PatchTransformer:
    """One entry of `patches`: read once, then applied."""

    def __init__(self, loader: Loader, patch: Patch) -> None:
        """Raises FieldError, LoadError, BuildError."""
        self._target = patch.target
        text = patch.patch.strip()
        if bool(text) == bool(patch.path):
            problem = "patch and path can't be set at the same time" if text else "must specify one of patch and path"
            raise BuildError(f"{problem} in an entry of patches")
        self._source = f"patch {patch.path!r}" if patch.path else "inline patch"
        content: bytes | str = loader.load(patch.path) if patch.path else text
        self._strategic: list[StrategicPatch] = []
        self._operations: jsonpatch.Operations | None = None
        self._read(content, loader.session.kinds, patch)

    def _read(self, content: bytes | str, kinds: Kinds, patch: Patch) -> None:
        options = patch.options
        try:
            found = resources.read(content, self._source, kinds)
        except KustomizeError as error:
            text = content if isinstance(content, str) else content.decode("utf-8", "replace")
            try:
                self._operations = jsonpatch.read(text, self._source)
            except BuildError as other:
                raise BuildError(f"unable to parse SM or JSON patch from {self._source}: {error}; {other}") from other
            return
        self._strategic = [
            StrategicPatch(
                resource,
                rename=bool(options and options.allow_name_change),
                change_kind=bool(options and options.allow_kind_change),
            )
            for resource in found
        ]

    def transform(self, found: Resources) -> None:
        """Apply to resources. Raises BuildError, FieldError."""
        if self._operations:
            if self._target is None:
                raise BuildError(f"must specify a target for JSON {self._source}")
            for resource in found.select(self._target):
                resource.remember()
                apply_json(resource, self._operations)
            found.changed()
        elif self._target is not None and self._strategic:
            self._transform_selected(found, self._target)
        else:
            for patch in self._strategic:
                patch.apply_to_named(found)

    def _transform_selected(self, found: Resources, target: Selector) -> None:
        if len(self._strategic) > 1:
            raise BuildError(
                "Multiple Strategic-Merge Patches in one `patches` entry is not allowed to set `patches.target` field: "
                f"{self._source}"
            )
        self._strategic[0].apply_to(found.select(target))
        found.drop_empty()
        found.check()


class StrategicTransformer:
    """`patchesStrategicMerge`: files or inline patches that name their resources."""

    def __init__(self, loader: Loader, paths: Iterable[str] = (), text: str = "") -> None:
        """Raises LoadError, BuildError."""
        self._patches: list[Resource] = []
        for path in paths:
            self._patches += _read_inline_or_file(loader, path)
        if text:
            self._patches += resources.read(text, "patches", loader.session.kinds)
        if not self._patches:
            raise BuildError("patch appears to be empty")

    def transform(self, found: Resources) -> None:
        """Apply to resources. Raises BuildError."""
        for patch in self._patches:
            target = found.only(patch.id)
            StrategicPatch(patch).apply_to([target])
            found.drop_empty()
            found.check()


def _read_inline_or_file(loader: Loader, path: str) -> list[Resource]:
    if "\n" not in path and ":" not in path and "{" not in path:
        return loader.resources(path)
    try:
        return resources.read(path, "inline patch", loader.session.kinds)
    except KustomizeError as error:
        if "\n" in path:
            raise BuildError(f"inline patch: {error}") from error
        return loader.resources(path)


class JsonTransformer:
    """One entry of `patchesJson6902`."""

    def __init__(self, loader: Loader, path: str, text: str, target: Selector | None) -> None:
        """Raises BuildError, LoadError."""
        if target is None or not target.name:
            raise BuildError("patchesJson6902: must specify the target name")
        if bool(path) == bool(text):
            problem = "not both" if path else "empty file path and empty jsonOp"
            raise BuildError(f"patchesJson6902: must specify a file path or jsonOp: {problem}")
        source = f"patch {path!r}" if path else "inline patch"
        content = loader.load(path).decode("utf-8", "replace") if path else text
        operations = jsonpatch.read(content, source)
        if not operations:
            raise BuildError(f"{source} appears to be empty")
        self._operations = operations
        self._target = target

    def transform(self, found: Resources) -> None:
        """Apply to the resources that the target selects. Raises BuildError, FieldError."""
        for resource in found.select(self._target):
            apply_json(resource, self._operations)
        found.changed()
