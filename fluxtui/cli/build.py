"""`fluxtui build`: a kustomization directory in, YAML out."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fluxtui.kustomize import Resource, Resources

UNRESTRICTED = "LoadRestrictionsNone"

FIELDS = """\
Fields of a kustomization (kustomize.config.k8s.io/v1beta1) or Component (v1alpha1):

\b
  built        resources, components, patches, replacements, namespace,
               namePrefix, nameSuffix, labels, commonAnnotations, images,
               replicas, configMapGenerator, secretGenerator,
               generatorOptions, configurations, crds, openapi, sortOptions,
               buildMetadata, apiVersion, kind
  older ones   bases, commonLabels, imageTags, vars, patchesStrategicMerge,
               patchesJson6902, helmChartInflationGenerator
  built-ins    generators, transformers, validators: those of kustomize
               itself; programs and containers are refused
  with Helm    helmCharts, helmGlobals: with --enable-helm
  no meaning   metadata

Files and bases may be remote: https://..., git@host:..., ADDRESS//PATH?ref=REF.
"""


class _Directory(click.Command):
    """Builds a directory, unless the first word says `kustomization`: then it is the Kustomization of a cluster."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args[:1] not in (["kustomization"], ["ks"]):
            return super().make_context(info_name, args, parent, **extra)
        from fluxtui.cli.build_kustomization import command as kustomization

        return kustomization.make_context(f"{info_name} kustomization", args[1:], parent, **extra)


@click.command(cls=_Directory, context_settings={"help_option_names": ["-h", "--help"]}, epilog=FIELDS)
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
@click.option("--enable-helm", is_flag=True, help="Render helmCharts with the helm program.")
@click.option("--helm-command", default="helm", show_default=True, metavar="PROGRAM", help="Helm, a name or a path.")
@click.option("--helm-kube-version", default="", metavar="VERSION", help="Kubernetes version that charts see.")
@click.option("--helm-api-versions", multiple=True, metavar="VERSION", help="API version that charts see; repeatable.")
@click.option("--helm-debug", is_flag=True, help="Ask Helm for its debug output.")
@click.option("--enable-managedby-label", is_flag=True, help="Label everything app.kubernetes.io/managed-by.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write to this file; to one file for each resource when it is a directory that exists.",
)
def command(directory: str, load_restrictor: str, output: Path | None, **flags: Any) -> None:
    """Build the kustomization of DIR (the working directory by default) and print its resources as YAML.

    `fluxtui build kustomization NAME --path DIR` builds what a Kustomization of a cluster would make of DIR.

    DIR may be the address of a Git repository. Needs no cluster; what is remote is kept in the user's cache directory.

    Exit codes: 0 when it was built, 1 when it is refused or can't be written, 2 for wrong usage.
    """
    from fluxtui.kustomize import Helm, KustomizeError, Options, Remotes, build

    helm = Helm(
        command=flags["helm_command"],
        kube_version=flags["helm_kube_version"],
        api_versions=flags["helm_api_versions"],
        debug=flags["helm_debug"],
    )
    options = Options(
        reorder=flags["reorder"] or "unspecified",
        restrict_root=load_restrictor != UNRESTRICTED,
        managed_by_label=flags["enable_managedby_label"],
        remotes=Remotes(cache_directory()),
        helm=helm if flags["enable_helm"] else None,
    )
    try:
        resources = build(directory, options=options)
        if output is None:
            click.echo(resources.to_yaml(), nl=False)
        elif output.is_dir():
            _write_each(resources, output)
        else:
            output.write_text(resources.to_yaml(), encoding="utf-8")
    except (KustomizeError, OSError) as error:
        click.echo(f"fluxtui build: {error}", err=True)
        sys.exit(1)


def cache_directory() -> Path:
    """Where remote files and repositories are kept."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "fluxtui" / "kustomize"


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
