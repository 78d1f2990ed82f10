"""Waiting until a controller reports what became of a request or of a resumed object."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec

from fluxtui.api.kinds import Category
from fluxtui.fleet.actions import Ending
from fluxtui.fleet.facts import SUSPENDED_AT
from fluxtui.fleet.probe import why_unhandled
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row, row_of
from fluxtui.fleet.states import Ready, State
from fluxtui.fleet.text import one_line, span

if TYPE_CHECKING:
    from fluxtui.kube.client import Client
    from fluxtui.kube.resources import Resource


class Followed(msgspec.Struct, frozen=True):
    """The end of a request."""

    ending: Ending
    message: str = ""
    revision: str = ""


async def follow(client: Client, resource: Resource, ref: Ref, token: str, within: float) -> Followed:
    """Wait until the controller has handled the request `token` (or, when empty, the object's newest generation) and
    has come to a result; at most `within` seconds."""
    from fluxtui.kube.watch import watch

    last: Row | None = None
    handled = False
    troubles: list[str] = []
    """Why the watch is broken at the moment; empty while it is not."""
    try:
        async with asyncio.timeout(within):
            batches = watch(
                client,
                resource,
                namespace=ref.namespace,
                field_selector=f"metadata.name={ref.name}",
                on_state=lambda state: _keep(troubles, str(state.error or "")),
            )
            async with aclosing(batches):
                async for batch in batches:
                    for obj in batch.upserts:
                        last = row_of(ref.cluster, obj, time.time())
                        handled = is_handled(last, obj, token)
                        found = judge(last, obj, token)
                        if found:
                            return found
                    if batch.deletes or (batch.replace and not batch.upserts):
                        return Followed(Ending.FAILED, "it was deleted")
    except TimeoutError:
        pass
    why = "".join(troubles)
    if not why and last is not None:
        why = (last.message or last.reason) if handled else await why_unhandled(client, last.controller)
    return Followed(Ending.TIMEOUT, one_line(f"no result after {span(within)}" + (f": {why}" if why else "")))


def _keep(troubles: list[str], trouble: str) -> None:
    troubles[:] = [trouble] * bool(trouble)


def is_handled(row: Row, obj: dict[str, Any], token: str) -> bool:
    """Whether the controller has taken up the request, or the newest generation where there is none."""
    if token:
        handled: bool = (obj.get("status") or {}).get("lastHandledReconcileAt") == token
        return handled
    silent = row.ready == Ready.TRUE and not row.observed and not row.ready_generation
    return silent or max(row.observed, row.ready_generation) >= row.generation


def judge(row: Row, obj: dict[str, Any], token: str) -> Followed | None:
    """The end of a request as the object tells it; None: not yet."""
    if row.deleting:
        return Followed(Ending.FAILED, "it is being deleted")
    if row.suspended:
        by = ((obj.get("metadata") or {}).get("annotations") or {}).get(SUSPENDED_AT)
        return Followed(Ending.FAILED, "it was suspended meanwhile" if by or token else "it is suspended again")
    if not is_handled(row, obj, token):
        return None
    if row.before in (State.READY, State.OVERDUE):
        return Followed(Ending.DONE, _done(row), row.revision)
    if row.before in (State.FAILED, State.STALLED):
        return Followed(Ending.FAILED, row.message or row.reason or row.before.word, row.revision)
    return None


def _done(row: Row) -> str:
    if not row.revision:
        return row.message or "reconciled"
    verb = {Category.SOURCES: "fetched", Category.KUSTOMIZATIONS: "applied", Category.RELEASES: "released"}
    return f"{verb.get(row.category, 'reconciled')} {row.short}"
