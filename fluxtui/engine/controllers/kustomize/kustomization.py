"""Kustomization: from an artifact to objects in the cluster, kept as the source says.

Fields, conditions, reasons, messages and events are those of docs/spec/v1/kustomizations.md of
fluxcd/kustomize-controller. Beyond upstream: objects are in the inventory before they are applied, so that nothing
applied is ever without an owner; and what is known to be unchanged costs no dry run.
"""

from __future__ import annotations

import asyncio
import logging
import os
import posixpath
import time

import msgspec

from fluxtui.api import durations
from fluxtui.api.kinds import KUSTOMIZATION, KUSTOMIZE_GROUP
from fluxtui.api.kustomize import Kustomization
from fluxtui.api.meta import HEALTHY, READY, RECONCILING
from fluxtui.engine.controllers.kustomize import policy
from fluxtui.engine.controllers.kustomize.build import BuildCache, BuildFailed, Built, Order, cache_key, is_big, make
from fluxtui.engine.controllers.kustomize.dependencies import missing_dependency
from fluxtui.engine.controllers.kustomize.finalizing import delete_objects
from fluxtui.engine.controllers.kustomize.generate import additions_of
from fluxtui.engine.controllers.kustomize.history import recorded
from fluxtui.engine.controllers.kustomize.ignore import IgnoreError, ignored
from fluxtui.engine.controllers.kustomize.impersonation import client_for
from fluxtui.engine.controllers.kustomize.placement import placed
from fluxtui.engine.controllers.kustomize.references import References
from fluxtui.engine.controllers.kustomize.sources import Source, artifact_of, opened, reference
from fluxtui.engine.controllers.kustomize.substitute import SubstituteError, load_variables
from fluxtui.engine.runtime.artifacts import ArtifactError, ArtifactNotFound
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.objects import Object, now
from fluxtui.engine.runtime.outcomes import Failed, Outcome, Stalled, Waiting
from fluxtui.engine.runtime.reconciler import Reconciler
from fluxtui.engine.runtime.reconciliation import Reconciliation
from fluxtui.engine.runtime.workers import WorkerLost
from fluxtui.kube.apply import Applier, ApplyError
from fluxtui.kube.changes import Action, ChangeSet
from fluxtui.kube.client import Client
from fluxtui.kube.errors import KubeError, NotFound
from fluxtui.kube.health import HealthError, wait_until_ready
from fluxtui.kube.identity import Identity, identity_of
from fluxtui.kube.inventory import Inventory, InventoryError
from fluxtui.kube.memory import Memory
from fluxtui.kube.plan import ApplyOptions
from fluxtui.kube.prune import PruneError, prune

PROGRESSING = "Progressing"
ARTIFACT_FAILED = "ArtifactFailed"
BUILD_FAILED = "BuildFailed"
DEPENDENCY_NOT_READY = "DependencyNotReady"
HEALTH_CHECK_FAILED = "HealthCheckFailed"
PRUNE_FAILED = "PruneFailed"
RECONCILIATION_FAILED = "ReconciliationFailed"
SUCCEEDED = "ReconciliationSucceeded"
UNSUPPORTED = "UnsupportedFeature"

Run = Reconciliation[Kustomization]


class _Work(msgspec.Struct):
    """What the steps hand on."""

    source: Source
    started: float
    fresh: bool
    """Whether somebody changed something: the object, the source, or a request."""
    root: str = ""
    directory: str = ""
    client: Client | None = None
    built: Built | None = None
    objects: list[Object] = []
    before: Inventory = msgspec.field(default_factory=Inventory)
    changes: ChangeSet = msgspec.field(default_factory=ChangeSet)


class KustomizationReconciler(Reconciler[Kustomization]):
    """Applies Kustomizations; made once per cluster."""

    kind = KUSTOMIZATION
    type = Kustomization
    manager = policy.STATUS_MANAGER
    controller = policy.MANAGER
    owned = (HEALTHY,)
    negative = ()
    failed_reason = RECONCILIATION_FAILED

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._memory = Memory()
        self._builds = BuildCache()
        self.watches = References(lambda key: cluster.cache.get(KUSTOMIZATION, key)).watches()

    def interval(self, obj: Kustomization) -> float:
        return durations.parse(obj.spec.interval)

    def retry_interval(self, obj: Kustomization) -> float:
        return durations.parse(obj.spec.retry_interval or obj.spec.interval)

    async def refuse(self, run: Run) -> None:
        """Name what this engine can't do, rather than leave it out in silence."""
        reason = policy.unsupported(run.object.spec)
        if reason:
            raise Stalled(UNSUPPORTED, reason)

    async def resolve(self, run: Run) -> None:
        """Find the source and its artifact."""
        settings = run.cluster.settings
        kind, key = reference(run.object.spec, run.key.namespace)
        if settings.no_cross_namespace_refs and key.namespace != run.key.namespace:
            message = f"can't access '{kind.kind}/{key}', cross-namespace references have been blocked"
            raise Stalled("AccessDenied", message)
        try:
            artifact = artifact_of(await run.cluster.read(kind, key))
        except NotFound:
            message = f'{kind.kind}.{kind.group} "{key.name}" not found'
            raise Failed(ARTIFACT_FAILED, message, event=None) from None
        if artifact is None:
            after = settings.dependency_requeue
            message = f"Source artifact not found, retrying in {durations.text(after)}"
            raise Waiting(ARTIFACT_FAILED, message, after, event=None)
        source = Source(kind, key, artifact)
        run.annotations = {f"{KUSTOMIZE_GROUP}/revision": source.revision}
        if source.origin_revision:
            run.annotations[f"{KUSTOMIZE_GROUP}/originRevision"] = source.origin_revision
        status = run.raw.get("status") or {}
        fresh = (
            run.requested
            or status.get("observedGeneration") != run.generation
            or status.get("lastAttemptedRevision") != source.revision
        )
        run.share(_Work(source, time.monotonic(), fresh))

    async def await_dependencies(self, run: Run) -> None:
        """Wait for the Kustomizations that come first."""
        reason = await missing_dependency(run.cluster, run.object, run.shared(_Work).source)
        if reason:
            after = run.cluster.settings.dependency_requeue
            message = f"Dependencies do not meet ready condition, retrying in {durations.text(after)}"
            run.event("Normal", DEPENDENCY_NOT_READY, message)
            raise Waiting(DEPENDENCY_NOT_READY, reason, after, event=None)

    async def fetch(self, run: Run) -> None:
        """Open the artifact and find the path in it."""
        work, spec = run.shared(_Work), run.object.spec
        message = self._phase(run, "Fetching manifests")
        if work.fresh and not run.before.is_false(READY):
            await run.progress(message)
        store, artifact = run.cluster.artifacts, work.source.artifact
        try:
            root = await run.resources.enter_async_context(opened(store, artifact))
        except ArtifactNotFound as error:
            after = run.cluster.settings.dependency_requeue
            message = f"Source is not ready, artifact not found, retrying in {durations.text(after)}"
            raise Waiting(ARTIFACT_FAILED, message, after, event=None) from error
        except ArtifactError as error:
            raise Failed(ARTIFACT_FAILED, str(error)) from error
        work.root = str(root)
        # Leading `..` are clamped to the artifact.
        inside = posixpath.normpath(posixpath.join("/", spec.path)).lstrip("/")
        work.directory = posixpath.join(work.root, inside) if inside else work.root
        if not await asyncio.to_thread(os.path.isdir, work.directory):
            raise Failed(ARTIFACT_FAILED, f"kustomization path not found: stat {inside}: no such file or directory")
        run.status["lastAttemptedRevision"] = work.source.revision

    async def build(self, run: Run) -> None:
        """Make the objects of the manifests."""
        work, spec = run.shared(_Work), run.object.spec
        self._phase(run, "Building manifests")
        work.client = client_for(
            run.cluster.client,
            run.key.namespace,
            spec.service_account_name or run.cluster.settings.default_service_account,
        )
        always = spec.post_build is not None and spec.post_build.substitute_strategy == "Always"
        order = Order(
            root=work.root,
            directory=work.directory,
            additions=additions_of(spec),
            variables=await self._variables(run),
            always=always,
        )
        key = cache_key(work.source.artifact.digest, order, spec.path)
        built = self._builds.get(key)
        if built is None:
            built = await self._build(run, order)
            self._builds.put(key, built)
        work.built = built
        work.objects = policy.with_metadata(built.objects, spec)
        sealed = policy.encrypted(work.objects)
        if sealed is not None:
            reason = "is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
            raise self._failed(run, RECONCILIATION_FAILED, f"{identity_of(sealed)} {reason}")

    async def apply(self, run: Run) -> None:
        """Apply the objects; whatever may come of it, the inventory has all that may be in the cluster."""
        work = run.shared(_Work)
        message = self._phase(run, "Detecting drift")
        try:
            options = self._options(run)
            work.before = Inventory.of_status(run.status.get("inventory"))
        except (IgnoreError, InventoryError) as error:
            raise self._failed(run, RECONCILIATION_FAILED, str(error)) from error
        wanted = await placed(run.cluster.client, work.objects)
        if wanted - work.before:
            run.status["inventory"] = (work.before | wanted).to_status()
            await run.progress(message)
        assert work.client is not None
        applier = Applier(work.client, self._memory)
        try:
            async with asyncio.timeout(policy.timeout_of(run.object.spec)):
                work.changes = await applier.apply(work.objects, options)
        except ApplyError as error:
            if not error.attempted:
                run.status["inventory"] = work.before.to_status()
                if not len(work.before):
                    del run.status["inventory"]
            raise self._failed(run, RECONCILIATION_FAILED, f"{error}\n{error.changes.changed}") from error
        except TimeoutError:
            limit = durations.text(policy.timeout_of(run.object.spec))
            raise self._failed(run, RECONCILIATION_FAILED, f"apply timed out after {limit}") from None
        run.status["inventory"] = work.changes.inventory.to_status()
        self._tell(run, work.changes)

    async def collect(self, run: Run) -> None:
        """Delete what was applied before and is no longer wanted."""
        work = run.shared(_Work)
        stale = work.before - work.changes.inventory
        if not run.object.spec.prune or not len(stale):
            return
        assert work.client is not None
        living = frozenset(change.live["metadata"]["uid"] for change in work.changes if change.live is not None)
        try:
            deleted = await prune(work.client, stale, policy.prune_options(run.key, living), self._memory)
        except PruneError as error:
            settled = error.changes.of(Action.DELETED, Action.SKIPPED).inventory
            run.status["inventory"] = (work.changes.inventory | (stale - settled)).to_status()
            raise self._failed(run, PRUNE_FAILED, str(error)) from error
        run.event("Normal", PROGRESSING, str(deleted))

    async def check_health(self, run: Run) -> None:
        """Wait for the health of what was applied, or of what `healthChecks` names."""
        work, spec = run.shared(_Work), run.object.spec
        wanted = self._checked(run)
        if not wanted:
            run.conditions.delete(HEALTHY)
            return
        message = self._phase(run, "Running health checks")
        known = {change.identity: change.live for change in work.changes if change.live is not None}
        if work.fresh:
            run.conditions.set(HEALTHY, "Unknown", PROGRESSING, message)
            await run.progress(message)
        assert work.client is not None
        started = time.monotonic()
        try:
            await wait_until_ready(
                work.client,
                wanted,
                policy.timeout_of(spec),
                known=known,
                may_vanish=policy.vanishing_jobs(work.objects),
            )
        except HealthError as error:
            run.conditions.set(HEALTHY, "False", HEALTH_CHECK_FAILED, str(error))
            reason = f"health check failed after {_seconds(started)}: {error}"
            raise self._failed(run, HEALTH_CHECK_FAILED, reason) from error
        message = f"Health check passed in {_seconds(started)}"
        new_revision = (run.raw.get("status") or {}).get("lastAppliedRevision") != work.source.revision
        was_healthy = run.before.is_true(HEALTHY)
        if not was_healthy or (new_revision and len(work.changes.changed)):
            run.event("Normal", PROGRESSING, message)
        if work.fresh or not was_healthy:
            run.conditions.set(HEALTHY, "True", "Succeeded", message)

    async def conclude(self, run: Run) -> None:
        """Say what was applied."""
        work = run.shared(_Work)
        run.status["lastAppliedRevision"] = work.source.revision
        run.status.pop("lastAppliedOriginRevision", None)
        if work.source.origin_revision:
            run.status["lastAppliedOriginRevision"] = work.source.origin_revision
        run.conditions.set(READY, "True", SUCCEEDED, f"Applied revision: {work.source.revision}")
        self._record(run, SUCCEEDED)
        next_run = durations.text(self.interval(run.object))
        run.event(
            "Normal",
            SUCCEEDED,
            f"Reconciliation finished in {_seconds(work.started)}, next run in {next_run}",
            {f"{KUSTOMIZE_GROUP}/commit_status": "update"},
        )

    steps = (refuse, resolve, await_dependencies, fetch, build, apply, collect, check_health, conclude)

    async def finalize(self, run: Run) -> None:
        """Delete the objects, if the deletion policy wants it."""
        await delete_objects(run, self._memory)

    async def _variables(self, run: Run) -> dict[str, str] | None:
        post_build = run.object.spec.post_build
        if post_build is None:
            return None
        client = run.cluster.client

        async def read(kind: str, name: str) -> Object | None:
            try:
                resource = await client.resource_for(("", "v1", kind))
                return await client.get(resource, name, run.key.namespace)
            except NotFound:
                return None

        try:
            return await load_variables(post_build, read)
        except (SubstituteError, KubeError) as error:
            raise Failed(BUILD_FAILED, f"post build failed: {error}") from error

    async def _build(self, run: Run, order: Order) -> Built:
        try:
            async with asyncio.timeout(policy.timeout_of(run.object.spec)):
                if await asyncio.to_thread(is_big, order.directory):
                    return await run.cluster.workers.run(make, order)
                return await asyncio.to_thread(make, order)
        except (BuildFailed, WorkerLost) as error:
            raise Failed(BUILD_FAILED, str(error)) from error
        except TimeoutError:
            limit = durations.text(policy.timeout_of(run.object.spec))
            raise Failed(BUILD_FAILED, f"kustomize build timed out after {limit}") from None

    def _options(self, run: Run) -> ApplyOptions:
        spec = run.object.spec
        return ApplyOptions(
            manager=policy.MANAGER,
            owner=policy.owner_labels(run.key),
            marks=policy.MARKS,
            force=spec.force,
            ignored=ignored(spec.ignore),
            thorough=run.shared(_Work).fresh,
        )

    def _checked(self, run: Run) -> dict[Identity, str]:
        """What has to be healthy, the Kustomization itself left out."""
        work, spec = run.shared(_Work), run.object.spec
        wanted = policy.checked_objects(spec)
        if spec.wait:
            applied = (change for change in work.changes if change.action is not Action.SKIPPED)
            wanted = {change.identity: change.version for change in applied}
        wanted.pop(Identity(run.key.namespace, run.key.name, KUSTOMIZE_GROUP, KUSTOMIZATION.kind), None)
        return wanted

    def _phase(self, run: Run, doing: str) -> str:
        """Note what is being done, for whoever reads the status when it fails; the message is returned."""
        revision = run.shared(_Work).source.revision
        limit = durations.text(policy.timeout_of(run.object.spec))
        message = f"{doing} for revision {revision} with a timeout of {limit}"
        run.conditions.mark(RECONCILING, "True", PROGRESSING, message)
        return message

    def _tell(self, run: Run, changes: ChangeSet) -> None:
        """Record what was changed, and which fields the schema does not have."""
        if len(changes.changed):
            run.event("Normal", PROGRESSING, str(changes.changed))
        for change in changes:
            if change.dropped and change.action.is_change:
                fields = ", ".join(change.dropped)
                run.log(logging.WARNING, f"{change.identity}: fields not in the schema were left out: {fields}")

    def _failed(self, run: Run, reason: str, message: str) -> Outcome:
        """The outcome of a run that got as far as having built something, noted in the history."""
        self._record(run, reason)
        return Failed(reason, message)

    def _record(self, run: Run, status: str) -> None:
        work = run.shared(_Work)
        assert work.built is not None
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


def _seconds(started: float) -> str:
    return durations.text(round(time.monotonic() - started, 9))
