"""How a simulated pod behaves, as annotations of the pod template (or of the workload) say.

sandbox.fluxtui.dev/behavior      ready, crash, image-pull, never-ready, complete, fail, slow; without it ready, or
                                  complete for what is to end (restartPolicy Never or OnFailure)
sandbox.fluxtui.dev/delay         seconds until a pod is ready or done: "2s", "500ms"
sandbox.fluxtui.dev/exit-message  the last words of a container that crashes or fails
sandbox.fluxtui.dev/log           a line of the container's log
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

Object = dict[str, Any]

PREFIX = "sandbox.fluxtui.dev/"
BEHAVIORS = ("ready", "crash", "image-pull", "never-ready", "complete", "fail", "slow")
SLOW_SECONDS = 15.0
_DELAY = re.compile(r"([0-9.]+)(ms|s|m)")


class Behavior(msgspec.Struct, frozen=True):
    """What becomes of a pod."""

    what: str
    unknown: str
    """What was asked for but is no behavior."""
    delay: float
    """Seconds from the start of the pod to its being ready or done."""
    exit_message: str
    log: str


def behavior_of(pod: Object, *, job: bool) -> Behavior:
    """The behavior of a pod; pods of Jobs, and those that are not started again, complete unless told otherwise."""
    annotations = pod["metadata"].get("annotations") or {}
    ends = job or pod["spec"].get("restartPolicy", "Always") != "Always"
    what = annotations.get(f"{PREFIX}behavior", "complete" if ends else "ready")
    unknown = "" if what in BEHAVIORS else what
    if unknown:
        what = "ready"
    found = _DELAY.fullmatch(annotations.get(f"{PREFIX}delay", ""))
    if found:
        delay = float(found[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0}[found[2]]
    else:
        delay = SLOW_SECONDS if what == "slow" else 0.3 + _fraction(pod["metadata"]["name"]) * 0.9
    return Behavior(
        what,
        unknown,
        delay,
        annotations.get(f"{PREFIX}exit-message", "fatal: exit"),
        annotations.get(f"{PREFIX}log", ""),
    )


def _fraction(text: str) -> float:
    """A number between 0 and 1 that is always the same for a text."""
    return hashlib.sha256(text.encode()).digest()[0] / 255
