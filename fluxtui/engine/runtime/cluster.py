"""One embedded cluster as reconcilers see it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from fluxtui.api.kinds import Kind
from fluxtui.engine.runtime.artifacts import ClusterArtifacts
from fluxtui.engine.runtime.cache import Cache
from fluxtui.engine.runtime.events import Recorder
from fluxtui.engine.runtime.limits import Limits
from fluxtui.engine.runtime.notifier import Notifier
from fluxtui.engine.runtime.objects import Key, Object
from fluxtui.engine.runtime.observer import Observer
from fluxtui.engine.runtime.settings import EngineSettings
from fluxtui.engine.runtime.workers import WorkerPool
from fluxtui.kube.errors import NotFound
from fluxtui.kube.gate import Gate
from fluxtui.kube.resources import Resource

if TYPE_CHECKING:
    from fluxtui.kube.client import Client


class Cluster:
    """Everything a reconciler may use. Lives as long as the Leases of the cluster are held without interruption."""

    def __init__(
        self,
        client: Client,
        artifacts: ClusterArtifacts,
        settings: EngineSettings,
        workers: WorkerPool,
        limits: Limits,
        leading: Callable[[], bool] = lambda: True,
        gate: Gate | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.id = client.id
        self.client = client
        """Refuses every write with LeadershipLost once the Leases are lost."""
        self.artifacts = artifacts
        self.settings = settings
        self.workers = workers
        """Processes for builds, shared by all clusters."""
        self.limits = limits
        """How much the process does at once."""
        # Not by label: objects of a shard may refer to those of another.
        self.cache = Cache(client, namespace=settings.watch_namespace, gate=gate)
        self.recorder = Recorder(client, notifier=Notifier(settings.events_addr) if settings.events_addr else None)
        self.observer = observer or Observer()
        """Hears of every run."""
        self.stopping = False
        """Whether the end is asked for: a run that does nothing but wait for others ends itself by CancelledError."""
        self._leading = leading

    @property
    def leading(self) -> bool:
        """Whether the Leases are held, so that writing is allowed."""
        return self._leading()

    async def resource(self, kind: Kind) -> Resource:
        """The version of a Flux kind the server serves. Raises UnknownKind when it serves none we can read."""
        resources = await self.client.resources()
        for version in kind.versions:
            found = resources.find(kind.group, kind.kind, version)
            if found is not None:
                return found
        return await self.client.resource_for((kind.group, kind.versions[0], kind.kind))

    async def read(self, kind: Kind, key: Key, *, fresh: bool = False) -> Object:
        """A Flux object, from the cache when its kind is watched; `fresh` asks the server. A copy of the caller's own.

        Raises NotFound and the other errors of kube.
        """
        if not fresh and self.cache.watches(kind):
            found = self.cache.get(kind, key)
            if found is None:
                raise NotFound(404, "NotFound", f'{kind.plural}.{kind.group} "{key.name}" not found')
            return deepcopy(found)
        return await self.client.get(await self.resource(kind), key.name, key.namespace)

    async def patch(self, kind: Kind, key: Key, patch: dict[str, Any], manager: str, subresource: str = "") -> Object:
        """Merge-patch a Flux object; the cache knows the result before this returns."""
        from fluxtui.kube.client import PatchType

        written = await self.client.patch(
            await self.resource(kind),
            key.name,
            key.namespace,
            patch,
            type=PatchType.MERGE,
            subresource=subresource,
            field_manager=manager,
        )
        self.cache.wrote(kind, deepcopy(written))
        return written

    async def patch_status(self, kind: Kind, key: Key, patch: dict[str, Any], manager: str) -> Object:
        """Merge-patch the status of a Flux object."""
        return await self.patch(kind, key, patch, manager, "status")
