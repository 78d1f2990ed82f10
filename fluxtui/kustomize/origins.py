"""Where resources come from and what changed them, for `buildMetadata`: annotations of the output."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

import msgspec

from fluxtui.kustomize import documents, output, repositories
from fluxtui.kustomize.conversion import prepare
from fluxtui.kustomize.resources import Resource

ORIGIN = "config.kubernetes.io/origin"
TRANSFORMATIONS = "alpha.config.kubernetes.io/transformations"
MANAGED_BY = "app.kubernetes.io/managed-by"

ORIGIN_OPTION = "originAnnotations"
TRANSFORMER_OPTION = "transformerAnnotations"
MANAGED_BY_OPTION = "managedByLabel"


class Author(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The configuration of a generator or transformer."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""


class Origin(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A file, or a generator or transformer and where it was configured; paths from the directory of the build."""

    path: str = ""
    repo: str = ""
    ref: str = ""
    configured_in: str = ""
    configured_by: Author | None = None

    def joined(self, path: str) -> Origin:
        """The origin of something at a path relative to this."""
        repository = repositories.parse(path)
        if repository is not None:
            return Origin(path=repository.path, repo=repository.url, ref=repository.ref)
        return Origin(path=posixpath.normpath(posixpath.join(self.path, path)), repo=self.repo, ref=self.ref)

    def builtin(self, file: str, kind: str) -> Origin:
        """The origin of what a field of a kustomization file makes."""
        return Origin(
            repo=self.repo,
            ref=self.ref,
            configured_in=posixpath.normpath(posixpath.join(self.path, file)),
            configured_by=Author(api_version="builtin", kind=kind),
        )


def of_plugin(resource: Resource) -> Origin | None:
    """The origin of what a generator or transformer makes, of its configuration."""
    mine = origin_of(resource)
    if mine is None:
        return None
    author = Author(
        api_version=resource.api_version, kind=resource.kind, name=resource.name, namespace=resource.namespace
    )
    return Origin(repo=mine.repo, ref=mine.ref, configured_in=mine.path, configured_by=author)


def origin_of(resource: Resource) -> Origin | None:
    """What the annotation of a resource says."""
    text = resource.texts("annotations").get(ORIGIN)
    if text is None:
        return None
    prepare(Origin)
    return msgspec.convert(documents.read_settings(text, ORIGIN) or {}, Origin)


def set_origin(resource: Resource, origin: Origin) -> None:
    """Write the annotation."""
    resource.annotate(ORIGIN, "".join(f"{line}\n" for line in _lines(origin)))


def add_origin(resources: Iterable[Resource], origin: Origin) -> None:
    """Write the annotation where there is none."""
    for resource in resources:
        if ORIGIN not in resource.texts("annotations"):
            set_origin(resource, origin)


def add_transformation(resources: Iterable[Resource], origin: Origin) -> None:
    """Note a transformer in all resources; one without an origin was made by it."""
    for resource in resources:
        annotations = resource.texts("annotations")
        if ORIGIN not in annotations:
            set_origin(resource, origin)
            continue
        first, *rest = _lines(origin)
        entry = f"- {first}\n" + "".join(f"  {line}\n" for line in rest)
        resource.annotate(TRANSFORMATIONS, annotations.get(TRANSFORMATIONS, "") + entry)


def strip(resources: Iterable[Resource], options: Iterable[str]) -> None:
    """Remove the annotations that nobody has asked for, and maps of annotations that are empty then or were before."""
    gone = {ORIGIN: ORIGIN_OPTION, TRANSFORMATIONS: TRANSFORMER_OPTION}
    keys = {key for key, option in gone.items() if option not in options}
    if not keys:
        return
    for resource in resources:
        annotations = resource.texts("annotations")
        if annotations.keys() & keys or not annotations:
            resource.set_texts("annotations", {key: text for key, text in annotations.items() if key not in keys})


def _lines(origin: Origin) -> Iterator[str]:
    for field, value in msgspec.to_builtins(origin).items():
        if isinstance(value, dict):
            yield f"{field}:"
            yield from (f"  {key}: {_scalar(text)}" for key, text in value.items())
        else:
            yield f"{field}: {_scalar(value)}"


def _scalar(text: str) -> str:
    return output.document(text).rstrip("\n")
