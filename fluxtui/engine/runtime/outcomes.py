"""How a run of a reconciler ends early: what a step raises.

    Outcome
    ├── Stalled   a human has to act; not retried until the object or the world it watches changes
    ├── Waiting   something else has to come first; looked at again after a while
    ├── Failed    retried at the retry interval, or with exponential back-off
    └── Unchanged nothing to do; the run counts as a success

The vocabulary is that of source-controller's `internal/error`. Anything else a step raises is a bug, except a
`KubeError`, which counts as Failed.
"""

from __future__ import annotations

from typing import Literal

EventType = Literal["Normal", "Warning", "Trace"]
"""A trace is Normal in the cluster, and is no news for notification-controller."""


class Outcome(Exception):
    """Ends a run. `str()` is the message, a sentence for users that becomes the Ready condition's.

    `condition` names a condition of negative polarity (such as FetchFailed) that becomes True with the same reason and
    message. `event` is the type of the event recorded, None for no event.
    """

    def __init__(self, reason: str, message: str, *, condition: str = "", event: EventType | None = "Warning") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.condition = condition
        self.event = event


class Stalled(Outcome):
    """The object can't be reconciled as it is: Stalled=True, Ready=False, and no retry.

    `ready` is (reason, message) of the Ready condition where that says something else than Stalled.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        ready: tuple[str, str] | None = None,
        condition: str = "",
        event: EventType | None = "Warning",
    ) -> None:
        super().__init__(reason, message, condition=condition, event=event)
        self.ready = ready or (reason, message)


class Waiting(Outcome):
    """Something else has to come first: Ready=False, looked at again after `after` seconds."""

    def __init__(
        self, reason: str, message: str, after: float, *, condition: str = "", event: EventType | None = "Normal"
    ) -> None:
        super().__init__(reason, message, condition=condition, event=event)
        self.after = after


class Failed(Outcome):
    """The run failed and is retried: Ready=False."""


class Unchanged(Outcome):
    """Nothing has to be done: the run ends as a success, conditions stay as the steps left them."""

    def __init__(self, reason: str, message: str, *, event: EventType | None = "Trace") -> None:
        super().__init__(reason, message, event=event)
