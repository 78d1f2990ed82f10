"""Verbs that go on until they are interrupted: following, and what cannot be heard."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from fluxtui.kube.errors import KubeError

if TYPE_CHECKING:
    from fluxtui.kube.watch import WatchState


async def until_interrupted(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run coroutines until all have ended or SIGINT or SIGTERM comes.

    Raises BrokenPipeError when one of them did: nobody reads any more.
    """
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    with unwrapping():
        async with asyncio.TaskGroup() as group:
            ended = group.create_task(_all(work))
            stopped = group.create_task(interrupted.wait())
            await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in (ended, stopped):
                task.cancel()


@contextlib.contextmanager
def unwrapping() -> Iterator[None]:
    """Around task groups that print: a BrokenPipeError comes out of it alone, not in a group."""
    closed: BrokenPipeError | None = None
    try:
        yield
    except* BrokenPipeError as errors:
        closed = _first(errors)
    if closed is not None:
        raise closed


async def _all(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(each)


def _first(errors: BaseExceptionGroup[BrokenPipeError]) -> BrokenPipeError:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


class Hearing:
    """Which clusters are not heard at the moment; each time one falls silent, stderr is told once."""

    def __init__(self) -> None:
        self.silent: set[str] = set()

    @property
    def exit_code(self) -> int:
        """1 when a cluster is not heard."""
        return 1 if self.silent else 0

    def complain(self, cluster: str, error: KubeError) -> None:
        """A cluster is not heard."""
        if cluster not in self.silent:
            click.echo(f"✗ {cluster}: {error}", err=True)
        self.silent.add(cluster)

    def heard(self, cluster: str) -> None:
        """A cluster is heard."""
        self.silent.discard(cluster)

    def watched(self, cluster: str, state: WatchState) -> None:
        """A watch of a cluster has changed its state."""
        from fluxtui.kube.watch import Phase

        if state.phase in (Phase.BROKEN, Phase.FORBIDDEN) and state.error:
            self.complain(cluster, state.error)
        elif state.phase is Phase.LIVE:
            self.heard(cluster)
