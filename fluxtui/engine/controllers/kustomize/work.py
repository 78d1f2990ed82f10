"""What the steps of one reconciliation of a Kustomization hand on, and what they note of it."""

from __future__ import annotations

import time

import msgspec

from fluxtui.api import durations
from fluxtui.api.kustomize import Kustomization
from fluxtui.api.meta import RECONCILING
from fluxtui.engine.controllers.kustomize import policy
from fluxtui.engine.controllers.kustomize.build import Built
from fluxtui.engine.controllers.kustomize.drifts import Remote
from fluxtui.engine.controllers.kustomize.health import Judge
from fluxtui.engine.controllers.kustomize.history import recorded
from fluxtui.engine.controllers.kustomize.sources import Source
from fluxtui.engine.runtime.configs import Config
from fluxtui.engine.runtime.objects import Object, now
from fluxtui.engine.runtime.outcomes import Failed
from fluxtui.engine.runtime.reconciliation import Reconciliation
from fluxtui.kube.changes import ChangeSet
from fluxtui.kube.client import Client
from fluxtui.kube.inventory import Inventory
from fluxtui.kube.memory import Memory

PROGRESSING = "Progressing"
RECONCILIATION_FAILED = "ReconciliationFailed"

Run = Reconciliation[Kustomization]


class Work(msgspec.Struct):
    """What is known so far; each step adds its part."""

    source: Source
    started: float
    """By the monotonic clock."""
    fresh: bool
    """Whether somebody changed something: the object, the source, or a request."""
    configs: dict[Config, str] = {}
    """The resourceVersions of what it refers to, as watched when the run began."""
    judge: Judge | None = None
    """The health that `spec.healthCheckExprs` define."""
    root: str = ""
    """The directory of the artifact."""
    directory: str = ""
    """`spec.path` in it."""
    ignored: frozenset[str] = frozenset()
    """Absolute paths below the root that are not collected: what an artifact would not have."""
    client: Client | None = None
    """Applies to the target cluster, as the ServiceAccount if there is one."""
    remote: Remote | None = None
    """The target cluster, when it is not the engine's own."""
    memory: Memory = msgspec.field(default_factory=Memory)
    """What is known of the objects of the target cluster."""
    built: Built | None = None
    objects: list[Object] = []
    before: Inventory = msgspec.field(default_factory=Inventory)
    changes: ChangeSet = msgspec.field(default_factory=ChangeSet)

    @property
    def target(self) -> Client:
        """The client of the target cluster, once it is known."""
        assert self.client is not None, "the build step connects to the target"
        return self.client


def phase(run: Run, doing: str) -> str:
    """Note what is being done, for whoever reads the status when it fails; the message is returned."""
    revision = run.shared(Work).source.revision
    limit = durations.text(policy.timeout_of(run.object.spec))
    message = f"{doing} for revision {revision} with a timeout of {limit}"
    run.conditions.mark(RECONCILING, "True", PROGRESSING, message)
    return message


def failed(run: Run, reason: str, message: str) -> Failed:
    """The outcome of a run that got as far as having built something, noted in the history."""
    record(run, reason)
    return Failed(reason, message)


def record(run: Run, status: str) -> None:
    """Note in the history how the run ended."""
    work = run.shared(Work)
    assert work.built is not None, "nothing is recorded before the build"
    metadata = {"revision": work.source.revision}
    if work.source.origin_revision:
        metadata["originRevision"] = work.source.origin_revision
    run.status["history"] = recorded(
        run.status.get("history") or [],
        work.built.digest,
        now(),
        time.monotonic() - work.started,
        status,
        metadata,
    )


def elapsed(started: float) -> str:
    """The time since a moment of the monotonic clock, as Go writes durations."""
    return durations.text(round(time.monotonic() - started, 9))
