"""Building a directory: what its kustomization accumulates, and what is done once, at the end."""

from __future__ import annotations

import os
import posixpath
from typing import Literal

import msgspec

from fluxtui.kustomize import names, order, origins, references, repositories
from fluxtui.kustomize.errors import BuildError, FieldError
from fluxtui.kustomize.filesystem import FileSystem, RealFileSystem
from fluxtui.kustomize.helm import Helm
from fluxtui.kustomize.kustomization import SortOptions
from fluxtui.kustomize.labels import METADATA_LABELS, add_entries
from fluxtui.kustomize.loader import Loader, Session, directory
from fluxtui.kustomize.remotes import Remotes
from fluxtui.kustomize.resources import Resource, Resources
from fluxtui.kustomize.target import Accumulator, Target, located

KUSTOMIZE_VERSION = "v5.8.1"
"""The version of kustomize that a build is like; the managed-by label names it."""

_LOCAL_CONFIG = "config.kubernetes.io/local-config"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to build."""

    reorder: Literal["unspecified", "legacy", "none"] = "unspecified"
    """`legacy`: a fixed order by kind; `none`: as loaded, which is Flux's; unspecified: legacy. `sortOptions` wins."""
    restrict_root: bool = True
    """Files of a kustomization must be in or below its directory. What the file system confines is not affected."""
    managed_by_label: bool = False
    """Label everything `app.kubernetes.io/managed-by: kustomize-VERSION`."""
    remotes: Remotes | None = None
    """Fetches remote files and bases; None refuses them."""
    helm: Helm | None = None
    """Renders charts; None refuses them."""


def build(path: str, *, fs: FileSystem | None = None, options: Options | None = None) -> Resources:
    """Build the kustomization of a directory.

    `path` is absolute, relative to the working directory, or the address of a repository. `fs` is the disk unless
    given. Every object of the result is plain data. Raises KustomizeError; its text names file, field or resource.
    """
    try:
        return _build(path, fs or RealFileSystem(), options or Options())
    except RecursionError as error:
        # Files are bounded in depth, but patches can nest what they copy.
        raise BuildError(f"{path}: patches have nested a resource too deep") from error


def _build(path: str, fs: FileSystem, options: Options) -> Resources:
    session = Session(fs, options.restrict_root, options.remotes, options.helm)
    target = Target(_loader(session, path))
    found = target.accumulate()
    with located(target.where):
        return _finished(target, found, options)


def _finished(target: Target, found: Accumulator, options: Options) -> Resources:
    """What is done once, when everything has been accumulated."""
    resources = found.resources
    names.add_hashes(resources)
    references.fix(resources, found.configuration.name_reference)
    found.variables.resolve(resources, found.configuration.var_reference)
    resources.keep(_is_wanted)
    _check(resources)
    _sort(resources, target.kustomization.sort_options, options)
    metadata = target.kustomization.build_metadata
    if options.managed_by_label or origins.MANAGED_BY_OPTION in metadata:
        add_entries(resources, {origins.MANAGED_BY: f"kustomize-{KUSTOMIZE_VERSION}"}, (METADATA_LABELS,))
    origins.strip(resources, metadata)
    for resource in resources:
        resource.finish()
    return resources


def _loader(session: Session, path: str) -> Loader:
    here = os.getcwd()
    if repositories.parse(path) is not None:
        return Loader(session, here).enter(path)
    return Loader(session, directory(session.fs, posixpath.normpath(posixpath.join(here, path))))


def _is_wanted(resource: Resource) -> bool:
    return bool(resource.object) and resource.texts("annotations").get(_LOCAL_CONFIG, "false") == "false"


def _check(resources: Resources) -> None:
    for resource in resources:
        if not resource.kind or not resource.name:
            missing = "metadata.name" if resource.kind else "kind"
            raise FieldError(f"missing {missing} in object {resource.id}")


def _sort(resources: Resources, wanted: SortOptions | None, options: Options) -> None:
    if wanted is not None:
        order.sort(resources, wanted)
    elif options.reorder != "none":
        order.sort(resources, SortOptions(order=order.LEGACY))
    resources.check()
