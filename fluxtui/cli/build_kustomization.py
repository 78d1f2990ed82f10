"""`fluxtui build kustomization`: a Kustomization's manifests as they would be applied, from a local tree."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from fluxtui.api.kinds import KUSTOMIZATION
from fluxtui.cli.build import cache_directory
from fluxtui.cli.contact import ask_all, list_objects
from fluxtui.cli.manifests import LocalTree, Manifests, is_kustomization, kustomization_in, manifest_options, source_of
from fluxtui.cli.options import EXIT_CODES, Place, cluster_options
from fluxtui.cli.words import Wanted
from fluxtui.kube.errors import KubeError

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

Object = dict[str, Any]

HELP = f"""Build a local tree as a Kustomization of the cluster would build it, and print the objects as YAML.

The Kustomization is the cluster's, or that of --kustomization-file; its variables come from the ConfigMaps and
Secrets of the cluster. Encrypted values are masked, so that no keys are needed. Of several clusters, the objects of
each follow a comment with its name.

\b
  fluxtui build ks apps --path ./apps/production --context prod-eu
  fluxtui build ks apps --path ./apps --kustomization-file ./apps.yaml --dry-run

--dry-run asks no cluster: variables of ConfigMaps and Secrets are left out, and unset variables become empty unless
--strict-substitute is given.

{EXIT_CODES}"""


@click.command("kustomization", help=HELP)
@click.argument("name")
@manifest_options(verb="Build")
@click.option("--dry-run", is_flag=True, help="Ask no cluster; needs --kustomization-file.")
@cluster_options("1m", namespaces=True)
def command(name: str, manifests: Manifests, dry_run: bool, place: Place) -> None:
    """Build a Kustomization."""
    if dry_run and manifests.kustomization_file is None:
        raise click.UsageError("--dry-run needs --kustomization-file")
    if manifests.path is None and not manifests.local_sources:
        raise click.UsageError("--path or --local-sources is needed")
    strict = manifests.strict_substitute if manifests.strict_substitute is not None else not dry_run
    if dry_run:
        sys.exit(asyncio.run(_alone(name, place.namespace, manifests, strict)))
    sys.exit(asyncio.run(_of_clusters(name, place, manifests, strict)))


async def _alone(name: str, namespace: str, manifests: Manifests, strict: bool) -> int:
    """Build what the file has. Returns the exit code."""
    assert manifests.kustomization_file is not None, "--dry-run comes with a file"
    raw = kustomization_in(manifests.kustomization_file, name, namespace)
    try:
        _print(await _build(raw, manifests, None, strict))
    except ValueError as error:
        click.echo(f"✗ {error}", err=True)
        return 1
    return 0


async def _of_clusters(name: str, place: Place, manifests: Manifests, strict: bool) -> int:
    """Build with what each cluster has. Returns the exit code."""
    where = place.select()
    given = None
    if manifests.kustomization_file is not None:
        given = kustomization_in(manifests.kustomization_file, name, where.namespace)

    async def ask(client: Client) -> list[Object] | None:
        raw = given or await _subject(client, name, where.namespace)
        try:
            return await _build(raw, manifests, client, strict) if raw else None
        except ValueError as error:
            raise KubeError(str(error)) from error

    answers = await ask_all(where.contexts, where.timeout, ask)
    answers.complain()
    found = {cluster: objects for cluster, objects in answers.of.items() if objects is not None}
    for cluster, objects in found.items():
        if where.several:
            click.echo(f"# {cluster}")
        _print(objects)
    if not found and not answers.troubles:
        click.echo(f'✗ Kustomization "{name}" not found{where.somewhere}', err=True)
    return 0 if found and not answers.troubles else 1


async def _subject(client: Client, name: str, namespace: str) -> Object | None:
    """The cluster's Kustomization. Raises KubeError."""
    listing = await list_objects(client, Wanted((KUSTOMIZATION,)), namespace)
    if listing.problems:
        raise KubeError(listing.problems[0])
    found = [obj for obj in listing.objects if obj["metadata"]["name"] == name]
    if len(found) > 1:
        places = ", ".join(sorted(obj["metadata"]["namespace"] for obj in found))
        raise KubeError(f"Kustomization {name} is in the namespaces {places}; choose one with -n")
    return found[0] if found else None


async def _build(raw: Object, manifests: Manifests, client: Client | None, strict: bool) -> list[Object]:
    """The objects, with those of the Kustomizations among them. Raises ValueError, KubeError."""
    from fluxtui.engine.controllers.kustomize.build import RemoteBases
    from fluxtui.engine.controllers.kustomize.local import build_local
    from fluxtui.engine.controllers.kustomize.preview import PreviewError
    from fluxtui.kustomize.remotes import PROTOCOLS

    remotes = RemoteBases(str(cache_directory()), PROTOCOLS, anonymous=False)
    tree, done, seen = LocalTree(manifests), list[Object](), set[tuple[str, str]]()
    waiting = [raw]
    while waiting:
        subject = waiting.pop(0)
        metadata = subject["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        if key in seen:
            continue
        local = await asyncio.to_thread(tree.below if seen else tree.top, subject)
        seen.add(key)
        if local is None:
            raise ValueError(f"Kustomization {'/'.join(key)}: no --local-sources for {source_of(subject)}")
        try:
            objects = await build_local(subject, local, client, strict=strict, remotes=remotes)
        except PreviewError as error:
            raise ValueError(str(error)) from error
        done += objects
        if manifests.recursive:
            waiting += [obj for obj in objects if is_kustomization(obj)]
    return done


def _print(objects: Sequence[Object]) -> None:
    from fluxtui.kustomize.documents import write

    for obj in objects:
        click.echo(f"---\n{write(obj)}", nl=False)
