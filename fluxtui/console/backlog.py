"""Whether the terminal keeps up: what it has not taken yet is the place where a slow line makes itself felt."""

from __future__ import annotations

from typing import Any

from textual.app import App


def has_backlog(app: App[Any]) -> bool:
    """Whether something painted before still waits to be written.

    Textual writes from a thread with a queue, which blocks the whole app when it is full. The queue is Textual's own;
    where it has another shape, the terminal counts as fast.
    """
    queue = getattr(getattr(app._driver, "_writer_thread", None), "_queue", None)
    return bool(queue is not None and queue.qsize())
