"""The live objects of a set, read with few requests: one list where several of a kind share a namespace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from fluxtui.kube.batch import each
from fluxtui.kube.errors import ApiError, NotFound, UnknownKind
from fluxtui.kube.identity import Identity, Object, identity_of

if TYPE_CHECKING:
    from fluxtui.kube.client import Client
    from fluxtui.kube.resources import Resource

_WORTH_A_LIST = 3


class LiveObjects:
    """Reads each object at most once."""

    def __init__(self, client: Client, labels: Mapping[str, str]) -> None:
        self._client = client
        self._selector = ",".join(f"{key}={value}" for key, value in labels.items())
        self._read: dict[Identity, Object | None] = {}

    async def prefetch(self, objects: Iterable[Object], concurrency: int) -> None:
        """List the objects that have the labels, kind by kind and namespace by namespace, where that saves requests."""
        groups: dict[tuple[str, str, str], int] = defaultdict(int)
        for obj in objects:
            groups[obj.get("apiVersion", ""), obj.get("kind", ""), identity_of(obj).namespace] += 1
        worth = [group for group, count in groups.items() if self._selector and count >= _WORTH_A_LIST]
        await each(worth, self._list, concurrency)

    async def _list(self, group: tuple[str, str, str]) -> None:
        api_version, kind, namespace = group
        try:
            resource = await self._client.resource_for({"apiVersion": api_version, "kind": kind})
            found = await self._client.list(
                resource, namespace if resource.namespaced else "", label_selector=self._selector
            )
        except (ApiError, UnknownKind):
            # Whoever may not list may yet get; what is wrong is said when the object itself is read.
            return
        for item in found.items:
            item = {"apiVersion": api_version, "kind": kind, **item}
            self._read[identity_of(item)] = item

    def renew(self, live: Object) -> None:
        """Note what an object has become."""
        self._read[identity_of(live)] = live

    def has(self, obj: Object) -> bool:
        """Whether the object is read already."""
        return identity_of(obj) in self._read

    async def get(self, resource: Resource, obj: Object) -> Object | None:
        """The live object, None when there is none."""
        identity = identity_of(obj)
        if identity not in self._read:
            try:
                self._read[identity] = await self._client.get(resource, identity.name, identity.namespace)
            except NotFound:
                self._read[identity] = None
        return self._read[identity]
