"""The loop around a reconciler, once for all kinds.

get → deleted: finalize → no finalizer: add it → suspended: stop → steps → again at interval ± jitter.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from fluxtui.api import durations
from fluxtui.api.meta import FINALIZER
from fluxtui.engine.runtime.backoff import Backoff, jittered
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.conclusion import Next
from fluxtui.engine.runtime.objects import Key, Object, generation_of, is_deleting, key_of, requested_at
from fluxtui.engine.runtime.outcomes import Outcome
from fluxtui.engine.runtime.queue import Queue, QueueClosed
from fluxtui.engine.runtime.reconciler import Reconciler, WatchSource
from fluxtui.engine.runtime.reconciliation import Reconciliation
from fluxtui.kube.errors import Conflict, KubeError, NotFound
from fluxtui.kustomize.labelselectors import selects

T = TypeVar("T")

logger = logging.getLogger("fluxtui.engine.controller")


class Controller(Generic[T]):
    """Runs one reconciler over all its objects of one cluster.

    Make all controllers of a cluster first, then run the cluster's cache and the controllers.
    """

    def __init__(self, reconciler: Reconciler[T], cluster: Cluster, concurrency: int = 4) -> None:
        self.reconciler = reconciler
        self.cluster = cluster
        self.queue: Queue[Key] = Queue()
        self.runs = 0
        """Runs so far, finalizations and failures included."""
        self.started = False
        """Whether the first list is there and the workers run."""
        self.concurrency = concurrency
        """Objects reconciled at once."""
        settings = cluster.settings
        self._backoff: Backoff[Key] = Backoff(settings.min_retry, settings.max_retry)
        self._meanwhile: dict[Key, dict[tuple[str, Key], tuple[Callable[[Key, Object], bool], Object]]] = {}
        """Changes of other objects that came while one was reconciled, and who judges them."""
        cluster.cache.subscribe(reconciler.kind, self._changed)
        for source in reconciler.watches:
            self._watch(source)

    async def run(self) -> None:
        """Reconcile until cancelled, or until `stop` and the end of the runs in flight."""
        await self.cluster.cache.wait_synced(self.reconciler.kind)
        self.started = True
        self._say("Starting workers", workers=self.concurrency)
        async with asyncio.TaskGroup() as group:
            aside = group.create_task(self.reconciler.background(self.queue.add))
            async with asyncio.TaskGroup() as workers:
                for number in range(self.concurrency):
                    workers.create_task(self._work(), name=f"{self.reconciler.kind.plural} worker {number}")
            aside.cancel()

    def objects(self) -> list[Object]:
        """What is reconciled, as last seen. Shared: never change it."""
        return [obj for obj in self.cluster.cache.objects(self.reconciler.kind) if self._selects(obj)]

    def stop(self) -> None:
        """Begin no more runs, and let those end that only wait."""
        self.cluster.stopping = True
        self.queue.close()

    async def reconcile(self, key: Key) -> Next:
        """One run over one object, from reading it to the final patch; when to run again."""
        raw = self._find(key)
        if raw is None:
            self._backoff.forget(key)
            return Next()
        self.runs += 1
        if is_deleting(raw):
            return await self._finalize(raw)
        if FINALIZER not in (raw["metadata"].get("finalizers") or []):
            raw = await self._add_finalizer(raw)
        if (raw.get("spec") or {}).get("suspend"):
            self._say("reconciliation is suspended for this object", key=key)
            await Reconciliation(self.reconciler, self.cluster, raw).hold()
            return Next()
        started = time.monotonic()
        async with Reconciliation(self.reconciler, self.cluster, raw) as run:
            await run.start()
            for step in self.reconciler.steps:
                await step(self.reconciler, run)
        if run.failure is None:
            self._backoff.forget(key)
            run.log(logging.INFO, f"reconciliation finished in {durations.text(round(time.monotonic() - started, 3))}")
        return run.next

    async def _finalize(self, raw: Object) -> Next:
        if FINALIZER not in (raw["metadata"].get("finalizers") or []):
            return Next()
        run = Reconciliation(self.reconciler, self.cluster, raw)
        async with run:
            run.decode()
            await self.reconciler.finalize(run)
        if run.failure is not None:
            return run.next if isinstance(run.failure, Outcome) else Next(backoff=True)
        finalizers = [name for name in raw["metadata"]["finalizers"] if name != FINALIZER]
        await self._patch_finalizers(run.raw, finalizers)
        return Next()

    async def _add_finalizer(self, raw: Object) -> Object:
        return await self._patch_finalizers(raw, [*(raw["metadata"].get("finalizers") or []), FINALIZER])

    async def _patch_finalizers(self, raw: Object, finalizers: list[str]) -> Object:
        meta = raw["metadata"]
        patch = {"metadata": {"finalizers": finalizers, "resourceVersion": meta["resourceVersion"]}}
        written = await self.cluster.patch(self.reconciler.kind, key_of(raw), patch, self.reconciler.manager)
        return {**written, "kind": raw["kind"], "apiVersion": raw["apiVersion"]}

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except QueueClosed:
                return
            started, found = time.monotonic(), self._find(key) is not None
            try:
                next = await self._guarded(key)
                self._requeue(key, next)
                if found:
                    seconds = time.monotonic() - started
                    self.cluster.observer.reconciled(self.cluster.id, self.reconciler.kind, key, seconds, _result(next))
            finally:
                # What came while the run was under way may have been seen by it.
                if any(wants(key, obj) for wants, obj in self._meanwhile.pop(key, {}).values()):
                    self.queue.add(key)
                self.queue.done(key)

    async def _guarded(self, key: Key) -> Next:
        """A run that never raises: what fails outside of the run itself is retried with back-off."""
        try:
            return await self.reconcile(key)
        except Conflict:
            return Next(backoff=True)
        except NotFound:
            return Next()
        except KubeError as error:
            self._say(f"reconciliation failed: {error}", level=logging.ERROR, key=key)
        except Exception as error:
            self._say("unexpected error", level=logging.ERROR, key=key, exc_info=error)
        return Next(backoff=True)

    def _requeue(self, key: Key, next: Next) -> None:
        if next.backoff:
            self.queue.add_after(key, self._backoff.next(key))
        elif next.after is not None:
            self.queue.add_after(key, jittered(next.after, self.cluster.settings.interval_jitter))

    def _changed(self, old: Object | None, new: Object | None) -> None:
        """Decide whether a change of an object of the reconciler's kind is a reason to run."""
        if new is None:
            if old is not None:
                self.queue.discard(key_of(old))
                self.cluster.observer.gone(self.cluster.id, self.reconciler.kind, key_of(old))
            return
        if not self._selects(new):
            self.queue.discard(key_of(new))
            return
        if old is None or _is_reason(old, new) or not self._selects(old):
            self._backoff.forget(key_of(new))
            self.queue.add(key_of(new))

    def _find(self, key: Key) -> Object | None:
        """The object of a key as last seen, if it is one to reconcile."""
        raw = self.cluster.cache.get(self.reconciler.kind, key)
        return raw if raw is not None and self._selects(raw) else None

    def _selects(self, obj: Object) -> bool:
        """Whether an object is of the shard that this engine reconciles."""
        selector = self.cluster.settings.label_selector
        return not selector or selects(selector, obj["metadata"].get("labels") or {})

    def _watch(self, source: WatchSource) -> None:
        def changed(old: Object | None, new: Object | None) -> None:
            for key in source.requests_for(old, new):
                if new is not None and source.wants is not None and self.queue.is_processing(key):
                    self._meanwhile.setdefault(key, {})[source.kind.kind, key_of(new)] = source.wants, new
                else:
                    self.queue.add(key)

        self.cluster.cache.subscribe(source.kind, changed, source.label_selector)

    def _say(
        self,
        message: str,
        *,
        level: int = logging.INFO,
        key: Key | None = None,
        exc_info: Exception | None = None,
        **fields: Any,
    ) -> None:
        kind = self.reconciler.kind
        identity: dict[str, Any] = {
            "controller": kind.kind.lower(),
            "controllerGroup": kind.group,
            "controllerKind": kind.kind,
            "cluster": self.cluster.id,
        }
        if key is not None:
            identity |= {kind.kind: {"name": key.name, "namespace": key.namespace}} | key._asdict()
        logger.log(level, message, exc_info=exc_info, extra={"fields": {**identity, **fields}})


def _result(next: Next) -> str:
    """How controller-runtime would count a run."""
    if next.backoff:
        return "error"
    return "success" if next.after is None else "requeue_after"


def _is_reason(old: Object, new: Object) -> bool:
    """Whether the user changed something: the spec, a request, the deletion; our own status writes are none."""
    if old["metadata"].get("uid") != new["metadata"].get("uid"):
        return True
    return (
        generation_of(old) != generation_of(new)
        or is_deleting(old) != is_deleting(new)
        or (requested_at(new) != requested_at(old) and bool(requested_at(new)))
    )
