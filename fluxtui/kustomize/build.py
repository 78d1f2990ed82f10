"""Building a directory: loading, accumulating, transforming, and what comes last.

Order of the steps as in kustomize: resources, generators, components, transformers; and once, at the end, hashes, name
references and the order of the output.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from fluxtui.kustomize import documents, generators, patches, replacements, schema, transformers
from fluxtui.kustomize import kustomization as kustomizations
from fluxtui.kustomize.errors import BuildError, FieldError, KustomizeError, LoadError, Unsupported
from fluxtui.kustomize.fields import FieldSpec, specs
from fluxtui.kustomize.filesystem import FileSystem, RealFileSystem
from fluxtui.kustomize.kustomization import Kustomization, Label
from fluxtui.kustomize.references import Reference, fix, merge_references
from fluxtui.kustomize.resources import STRIPPED, Resource, Resources

Order = Literal["unspecified", "legacy", "none"]

MAX_DIRECTORIES = 1000
"""Kustomizations that one build may read."""
_LOCAL_CONFIG = "config.kubernetes.io/local-config"
_REMOTE = ("http://", "https://", "git@", "ssh://", "git::", "github.com/")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to build."""

    reorder: Order = "unspecified"
    """`legacy`: a fixed order by kind; `none`: as loaded, which is Flux's; unspecified: legacy. `sortOptions` wins."""
    restrict_root: bool = True
    """Files of a kustomization must be in or below its directory."""


class Configuration(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Field specs of all transformers, with those of `configurations` added."""

    name_prefix: tuple[FieldSpec, ...] = ()
    name_suffix: tuple[FieldSpec, ...] = ()
    namespace: tuple[FieldSpec, ...] = ()
    common_labels: tuple[FieldSpec, ...] = ()
    labels: tuple[FieldSpec, ...] = ()
    template_labels: tuple[FieldSpec, ...] = ()
    common_annotations: tuple[FieldSpec, ...] = ()
    images: tuple[FieldSpec, ...] = ()
    replicas: tuple[FieldSpec, ...] = ()
    name_reference: tuple[Reference, ...] = ()
    var_reference: tuple[FieldSpec, ...] = ()

    def merged(self, other: Configuration) -> Configuration:
        """Both together."""
        values: dict[str, Any] = {}
        for field in msgspec.structs.fields(Configuration):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if field.name == "name_reference":
                values[field.name] = merge_references(mine, theirs)
            else:
                values[field.name] = tuple(dict.fromkeys((*mine, *theirs)))
        return Configuration(**values)


def build(path: str, *, fs: FileSystem | None = None, options: Options | None = None) -> Resources:
    """Build the kustomization of a directory.

    `path` is absolute, or relative to the working directory. Raises KustomizeError; its text names file, field or
    resource.
    """
    fs = fs or RealFileSystem()
    options = options or Options()
    builder = _Builder(fs, options)
    directory = fs.real(posixpath.abspath(path))
    if not fs.is_dir(directory):
        raise LoadError(f"'{path}' is not a directory")
    target = builder.target(directory, ())
    resources, configuration = builder.accumulate(target, Resources())
    _hash(resources)
    fix(resources, configuration.name_reference)
    _order(resources, target.kustomization, options)
    return _finish(resources)


class _Target(msgspec.Struct):
    """A kustomization being built."""

    directory: str
    path: str
    kustomization: Kustomization
    ancestors: tuple[str, ...]


class _Builder:
    def __init__(self, fs: FileSystem, options: Options) -> None:
        self._fs = fs
        self._options = options
        self._directories = 0
        defaults = {name: items for name, items in schema.field_specs().items() if name != "legacySortOrder"}
        self._defaults = msgspec.convert(defaults, Configuration)

    def target(self, directory: str, ancestors: tuple[str, ...]) -> _Target:
        """Load the kustomization of a directory. Raises LoadError for a cycle."""
        self._directories += 1
        if self._directories > MAX_DIRECTORIES:
            raise LoadError(f"{directory}: more than {MAX_DIRECTORIES} kustomizations in one build")
        if any(ancestor == directory or ancestor.startswith(directory.rstrip("/") + "/") for ancestor in ancestors):
            raise LoadError(f"cycle detected: candidate root '{directory}' contains visited root '{ancestors[-1]}'")
        path = kustomizations.find(self._fs, directory)
        return _Target(directory, path, kustomizations.load(self._fs, path), ancestors)

    def accumulate(self, target: _Target, resources: Resources) -> tuple[Resources, Configuration]:
        """Run the steps of one kustomization; a component changes the resources it is given."""
        spec = target.kustomization
        configuration = self._configuration(target)
        for entry in (*spec.resources, *spec.bases):
            configuration = self._add(target, entry, resources, configuration)
        self._generate(target, resources)
        for entry in spec.components:
            component = self._directory(target, entry)
            if not component.kustomization.is_component:
                raise FieldError(f"{target.path}: components: '{entry}' is not a Component")
            resources, more = self.accumulate(component, resources)
            configuration = configuration.merged(more)
        self._transform(target, resources, configuration)
        return resources, configuration

    def _configuration(self, target: _Target) -> Configuration:
        configuration = self._defaults
        for entry in target.kustomization.configurations:
            path = self._file(target, entry)
            for document in documents.read_all(self._fs.read(path), path):
                try:
                    configuration = configuration.merged(msgspec.convert(document, Configuration))
                except msgspec.ValidationError as error:
                    raise FieldError(f"{path}: {error}") from error
        return configuration

    def _add(self, target: _Target, entry: str, resources: Resources, configuration: Configuration) -> Configuration:
        """Load one entry of resources: a file or a directory."""
        if not isinstance(entry, str) or not entry.strip():
            raise FieldError(f"{target.path}: resources: an entry is empty")
        path = patches.join(target.directory, entry)
        if self._fs.is_file(path):
            try:
                resources.extend(self._load_file(self._file(target, entry)))
            except BuildError as error:
                raise BuildError(f"{target.path}: accumulating resources from '{entry}': {error}") from error
            return configuration
        if entry.startswith(_REMOTE) or "?ref=" in entry or (".git" in entry and not self._fs.is_dir(path)):
            raise Unsupported(f"{target.path}: resources: '{entry}': remote files and bases are not supported yet")
        if not self._fs.is_dir(path):
            raise LoadError(f"{target.path}: accumulating resources from '{entry}': {path}: no such file or directory")
        base = self._directory(target, entry)
        if base.kustomization.is_component:
            raise FieldError(f"{target.path}: resources: expected kind != 'Component' for path '{entry}'")
        found, more = self.accumulate(base, Resources())
        try:
            resources.extend(found)
        except BuildError as error:
            raise BuildError(f"{target.path}: accumulating resources from '{entry}': {error}") from error
        return configuration.merged(more)

    def _directory(self, target: _Target, entry: str) -> _Target:
        path = patches.join(target.directory, entry)
        if posixpath.isabs(entry):
            raise LoadError(f"{target.path}: '{entry}': new root '{entry}' cannot be absolute")
        directory = self._fs.real(path)
        if not self._fs.is_dir(directory):
            raise LoadError(f"{target.path}: '{entry}' is not a directory")
        return self.target(directory, (*target.ancestors, target.directory))

    def _file(self, target: _Target, entry: str) -> str:
        """The path of a file that a kustomization names. Raises LoadError when it may not be read."""
        path = patches.join(target.directory, entry)
        if not self._fs.is_file(path):
            raise LoadError(f"{target.path}: '{entry}': {path}: no such file or directory")
        real = self._fs.real(path)
        root = target.directory.rstrip("/") + "/"
        if self._options.restrict_root and not real.startswith(root):
            raise LoadError(f"{target.path}: security; file '{real}' is not in or below '{target.directory}'")
        return real

    def _load_file(self, path: str) -> list[Resource]:
        found = []
        for document in documents.read_all(self._fs.read(path), path):
            items = [document]
            if isinstance(document, dict) and str(document.get("kind", "")).endswith("List") and "items" in document:
                items = document["items"] or []
            found += [self._resource(item, path) for item in items]
        return found

    def _resource(self, obj: Any, path: str) -> Resource:
        if not isinstance(obj, dict):
            raise BuildError(f"{path}: a resource must be a map")
        metadata = obj.get("metadata")
        if not obj.get("kind") or not isinstance(metadata, dict):
            what = "kind" if not obj.get("kind") else "metadata"
            raise BuildError(f"{path}: missing Resource metadata: {what}")
        if not metadata.get("name") and not metadata.get("generateName"):
            raise BuildError(f"{path}: missing metadata.name in object {obj.get('kind')}")
        return Resource(obj, path)

    def _generate(self, target: _Target, resources: Resources) -> None:
        spec = target.kustomization
        read = lambda entry: self._fs.read(self._file(target, entry))  # noqa: E731
        for generator in spec.config_map_generator:
            generators.absorb(resources, generators.config_map(generator, spec.generator_options, read, target.path))
        for generator in spec.secret_generator:
            generators.absorb(resources, generators.secret(generator, spec.generator_options, read, target.path))

    def _transform(self, target: _Target, resources: Resources, configuration: Configuration) -> None:
        spec = target.kustomization
        self._patch_strategic(target, resources)
        for patch in spec.patches:
            if bool(patch.patch) == bool(patch.path):
                raise FieldError(f"{target.path}: patches: must specify one of patch and path")
            source = self._file(target, patch.path) if patch.path else f"{target.path}: patches"
            text: str | bytes = self._fs.read(source) if patch.path else patch.patch
            patches.apply_patch(resources, patch, text, source)
        if spec.namespace:
            transformers.set_namespace(resources, spec.namespace, configuration.namespace)
        if spec.name_prefix:
            transformers.add_prefix(resources, spec.name_prefix, configuration.name_prefix)
        if spec.name_suffix:
            transformers.add_suffix(resources, spec.name_suffix, configuration.name_suffix)
        self._label(spec, resources, configuration)
        transformers.add_entries(resources, spec.common_annotations, configuration.common_annotations)
        for patch in spec.patches_json6902:
            assert patch.target is not None
            source = self._file(target, patch.path) if patch.path else f"{target.path}: patchesJson6902"
            patches.apply_json6902(
                resources, patch.target, self._fs.read(source) if patch.path else patch.patch, source
            )
        for replica in spec.replicas:
            transformers.set_replicas(resources, replica, configuration.replicas)
        for image in spec.images:
            transformers.set_images(resources, image, configuration.images)
        self._replace(target, resources)

    def _patch_strategic(self, target: _Target, resources: Resources) -> None:
        for entry in target.kustomization.patches_strategic_merge:
            inline = patches.file_or_inline(entry)
            source = f"{target.path}: patchesStrategicMerge" if inline else self._file(target, entry)
            text: str | bytes = entry if inline else self._fs.read(source)
            patches.apply_patch(resources, kustomizations.Patch(), text, source)

    def _label(self, spec: Kustomization, resources: Resources, configuration: Configuration) -> None:
        labels = [*spec.labels]
        if spec.common_labels:
            labels.append(Label(pairs=spec.common_labels, include_selectors=True))
        selectors = (*configuration.common_labels, *configuration.labels)
        for label in labels:
            transformers.add_labels(resources, label, selectors, configuration.template_labels)

    def _replace(self, target: _Target, resources: Resources) -> None:
        for entry in target.kustomization.replacements:
            items: Sequence[Any] = [entry]
            where = f"{target.path}: replacements"
            if set(entry) == {"path"}:
                where = self._file(target, str(entry["path"]))
                items = [
                    item
                    for document in documents.read_all(self._fs.read(where), where)
                    for item in (document if isinstance(document, list) else [document])
                ]
            for item in items:
                replacements.replace(resources, replacements.parse(item, where), where)


def _hash(resources: Resources) -> None:
    for resource in resources:
        if resource.needs_hash:
            resource.remember()
            resource.metadata["name"] = f"{resource.name}-{generators.hash_of(resource.object)}"


def _order(resources: Resources, spec: Kustomization, options: Options) -> None:
    asked = spec.sort_options.order if spec.sort_options else ""
    if asked == "fifo" or (not asked and options.reorder == "none"):
        return
    defaults = schema.field_specs()["legacySortOrder"]
    own = (spec.sort_options.legacy_sort_options if spec.sort_options else None) or defaults
    transformers.sort_legacy(resources, own.get("orderFirst") or [], own.get("orderLast") or [])


def _finish(resources: Resources) -> Resources:
    """Leave out what is only for the build: local resources and kustomize's own annotations."""
    kept = []
    for resource in resources:
        annotations = resource.metadata.get("annotations")
        if isinstance(annotations, dict):
            if annotations.get(_LOCAL_CONFIG) == "true":
                continue
            for name in [name for name in annotations if name in STRIPPED or name.startswith("internal.config.")]:
                del annotations[name]
            if not annotations:
                del resource.metadata["annotations"]
        kept.append(resource)
    return Resources(kept)


__all__ = ["Configuration", "KustomizeError", "Options", "build", "specs"]
