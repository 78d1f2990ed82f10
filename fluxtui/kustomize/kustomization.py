"""The fields of a kustomization file, and reading them.

A field that kustomize does not have is refused; spelling that `kustomize edit fix` would change is read as what it
means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fluxtui.kustomize import documents
from fluxtui.kustomize.conversion import converted
from fluxtui.kustomize.errors import FieldError, LoadError
from fluxtui.kustomize.fieldspecs import FieldSpec
from fluxtui.kustomize.identities import Selector
from fluxtui.kustomize.loader import Loader

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
KIND = "Kustomization"
COMPONENT = "Component"
API_VERSIONS = {KIND: "kustomize.config.k8s.io/v1beta1", COMPONENT: "kustomize.config.k8s.io/v1alpha1"}


class _Fields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """A map of fixed fields."""


class Metadata(_Fields, frozen=True):
    """The name of a kustomization; it has no meaning."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Label(_Fields, frozen=True):
    """Labels to add, and where to."""

    pairs: dict[str, str] = {}
    include_selectors: bool = False
    include_templates: bool = False
    fields: tuple[FieldSpec, ...] = ()


class Image(_Fields, frozen=True):
    """A change of an image reference."""

    name: str = ""
    new_name: str = ""
    new_tag: str = ""
    tag_suffix: str = ""
    digest: str = ""


class Replica(_Fields, frozen=True):
    """A number of replicas."""

    name: str = ""
    count: int = 0


class PatchOptions(_Fields, frozen=True):
    """What a patch may change that it may not otherwise."""

    allow_name_change: bool = False
    allow_kind_change: bool = False


class Patch(_Fields, frozen=True):
    """A patch, strategic or JSON 6902, from a file or inline."""

    path: str = ""
    patch: str = ""
    target: Selector | None = None
    options: PatchOptions | None = None


class GeneratorOptions(_Fields, frozen=True):
    """How to make generated resources."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    disable_name_suffix_hash: bool = False
    immutable: bool = False


class GeneratorArguments(_Fields, frozen=True):
    """A ConfigMap to generate."""

    name: str = ""
    namespace: str = ""
    behavior: str = ""
    literals: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    envs: tuple[str, ...] = ()
    env: str = ""
    options: GeneratorOptions | None = None


class SecretArguments(GeneratorArguments, frozen=True):
    """A Secret to generate."""

    type: str = ""


class FieldOptions(_Fields, frozen=True):
    """A part of a value between delimiters; whether to make fields."""

    delimiter: str = ""
    index: int = 0
    encoding: str = ""
    create: bool = False


class Source(_Fields, frozen=True):
    """Where a replacement's value comes from."""

    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    field_path: str = ""
    options: FieldOptions | None = None


class Target(_Fields, frozen=True):
    """Where a replacement's value goes."""

    select: Selector | None = None
    reject: tuple[Selector, ...] = ()
    field_paths: tuple[str, ...] = ()
    options: FieldOptions | None = None


class Replacement(_Fields, frozen=True):
    """A value copied from one resource to fields of others, or a file with such."""

    source: Source | None = None
    targets: tuple[Target, ...] | None = None
    source_value: str | None = None
    path: str = ""


class ObjectReference(_Fields, frozen=True):
    """The object that a var reads from."""

    api_version: str = ""
    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""


class FieldReference(_Fields, frozen=True):
    """The field that a var reads."""

    field_path: str = ""


class Var(_Fields, frozen=True):
    """A variable, `$(NAME)` in some fields."""

    name: str = ""
    objref: ObjectReference = ObjectReference()
    fieldref: FieldReference = FieldReference()


class HelmGlobals(_Fields, frozen=True):
    """Directories of Helm, for all charts."""

    chart_home: str = ""
    config_home: str = ""


class HelmChart(_Fields, frozen=True):
    """A chart to render."""

    name: str = ""
    version: str = ""
    repo: str = ""
    release_name: str = ""
    namespace: str = ""
    additional_values_files: tuple[str, ...] = ()
    values_file: str = ""
    values_inline: dict[str, Any] = {}
    values_merge: str = ""
    include_crds: bool = msgspec.field(name="includeCRDs", default=False)
    skip_hooks: bool = False
    api_versions: tuple[str, ...] = ()
    kube_version: str = ""
    name_template: str = ""
    skip_tests: bool = False
    debug: bool = False
    devel: bool = False


class HelmChartArguments(_Fields, frozen=True):
    """A chart to render, in the older spelling; a program to run is not taken from a kustomization."""

    chart_name: str = ""
    chart_version: str = ""
    chart_repo_url: str = ""
    chart_home: str = ""
    chart_repo_name: str = ""
    helm_bin: str = ""
    helm_home: str = ""
    values: str = ""
    values_local: dict[str, Any] = {}
    values_merge: str = ""
    release_name: str = ""
    release_namespace: str = ""
    extra_args: tuple[str, ...] = ()


class LegacyOrder(_Fields, frozen=True):
    """Kinds that the legacy order puts first and last."""

    order_first: tuple[str, ...] = ()
    order_last: tuple[str, ...] = ()


class SortOptions(_Fields, frozen=True):
    """The order of the output."""

    order: str = ""
    legacy_sort_options: LegacyOrder | None = None


class Kustomization(_Fields, frozen=True):
    """A kustomization or a component."""

    api_version: str = ""
    kind: str = KIND
    metadata: Metadata | None = None
    openapi: dict[str, str] = {}
    name_prefix: str = ""
    name_suffix: str = ""
    namespace: str = ""
    common_labels: dict[str, str] = {}
    labels: tuple[Label, ...] = ()
    common_annotations: dict[str, str] = {}
    patches_strategic_merge: tuple[str, ...] = ()
    patches_json6902: tuple[Patch, ...] = ()
    patches: tuple[Patch, ...] = ()
    images: tuple[Image, ...] = ()
    image_tags: tuple[Image, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    replicas: tuple[Replica, ...] = ()
    vars: tuple[Var, ...] = ()
    sort_options: SortOptions | None = None
    resources: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    crds: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    config_map_generator: tuple[GeneratorArguments, ...] = ()
    secret_generator: tuple[SecretArguments, ...] = ()
    helm_globals: HelmGlobals | None = None
    helm_charts: tuple[HelmChart, ...] = ()
    helm_chart_inflation_generator: tuple[HelmChartArguments, ...] = ()
    generator_options: GeneratorOptions | None = None
    configurations: tuple[str, ...] = ()
    generators: tuple[str, ...] = ()
    transformers: tuple[str, ...] = ()
    validators: tuple[str, ...] = ()
    build_metadata: tuple[str, ...] = ()


FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(Kustomization))
"""Names of the fields of a kustomization file."""


def load(loader: Loader) -> tuple[Kustomization, str]:
    """The kustomization of a directory and the name of its file. Raises KustomizeError."""
    found = []
    for name in NAMES:
        try:
            found.append((name, loader.load(name)))
        except LoadError:
            continue
    if not found:
        names = "', '".join(NAMES)
        raise LoadError(f"unable to find one of '{names}' in directory '{loader.root}'")
    if len(found) > 1:
        raise LoadError(f"Found multiple kustomization files under: {loader.root}")
    name, data = found[0]
    return parse(data, loader.path(name)), name


def parse(data: bytes, source: str) -> Kustomization:
    """A kustomization of the content of its file. Raises LoadError, FieldError."""
    document = documents.read_settings(data, source)
    if not isinstance(document, dict):
        if document is None:
            raise FieldError(f"{source}: kustomization.yaml is empty")
        raise FieldError(f"{source}: invalid Kustomization: a map is expected")
    found = converted(document, Kustomization, source)
    _check(found, document, source)
    return msgspec.structs.replace(
        found,
        resources=found.resources + found.bases,
        images=found.images + found.image_tags,
        bases=(),
        image_tags=(),
        **_helm(found),
    )


def _helm(found: Kustomization) -> dict[str, Any]:
    """The fields of charts with those in the older spelling."""
    old = found.helm_chart_inflation_generator
    if not old:
        return {}
    last_home = next((chart.chart_home for chart in reversed(old) if chart.chart_home), "")
    last_config = next((chart.helm_home for chart in reversed(old) if chart.helm_home), "")
    charts = tuple(
        HelmChart(
            name=chart.chart_name,
            version=chart.chart_version,
            repo=chart.chart_repo_url,
            values_file=chart.values,
            values_inline=chart.values_local,
            values_merge=chart.values_merge,
            release_name=chart.release_name,
        )
        for chart in old
    )
    return {
        "helm_charts": found.helm_charts + charts,
        "helm_globals": found.helm_globals or HelmGlobals(chart_home=last_home, config_home=last_config),
        "helm_chart_inflation_generator": (),
    }


def _check(found: Kustomization, document: Mapping[str, Any], source: str) -> None:
    if found.kind not in API_VERSIONS:
        raise FieldError(f"{source}: kind should be {KIND} or {COMPONENT}")
    if found.api_version not in ("", API_VERSIONS[found.kind]):
        raise FieldError(f"{source}: apiVersion for {found.kind} should be {API_VERSIONS[found.kind]}")
    content = {name for name, value in document.items() if value not in (None, "")} - {"apiVersion", "kind"}
    if not content - {name for name in ("bases", "imageTags") if document.get(name) == []}:
        raise FieldError(f"{source}: kustomization.yaml is empty")
