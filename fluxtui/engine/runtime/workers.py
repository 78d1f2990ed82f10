"""Processes for work that would hold up the event loop: kustomize builds and the like."""

from __future__ import annotations

import asyncio
import functools
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


_WAITING = 4
"""Threads for work that waits: remotes that are dead hold up no build but those that need them."""


class WorkerLost(Exception):
    """A worker process died in the middle of its work, most often for want of memory."""


class WorkerPool:
    """A few processes, started with the first work; functions and arguments have to be picklable."""

    def __init__(self, workers: int = 2) -> None:
        self._workers = max(1, min(workers, os.cpu_count() or 1))
        self._pool: ProcessPoolExecutor | None = None
        self._threads: ThreadPoolExecutor | None = None

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a module-level function in a worker. Raises what it raises, and WorkerLost.

        A cancelled caller gets its cancellation at once; the work it started ends by itself.
        """
        if kwargs:
            raise TypeError("a worker takes positional arguments only")
        pool = self._pool = self._pool or self._start()
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, function, *args)
        except BrokenProcessPool as error:
            if self._pool is pool:
                self._pool = None
                pool.shutdown(wait=False, cancel_futures=True)
            raise WorkerLost("a build process ended unexpectedly") from error

    async def wait_for(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function that mostly waits for others, in one of a few threads kept for that. Raises what it raises.

        A cancelled caller gets its cancellation at once; the work it started ends by itself.
        """
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_WAITING, "remote")
        call = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def close(self) -> None:
        """End the processes and threads; work not yet begun is dropped."""
        if self._threads is not None:
            threads, self._threads = self._threads, None
            threads.shutdown(wait=False, cancel_futures=True)
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        # Never fork: the process has an event loop and threads.
        context = multiprocessing.get_context("forkserver" if "forkserver" in _METHODS else "spawn")
        return ProcessPoolExecutor(self._workers, mp_context=context, initializer=_ignore_signals)


_METHODS = multiprocessing.get_all_start_methods()


def _ignore_signals() -> None:
    """Leave Ctrl-C to the parent, which ends its workers in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
