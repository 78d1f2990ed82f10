"""`fluxtui diff kustomization`: what Kustomizations would change in the selected clusters, by dry runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from fluxtui.api.kinds import KUSTOMIZATION
from fluxtui.cli import differences, output
from fluxtui.cli.contact import ask_all, list_objects
from fluxtui.cli.differences import Compared
from fluxtui.cli.engine_options import Accounts, accounts_options
from fluxtui.cli.groups import KindGroup
from fluxtui.cli.manifests import LocalTree, Manifests, kustomization_in, manifest_options
from fluxtui.cli.options import Place, Selection, cluster_options, form_option
from fluxtui.cli.words import Wanted
from fluxtui.kube.errors import KubeError

if TYPE_CHECKING:
    from fluxtui.engine.controllers.kustomize.defaults import Defaults
    from fluxtui.engine.controllers.kustomize.preview import Previewer
    from fluxtui.kube.client import Client

Object = dict[str, Any]

SAME, DRIFT, FAILED = 0, 1, 2
"""Exit codes, flux's."""

HELP = """Show what Kustomizations would change: they are built, and every object is dry-run by the server.

The manifests are those of --path, or else of the source's artifact as the cluster has it now, fetched from where it is
served or through the API server. Nothing is written. What is encrypted is decrypted with the keys that the
Kustomization names; values of Secrets are masked. The dry runs are made as spec.serviceAccountName, if you may
impersonate it, so that what it may not do shows. Where the Kustomization names no keys or no ServiceAccount, those
count that the cluster's controller is told by its Deployment, or that the options below name.

\b
  fluxtui diff ks apps --path ./apps/production
  fluxtui diff ks apps infra --context 'prod-*' --summary
  fluxtui diff ks flux-system --path ./clusters/prod --recursive

Of several clusters, those that would change in the same way share one diff; a table at the end says who changes what.
A Kustomization with spec.kubeConfig is compared with the cluster it names. With --recursive the Kustomizations among
the objects follow, of the same source from the same local tree. JSON and YAML: {"items": [{"cluster", "namespace",
"name", "revision", "serviceAccount", "problems", "changes": [{"group", "kind", "namespace", "name", "action",
"diff"}]}], "errors": […]}; actions are created, changed, deleted, unchanged and skipped.

Exit codes: 0 nothing would change; 1 something would; 2 something could not be built or compared, a cluster did not
answer, or wrong usage, settings or kubeconfig."""


@click.group(cls=KindGroup)
def command() -> None:
    """Show what would change in clusters, without changing it.

    Exit codes: 0 nothing would change; 1 something would; 2 something could not be built or compared, a cluster did
    not answer, or wrong usage.
    """


@command.command("kustomization", help=HELP)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@manifest_options(verb="Compare")
@click.option("--ignore-not-found", is_flag=True, help="Compare a Kustomization that only --kustomization-file has.")
@click.option("--summary", is_flag=True, help="Only the table of who changes what.")
@form_option
@accounts_options
@cluster_options("2m", namespaces=True)
def kustomization(
    names: tuple[str, ...],
    manifests: Manifests,
    ignore_not_found: bool,
    summary: bool,
    form: str,
    accounts: Accounts,
    place: Place,
) -> None:
    """Compare Kustomizations."""
    if len(names) > 1 and (manifests.path or manifests.kustomization_file):
        raise click.UsageError("--path and --kustomization-file are for one Kustomization")
    if ignore_not_found and not manifests.kustomization_file:
        raise click.UsageError("--ignore-not-found needs --kustomization-file")
    where = place.select()
    comparison = _Comparison(where, names, manifests, accounts, new=ignore_not_found)
    sys.exit(asyncio.run(comparison.run(form, summary=summary)))


class _Comparison:
    def __init__(
        self, where: Selection, names: Sequence[str], manifests: Manifests, accounts: Accounts, *, new: bool
    ) -> None:
        self._accounts = accounts
        self._where = where
        self._names = names
        self._manifests = manifests
        self._tree = LocalTree(manifests)
        self._given = None
        if manifests.kustomization_file is not None:
            self._given = kustomization_in(manifests.kustomization_file, names[0], where.namespace)
        self._new = new

    async def run(self, form: str, *, summary: bool) -> int:
        from fluxtui.engine.controllers.kustomize.preview import previewer

        async with previewer(strict=self._manifests.strict_substitute is not False) as building:

            async def ask(client: Client) -> list[Compared]:
                return [found async for found in self._cluster(client, building)]

            answers = await ask_all(self._where.contexts, self._where.timeout, ask)
        answers.complain()
        found = [each for compared in answers.of.values() for each in compared]
        missing = [name for name in self._names if not any(each.name == name for each in found)]
        if not answers.troubles:
            for name in missing:
                click.echo(f'✗ Kustomization "{name}" not found{self._where.somewhere}', err=True)
        if form != "table":
            document = {"items": list(map(differences.told, found)), "errors": output.errors_of(answers.troubles)}
            (output.print_json if form == "json" else output.print_yaml)(document)
        else:
            if not summary:
                differences.show(found, several=self._where.several)
            differences.summarize(found, several=self._where.several)
        if answers.troubles or missing or any(each.problems for each in found):
            return FAILED
        return DRIFT if any(each.has_drift for each in found) else SAME

    async def _cluster(self, client: Client, building: Previewer) -> AsyncIterator[Compared]:
        """What the Kustomizations of a cluster would change; those among the objects follow."""
        from fluxtui.engine.controllers.kustomize.defaults import Defaults, defaults_of

        defaults = Defaults(**msgspec.structs.asdict(self._accounts)).over(await defaults_of(client))
        seen: set[tuple[str, str]] = set()
        waiting = [(raw, True) for raw in await self._subjects(client)]
        while waiting:
            raw, top = waiting.pop(0)
            metadata = raw["metadata"]
            key = (metadata.get("namespace", ""), metadata["name"])
            if key in seen:
                continue
            seen.add(key)
            compared = await self._compared(client, building, raw, defaults, top=top)
            yield compared
            if self._manifests.recursive and compared.preview:
                waiting += [(child, False) for child in compared.preview.children]

    async def _compared(
        self, client: Client, building: Previewer, raw: Object, defaults: Defaults, *, top: bool
    ) -> Compared:
        from fluxtui.engine.controllers.kustomize.preview import PreviewError

        metadata = raw["metadata"]
        place = (client.id, metadata.get("namespace", ""), metadata["name"])
        try:
            local = await asyncio.to_thread(self._tree.top if top else self._tree.below, raw)
            return Compared(*place, await building.preview(client, raw, local, defaults))
        except (PreviewError, ValueError) as error:
            return Compared(*place, problem=str(error))

    async def _subjects(self, client: Client) -> list[Object]:
        """The Kustomizations that are meant, with the spec of the file where one is given. Raises KubeError."""
        listing = await list_objects(client, Wanted((KUSTOMIZATION,)), self._where.namespace)
        if listing.problems:
            raise KubeError(listing.problems[0])
        found = [obj for obj in listing.objects if obj["metadata"]["name"] in self._names]
        if self._given is None:
            return found
        namespace = self._given["metadata"]["namespace"]
        live = next((obj for obj in found if obj["metadata"].get("namespace") == namespace), None)
        if live is None:
            return [{key: self._given[key] for key in self._given if key != "status"}] if self._new else []
        return [{**live, "spec": self._given.get("spec") or {}}]
