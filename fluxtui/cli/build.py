"""`fluxtui build`: a kustomization directory in, YAML out."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fluxtui.kustomize import Resource, Resources

UNRESTRICTED = "LoadRestrictionsNone"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("directory", default=".", metavar="[DIR]")
@click.option(
    "--reorder",
    type=click.Choice(("legacy", "none")),
    help="Order of the output: by kind, or as the resources are loaded. Default: legacy, unless sortOptions say.",
)
@click.option(
    "--load-restrictor",
    type=click.Choice(("LoadRestrictionsRootOnly", UNRESTRICTED)),
    default="LoadRestrictionsRootOnly",
    show_default=True,
    help="Whether files outside of a kustomization's directory may be read.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write to this file; to one file for each resource when it is a directory that exists.",
)
def command(directory: str, reorder: str | None, load_restrictor: str, output: Path | None) -> None:
    """Build the kustomization of DIR (the working directory by default) and print its resources as YAML.

    Reads files only: no cluster, no network, no plugins.

    Exit codes: 0 when it was built, 1 when it is refused or can't be written, 2 for wrong usage.
    """
    from fluxtui.kustomize import KustomizeError, Options, build

    options = Options(
        reorder="legacy" if reorder == "legacy" else "none" if reorder == "none" else "unspecified",
        restrict_root=load_restrictor != UNRESTRICTED,
    )
    try:
        resources = build(os.path.abspath(directory), options=options)
        if output is None:
            click.echo(resources.to_yaml(), nl=False)
        elif output.is_dir():
            _write_each(resources, output)
        else:
            output.write_text(resources.to_yaml(), encoding="utf-8")
    except (KustomizeError, OSError) as error:
        click.echo(f"fluxtui build: {error}", err=True)
        sys.exit(1)


def _write_each(resources: Resources, directory: Path) -> None:
    """A file for each resource. Raises KustomizeError for a name that no file can have, OSError."""
    from fluxtui.kustomize.errors import BuildError

    namespaces = {resource.id.effective_namespace for resource in resources if not resource.is_cluster_scoped}
    files = {}
    for resource in resources:
        name = _file_name(resource, with_namespace=len(namespaces) > 1 and not resource.is_cluster_scoped)
        # A name from a manifest must not choose another directory.
        if "/" in name or "\0" in name:
            raise BuildError(f"{resource.id}: no file can have the name {name!r}")
        files[name] = resource.to_yaml()
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")


def _file_name(resource: Resource, *, with_namespace: bool) -> str:
    """`GROUP_VERSION_KIND_NAME.yaml` in lower case, as kustomize names it; the namespace before it among several."""
    namespace = resource.id.effective_namespace if with_namespace else ""
    return "_".join(filter(None, (namespace, *resource.gvk, resource.name))).lower() + ".yaml"
