"""What the API server has, kept current by one watch per kind and shared by the controllers of a cluster.

A kind the server does not serve yet is waited for by watching its CRD, without polling.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from fluxtui.api.kinds import Kind
from fluxtui.engine.runtime.objects import Key, Object, key_of
from fluxtui.kube.errors import KubeError
from fluxtui.kube.gate import Gate
from fluxtui.kube.resources import Resource

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

Listener = Callable[[Object | None, Object | None], None]
"""(old, new): called for every change, in order; quick and never raising."""

OWN_WRITE = 60.0
"""Seconds for which an object written by us wins over an older one that a re-list brings."""

CRDS = Resource(
    group="apiextensions.k8s.io",
    version="v1",
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    singular="customresourcedefinition",
    namespaced=False,
    verbs=("get", "list", "watch"),
    short_names=("crd",),
    categories=(),
    subresources=(),
)

logger = logging.getLogger("fluxtui.engine.cache")


class _Store:
    def __init__(self, kind: Kind, label_selector: str | None) -> None:
        self.kind = kind
        self.label_selector = label_selector
        self.demanded = asyncio.Event()
        if label_selector is None:
            self.demanded.set()
        self.objects: dict[Key, Object] = {}
        self.listeners: list[Listener] = []
        self.synced = asyncio.Event()
        self.own: dict[Key, float] = {}
        self.api_version = f"{kind.group}/{kind.versions[0]}"


class Cache:
    """Objects of the kinds somebody subscribed to; subscribe first, then `run`."""

    def __init__(self, client: Client, *, namespace: str = "", gate: Gate | None = None) -> None:
        self._client = client
        self._gate = gate
        self._namespace = namespace
        self._stores: dict[str, _Store] = {}

    def subscribe(self, kind: Kind, listener: Listener, label_selector: str | None = None) -> None:
        """Watch a kind and hear of every change; the first list comes as additions.

        With a selector: only the metadata of what it selects, and only from the moment somebody demands the kind. All
        who subscribe to a kind have to give the same.
        """
        store = self._stores.setdefault(kind.resource, _Store(kind, label_selector))
        if store.label_selector != label_selector:
            raise ValueError(f"{kind.resource} is watched already, with another selector")
        store.listeners.append(listener)

    def demand(self, kind: Kind) -> None:
        """Begin to watch a kind that was subscribed to with a selector."""
        self._stores[kind.resource].demanded.set()

    def watches(self, kind: Kind) -> bool:
        """Whether a kind is watched and its first list is there."""
        store = self._stores.get(kind.resource)
        return store is not None and store.synced.is_set()

    def get(self, kind: Kind, key: Key) -> Object | None:
        """An object as last seen; None when it is not there. Shared: never change it."""
        store = self._stores.get(kind.resource)
        return None if store is None else store.objects.get(key)

    def objects(self, kind: Kind) -> Iterator[Object]:
        """All objects of a kind, as last seen. Shared: never change them."""
        store = self._stores.get(kind.resource)
        return iter(()) if store is None else iter(list(store.objects.values()))

    async def wait_synced(self, kind: Kind) -> None:
        """Wait for the first list of a kind that is subscribed to."""
        await self._stores[kind.resource].synced.wait()

    def wrote(self, kind: Kind, obj: Object) -> None:
        """Take over an object as the server returned it from a write of ours, before the watch brings it."""
        store = self._stores.get(kind.resource)
        if store is None or key_of(obj) not in store.objects:
            return
        if self._put(store, obj):
            store.own[key_of(obj)] = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Watch all kinds until cancelled."""
        async with asyncio.TaskGroup() as group:
            for store in self._stores.values():
                group.create_task(self._follow(store), name=f"watch {store.kind.resource} of {self._client.id}")

    async def _follow(self, store: _Store) -> None:
        await store.demanded.wait()
        while True:
            resource = await self._served(store.kind)
            store.api_version = resource.api_version
            await self._watch(store, resource)

    async def _watch(self, store: _Store, resource: Resource) -> None:
        """Keep a store current until its kind is no longer served."""
        from fluxtui.kube.watch import Phase, WatchState, watch

        absent = False

        def on_state(state: WatchState) -> None:
            nonlocal absent
            absent = state.phase is Phase.ABSENT
            level = logging.INFO if state.phase in (Phase.SYNCING, Phase.LIVE) else logging.WARNING
            reason = f": {state.error}" if state.error else ""
            logger.log(level, "%s: watch of %s is %s%s", self._client.id, resource.name, state.phase, reason)

        batches = watch(
            self._client,
            resource,
            namespace=self._namespace,
            label_selector=store.label_selector or "",
            metadata_only=store.label_selector is not None,
            gate=self._gate,
            on_state=on_state,
        )
        async with aclosing(batches):
            async for batch in batches:
                if batch.replace:
                    self._replace(store, batch.upserts)
                else:
                    for obj in batch.upserts:
                        self._put(store, obj)
                    for namespace, name in batch.deletes:
                        self._drop(store, Key(namespace, name))
                if absent:
                    store.synced.clear()
                    return
                store.synced.set()

    async def _served(self, kind: Kind) -> Resource:
        """The served version of a kind, waiting for its CRD if need be."""
        refresh = False
        while True:
            try:
                found = await self._find(kind, refresh)
            except KubeError as error:
                logger.warning("%s: discovery failed: %s", self._client.id, error)
                await asyncio.sleep(5)
                continue
            if found is not None:
                return found
            if refresh:
                logger.info("%s: %s is not served yet, waiting for its CRD", self._client.id, kind.resource)
                await self._established(kind)
            refresh = True

    async def _find(self, kind: Kind, refresh: bool) -> Resource | None:
        resources = await self._client.resources(refresh=refresh)
        for version in kind.versions:
            found = resources.find(kind.group, kind.kind, version)
            if found is not None:
                return found
        return None

    async def _established(self, kind: Kind) -> None:
        from fluxtui.kube.watch import watch

        batches = watch(self._client, CRDS, field_selector=f"metadata.name={kind.resource}")
        async with aclosing(batches):
            async for batch in batches:
                for crd in batch.upserts:
                    conditions = (crd.get("status") or {}).get("conditions") or []
                    if any(item.get("type") == "Established" and item.get("status") == "True" for item in conditions):
                        return

    def _replace(self, store: _Store, objects: list[Object]) -> None:
        """Take a whole list: what is not in it is gone."""
        listed = {key_of(obj) for obj in objects}
        for key in [key for key in store.objects if key not in listed]:
            self._drop(store, key)
        moment = asyncio.get_running_loop().time()
        for obj in objects:
            recent = moment - store.own.get(key_of(obj), -OWN_WRITE) < OWN_WRITE
            self._put(store, obj, force=not recent)

    def _put(self, store: _Store, obj: Object, *, force: bool = False) -> bool:
        """Keep an object unless a newer one is known; tell the listeners. Whether it was kept."""
        key = key_of(obj)
        old = store.objects.get(key)
        obj.get("metadata", {}).pop("managedFields", None)
        obj.setdefault("kind", store.kind.kind)
        obj.setdefault("apiVersion", store.api_version)
        if old is not None and not force and _version(obj) <= _version(old):
            return False
        store.objects[key] = obj
        store.own.pop(key, None)
        for listener in store.listeners:
            listener(old, obj)
        return True

    def _drop(self, store: _Store, key: Key) -> None:
        old = store.objects.pop(key, None)
        store.own.pop(key, None)
        if old is not None:
            for listener in store.listeners:
                listener(old, None)


def _version(obj: Object) -> int:
    """The resourceVersion as a number: comparable within one resource, as the API conventions allow."""
    text = str(obj.get("metadata", {}).get("resourceVersion", ""))
    return int(text) if text.isdigit() else 0
