"""One kustomization: what it accumulates and what it does to it.

The order is kustomize's: resources, generators, components, transformers, validators; the vars of a directory are taken
in last.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from fluxtui.kustomize import (
    configuration,
    crds,
    generators,
    helm,
    images,
    labels,
    names,
    namespaces,
    origins,
    patches,
    plugins,
    replacements,
    replicas,
    repositories,
    schema,
)
from fluxtui.kustomize import kustomization as kustomizations
from fluxtui.kustomize.configuration import EMPTY, Configuration
from fluxtui.kustomize.errors import BuildError, FieldError, KustomizeError, LoadError, Unsupported
from fluxtui.kustomize.loader import Loader, is_url
from fluxtui.kustomize.origins import Origin
from fluxtui.kustomize.resources import Resource, Resources, read
from fluxtui.kustomize.variables import Variables, bind

_VALIDATED_BY = "validated-by"


class Accumulator:
    """What a kustomization and those that it builds on have gathered."""

    def __init__(self) -> None:
        self.resources = Resources()
        self.configuration = EMPTY
        self.variables = Variables()

    def absorb(self, other: Accumulator) -> None:
        """Take in what a directory has gathered. Raises KustomizeError."""
        self.resources.extend(other.resources)
        self.configuration = self.configuration.merged(other.configuration)
        self.variables.absorb(other.variables)

    def renew(self) -> None:
        """Take in again what is there, as is done behind a component. Raises KustomizeError."""
        self.resources.check()
        self.configuration = EMPTY.merged(self.configuration)


@contextlib.contextmanager
def located(where: str) -> Iterator[None]:
    """Let errors begin with the kustomization that they are found in, unless they name one already."""
    try:
        yield
    except KustomizeError as error:
        if not any(f"/{name}: " in str(error) for name in kustomizations.NAMES):
            error.args = (f"{where}: {error}",)
        raise


class Target:
    """A kustomization with its loader."""

    def __init__(self, loader: Loader, origin: Origin | None = None, metadata: Sequence[str] = ()) -> None:
        """Raises KustomizeError. `metadata` is the `buildMetadata` of the kustomization that the build began with."""
        self.loader = loader
        self.kustomization, self._file = kustomizations.load(loader)
        self._metadata = metadata or self.kustomization.build_metadata
        self._origin = Origin() if origin is None and self._metadata else origin
        with located(self.where):
            self._set_schema()

    def _set_schema(self) -> None:
        """Take the schema that the kustomization names, unless another has named one before."""
        session, openapi = self.loader.session, self.kustomization.openapi
        data = self.loader.load(openapi["path"]) if "path" in openapi else None
        if session.kinds.is_set:
            return
        version = openapi.get("version", "")
        if data is not None:
            if version:
                raise FieldError("builtin version and custom schema provided, cannot use both")
            session.kinds.set(schema.of_openapi(data, openapi["path"]))
        elif version:
            if version != schema.BUILTIN_VERSION:
                raise FieldError(f"openapi.version: the specified OpenAPI version {version} is not built in")
            session.kinds.set(schema.builtin())

    def accumulate(self, into: Accumulator | None = None) -> Accumulator:
        """Do what the kustomization says; a component does it to what is there already. Raises KustomizeError."""
        with located(self.where):
            return self._accumulate(into or Accumulator())

    def _accumulate(self, found: Accumulator) -> Accumulator:
        fields = self.kustomization
        self._add_resources(found, fields.resources)
        found.configuration = found.configuration.merged(configuration.load(self.loader, fields.configurations))
        found.configuration = found.configuration.merged(crds.load(self.loader, fields.crds))
        self._generate(found)
        for path in fields.components:
            self._add_directory(found, path, is_component=True)
        self._transform(found)
        self._validate(found)
        bind(found.resources, fields.vars)
        found.variables.add(fields.vars)
        return found

    def _add_resources(self, found: Accumulator, paths: Iterable[str]) -> None:
        for path in paths:
            resources = self._resources_of_file(path)
            if resources is None:
                self._add_directory(found, path)
            else:
                self._add(found, path, resources)

    def _add(self, found: Accumulator, path: str, resources: list[Resource]) -> None:
        if self._origin is not None:
            origin = self._origin.joined(path)
            for resource in resources:
                origins.set_origin(resource, origin)
        try:
            found.resources.extend(resources)
        except BuildError as error:
            raise BuildError(f"resources: accumulating resources from '{path}': {error}") from error

    def _resources_of_file(self, path: str) -> list[Resource] | None:
        """The resources of a file, None when there is a directory instead."""
        repository = repositories.parse(path)
        if repository is not None and not is_url(path):
            return None
        try:
            return read(self.loader.load(path), self._source(path), self.loader.session.kinds)
        except Unsupported:
            raise
        except LoadError as error:
            # What answers with a page for people may be a repository.
            if repository is not None or self.loader.fs.is_dir(self.loader.path(path)):
                return None
            raise LoadError(f"resources: accumulating resources from '{path}': {error}") from error
        except KustomizeError:
            if repository is not None:
                return None
            raise

    def _source(self, path: str) -> str:
        return path if is_url(path) else self.loader.path(path)

    @property
    def where(self) -> str:
        """The path of the kustomization file."""
        return self.loader.path(self._file)

    def _add_directory(self, found: Accumulator, path: str, *, is_component: bool = False) -> None:
        try:
            loader = self.loader.enter(path)
        except LoadError as error:
            raise LoadError(f"accumulating '{path}': {error}") from error
        origin = self._origin.joined(path) if self._origin is not None else None
        target = Target(loader, origin, self._metadata)
        kind = target.kustomization.kind
        if is_component and kind != kustomizations.COMPONENT:
            raise FieldError(f"expected kind '{kustomizations.COMPONENT}' for path '{loader.root}' but got '{kind}'")
        if not is_component and kind == kustomizations.COMPONENT:
            raise FieldError(f"expected kind != '{kustomizations.COMPONENT}' for path '{loader.root}'")
        inner = target.accumulate(found if is_component else None)
        try:
            if is_component:
                found.renew()
            else:
                found.absorb(inner)
        except BuildError as error:
            raise BuildError(f"accumulating '{path}': {error}") from error

    def _generate(self, found: Accumulator) -> None:
        fields = self.kustomization
        for arguments in (*fields.config_map_generator, *fields.secret_generator):
            is_secret = isinstance(arguments, kustomizations.SecretArguments)
            options = generators.options_of(arguments.options, fields.generator_options)
            try:
                new = generators.generate(self.loader, arguments, options)
                origin = self._builtin_origin("SecretGenerator" if is_secret else "ConfigMapGenerator")
                self._absorb(found, [new], origin)
            except Unsupported:
                raise
            except KustomizeError as error:
                field = "secretGenerator" if is_secret else "configMapGenerator"
                raise type(error)(f"{field} {arguments.name!r}: {error}") from error
        for chart in fields.helm_charts:
            named = msgspec.structs.replace(chart, namespace=chart.namespace or fields.namespace)
            charted = helm.generate(self.loader, fields.helm_globals or kustomizations.HelmGlobals(), named)
            self._absorb(found, charted, self._builtin_origin("HelmChartInflationGenerator"))
        configured = self._configurations(fields.generators)
        made = [(plugins.generator(self.loader, resource), resource) for resource in configured.resources]
        for generate, resource in made:
            self._absorb(found, generate(), origins.of_plugin(resource))

    def _absorb(self, found: Accumulator, resources: Iterable[Resource], origin: Origin | None) -> None:
        for resource in resources:
            if origin is not None:
                origins.add_origin([resource], origin)
            generators.absorb(found.resources, resource)

    def _builtin_origin(self, kind: str) -> Origin | None:
        return self._origin.builtin(self._file, kind) if self._origin is not None else None

    def _configurations(self, entries: Iterable[str]) -> Accumulator:
        """Configurations of plug-ins, each inline, in a file, or in a directory."""
        found = Accumulator()
        paths = []
        for entry in entries:
            try:
                inline = read(entry, "inline configuration", self.loader.session.kinds)
            except KustomizeError:
                paths.append(entry)
                continue
            if self._origin is not None:
                for resource in inline:
                    origins.set_origin(resource, self._origin.joined(self._file))
            found.resources.extend(inline)
        self._add_resources(found, paths)
        return found

    def _transform(self, found: Accumulator) -> None:
        configured = self._configurations(self.kustomization.transformers)
        transforms = list(self._transforms(found.configuration))
        for resource in configured.resources:
            transforms.append((origins.of_plugin(resource), plugins.transformer(self.loader, resource)))
        for origin, transform in transforms:
            transform(found.resources)
            if origin is not None:
                origins.add_transformation([item for item in found.resources if item.object], origin)
            for item in found.resources:
                item.settle()
            found.resources.drop_empty()

    def _transforms(self, specs: Configuration) -> Iterator[tuple[Origin | None, plugins.Transform]]:
        for kind, transforms in self._by_kind(specs):
            origin = self._builtin_origin(kind)
            for transform in transforms:
                yield origin, transform

    def _by_kind(self, specs: Configuration) -> Iterator[tuple[str, list[plugins.Transform]]]:
        fields, loader = self.kustomization, self.loader
        if fields.patches_strategic_merge:
            strategic = patches.StrategicTransformer(loader, fields.patches_strategic_merge)
            yield "PatchStrategicMergeTransformer", [strategic.transform]
        yield "PatchTransformer", [patches.PatchTransformer(loader, patch).transform for patch in fields.patches]
        if fields.namespace:
            yield (
                "NamespaceTransformer",
                [lambda found: namespaces.set_namespace(found, fields.namespace, specs.namespace)],
            )
        if fields.name_prefix:
            yield "PrefixTransformer", [lambda found: names.add_prefix(found, fields.name_prefix, specs.name_prefix)]
        if fields.name_suffix:
            yield "SuffixTransformer", [lambda found: names.add_suffix(found, fields.name_suffix, specs.name_suffix)]
        yield from self._metadata_transforms(specs)
        yield (
            "PatchJson6902Transformer",
            [
                patches.JsonTransformer(loader, patch.path, patch.patch, patch.target).transform
                for patch in fields.patches_json6902
            ],
        )
        yield "ReplicaCountTransformer", [_replicas(replica, specs) for replica in fields.replicas]
        yield "ImageTagTransformer", [_images(image, specs) for image in fields.images]
        if fields.replacements:
            loaded = replacements.load(loader, fields.replacements)
            yield "ReplacementTransformer", [lambda found: replacements.replace(found, loaded)]

    def _metadata_transforms(self, specs: Configuration) -> Iterator[tuple[str, list[plugins.Transform]]]:
        fields = self.kustomization
        if fields.labels or fields.common_labels:
            adds = [_labels(label, specs) for label in fields.labels]
            adds.append(lambda found: labels.add_entries(found, fields.common_labels, specs.common_labels))
            yield "LabelTransformer", adds
        if fields.common_annotations:
            yield (
                "AnnotationsTransformer",
                [lambda found: labels.add_entries(found, fields.common_annotations, specs.common_annotations)],
            )

    def _validate(self, found: Accumulator) -> None:
        configured = self._configurations(self.kustomization.validators)
        for resource in configured.resources:
            validate = plugins.transformer(self.loader, resource)
            before = [item.copy() for item in found.resources]
            validate(found.resources)
            if [item.object for item in before] != [_without_mark(item).object for item in found.resources]:
                raise BuildError(f"validator {resource.id} shouldn't modify the resource map")


def _without_mark(resource: Resource) -> Resource:
    """A resource without the label that a validator may add."""
    labels_of = resource.texts("labels")
    if labels_of.pop(_VALIDATED_BY, None) is None:
        return resource
    twin = resource.copy()
    twin.set_texts("labels", labels_of)
    return twin


def _replicas(replica: kustomizations.Replica, specs: Configuration) -> Callable[[Resources], None]:
    return lambda found: replicas.set_replicas(found, replica, specs.replicas)


def _images(image: kustomizations.Image, specs: Configuration) -> Callable[[Resources], None]:
    return lambda found: images.set_images(found, image, specs.images)


def _labels(label: kustomizations.Label, specs: Configuration) -> Callable[[Resources], None]:
    fields = labels.specs_of(label, specs)
    return lambda found: labels.add_entries(found, label.pairs, fields)
