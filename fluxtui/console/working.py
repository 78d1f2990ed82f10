"""Workers: the console's only way to wait for a cluster. A bug in one is a bug: it ends on the error screen."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from textual.dom import DOMNode
from textual.worker import Worker

Work = Callable[[], Coroutine[None, None, None]]


def in_worker(node: DOMNode, work: Work, group: str, *, exclusive: bool = False) -> None:
    """Run `work` for as long as `node` lives; `exclusive` ends what its group is still doing there.

    A function, not a coroutine, is taken: one that is cancelled before it begins was never made. Nothing begins while
    the app goes down: it has ended its workers by then, and a callback of a screen may come later still.
    """
    if not node.app.is_running:
        return
    _: Worker[None] = node.run_worker(work, group=group, exclusive=exclusive)
