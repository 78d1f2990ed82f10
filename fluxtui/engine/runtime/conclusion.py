"""How a run ended, judged once for all kinds: what its conditions say, what is reported, when it runs again."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from fluxtui.api.meta import READY, RECONCILING, STALLED
from fluxtui.engine.runtime.conditions import Conditions
from fluxtui.engine.runtime.outcomes import Failed, Outcome, Stalled, Unchanged, Waiting
from fluxtui.kube.errors import KubeError

if TYPE_CHECKING:
    from fluxtui.engine.runtime.reconciler import Reconciler

T = TypeVar("T")

PROGRESSING_WITH_RETRY = "ProgressingWithRetry"


class Next(msgspec.Struct, frozen=True):
    """When to run again: after some seconds, after the back-off of failures, or (neither) when something happens."""

    after: float | None = None
    backoff: bool = False

    @property
    def result(self) -> str:
        """How controller-runtime counts such an end: "error", "requeue_after" or "success"."""
        if self.backoff:
            return "error"
        return "success" if self.after is None else "requeue_after"


class Conclusion(msgspec.Struct, frozen=True):
    """What follows from the end of a run."""

    next: Next = Next()
    outcome: Outcome | None = None
    """What is to be reported."""
    observed: bool = False
    """Whether the generation has been dealt with."""
    bug: bool = False
    """Whether the run ended by something no step is supposed to raise."""


def conclude(
    reconciler: Reconciler[T], obj: T | None, conditions: Conditions, error: Exception | None, *, summarize: bool = True
) -> Conclusion:
    """Bring the conditions in line with how a run over `obj` (None: not decoded) ended.

    Without `summarize` a success leaves them as they are, as for an object that is deleted.
    """
    if error is None or isinstance(error, Unchanged):
        if not summarize or obj is None:
            return Conclusion(outcome=error)
        return _succeeded(reconciler, obj, conditions, error)
    bug = not isinstance(error, Outcome | KubeError)
    outcome = error if isinstance(error, Outcome) else Failed(reconciler.failed_reason, _message(error))
    if outcome.condition:
        conditions.mark(outcome.condition, "True", outcome.reason, outcome.message)
    if isinstance(outcome, Stalled):
        conditions.mark(READY, "False", *outcome.ready)
        conditions.mark(STALLED, "True", outcome.reason, outcome.message)
        return Conclusion(Next(), outcome, observed=True)
    conditions.mark(READY, "False", outcome.reason, outcome.message)
    shown = conditions.get(RECONCILING)
    conditions.delete(STALLED)
    if shown is not None or reconciler.announces:
        message = shown.message if shown is not None else outcome.message
        conditions.mark(RECONCILING, "True", PROGRESSING_WITH_RETRY, message)
    return Conclusion(_retry(reconciler, obj, outcome), outcome, bug=bug)


def retried(conditions: Conditions) -> None:
    """Have Reconciling, where it is shown, say that what failed is tried again."""
    shown = conditions.get(RECONCILING)
    if shown is not None:
        conditions.mark(RECONCILING, "True", PROGRESSING_WITH_RETRY, shown.message)


def _succeeded(reconciler: Reconciler[T], obj: T, conditions: Conditions, outcome: Unchanged | None) -> Conclusion:
    conditions.delete(RECONCILING)
    conditions.delete(STALLED)
    if not conditions.was_set(READY):
        conditions.summarize(reconciler.owned, reconciler.negative)
    if conditions.is_true(READY):
        return Conclusion(Next(after=reconciler.interval(obj)), outcome, observed=True)
    # The steps passed and yet a condition they own says that something is wrong: try again soon.
    ready = conditions.get(READY)
    reason, message = (ready.reason, ready.message) if ready else ("Failed", "no condition was set")
    conditions.mark(READY, "False", reason, message)
    return Conclusion(Next(backoff=True), outcome, observed=True)


def _retry(reconciler: Reconciler[T], obj: T | None, outcome: Outcome) -> Next:
    if isinstance(outcome, Waiting):
        return Next(after=outcome.after)
    retry = reconciler.retry_interval(obj) if obj is not None else None
    return Next(backoff=True) if retry is None else Next(after=retry)


def _message(error: Exception) -> str:
    if isinstance(error, KubeError):
        return str(error) or type(error).__name__
    return f"{type(error).__name__}: {error}"
