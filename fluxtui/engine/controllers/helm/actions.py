"""What may be done to a release: install, upgrade, roll back, uninstall, unlock.

Each writes a pending revision to Helm's storage first and concludes it last, so that an action that was interrupted is
seen for what it is. Source: helm-controller's `internal/action` and Helm's own actions.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from fluxtui.api import durations
from fluxtui.api.helm import HelmReleaseSpec
from fluxtui.engine.adapters import helm, helm_storage
from fluxtui.engine.adapters.helm import Chart, HelmError, Object, Rendering, Values
from fluxtui.engine.adapters.helm_storage import Release
from fluxtui.engine.controllers.helm.hooks import HookFailed, run_hooks
from fluxtui.engine.controllers.helm.manifests import Hook, Manifest, keeps, parse_stored, sort_out
from fluxtui.engine.controllers.helm.objects import Objects
from fluxtui.engine.controllers.helm.releases import Storage, conclude, new_release
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.objects import now
from fluxtui.kube.errors import KubeError
from fluxtui.kube.identity import identity_of
from fluxtui.kube.inventory import Inventory
from fluxtui.kube.kubeconfig import Context

DEFAULT_TIMEOUT = 300.0
DEFAULT_HISTORY = 5


class ActionFailed(Exception):
    """An action failed; the text is why. `release` is the revision it left in storage, None when it left none."""

    def __init__(self, message: str, release: Release | None = None) -> None:
        super().__init__(message)
        self.release = release


class Desired(msgspec.Struct, kw_only=True):
    """The release as the HelmRelease wants it."""

    name: str
    namespace: str
    storage_namespace: str
    owner: tuple[str, str]
    """Namespace and name of the HelmRelease."""
    chart: Chart
    values: Values
    spec: HelmReleaseSpec


class Actions:
    """The actions on one release."""

    def __init__(self, cluster: Cluster, desired: Desired) -> None:
        self._cluster = cluster
        self._desired = desired
        self._spec = desired.spec
        self._storage = Storage(cluster, desired.storage_namespace, desired.name)
        self._objects = Objects(cluster.client, desired.namespace)

    async def install(self, history: Sequence[Release]) -> Release:
        """Install the chart as a new release. Raises ActionFailed."""
        options = self._spec.install
        manifest = await self._render(_next(history), upgrade=False)

        async def work() -> None:
            if options and options.create_namespace:
                await self._create_namespace()
            await self._apply_crds(
                options.crds if options else "", default="Create", skip=bool(options and options.skip_crds)
            )
            await self._roll_out(manifest, "install", _Switches.of(options, self._timeout("install")), [])

        release = new_release(
            self._desired.name,
            self._desired.namespace,
            _next(history),
            self._desired.chart,
            self._desired.values,
            "pending-install",
            None,
        )
        return await self._recorded(release, manifest, work, "Install complete", history)

    async def upgrade(self, history: Sequence[Release]) -> Release:
        """Upgrade the release to the chart and values. Raises ActionFailed."""
        options = self._spec.upgrade
        manifest = await self._render(_next(history), upgrade=True)
        previous = history[-1]

        async def work() -> None:
            await self._apply_crds(options.crds if options else "", default="Skip", skip=False)
            old = await asyncio.to_thread(parse_stored, previous)
            switches = _Switches.of(options, self._timeout("upgrade"), force=bool(options and options.force))
            await self._roll_out(manifest, "upgrade", switches, old)

        release = new_release(
            self._desired.name,
            self._desired.namespace,
            _next(history),
            self._desired.chart,
            self._desired.values,
            "pending-upgrade",
            previous,
        )
        return await self._recorded(release, manifest, work, "Upgrade complete", history)

    async def rollback(self, history: Sequence[Release], target: Release) -> Release:
        """Make an earlier revision the newest again. Raises ActionFailed."""
        options = self._spec.rollback
        objects = await asyncio.to_thread(parse_stored, target)
        manifest = Manifest(tuple(objects), (), target["manifest"], target["info"].get("notes", ""))

        async def work() -> None:
            old = await asyncio.to_thread(parse_stored, history[-1])
            switches = _Switches.of(options, self._timeout("rollback"), force=bool(options and options.force))
            await self._roll_out(manifest, "rollback", switches, old)

        release = {**target, "version": _next(history), "info": dict(target["info"])}
        conclude(release, "pending-rollback", f"Rollback to {target['version']}")
        release["info"]["last_deployed"] = helm_storage.time(now())
        return await self._recorded(release, manifest, work, f"Rollback to {target['version']}", history)

    async def uninstall(self, history: Sequence[Release]) -> None:
        """Delete the release's objects and its storage. Raises ActionFailed."""
        options = self._spec.uninstall
        timeout = self._timeout("uninstall")
        last = history[-1]
        objects = [obj for obj in await asyncio.to_thread(parse_stored, last) if not keeps(obj)]
        propagation = options.deletion_propagation if options else "background"
        removal = Objects(self._cluster.client, self._desired.namespace, propagation=propagation)
        hooks = [] if options and options.disable_hooks else _stored_hooks(last)
        try:
            conclude(last, "uninstalling", "Deletion in progress (or silently failed)")
            await self._storage.write(last)
            await run_hooks(self._objects, hooks, "pre-delete", timeout)
            await removal.delete(objects, seconds=timeout, wait=not (options and options.disable_wait))
            await run_hooks(self._objects, hooks, "post-delete", timeout)
        except (KubeError, HookFailed) as error:
            raise ActionFailed(str(error), last) from error
        if options and options.keep_history:
            last["info"]["deleted"] = helm_storage.time(now())
            conclude(last, "uninstalled", "Uninstallation complete")
            await self._storage.write(last)
            return
        for release in history:
            await self._storage.remove(release)

    async def unlock(self, release: Release) -> Release:
        """Mark a revision whose action was interrupted as failed."""
        conclude(release, "failed", f"Release unlocked from stale '{release['info']['status']}' state")
        await self._storage.write(release)
        return release

    async def inventory(self, release: Release) -> Inventory:
        """What a release has on the cluster, the CRDs of the chart with it."""
        objects = await self._objects.placed(await asyncio.to_thread(parse_stored, release))
        return Inventory.of_objects([*objects, *self._desired.chart.crds])

    async def correct(self, release: Release) -> list[str]:
        """Apply a deployed release's objects again; what differed, `Kind/namespace/name` each. Raises KubeError."""
        objects = await asyncio.to_thread(parse_stored, release)
        return [str(change.identity) for change in (await self._objects.apply(objects)).changed]

    async def drift(self, release: Release) -> list[str]:
        """The objects that differ from the release, `Kind/namespace/name` each. Raises KubeError."""
        return await self._objects.drifted(await asyncio.to_thread(parse_stored, release))

    def _timeout(self, action: str) -> float:
        """Seconds: the action's own timeout, else `spec.timeout`, else five minutes."""
        options = getattr(self._spec, action)
        text = (options.timeout if options else None) or self._spec.timeout
        return durations.parse(text) if text else DEFAULT_TIMEOUT

    async def _render(self, revision: int, *, upgrade: bool) -> Manifest:
        """Render the chart for this cluster. Raises ActionFailed, which leaves nothing in storage."""
        desired = self._desired
        resources = await self._cluster.client.resources()
        apis = {resource.api_version for resource in resources} | {f"{r.api_version}/{r.kind}" for r in resources}
        lookup = await asyncio.to_thread(helm.uses_lookup, desired.chart)
        what = Rendering(
            name=desired.name,
            namespace=desired.namespace,
            revision=revision,
            upgrade=upgrade,
            kube_version=str((await self._cluster.client.version()).get("gitVersion", "")),
            api_versions=sorted(apis),
            kubeconfig=_kubeconfig(self._cluster.client.context) if lookup else "",
        )
        try:
            rendered = await asyncio.to_thread(helm.render, desired.chart, desired.values, what)
            return sort_out(rendered, name=desired.name, namespace=desired.namespace, owner=desired.owner)
        except (HelmError, ValueError) as error:
            raise ActionFailed(str(error)) from error

    async def _recorded(
        self,
        release: Release,
        manifest: Manifest,
        work: Callable[[], Awaitable[None]],
        description: str,
        history: Sequence[Release],
    ) -> Release:
        """Do the work between a pending revision and its conclusion in Helm's storage."""
        release["manifest"] = manifest.text
        if manifest.hooks:
            release["hooks"] = [hook.stored() for hook in manifest.hooks]
        await self._storage.write(release)
        try:
            await work()
        except (KubeError, HookFailed) as error:
            conclude(release, "failed", f'Release "{release["name"]}" failed: {error}')
            await self._storage.write(release)
            raise ActionFailed(str(error), release) from error
        conclude(release, "deployed", description, manifest.notes)
        maximum = DEFAULT_HISTORY if self._spec.max_history is None else self._spec.max_history
        await self._storage.supersede(history, release["version"], maximum)
        await self._storage.write(release)
        return release

    async def _roll_out(self, manifest: Manifest, event: str, switches: _Switches, old: Sequence[Object]) -> None:
        hooks = () if switches.no_hooks else manifest.hooks
        await run_hooks(self._objects, hooks, f"pre-{event}", switches.timeout)
        await self._objects.apply(manifest.objects, force=switches.force)
        new = {identity_of(obj) for obj in manifest.objects}
        gone = [obj for obj in old if identity_of(obj) not in new and not keeps(obj)]
        await self._objects.delete(gone, seconds=switches.timeout, wait=False)
        if not switches.no_wait:
            jobs = switches.no_jobs
            waited_for = [obj for obj in manifest.objects if not (jobs and obj.get("kind") == "Job")]
            await self._objects.wait(waited_for, seconds=switches.timeout)
        await run_hooks(self._objects, hooks, f"post-{event}", switches.timeout)

    async def _create_namespace(self) -> None:
        name = self._desired.namespace
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"name": name}}}
        await self._objects.create([namespace])

    async def _apply_crds(self, policy: str, *, default: str, skip: bool) -> None:
        policy = policy or default
        if skip or policy == "Skip" or not self._desired.chart.crds:
            return
        if policy == "CreateReplace":
            await self._objects.apply(self._desired.chart.crds)
        else:
            await self._objects.create(self._desired.chart.crds)


class _Switches(msgspec.Struct, frozen=True):
    """What install, upgrade and rollback have in common."""

    timeout: float
    no_hooks: bool
    no_wait: bool
    no_jobs: bool
    force: bool

    @classmethod
    def of(cls, options: Any, timeout: float, *, force: bool = False) -> _Switches:
        if options is None:
            return cls(timeout, False, False, False, force)
        return cls(timeout, options.disable_hooks, options.disable_wait, options.disable_wait_for_jobs, force)


def _kubeconfig(context: Context) -> str:
    """A kubeconfig with one context, for Helm's own client."""
    entry = {"cluster": "c", "user": "u", "namespace": context.namespace}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": context.cluster}],
            "users": [{"name": "u", "user": context.user}],
            "contexts": [{"name": "c", "context": entry}],
        }
    )


def _next(history: Sequence[Release]) -> int:
    return int(history[-1]["version"]) + 1 if history else 1


def _stored_hooks(release: Release) -> list[Hook]:
    return [
        Hook(
            helm.values_from_yaml(hook["manifest"], hook["path"]),
            hook["path"],
            tuple(hook["events"]),
            int(hook.get("weight", 0)),
            tuple(hook.get("delete_policies") or ("before-hook-creation",)),
        )
        for hook in release.get("hooks") or ()
    ]
