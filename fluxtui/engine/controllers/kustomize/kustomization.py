"""Kustomization: from an artifact to objects in the cluster, kept as the source says.

Fields, conditions, reasons, messages and events are those of docs/spec/v1/kustomizations.md of
fluxcd/kustomize-controller. Beyond upstream: objects are in the inventory before they are applied, so that nothing
applied is ever without an owner; and what is known to be unchanged costs no dry run.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import time
from collections.abc import Callable

import msgspec

from fluxtui.api import durations
from fluxtui.api.kinds import EXTERNAL_ARTIFACT, KUSTOMIZATION, KUSTOMIZE_GROUP
from fluxtui.api.kustomize import Kustomization
from fluxtui.api.meta import HEALTHY, READY, RECONCILING
from fluxtui.engine.adapters import cel
from fluxtui.engine.adapters.cel import ExpressionError
from fluxtui.engine.controllers.kustomize import policy, strict
from fluxtui.engine.controllers.kustomize.applying import apply_objects, collect_garbage
from fluxtui.engine.controllers.kustomize.build import (
    BuildCache,
    BuildFailed,
    Built,
    Order,
    RemoteBases,
    RemoteNeeded,
    UnresolvedVariables,
    cache_key,
    finish,
    is_big,
    make,
    render,
)
from fluxtui.engine.controllers.kustomize.decryption import PlainTexts, decryptor
from fluxtui.engine.controllers.kustomize.decryption_keys import DecryptionError, Secret, read_keys
from fluxtui.engine.controllers.kustomize.dependencies import ReadyExpressionError, missing_dependency
from fluxtui.engine.controllers.kustomize.drift import SWITCH, Budget, report
from fluxtui.engine.controllers.kustomize.drifts import Drifts
from fluxtui.engine.controllers.kustomize.finalizing import delete_objects
from fluxtui.engine.controllers.kustomize.generate import additions_of
from fluxtui.engine.controllers.kustomize.health import Judge, judge_of
from fluxtui.engine.controllers.kustomize.healthchecks import check_health
from fluxtui.engine.controllers.kustomize.references import References, configs_of
from fluxtui.engine.controllers.kustomize.sources import Source, artifact_of, reference
from fluxtui.engine.controllers.kustomize.substitute import SourceMissing, SubstituteError, load_variables
from fluxtui.engine.controllers.kustomize.target import TargetError, target_of
from fluxtui.engine.controllers.kustomize.work import RECONCILIATION_FAILED, Run, Work, elapsed, failed, phase, record
from fluxtui.engine.runtime import configs
from fluxtui.engine.runtime.artifacts import ArtifactError, ArtifactNotFound
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.conclusion import retried
from fluxtui.engine.runtime.conditions import Conditions
from fluxtui.engine.runtime.objects import Key, Object, annotation_of
from fluxtui.engine.runtime.outcomes import Failed, Stalled, Waiting
from fluxtui.engine.runtime.reconciler import Reconciler
from fluxtui.engine.runtime.workers import WorkerLost
from fluxtui.kube.errors import KubeError, NotFound, UnknownKind
from fluxtui.kube.identity import Identity, identity_of
from fluxtui.kube.memory import Memory

ARTIFACT_FAILED = "ArtifactFailed"
BUILD_FAILED = "BuildFailed"
DRIFT_CORRECTED = "DriftCorrected"
DEPENDENCY_NOT_READY = "DependencyNotReady"
INVALID_EXPRESSION = "InvalidCELExpression"
SUCCEEDED = "ReconciliationSucceeded"
_TERMINAL = "Reconciliation failed terminally due to configuration error"


class _Judgement(msgspec.Struct, frozen=True):
    """The health that a spec defines, known before there is anything to judge."""

    judge: Judge | None


class KustomizationReconciler(Reconciler[Kustomization]):
    """Applies Kustomizations; made once per cluster."""

    kind = KUSTOMIZATION
    type = Kustomization
    manager = policy.STATUS_MANAGER
    controller = policy.MANAGER
    owned = (HEALTHY,)
    negative = ()
    announces = False
    failed_reason = RECONCILIATION_FAILED

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._memories = {"": Memory()}
        self._builds = BuildCache()
        self._plain_texts = PlainTexts()
        settings = cluster.settings
        self._drifts = Drifts(cluster.client, Budget(settings.drift_kinds, settings.drift_objects))
        cache = cluster.cache
        references = References(lambda key: cache.get(KUSTOMIZATION, key), lambda found: configs.demand(cache, found))
        self.watches = references.watches(settings.configs_label_selector)

    def hold(self, conditions: Conditions) -> bool:
        """As the base: a failure is not settled by being suspended."""
        if conditions.is_true(READY):
            conditions.delete(RECONCILING)
            return True
        if conditions.is_false(READY):
            retried(conditions)
        return False

    def interval(self, obj: Kustomization) -> float:
        return durations.parse(obj.spec.interval)

    def retry_interval(self, obj: Kustomization) -> float:
        return durations.parse(obj.spec.retry_interval or obj.spec.interval)

    async def refuse(self, run: Run) -> None:
        """Stop at once when expressions can't be read, or not here."""
        if policy.has_expressions(run.object.spec) and not cel.available():
            raise Stalled("CELMissing", cel.EXTRA)
        try:
            run.share(_Judgement(judge_of(run.object.spec.health_check_exprs)))
        except ExpressionError as error:
            raise Stalled(INVALID_EXPRESSION, f"{_TERMINAL}: {error}") from error

    async def resolve(self, run: Run) -> None:
        """Find the source and its artifact."""
        settings = run.cluster.settings
        kind, key = reference(run.object.spec, run.key.namespace)
        if settings.no_cross_namespace_refs and key.namespace != run.key.namespace:
            message = f"can't access '{kind.kind}/{key}', cross-namespace references have been blocked"
            raise Stalled("AccessDenied", message)
        if kind is EXTERNAL_ARTIFACT and not settings.external_artifacts:
            raise Stalled(
                "AccessDenied", f"can't access '{kind.kind}/{key}', ExternalArtifact feature gate is disabled"
            )
        try:
            artifact = artifact_of(await run.cluster.read(kind, key))
        except NotFound:
            message = f'{kind.kind}.{kind.group} "{key.name}" not found'
            raise Failed(ARTIFACT_FAILED, message, event=None) from None
        except UnknownKind as error:
            raise Failed(ARTIFACT_FAILED, f"unable to get source '{key}': {error}") from error
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
        versions = configs.versions(run.cluster.cache, configs_of(run.raw))
        run.share(Work(source, time.monotonic(), fresh, versions, judge=run.shared(_Judgement).judge))

    async def await_dependencies(self, run: Run) -> None:
        """Wait for the Kustomizations that come first."""
        try:
            reason = await missing_dependency(run.cluster, run.object, run.raw, run.shared(Work).source)
        except ReadyExpressionError as error:
            raise Stalled(INVALID_EXPRESSION, f"{_TERMINAL}: {error}") from error
        if reason:
            after = run.cluster.settings.dependency_requeue
            message = f"Dependencies do not meet ready condition, retrying in {durations.text(after)}"
            run.event("Normal", DEPENDENCY_NOT_READY, message)
            raise Waiting(DEPENDENCY_NOT_READY, reason, after, event=None)

    async def fetch(self, run: Run) -> None:
        """Open the artifact and find the path in it."""
        work, spec = run.shared(Work), run.object.spec
        message = phase(run, "Fetching manifests")
        if self._is_news(run):
            await run.announce(message)
        store, artifact = run.cluster.artifacts, work.source.artifact
        try:
            root = await run.resources.enter_async_context(store.open(artifact))
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
            reason = strict.reason(run, strict.PATH_NOT_FOUND, ARTIFACT_FAILED)
            raise Failed(reason, f"kustomization path not found: stat {inside}: no such file or directory")
        run.status["lastAttemptedRevision"] = work.source.revision

    async def build(self, run: Run) -> None:
        """Make the objects of the manifests."""
        work, spec, settings = run.shared(Work), run.object.spec, run.cluster.settings
        phase(run, "Building manifests")
        try:
            target = await target_of(run)
        except TargetError as error:
            raise Failed(RECONCILIATION_FAILED, str(error)) from error
        work.client, work.remote = target.client, target.remote
        # What is known of another cluster is forgotten when the engine ends, and kept apart from this one's.
        work.memory = self._memories.setdefault(target.remote.id if target.remote is not None else "", Memory())
        always = spec.post_build is not None and spec.post_build.substitute_strategy == "Always"
        order = Order(
            root=work.root,
            directory=work.directory,
            additions=additions_of(spec),
            variables=await self._variables(run),
            always=always,
            strict=settings.strict_substitution,
            ignored=work.ignored,
            expects_variables=settings.strict and spec.post_build is not None and bool(spec.post_build.substitute_from),
        )
        work.built = await self._built(run, order)
        work.objects = policy.with_metadata(work.built.objects, spec)
        sealed = policy.encrypted(work.objects)
        if sealed is not None:
            reason = "is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
            raise failed(run, RECONCILIATION_FAILED, f"{identity_of(sealed)} {reason}")
        strict.refuse_empty_build(run)

    async def apply(self, run: Run) -> None:
        """Apply the objects, and say which of them somebody else had changed."""
        work, is_watched = run.shared(Work), self._watches_drift(run)
        drift = self._drifts.of(work.remote if is_watched else None)

        def watched(identity: Identity) -> str:
            return drift.version(run.key, identity) if is_watched else ""

        with drift.applying(run.key) as notes:
            await apply_objects(run, watched)
            self._drifts.forget(run.key, but=drift if is_watched else None)
            if not is_watched:
                return
            changes = work.changes
            corrected = report(changes, notes)
            if corrected:
                run.event("Normal", DRIFT_CORRECTED, corrected)
            drift.track(run.key, changes)

    async def collect(self, run: Run) -> None:
        """Delete what was applied before and is no longer wanted."""
        await collect_garbage(run)

    async def check_health(self, run: Run) -> None:
        """Wait for the health of the objects, if that is asked for."""
        await check_health(run)

    async def conclude(self, run: Run) -> None:
        """Say what was applied."""
        work = run.shared(Work)
        run.status["lastAppliedRevision"] = work.source.revision
        run.status.pop("lastAppliedOriginRevision", None)
        if work.source.origin_revision:
            run.status["lastAppliedOriginRevision"] = work.source.origin_revision
        run.conditions.set(READY, "True", SUCCEEDED, f"Applied revision: {work.source.revision}")
        record(run, SUCCEEDED)
        next_run = durations.text(self.interval(run.object))
        run.event(
            "Normal",
            SUCCEEDED,
            f"Reconciliation finished in {elapsed(work.started)}, next run in {next_run}",
            {f"{KUSTOMIZE_GROUP}/commit_status": "update"},
        )

    steps = (refuse, resolve, await_dependencies, fetch, build, apply, collect, check_health, conclude)

    async def background(self, wake: Callable[[Key], None]) -> None:
        """Look out for drift."""
        if self._cluster.settings.drift_detection:
            await self._drifts.run(wake)

    def _is_news(self, run: Run) -> bool:
        """Whether to say at once that the run is under way: when somebody waits for it. In a retry, what failed stays
        visible until something new is known."""
        status = run.raw.get("status") or {}
        if run.requested:
            return True
        if status.get("observedGeneration") != run.generation:
            shown = run.before.get(RECONCILING)
            return shown is None or shown.observed_generation != run.generation
        revision = run.shared(Work).source.revision
        return status.get("lastAttemptedRevision") != revision and not run.before.is_false(READY)

    def _watches_drift(self, run: Run) -> bool:
        """Whether what a run has applied is to be watched."""
        switch = annotation_of(run.raw, SWITCH).lower()
        return run.cluster.settings.drift_detection and switch != "disabled"

    async def finalize(self, run: Run) -> None:
        """Delete the objects, if the deletion policy wants it."""
        self._drifts.forget(run.key)
        await delete_objects(run, self._memories)

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
            return await load_variables(post_build, read, strict=run.cluster.settings.strict)
        except SourceMissing as error:
            reason = strict.reason(run, strict.SUBSTITUTION_SOURCE_MISSING, BUILD_FAILED)
            raise Failed(reason, f"post build failed: {error}") from error
        except (SubstituteError, KubeError) as error:
            raise Failed(BUILD_FAILED, f"post build failed: {error}") from error

    async def _built(self, run: Run, order: Order) -> Built:
        """The build of an order: the one kept, if it was the same, else a new one."""
        work, decryption = run.shared(Work), run.object.spec.decryption
        try:
            keys = await read_keys(run, decryption) if decryption is not None else None
            digest = keys.digest if keys is not None else ""
            key = cache_key(work.source.artifact.digest, order, run.object.spec.path, digest)
            built = self._builds.get(key)
            if built is None:
                async with asyncio.timeout(policy.timeout_of(run.object.spec)):
                    try:
                        built = await self._made(run, order, keys)
                        self._builds.put(key, built)
                    except RemoteNeeded:
                        if not run.cluster.settings.remote_bases:
                            raise
                        # What others have may change while the artifact does not: such a build is not kept.
                        built = await self._made(run, self._with_remotes(run, order), keys)
        except UnresolvedVariables as error:
            reason = strict.reason(run, strict.UNRESOLVED_VARIABLES, BUILD_FAILED)
            raise Failed(reason, str(error)) from error
        except (BuildFailed, DecryptionError, WorkerLost) as error:
            raise Failed(BUILD_FAILED, str(error)) from error
        except TimeoutError:
            limit = durations.text(policy.timeout_of(run.object.spec))
            raise Failed(BUILD_FAILED, f"kustomize build timed out after {limit}") from None
        return built

    def _with_remotes(self, run: Run, order: Order) -> Order:
        """The same order, with leave to fetch remote bases."""
        protocols = ("http", "https", *(("file",) if run.cluster.settings.file_sources else ()))
        return msgspec.structs.replace(order, remotes=RemoteBases(str(run.cluster.artifacts.remotes), protocols))

    async def _made(self, run: Run, order: Order, keys: Secret | None) -> Built:
        return await (self._build(run, order) if keys is None else self._decrypted(run, order, keys))

    async def _build(self, run: Run, order: Order) -> Built:
        if order.remotes is not None:
            return await run.cluster.workers.wait_for(make, order)
        if await asyncio.to_thread(is_big, order.directory):
            return await run.cluster.workers.run(make, order)
        return await asyncio.to_thread(make, order)

    async def _decrypted(self, run: Run, order: Order, keys: Secret) -> Built:
        async with decryptor(run, keys, self._plain_texts) as opener:
            plain = await opener.sources(order.root, order.directory, order.additions)
            order = msgspec.structs.replace(order, decrypted=plain)
            wait = asyncio.to_thread if order.remotes is None else run.cluster.workers.wait_for
            objects = await opener.objects(await wait(render, order))
        return await asyncio.to_thread(finish, objects, order)
