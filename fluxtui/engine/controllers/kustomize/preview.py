"""What a Kustomization would change, found out with the reconciler's own steps and with nothing but dry runs.

The manifests come from a directory, or from the artifact of the source. Nothing is written to the cluster; what is
fetched and unpacked goes with the Previewer. Beyond the flux CLI, encrypted manifests are decrypted with the keys of
the cluster, `spec.kubeConfig` is followed, and the ServiceAccount is impersonated by who may, so that its limits show:
in another cluster it is the user of the kubeconfig who impersonates it, as for the controller.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from fluxtui.api.kinds import KUSTOMIZATION
from fluxtui.api.kustomize import Kustomization
from fluxtui.api.source import Artifact
from fluxtui.engine.controllers.kustomize import policy
from fluxtui.engine.controllers.kustomize.applying import apply_options
from fluxtui.engine.controllers.kustomize.defaults import Defaults
from fluxtui.engine.controllers.kustomize.ignore import IgnoreError
from fluxtui.engine.controllers.kustomize.kustomization import KustomizationReconciler
from fluxtui.engine.controllers.kustomize.sources import Source, reference
from fluxtui.engine.controllers.kustomize.work import PROGRESSING, Run, Work
from fluxtui.engine.runtime.artifacts import ArtifactError, ArtifactStore
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.limits import Limits
from fluxtui.engine.runtime.objects import Object
from fluxtui.engine.runtime.outcomes import EventType, Outcome
from fluxtui.engine.runtime.proxied import ProxiedArtifacts
from fluxtui.engine.runtime.reconciliation import Reconciliation
from fluxtui.engine.runtime.settings import EngineSettings
from fluxtui.engine.runtime.workers import WorkerPool
from fluxtui.kube.apply import Applier
from fluxtui.kube.changes import Action
from fluxtui.kube.client import Client
from fluxtui.kube.drift import without
from fluxtui.kube.errors import KubeError
from fluxtui.kube.identity import Identity, annotations_of, identity_of
from fluxtui.kube.inventory import Inventory, InventoryError
from fluxtui.kube.plan import ApplyOptions, Plan
from fluxtui.kube.prune import PruneError
from fluxtui.kube.prune import preview as preview_prune

_UNNEEDED = ("dependsOn", "healthChecks", "healthCheckExprs")
"""Fields that don't matter to what would be applied."""
_OF_THE_SERVER = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class PreviewError(Exception):
    """A Kustomization can't be built or compared; `str()` is a sentence for users."""


class Local(msgspec.Struct, frozen=True):
    """Manifests on this machine, in the place of an artifact."""

    root: str
    """The absolute path of the directory that stands for the artifact; nothing outside of it is read."""
    directory: str
    """The absolute path of the kustomization, in `root`."""
    ignored: frozenset[str] = frozenset()
    """Absolute paths of what an artifact would not have."""


class Difference(msgspec.Struct, frozen=True):
    """What would become of one object; Secrets are masked, and fields that only the server sets are left out."""

    identity: Identity
    action: Action
    before: Object | None = None
    after: Object | None = None
    recreated: bool = False
    """Whether it would be deleted and made anew."""
    taken_over: bool = False
    """Whether other tools would lose their fields."""


class Preview(msgspec.Struct, frozen=True):
    """What a Kustomization would change."""

    revision: str
    """Of the artifact; empty for manifests on this machine."""
    differences: list[Difference]
    """In the order of applying, then of deleting."""
    refused: list[str]
    """Sentences about objects that the server would refuse. Nothing would be pruned then."""
    account: str = ""
    """The ServiceAccount that was impersonated."""
    not_as: str = ""
    """The one that was not, though the controller does, because whoever asks may not."""
    children: list[Object] = []
    """Kustomizations among the objects that exist already, as they would be: with their new spec and their status."""


class _Rehearsal(Reconciliation[Kustomization]):
    """A run that says nothing to the cluster."""

    async def progress(self, message: str, reason: str = PROGRESSING) -> None:
        return

    async def announce(self, message: str, reason: str = PROGRESSING) -> None:
        return

    def event(self, type: EventType, reason: str, message: str, annotations: Mapping[str, str] | None = None) -> None:
        return


class Previewer:
    """Previews over many clusters: an artifact that several of them have is unpacked once."""

    def __init__(self, store: ArtifactStore, workers: WorkerPool, settings: EngineSettings) -> None:
        self._store = store
        self._workers = workers
        self._settings = settings
        self._limits = Limits(settings)

    async def preview(
        self, client: Client, raw: Object, local: Local | None = None, defaults: Defaults | None = None
    ) -> Preview:
        """What a Kustomization (an object as the server has it) would change, with the controller's `defaults`.

        Raises PreviewError, and KubeError when the cluster does not answer.
        """
        defaults = defaults or Defaults()
        spec = {name: value for name, value in (raw.get("spec") or {}).items() if name not in _UNNEEDED}
        account = str(spec.get("serviceAccountName") or defaults.default_service_account)
        impersonated = bool(account) and (bool(spec.get("kubeConfig")) or await _may_impersonate(client, raw, account))
        if not impersonated:
            spec.pop("serviceAccountName", None)
            defaults = msgspec.structs.replace(defaults, default_service_account="")
        settings = msgspec.structs.replace(self._settings, **msgspec.structs.asdict(defaults))
        artifacts = ProxiedArtifacts(self._store, client)
        cluster = Cluster(client, artifacts, settings, self._workers, self._limits)
        reconciler = KustomizationReconciler(cluster)
        run = _Rehearsal(reconciler, cluster, {**raw, "spec": spec})
        async with run.resources:
            try:
                run.decode()
                if local is None:
                    for step in (reconciler.refuse, reconciler.resolve, reconciler.fetch):
                        await step(run)
                else:
                    _put(run, local)
                await reconciler.build(run)
                found = await _compare(run, apply_options(run), "" if local else run.shared(Work).source.revision)
            except (Outcome, IgnoreError, InventoryError, PruneError) as error:
                # What upstream waits for, it says without the cause; here nothing is waited for.
                cause = error.__cause__ if isinstance(error.__cause__, ArtifactError) else error
                raise PreviewError(str(cause).partition(", retrying in ")[0]) from error
        if impersonated:
            return msgspec.structs.replace(found, account=account)
        return msgspec.structs.replace(found, not_as=account)


@asynccontextmanager
async def previewer(*, strict: bool = True) -> AsyncIterator[Previewer]:
    """A Previewer for the time of the context.

    `strict` refuses variables without a value or default, as controllers do; without it they are empty.
    """
    # `strict` of the engine would hide what a prune of everything deletes.
    settings = EngineSettings(strict=False, strict_substitution=strict, drift_detection=False)
    workers = WorkerPool(settings.build_workers)
    with tempfile.TemporaryDirectory(prefix="fluxtui-") as directory:
        store = ArtifactStore(Path(directory) / "artifacts")
        await asyncio.to_thread(store.prepare)
        try:
            yield Previewer(store, workers, settings)
        finally:
            await workers.close()
            await asyncio.to_thread(_writable, directory)


async def _may_impersonate(client: Client, raw: Object, account: str) -> bool:
    """Whether whoever asks may impersonate the ServiceAccount, too: not who impersonates somebody already."""
    if client.context.user.get("as"):
        return False
    try:
        resource = await client.resource_for(("", "v1", "ServiceAccount"))
        return await client.allowed("impersonate", resource, (raw.get("metadata") or {}).get("namespace", ""), account)
    except KubeError:
        return False


def _writable(directory: str) -> None:
    """Let what was unpacked be removed."""
    for folder, _, _ in os.walk(directory):
        os.chmod(folder, 0o700)


def _put(run: Run, local: Local) -> None:
    """Let a directory of this machine be what `fetch` would have opened."""
    kind, key = reference(run.object.spec, run.key.namespace)
    source = Source(kind, key, Artifact(path="", url="", revision="", digest="", last_update_time=""))
    work = Work(source, time.monotonic(), fresh=False)
    work.root, work.directory, work.ignored = local.root, local.directory, local.ignored
    run.share(work)


async def _compare(run: Run, options: ApplyOptions, revision: str) -> Preview:
    work, refused = run.shared(Work), list[str]()
    plans = await Applier(work.target).preview(work.objects, msgspec.structs.replace(options, thorough=True), refused)
    found = [_difference(plan, options) for plan in plans]
    if run.object.spec.prune and not refused:
        found += await _pruned(run, plans)
    # What is applied to another cluster is none of the Kustomizations of this one.
    own = run.object.spec.kube_config is None
    return Preview(revision, found, refused, children=[_child(plan) for plan in plans if own and _is_child(run, plan)])


async def _pruned(run: Run, plans: Sequence[Plan]) -> list[Difference]:
    stale = Inventory.of_status(run.status.get("inventory")) - Inventory.of_objects(plan.desired for plan in plans)
    if not len(stale):
        return []
    living = frozenset(plan.before["metadata"]["uid"] for plan in plans if plan.before is not None)
    options = policy.prune_options(run.key, run.cluster.settings.concurrent_ssa, living)
    changes = await preview_prune(run.shared(Work).target, stale, options)
    return [Difference(change.identity, change.action) for change in changes]


def _difference(plan: Plan, options: ApplyOptions) -> Difference:
    ignored = options.ignored(plan.source) if options.ignored else ()
    before, after = (None if obj is None else _shown(obj, ignored) for obj in plan.difference())
    return Difference(identity_of(plan.desired), plan.action, before, after, plan.recreate, plan.cleanup)


def _shown(obj: Object, ignored: Sequence[str]) -> Object:
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _OF_THE_SERVER}
    # It repeats the whole object, a Secret's values too, and is taken away by applying.
    annotations = {name: value for name, value in annotations_of(obj).items() if name != _LAST_APPLIED}
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    return without({**{key: obj[key] for key in obj if key != "status"}, "metadata": metadata}, ignored)


def _is_child(run: Run, plan: Plan) -> bool:
    identity = identity_of(plan.desired)
    is_kustomization = (identity.group, identity.kind) == (KUSTOMIZATION.group, KUSTOMIZATION.kind)
    known = plan.before is not None and plan.after is not None and not plan.recreate
    return is_kustomization and known and (identity.namespace, identity.name) != run.key


def _child(plan: Plan) -> dict[str, Any]:
    before, after = plan.before or {}, plan.after or {}
    return {**before, "spec": after.get("spec") or {}}


def local_root(directory: str, path: str) -> str:
    """The directory that stands for the artifact when `directory` stands for `spec.path` in it, absolute.

    What is above by the length of the path, when their ends agree; else the Git repository around it; else itself.
    """
    inside = posixpath.normpath(posixpath.join("/", path)).strip("/")
    if not inside:
        return directory
    if directory.endswith(f"/{inside}"):
        return directory.removesuffix(f"/{inside}") or "/"
    here = Path(directory)
    return str(next((parent for parent in (here, *here.parents) if (parent / ".git").exists()), here))
