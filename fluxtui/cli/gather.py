"""All Flux objects of the selected clusters in a mirror, read once: what `tree` and `trace` walk through."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fluxtui.api.kinds import KINDS
from fluxtui.cli.contact import Answers, Listing, ask_all, in_part, list_to_judge
from fluxtui.cli.options import Selection
from fluxtui.cli.words import Wanted
from fluxtui.fleet.clusters import ClusterInfo, Phase
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.wire import Wire

if TYPE_CHECKING:
    from fluxtui.kube.client import Client


async def gather(where: Selection) -> tuple[Mirror, Answers[Listing[Wire]]]:
    """The mirror, and what each cluster answered; troubles are in the answers."""

    async def ask(client: Client) -> Listing[Wire]:
        return await list_to_judge(in_part, client, Wanted(KINDS, every=True), "")

    answers = await ask_all(where.contexts, where.timeout, ask)
    mirror = Mirror()
    for context in where.contexts:
        listing = answers.of.get(context.id)
        phase = Phase.UNREACHABLE if listing is None else Phase.DEGRADED if listing.problems else Phase.LIVE
        stale = listing.stale if listing else ()
        mirror.set_cluster(ClusterInfo(id=context.id, server=context.host, phase=phase, stale_controllers=stale))
        if listing is not None:
            mirror.upsert(context.id, listing.objects)
            await asyncio.sleep(0)
    return mirror, answers


def named(mirror: Mirror, wanted: Wanted, where: Selection) -> tuple[list[Ref], list[str]]:
    """The rows that the words mean, and the names that no cluster has; complains about those."""
    kinds = {(kind.group, kind.kind) for kind in wanted.kinds}
    every = [
        ref for ref in sorted(mirror.rows) if (ref.group, ref.kind) in kinds and where.namespace in ("", ref.namespace)
    ]
    refs = [ref for ref in every if _has(ref, wanted.names)]
    missing = [name for name in wanted.names if not any(name in (ref.name, ref.path) for ref in refs)]
    where.complain_of_missing(wanted.title, missing, (ref.name for ref in every))
    return refs, missing


def _has(ref: Ref, names: Sequence[str]) -> bool:
    return not names or ref.name in names or ref.path in names
