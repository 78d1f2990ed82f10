"""`fluxtui build`: a kustomization as YAML, without kustomize."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

ROOT_ONLY, NO_RESTRICTION = "LoadRestrictionsRootOnly", "LoadRestrictionsNone"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("directory", default=".", type=click.Path(file_okay=False))
@click.option("--reorder", type=click.Choice(["legacy", "none"]), help="Order of the output [default: legacy].")
@click.option(
    "--load-restrictor",
    type=click.Choice([ROOT_ONLY, NO_RESTRICTION]),
    default=ROOT_ONLY,
    show_default=True,
    help="Whether files outside of a kustomization's directory may be read.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File, or existing directory for a file each.")
def command(directory: str, reorder: str | None, load_restrictor: str, output: Path | None) -> None:
    """Build the kustomization in DIRECTORY and print it.

    Resources, bases, components, patches, generators, names, namespaces, labels, annotations, images, replicas,
    replacements and configurations are built as kustomize 5.8 builds them. Other fields, remote bases and plug-ins are
    refused by name.

    Exit codes: 0 built; 1 refused, with the reason on stderr; 2 wrong usage.
    """
    from fluxtui.kustomize import KustomizeError, Options, build

    options = Options(
        reorder="unspecified" if reorder is None else "legacy" if reorder == "legacy" else "none",
        restrict_root=load_restrictor == ROOT_ONLY,
    )
    try:
        resources = build(os.path.abspath(directory), options=options)
        if output is not None and output.is_dir():
            for resource in resources:
                group, version, kind = resource.gvk
                name = "_".join(filter(None, (group, version, kind, resource.name))).lower().replace("/", "_")
                (output / f"{name}.yaml").write_text(resource.to_yaml())
        elif output is not None:
            output.write_text(resources.to_yaml())
        else:
            click.echo(resources.to_yaml(), nl=False)
    except (KustomizeError, OSError) as error:
        click.echo(f"fluxtui build: {error}", err=True)
        sys.exit(1)
