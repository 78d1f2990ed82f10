"""The reconciler of HelmReleases: prerequisites, chart, values, then actions until the release is in sync.

Source: docs/spec/v2/helmreleases.md of fluxcd/helm-controller. Thin: charts come from a path of a GitRepository,
without a HelmChart object between; what this reconciler does not do, it refuses by the name of the field.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import msgspec

from fluxtui.api import durations, kinds
from fluxtui.api.helm import ChartSourceReference, HelmRelease
from fluxtui.api.kinds import HELM_GROUP
from fluxtui.api.meta import RECONCILING
from fluxtui.api.source import Artifact
from fluxtui.engine.adapters import helm
from fluxtui.engine.adapters.helm import ChartError, HelmMissing, ValuesError
from fluxtui.engine.adapters.helm_storage import Release, StorageError
from fluxtui.engine.controllers.helm import remediation
from fluxtui.engine.controllers.helm import values as release_values
from fluxtui.engine.controllers.helm.actions import ActionFailed, Actions, Desired
from fluxtui.engine.controllers.helm.releases import (
    MANAGER,
    Storage,
    chart_name,
    config_digest,
    full_name,
    release_name,
    release_namespace,
    snapshot,
    storage_namespace,
)
from fluxtui.engine.controllers.helm.remediation import RELEASED, Run
from fluxtui.engine.controllers.helm.sources import load_chart, unsupported
from fluxtui.engine.controllers.helm.state import State, determine
from fluxtui.engine.runtime import configs
from fluxtui.engine.runtime.artifacts import ArtifactError
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.configs import Config
from fluxtui.engine.runtime.objects import Key, Object, key_of
from fluxtui.engine.runtime.outcomes import Failed, Stalled, Waiting
from fluxtui.engine.runtime.reconciler import Reconciler, WatchSource
from fluxtui.engine.runtime.reconciliation import PROGRESSING
from fluxtui.kube.errors import NotFound

DRIFTED = "Drifted"
_MAX_ACTIONS = 4


class _Prepared(msgspec.Struct):
    """What the first steps hand to the last."""

    desired: Desired


class HelmReleaseReconciler(Reconciler[HelmRelease]):
    """Keeps Helm releases as declared; made once per cluster."""

    kind = kinds.HELM_RELEASE
    type = HelmRelease
    manager = MANAGER
    controller = "helm-controller"
    owned = (RELEASED,)
    negative = ()

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.steps = (
            HelmReleaseReconciler.check,
            HelmReleaseReconciler.await_dependencies,
            HelmReleaseReconciler.prepare,
            HelmReleaseReconciler.release,
        )
        self.watches = (
            WatchSource(kinds.GIT_REPOSITORY, self._releases_of_source),
            WatchSource(kinds.HELM_RELEASE, self._dependents),
            *configs.watches(cluster.settings.configs_label_selector, self._users),
        )

    def interval(self, obj: HelmRelease) -> float:
        """`spec.interval`."""
        return durations.parse(obj.spec.interval)

    async def check(self, run: Run) -> None:
        """Refuse what can't be done here: a missing extra, fields this engine does not know yet."""
        if not helm.available():
            raise Stalled("HelmMissing", helm.EXTRA)
        refused = sorted(unsupported(run.object))
        if refused:
            raise Stalled("Unsupported", f"this engine does not support {', '.join(refused)} yet")
        if RECONCILING in run.conditions:
            run.conditions.mark(RECONCILING, "True", PROGRESSING, "Fulfilling prerequisites")

    async def await_dependencies(self, run: Run) -> None:
        """Wait until every `spec.dependsOn` is ready."""
        for dependency in run.object.spec.depends_on:
            key = Key(dependency.namespace or run.key.namespace, dependency.name)
            try:
                found = await self.cluster.read(self.kind, key)
            except NotFound:
                found = None
            if found is None or not _is_ready(found):
                message = f"dependency '{key}' is not ready"
                if found is None:
                    missing = f'{self.kind.plural}.{self.kind.group} "{key.name}" not found'
                    message = f"unable to get '{key}' dependency: {missing}"
                raise Waiting("DependencyNotReady", message, self.cluster.settings.dependency_requeue)

    async def prepare(self, run: Run) -> None:
        """Load the chart from its source and compose the values."""
        obj = run.object
        template = obj.spec.chart
        assert template is not None, "refused before"
        artifact = await self._artifact(run, template.spec.source_ref)
        try:
            async with self.cluster.artifacts.open(artifact) as root:
                chart = await asyncio.to_thread(load_chart, root, template.spec, artifact.revision, run.generation)
            values = await release_values.compose(self.cluster, obj)
        except HelmMissing as error:
            raise Stalled("HelmMissing", str(error)) from error
        except (ChartError, ArtifactError) as error:
            raise Failed("ChartLoadFailed", f"could not load chart: {error}") from error
        except ValuesError as error:
            raise Failed("ValuesError", str(error)) from error
        desired = Desired(
            name=release_name(obj),
            namespace=release_namespace(obj),
            storage_namespace=storage_namespace(obj),
            owner=(run.key.namespace, run.key.name),
            chart=chart,
            values=values,
            spec=obj.spec,
        )
        digest = config_digest(values)
        run.annotations = {
            f"{HELM_GROUP}/revision": chart.version,
            f"{HELM_GROUP}/token": digest,
            f"{HELM_GROUP}/app-version": str(chart.metadata.get("appVersion", "")),
        }
        attempted = (run.status.get("lastAttemptedRevision"), run.status.get("lastAttemptedConfigDigest"))
        if attempted != (chart.version, digest) or run.status.get("lastAttemptedGeneration") != run.generation:
            for counter in ("failures", "installFailures", "upgradeFailures"):
                run.status.pop(counter, None)
        run.status["storageNamespace"] = desired.storage_namespace
        run.status["lastAttemptedRevision"] = chart.version
        run.status["lastAttemptedConfigDigest"] = digest
        run.status["lastAttemptedGeneration"] = run.generation
        run.share(_Prepared(desired))

    async def release(self, run: Run) -> None:
        """Judge and act until the release is in sync; no action is taken twice in one run."""
        desired = run.shared(_Prepared).desired
        actions, storage = (
            Actions(self.cluster, desired),
            Storage(self.cluster, desired.storage_namespace, desired.name),
        )
        for _ in range(_MAX_ACTIONS):
            try:
                history = await storage.history()
            except StorageError as error:
                raise Stalled("StorageError", str(error)) from error
            known = run.status.get("history") or []
            judgement = determine(history, known, desired.chart.metadata, desired.values)
            run.log(20, f"release is {judgement.state.value}", reason=judgement.reason)
            match judgement.state:
                case State.IN_SYNC:
                    await self._correct_drift(run, actions, history[-1])
                    return
                case State.LOCKED:
                    await actions.unlock(history[-1])
                    run.status["history"] = [snapshot(history[-1]), *known]
                case State.ABSENT:
                    remediation.refuse(run, "install")
                    await self._act(run, "install", actions, history)
                case State.FAILED:
                    await remediation.remediate(run, actions, history)
                    history = await storage.history()
                    absent = not history or history[-1]["info"]["status"] == "uninstalled"
                    await self._act(run, "install" if absent else "upgrade", actions, history)
                case State.UNMANAGED | State.OUT_OF_SYNC:
                    if judgement.state is State.OUT_OF_SYNC:
                        remediation.refuse(run, "upgrade")
                    await self._act(run, "upgrade", actions, history)
        raise Failed("Unstable", "the release did not come in sync; somebody else may be changing it")

    async def finalize(self, run: Run) -> None:
        """Uninstall the release, unless the object is suspended."""
        obj = run.object
        name, namespace = release_name(obj), str(run.status.get("storageNamespace") or storage_namespace(obj))
        if obj.spec.suspend or not run.status.get("history"):
            return
        if not helm.available():
            raise Stalled("HelmMissing", helm.EXTRA)
        history = await Storage(self.cluster, namespace, name).history()
        if not history or history[-1]["info"]["status"] == "uninstalled":
            return
        desired = Desired(
            name=name,
            namespace=history[-1]["namespace"],
            storage_namespace=namespace,
            owner=(run.key.namespace, run.key.name),
            chart=helm.Chart(history[-1]["chart"]["metadata"], history[-1]["chart"], [], None),
            values={},
            spec=obj.spec,
        )
        what = f"release {full_name(history[-1])} with chart {chart_name(history[-1])}"
        try:
            await Actions(self.cluster, desired).uninstall(history)
        except ActionFailed as error:
            raise Failed("UninstallFailed", f"Helm uninstall failed for {what}: {error}") from error
        run.event("Normal", "UninstallSucceeded", f"Helm uninstall succeeded for {what}")

    async def _act(self, run: Run, action: str, actions: Actions, history: list[Release]) -> None:
        """Install or upgrade, and write down how it went."""
        desired = run.shared(_Prepared).desired
        started = time.monotonic()
        await run.progress(f"Running '{action}' action with timeout of {_timeout_text(run.object, action)}")
        run.status["lastAttemptedReleaseAction"] = action
        word = action.capitalize()
        if action == "install":
            # Nothing from before an install may be rolled back to.
            run.status.pop("history", None)
            run.conditions.delete(remediation.REMEDIATED)
        try:
            release = await (actions.install if action == "install" else actions.upgrade)(history)
        except ActionFailed as error:
            name = f"{desired.namespace}/{desired.name}"
            chart = f"{desired.chart.name}@{desired.chart.version}"
            message = f"Helm {action} failed for release {name} with chart {chart}: {error}"
            remediation.note(run, action, error, message)
            if error.release is not None:
                run.status["inventory"] = (await actions.inventory(error.release)).to_status()
            raise remediation.outcome(run, action, error, message) from error
        finally:
            run.status["lastAttemptedReleaseActionDuration"] = durations.text(round(time.monotonic() - started, 6))
        message = f"Helm {action} succeeded for release {full_name(release)} with chart {chart_name(release)}"
        run.conditions.set(RELEASED, "True", f"{word}Succeeded", message)
        remediation.remember(run, release, action, [*history, release])
        run.status["inventory"] = (await actions.inventory(release)).to_status()
        for counter in ("failures", "installFailures", "upgradeFailures"):
            run.status.pop(counter, None)
        run.event("Normal", f"{word}Succeeded", message)

    async def _correct_drift(self, run: Run, actions: Actions, release: Release) -> None:
        detection = run.object.spec.drift_detection
        mode = detection.mode if detection else ""
        if mode not in ("enabled", "warn"):
            run.conditions.delete(DRIFTED)
            return
        drifted = await (actions.correct if mode == "enabled" else actions.drift)(release)
        if not drifted:
            message = "No drift detected against the cluster state"
            run.conditions.set(DRIFTED, "False", "NoDriftDetected", message)
            return
        message = (
            f"Cluster state of release {full_name(release)} has drifted from the desired state: {', '.join(drifted)}"
        )
        if mode == "warn":
            run.conditions.set(DRIFTED, "True", "DriftDetected", message)
            run.event("Warning", "DriftDetected", message)
            return
        run.conditions.set(DRIFTED, "False", "NoDriftDetected", "No drift detected against the cluster state")
        run.event("Normal", "DriftCorrected", message.replace("has drifted", "had drifted"))

    async def _artifact(self, run: Run, reference: ChartSourceReference) -> Artifact:
        key = Key(reference.namespace or run.key.namespace, reference.name)
        if key.namespace != run.key.namespace and self.cluster.settings.no_cross_namespace_refs:
            raise Stalled(
                "AccessDenied", f"can't access '{reference.kind}/{key}', cross-namespace references are blocked"
            )
        try:
            source = await self.cluster.read(kinds.GIT_REPOSITORY, key)
        except NotFound:
            raise Failed("SourceNotReady", f"{reference.kind} '{key}' not found") from None
        artifact = (source.get("status") or {}).get("artifact")
        if not artifact:
            retry = self.cluster.settings.dependency_requeue
            raise Waiting("SourceNotReady", f"{reference.kind} '{key}' has no artifact", retry)
        return msgspec.convert(artifact, Artifact)

    def _users(self, config: Config) -> Iterable[Key]:
        """The HelmReleases that refer to a ConfigMap or Secret."""
        return [key_of(raw) for raw in self.cluster.cache.objects(self.kind) if config in _configs(raw)]

    def _releases_of_source(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """The HelmReleases whose chart comes from a source with a new artifact."""
        if new is None or _revision(old) == _revision(new):
            return
        source = key_of(new)
        for raw in self.cluster.cache.objects(self.kind):
            reference = (((raw.get("spec") or {}).get("chart") or {}).get("spec") or {}).get("sourceRef") or {}
            namespace = reference.get("namespace") or key_of(raw).namespace
            if reference.get("kind") == "GitRepository" and Key(namespace, reference.get("name", "")) == source:
                yield key_of(raw)

    def _dependents(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """The HelmReleases that wait for one that has become ready."""
        configs.demand(self.cluster.cache, _configs(new or {}))
        if new is None or not _is_ready(new) or (old is not None and _is_ready(old)):
            return
        ready = key_of(new)
        for raw in self.cluster.cache.objects(self.kind):
            for dependency in (raw.get("spec") or {}).get("dependsOn") or ():
                if Key(dependency.get("namespace") or key_of(raw).namespace, dependency.get("name", "")) == ready:
                    yield key_of(raw)


def _configs(obj: Object) -> set[Config]:
    """The ConfigMaps and Secrets that a HelmRelease refers to."""
    spec, namespace = obj.get("spec") or {}, key_of(obj).namespace
    return configs.kube_config(namespace, spec) | configs.listed(namespace, spec.get("valuesFrom") or ())


def _timeout_text(obj: HelmRelease, action: str) -> str:
    options = getattr(obj.spec, action)
    text = (options.timeout if options else None) or obj.spec.timeout or "5m"
    return durations.text(durations.parse(text))


def _is_ready(obj: Object) -> bool:
    status = obj.get("status") or {}
    generation = (obj.get("metadata") or {}).get("generation", 0)
    return status.get("observedGeneration") == generation and any(
        condition.get("type") == "Ready" and condition.get("status") == "True"
        for condition in status.get("conditions") or ()
    )


def _revision(obj: Object | None) -> str:
    return str((((obj or {}).get("status") or {}).get("artifact") or {}).get("revision", ""))
