"""The same work on many objects, some at once, each failure kept with the object it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from fluxtui.kube.errors import KubeError

T = TypeVar("T")
R = TypeVar("R")


class Refused(Exception):
    """One object could not be worked on; `str()` is a sentence that names it."""


class Batch(Generic[R]):
    """What came of it."""

    def __init__(self) -> None:
        self.results: list[R] = []
        """Of the items that succeeded, in the order of the items."""
        self.failures: list[str] = []
        """Sentences about those that did not, in the order of the items."""


async def each(
    items: Sequence[T], work: Callable[[T], Awaitable[R]], concurrency: int, subject: Callable[[T], object] = str
) -> Batch[R]:
    """Do `work` on every item, at most `concurrency` at once.

    Refused and KubeError become failures (the latter introduced by the item's `subject`); items after a server that
    could not be reached are not tried any more.
    """
    gate = asyncio.Semaphore(max(1, concurrency))
    results: dict[int, R] = {}
    failures: dict[int, str] = {}
    broken = False

    async def one(index: int, item: T) -> None:
        nonlocal broken
        async with gate:
            if broken:
                return
            try:
                results[index] = await work(item)
            except Refused as error:
                failures[index] = str(error)
            except KubeError as error:
                failures[index] = f"{subject(item)}: {error}"
                broken = not hasattr(error, "status")

    async with asyncio.TaskGroup() as tasks:
        for index, item in enumerate(items):
            tasks.create_task(one(index, item))
    batch: Batch[R] = Batch()
    batch.results = [results[index] for index in sorted(results)]
    batch.failures = [failures[index] for index in sorted(failures)]
    return batch
