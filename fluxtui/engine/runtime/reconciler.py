"""What a controller is made of: the protocol of a reconciler and of what wakes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

import msgspec

from fluxtui.api.kinds import Kind
from fluxtui.engine.runtime.conditions import Conditions
from fluxtui.engine.runtime.objects import Key, Object
from fluxtui.engine.runtime.reconciliation import Reconciliation

T = TypeVar("T")

Step = Callable[[Any, Reconciliation[T]], Awaitable[None]]
"""An async method of the reconciler: does one thing, sets only its own condition, returns nothing; stops the run by
raising an `Outcome`."""


class WatchSource(msgspec.Struct, frozen=True):
    """Another kind whose changes wake objects of this controller."""

    kind: Kind
    requests_for: Callable[[Object | None, Object | None], Iterable[Key]]
    """(old, new) → the objects to reconcile. `old` is None for an object seen for the first time, `new` is None for
    one that is gone. A plain function; it must be quick and must not raise."""
    label_selector: str | None = None
    """Only objects with these labels, their metadata alone, and only once `Cache.demand` has asked for the kind."""
    wants: Callable[[Key, Object], bool] | None = None
    """Whether an object is still to be reconciled for the sake of a changed one: asked when a run ends that was under
    way as the change came, and may have seen it. None: it always is."""


class Reconciler(Protocol[T]):
    """One kind's reconciler; made once per cluster as `Reconciler(cluster)`. Subclass it to inherit the defaults.

    Keep no state of an object between runs other than caches: the object's status is the memory.
    """

    kind: Kind
    type: type[T]
    """Struct the object is decoded into; an object that does not fit is Stalled."""
    manager: str
    """Field manager of finalizers and status, such as "source-controller" or "gotk-kustomize-controller"."""
    controller: str
    """Name of the upstream controller: reporter of events, prefix of the Lease."""
    owned: tuple[str, ...]
    """Condition types the reconciler writes besides Ready, Reconciling and Stalled, most telling first: Ready is
    summarized from them when no step sets Ready itself."""
    negative: tuple[str, ...]
    """Those of `owned` that are bad when True. They are removed by the step that finds them no longer true."""
    steps: tuple[Step[T], ...]
    watches: tuple[WatchSource, ...] = ()
    announces: bool = True
    """Whether a run says at its start that it is under way, as source-controller does; else the step that gets to work
    says so, as kustomize-controller does."""
    failed_reason: str = "Failed"
    """Reason of Ready=False when a step raises something else than an Outcome."""

    async def finalize(self, run: Reconciliation[T]) -> None:
        """Undo what the object stands for, before its finalizer is removed; an Outcome keeps the finalizer."""
        ...

    def interval(self, obj: T) -> float:
        """Seconds until the next run after a success."""
        ...

    def retry_interval(self, obj: T) -> float | None:
        """Seconds until the next run after a failure; None for exponential back-off."""
        return None

    def hold(self, conditions: Conditions) -> bool:
        """Bring the conditions of an object that is suspended in line with its not being reconciled; whether its
        generation counts as observed. Upstream's controllers differ in both."""
        return True

    async def background(self, wake: Callable[[Key], None]) -> None:
        """Runs beside the workers for as long as the controller does, to `wake` objects for reasons of its own."""
        return
