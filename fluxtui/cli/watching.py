"""`fluxtui get --watch`: what is there, then every change, until interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from fluxtui.api.kinds import is_flux_group
from fluxtui.cli import output
from fluxtui.cli.contact import served_as
from fluxtui.cli.options import Selection
from fluxtui.cli.words import Wanted
from fluxtui.fleet.query import Query
from fluxtui.fleet.rows import Row, row_of
from fluxtui.kube.errors import KubeError
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.resources import Resource, Resources

if TYPE_CHECKING:
    from fluxtui.kube.watch import Batch, WatchState


async def follow(where: Selection, meant: Wanted, selector: str, query: Query, form: str, *, headings: bool) -> int:
    """Print rows now and after each change; returns the exit code when interrupted: 1 if a cluster was not heard.

    Raises BrokenPipeError when nobody reads any more.
    """
    interrupted = asyncio.Event()
    follower = _Follower(where, meant, selector, query, form, headings=headings, close=interrupted.set)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(follower.cluster(context)) for context in where.contexts]
        waiting = group.create_task(interrupted.wait())
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        while not interrupted.is_set() and not all(task.done() for task in tasks):
            await asyncio.wait(
                [waiting, *(task for task in tasks if not task.done())], return_when=asyncio.FIRST_COMPLETED
            )
        for task in (waiting, *tasks):
            task.cancel()
    if follower.closed:
        raise follower.closed
    return 1 if follower.silent else 0


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
        close: Callable[[], None],
    ) -> None:
        self._where = where
        self._meant = meant
        self._selector = selector
        self._query = query
        self._form = form
        self._headings = headings
        self._close = close
        self._widths: list[int] = []
        self._shown: dict[Any, tuple[Any, ...]] = {}
        self.silent: set[str] = set()
        """Clusters that are not heard at the moment."""
        self.closed: BrokenPipeError | None = None
        """Set when nobody reads any more."""

    async def cluster(self, context: Context) -> None:
        """Follow one cluster; ends only when it serves nothing of what is wanted."""
        from fluxtui.kube.client import Client

        async with Client(context, request_timeout=self._where.timeout) as client:
            while True:
                try:
                    await client.alive()
                    served = await client.resources()
                except KubeError as error:
                    self._complain(context.id, error)
                    await asyncio.sleep(1)
                    continue
                break
            self.silent.discard(context.id)
            resources = self._resources(served)
            if not resources:
                self._complain(context.id, KubeError(f"the cluster serves no {self._meant.title} kind"))
                return
            async with asyncio.TaskGroup() as group:
                for resource in resources:
                    group.create_task(self._kind(client, resource))

    def _resources(self, served: Resources) -> list[Resource]:
        found = [served_as(kind, served.find) for kind in self._meant.kinds]
        found += [served.by_word(word) for word in self._meant.words]
        return [resource for resource in found if resource and is_flux_group(resource.group)]

    async def _kind(self, client: Any, resource: Resource) -> None:
        from fluxtui.kube.watch import watch

        batches = watch(
            client,
            resource,
            namespace=self._where.namespace,
            label_selector=self._selector,
            on_state=lambda state: self._heard(client.id, state),
        )
        async with contextlib.aclosing(batches):
            async for batch in batches:
                try:
                    self._print(client.id, batch)
                except BrokenPipeError as error:
                    self.closed = error
                    self._close()
                    return

    def _heard(self, cluster: str, state: WatchState) -> None:
        from fluxtui.kube.watch import Phase

        if state.phase in (Phase.BROKEN, Phase.FORBIDDEN) and state.error:
            self._complain(cluster, state.error)
        elif state.phase is Phase.LIVE:
            self.silent.discard(cluster)

    def _complain(self, cluster: str, error: KubeError) -> None:
        if cluster not in self.silent:
            click.echo(f"✗ {cluster}: {error}", err=True)
        self.silent.add(cluster)

    def _print(self, cluster: str, batch: Batch[dict[str, Any]]) -> None:
        now = time.time()
        matches = self._query.matcher(now)
        fresh: list[tuple[Row, dict[str, Any]]] = []
        for obj in batch.upserts:
            row = row_of(cluster, obj, now)
            wanted = not self._meant.names or {row.ref.name, row.ref.path}.intersection(self._meant.names)
            face = (row.state, row.before, row.revision, row.message, row.suspended)
            if wanted and matches(row) and self._shown.get(row.ref) != face:
                self._shown[row.ref] = face
                fresh.append((row, obj))
        if not fresh:
            return
        if self._form in ("table", "wide"):
            self._print_table([row for row, _ in fresh])
            return
        for row, obj in fresh:
            if self._form == "json":
                output.print_json(output.item(obj, row), indent=None)
            elif self._form == "yaml":
                output.print_yaml(output.item(obj, row), separate=True)
            else:
                click.echo(output.name_of(row, several=self._where.several))

    def _print_table(self, rows: list[Row]) -> None:
        from fluxtui.cli.get import table_of

        table = table_of(self._where, self._meant, rows, wide=self._form == "wide")
        self._widths = table.print(headings=self._headings and not self._widths, widths=self._widths)
