"""The objects of a release on the cluster: applied, deleted, waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fluxtui.engine.adapters.helm import Object
from fluxtui.engine.controllers.helm.releases import MANAGER
from fluxtui.kube.apply import Applier
from fluxtui.kube.changes import ChangeSet
from fluxtui.kube.errors import NotFound, UnknownKind
from fluxtui.kube.health import wait_until_gone, wait_until_ready
from fluxtui.kube.identity import Identity, identity_of, version_of
from fluxtui.kube.plan import ApplyOptions, Marks

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

_ONCE = "helm.toolkit.fluxcd.io/if-not-present"


class Objects:
    """Objects of one release; those without a namespace go to the release's."""

    def __init__(self, client: Client, namespace: str, *, propagation: str = "Background") -> None:
        self._client = client
        self._namespace = namespace
        self._propagation = propagation

    async def apply(self, objects: Sequence[Object], *, force: bool = False) -> ChangeSet:
        """Server-side apply. Raises ApplyError that names each object refused."""
        options = ApplyOptions(manager=MANAGER, force=force)
        return await Applier(self._client).apply(await self.placed(objects), options)

    async def create(self, objects: Sequence[Object]) -> None:
        """Create what is not there and leave alone what is. Raises ApplyError."""
        marked = [
            {**obj, "metadata": {**obj["metadata"], "annotations": {**_annotations(obj), _ONCE: "true"}}}
            for obj in objects
        ]
        options = ApplyOptions(manager=MANAGER, marks=Marks(if_not_present=((_ONCE, "true"),)))
        await Applier(self._client).apply(await self.placed(marked), options)

    async def delete(self, objects: Sequence[Object], *, seconds: float, wait: bool = True) -> None:
        """Delete in reverse order and wait until all are gone; what does not exist is no error.

        Raises HealthError when one remains, and KubeError.
        """
        gone: dict[Identity, str] = {}
        for obj in reversed(await self.placed(objects)):
            identity = identity_of(obj)
            try:
                resource = await self._client.resource_for(obj)
                await self._client.delete(
                    resource, identity.name, identity.namespace, propagation=self._propagation.capitalize()
                )
            except (NotFound, UnknownKind):
                continue
            gone[identity] = version_of(obj)
        if wait and gone:
            await wait_until_gone(self._client, gone, seconds)

    async def wait(self, objects: Sequence[Object], *, seconds: float) -> None:
        """Wait until all are ready. Raises HealthError."""
        wanted = {identity_of(obj): version_of(obj) for obj in await self.placed(objects)}
        if wanted:
            await wait_until_ready(self._client, wanted, seconds)

    async def drifted(self, objects: Sequence[Object]) -> list[str]:
        """The objects that differ from what is given, `Kind/namespace/name` each."""
        plans = await Applier(self._client).preview(await self.placed(objects), ApplyOptions(manager=MANAGER))
        return [str(identity_of(plan.desired)) for plan in plans if plan.action.is_change]

    async def placed(self, objects: Sequence[Object]) -> list[Object]:
        """The objects with the namespace that their kind calls for."""
        placed = []
        for obj in objects:
            metadata = dict(obj["metadata"])
            try:
                namespaced = (await self._client.resource_for(obj)).namespaced
            except UnknownKind:
                # Its definition may be part of the set: what the namespace is worth is then seen when it is applied.
                namespaced = True
            if namespaced:
                metadata.setdefault("namespace", self._namespace)
            else:
                metadata.pop("namespace", None)
            placed.append({**obj, "metadata": metadata})
        return placed


def _annotations(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}
