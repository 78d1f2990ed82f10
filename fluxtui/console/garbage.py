"""When Python looks for circular garbage: not while the console starts, and not while the fleet is read.

Reading 50,000 objects makes hardly any circles, and to look through what it makes for them would hold keys up for a
third of a second. What is there when all is read stays, so it is never looked through; later looks are short.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

THRESHOLDS = (50_000, 20, 50)
"""Of the garbage collector: rows come in bursts and hold no circles."""
PATIENCE = 60.0
"""Seconds after which a fleet that is still being read keeps the collector from work no longer."""
_LOOK = 1.0


async def begin_when(is_read: Callable[[], bool]) -> None:
    """Switch the collector on when the fleet is read, and give back to the system what the reading left free.

    Does nothing where the collector runs already.
    """
    if gc.isenabled():
        return
    for _ in range(round(PATIENCE / _LOOK)):
        if is_read():
            break
        await asyncio.sleep(_LOOK)
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
    await asyncio.to_thread(_trim)


def _trim() -> None:
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
