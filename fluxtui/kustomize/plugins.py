"""Generators and transformers, each with its configuration: those of a kustomization's fields, and those named by kind.

What is not built into kustomize, a program or a container, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from fluxtui.kustomize import (
    generators,
    helm,
    images,
    labels,
    names,
    namespaces,
    patches,
    replacements,
    replicas,
    valueadd,
)
from fluxtui.kustomize.conversion import converted
from fluxtui.kustomize.errors import BuildError, FieldError
from fluxtui.kustomize.fieldspecs import Specs
from fluxtui.kustomize.identities import Selector
from fluxtui.kustomize.kustomization import (
    GeneratorArguments,
    HelmChart,
    HelmGlobals,
    Image,
    Metadata,
    Patch,
    PatchOptions,
    Replacement,
    Replica,
    SecretArguments,
)
from fluxtui.kustomize.loader import Loader
from fluxtui.kustomize.resources import Resource, Resources
from fluxtui.kustomize.scalars import finished

Transform = Callable[[Resources], None]
Generate = Callable[[], Iterable[Resource]]

_T = TypeVar("_T")


class _Configuration(msgspec.Struct, rename="camel"):
    """A configuration; fields that it does not know are passed over."""

    metadata: Metadata = msgspec.field(default_factory=Metadata)
    field_specs: Specs | None = None

    @property
    def specs(self) -> Specs:
        """The field specs, none without any."""
        return self.field_specs or ()


class _Affix(_Configuration):
    prefix: str = ""
    suffix: str = ""


class _Entries(_Configuration):
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Namespace(_Configuration):
    unset_only: bool = False
    set_role_binding_subjects: namespaces.Subjects = ""


class _Image(_Configuration):
    image_tag: Image = msgspec.field(default_factory=Image)


class _Replica(_Configuration):
    replica: Replica = msgspec.field(default_factory=Replica)


class _Replacements(_Configuration):
    replacements: tuple[Replacement, ...] = ()


class _Patch(_Configuration):
    path: str = ""
    patch: str = ""
    json_op: str = ""
    paths: tuple[str, ...] = ()
    patches: str = ""
    target: Selector | None = None
    options: PatchOptions | None = None


class _IamPolicy(_Configuration):
    cloud: str = ""
    kubernetes_service: dict[str, str] = {}
    service_account: dict[str, str] = {}


def transformer(loader: Loader, resource: Resource) -> Transform:
    """The built-in transformer that a configuration names. Raises BuildError, FieldError, LoadError."""
    make = _TRANSFORMERS.get(_builtin_kind(resource))
    if make is None:
        raise BuildError(f"plugin {resource.id} is not a transformer")
    return make(loader, resource)


def generator(loader: Loader, resource: Resource) -> Generate:
    """The built-in generator that a configuration names. Raises BuildError, FieldError, LoadError."""
    kind = _builtin_kind(resource)
    make = _GENERATORS.get(kind)
    if make is None:
        raise BuildError(f"plugin {resource.id} is not a generator")
    return make(loader, resource)


def _builtin_kind(resource: Resource) -> str:
    if resource.api_version != "builtin":
        raise BuildError(f"external plugins disabled; unable to load external plugin '{resource.kind}'")
    kind = resource.kind
    if kind not in _TRANSFORMERS and kind not in _GENERATORS:
        raise BuildError(f"unable to load builtin {resource.gvk}")
    return kind


def _read(resource: Resource, kind: type[_T]) -> _T:
    return converted(finished(resource.object), kind, f"plugin {resource.id} fails configuration", strict=False)


def _labels(loader: Loader, resource: Resource) -> Transform:
    found = _read(resource, _Entries)
    return lambda resources: labels.add_entries(resources, found.labels, found.specs)


def _annotations(loader: Loader, resource: Resource) -> Transform:
    found = _read(resource, _Entries)
    return lambda resources: labels.add_entries(resources, found.annotations, found.specs)


def _namespace(loader: Loader, resource: Resource) -> Transform:
    found = _read(resource, _Namespace)
    return lambda resources: namespaces.set_namespace(
        resources,
        found.metadata.namespace,
        found.specs,
        unset_only=found.unset_only,
        subjects=found.set_role_binding_subjects,
    )


def _prefix(loader: Loader, resource: Resource) -> Transform:
    found = _affix(resource)
    return lambda resources: names.add_prefix(resources, found.prefix, found.specs)


def _suffix(loader: Loader, resource: Resource) -> Transform:
    found = _affix(resource)
    return lambda resources: names.add_suffix(resources, found.suffix, found.specs)


def _prefix_and_suffix(loader: Loader, resource: Resource) -> Transform:
    prefix, suffix = _prefix(loader, resource), _suffix(loader, resource)

    def transform(resources: Resources) -> None:
        prefix(resources)
        suffix(resources)

    return transform


def _affix(resource: Resource) -> _Affix:
    found = _read(resource, _Affix)
    if found.field_specs is None:
        raise FieldError(f"plugin {resource.id} fails configuration: fieldSpecs is not expected to be nil")
    return found


def _images(loader: Loader, resource: Resource) -> Transform:
    found = _read(resource, _Image)
    return lambda resources: images.set_images(resources, found.image_tag, found.specs)


def _replicas(loader: Loader, resource: Resource) -> Transform:
    found = _read(resource, _Replica)
    return lambda resources: replicas.set_replicas(resources, found.replica, found.specs)


def _replacements(loader: Loader, resource: Resource) -> Transform:
    found = replacements.load(loader, _read(resource, _Replacements).replacements)
    return lambda resources: replacements.replace(resources, found)


def _value_add(loader: Loader, resource: Resource) -> Transform:
    found = valueadd.loaded(loader, _read(resource, valueadd.ValueAdd))
    return lambda resources: valueadd.add_value(resources, found)


def _patch(loader: Loader, resource: Resource) -> Transform:
    found = _read(resource, _Patch)
    patch = Patch(path=found.path, patch=found.patch, target=found.target, options=found.options)
    return patches.PatchTransformer(loader, patch).transform


def _patch_strategic(loader: Loader, resource: Resource) -> Transform:
    found = _read(resource, _Patch)
    return patches.StrategicTransformer(loader, found.paths, found.patches).transform


def _patch_json(loader: Loader, resource: Resource) -> Transform:
    found = _read(resource, _Patch)
    return patches.JsonTransformer(loader, found.path, found.json_op, found.target).transform


def _hash(loader: Loader, resource: Resource) -> Transform:
    return names.add_hashes


def _config_map(loader: Loader, resource: Resource) -> Generate:
    return _generated(loader, resource, GeneratorArguments)


def _secret(loader: Loader, resource: Resource) -> Generate:
    return _generated(loader, resource, SecretArguments)


def _generated(loader: Loader, resource: Resource, kind: type[GeneratorArguments]) -> Generate:
    data = finished(resource.object)
    metadata = data.get("metadata") or {}
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    arguments = {key: value for key, value in data.items() if key in known and key != "kind"}
    for key in ("name", "namespace"):
        if not arguments.get(key) and metadata.get(key):
            arguments[key] = metadata[key]
    found: Any = converted(arguments, kind, f"plugin {resource.id} fails configuration", strict=False)
    return lambda: [generators.generate(loader, found, generators.options_of(found.options, None))]


def _helm_chart(loader: Loader, resource: Resource) -> Generate:
    data = finished(resource.object)
    data = {key: value for key, value in data.items() if key not in ("apiVersion", "kind", "metadata")}
    globals_ = {key: data.pop(key) for key in ("chartHome", "configHome") if key in data}
    where = f"plugin {resource.id} fails configuration"
    directories = converted(globals_, HelmGlobals, where, strict=False)
    chart = converted(data, HelmChart, where, strict=False)
    return lambda: helm.generate(loader, directories, chart)


def _iam_policy(loader: Loader, resource: Resource) -> Generate:
    found = _read(resource, _IamPolicy)

    def generate() -> Iterable[Resource]:
        if found.cloud != "gke":
            raise BuildError(f"cloud provider {found.cloud} not supported yet")
        name, project = (found.service_account.get(key, "") for key in ("name", "projectId"))
        account = f"{name}@{project}.iam.gserviceaccount.com"
        metadata: dict[str, Any] = {
            "annotations": {"iam.gke.io/gcp-service-account": account},
            "name": found.kubernetes_service.get("name", ""),
        }
        if found.kubernetes_service.get("namespace"):
            metadata["namespace"] = found.kubernetes_service["namespace"]
        obj = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
        return [Resource(obj, loader.session.kinds)]

    return generate


_TRANSFORMERS: dict[str, Callable[[Loader, Resource], Transform]] = {
    "AnnotationsTransformer": _annotations,
    "HashTransformer": _hash,
    "ImageTagTransformer": _images,
    "LabelTransformer": _labels,
    "NamespaceTransformer": _namespace,
    "PatchJson6902Transformer": _patch_json,
    "PatchStrategicMergeTransformer": _patch_strategic,
    "PatchTransformer": _patch,
    "PrefixSuffixTransformer": _prefix_and_suffix,
    "PrefixTransformer": _prefix,
    "SuffixTransformer": _suffix,
    "ReplacementTransformer": _replacements,
    "ReplicaCountTransformer": _replicas,
    "ValueAddTransformer": _value_add,
}
_GENERATORS: dict[str, Callable[[Loader, Resource], Generate]] = {
    "ConfigMapGenerator": _config_map,
    "HelmChartInflationGenerator": _helm_chart,
    "SecretGenerator": _secret,
    "IAMPolicyGenerator": _iam_policy,
}
