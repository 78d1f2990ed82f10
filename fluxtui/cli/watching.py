"""`fluxtui get --watch`: what is there, then every change, until interrupted; what goes is printed a last time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import click

from fluxtui.cli import output
from fluxtui.cli.contact import served_of, stale_controllers
from fluxtui.cli.options import Selection
from fluxtui.cli.streaming import Hearing, until_interrupted
from fluxtui.cli.words import Wanted
from fluxtui.fleet import probe
from fluxtui.fleet.query import Query
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row, judged, row_of
from fluxtui.kube.errors import KubeError
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.resources import Resource

if TYPE_CHECKING:
    from fluxtui.kube.watch import Batch

Seen = tuple[Row, dict[str, Any]]
JUDGE_EVERY = 5.0
"""Seconds between looks at what time changes: requests that nobody handles, Leases that nobody renews."""


async def follow(where: Selection, meant: Wanted, selector: str, query: Query, form: str, *, headings: bool) -> int:
    """Print rows now and after each change; returns the exit code when interrupted: 1 if a cluster was not heard.

    Raises BrokenPipeError when nobody reads any more.
    """
    follower = _Follower(where, meant, selector, query, form, headings=headings)
    await until_interrupted([follower.cluster(context) for context in where.contexts])
    return follower.hearing.exit_code


class _Follower:
    def __init__(
        self,
        where: Selection,
        meant: Wanted,
        selector: str,
        query: Query,
        form: str,
        *,
        headings: bool,
    ) -> None:
        self._where = where
        self._meant = meant
        self._selector = selector
        self._query = query
        self._form = form
        self._headings = headings
        self._widths: list[int] = []
        self._seen: dict[Ref, Seen] = {}
        """All that is there and has a wanted name, whether it passes the filter or not."""
        self._shown: dict[Ref, tuple[Any, ...]] = {}
        """What was printed last of those that pass the filter."""
        self._stale: dict[str, tuple[str, ...]] = {}
        self.hearing = Hearing()

    async def cluster(self, context: Context) -> None:
        """Follow one cluster; ends only when it serves nothing of what is wanted."""
        from fluxtui.kube.client import Client

        async with Client(context, request_timeout=self._where.timeout) as client:
            while True:
                try:
                    await client.alive()
                    served = await client.resources()
                except KubeError as error:
                    self.hearing.complain(context.id, error)
                    await asyncio.sleep(1)
                    continue
                break
            self.hearing.heard(context.id)
            try:
                resources = served_of(self._meant, served)
            except KubeError as error:
                self.hearing.complain(context.id, error)
                return
            if not resources:
                self.hearing.complain(context.id, KubeError(f"the cluster serves no {self._meant.title} kind"))
                return
            async with asyncio.TaskGroup() as group:
                group.create_task(self._judge(client))
                for resource in resources:
                    group.create_task(self._kind(client, resource))

    async def _kind(self, client: Any, resource: Resource) -> None:
        from fluxtui.kube.watch import watch

        batches = watch(
            client,
            resource,
            namespace=self._where.namespace,
            label_selector=self._selector,
            on_state=lambda state: self.hearing.watched(client.id, state),
        )
        async with contextlib.aclosing(batches):
            async for batch in batches:
                self._take(client.id, resource, batch)

    async def _judge(self, client: Any) -> None:
        """Judge again what time or a Lease has changed, although no object has."""
        leases = probe.LeaseWatch()
        while True:
            self._stale[client.id] = await stale_controllers(client, leases)
            self._show([seen for ref, seen in self._seen.items() if ref.cluster == client.id])
            await asyncio.sleep(JUDGE_EVERY)

    def _take(self, cluster: str, resource: Resource, batch: Batch[dict[str, Any]]) -> None:
        # What it says is heard before its watch counts as live.
        self.hearing.heard(cluster)
        now = time.time()
        fresh = []
        for obj in batch.upserts:
            row = row_of(cluster, obj, now)
            if self._meant.names and not {row.ref.name, row.ref.path}.intersection(self._meant.names):
                continue
            before = self._seen.get(row.ref)
            if before:
                row = row_of(cluster, obj, now, before[0])
            fresh.append((row, obj))
            self._seen[row.ref] = (row, obj)
        gone = [Ref(cluster, resource.group, resource.kind, *key) for key in batch.deletes]
        if batch.replace:
            kept = {row.ref for row, _ in fresh}
            mine = (cluster, resource.group, resource.kind)
            gone += [ref for ref in self._seen if (ref.cluster, ref.group, ref.kind) == mine and ref not in kept]
        self._leave(gone)
        self._show(fresh)

    def _leave(self, gone: list[Ref]) -> None:
        """Print what is no longer there, if it was shown."""
        seen = [(ref, self._seen.pop(ref)) for ref in gone if ref in self._seen]
        self._print([found for ref, found in seen if self._shown.pop(ref, None)], gone=True)

    def _show(self, seen: list[Seen]) -> None:
        """Print what looks different from what was printed of it last; what does not pass the filter is forgotten."""
        now = time.time()
        matches = self._query.matcher(now)
        fresh = []
        for before, obj in seen:
            row = judged(before, now, stale_controllers=self._stale.get(before.ref.cluster, ()))
            face = (row.state, row.before, row.revision, row.message, row.suspended)
            if not matches(row):
                self._shown.pop(row.ref, None)
            elif self._shown.get(row.ref) != face:
                self._shown[row.ref] = face
                fresh.append((row, obj))
        self._print(fresh)

    def _print(self, found: list[Seen], *, gone: bool = False) -> None:
        if not found:
            return
        if self._form in ("table", "wide"):
            self._print_table([row for row, _ in found], gone=gone)
            return
        for row, obj in found:
            item = output.item(obj, row) | ({"state": output.DELETED.lower()} if gone else {})
            if self._form == "json":
                output.print_json(item, indent=None)
            elif self._form == "yaml":
                output.print_yaml(item, separate=True)
            else:
                click.echo(output.name_of(row.ref, several=self._where.several))

    def _print_table(self, rows: list[Row], *, gone: bool) -> None:
        from fluxtui.cli.get import table_of

        table = table_of(self._where, self._meant, rows, wide=self._form == "wide", gone=gone)
        self._widths = table.print(headings=self._headings and not self._widths, widths=self._widths)
