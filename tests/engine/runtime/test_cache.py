"""The shared cache: changes in order, kinds that appear later, our own writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fluxtui.api.crds import all_crds
from fluxtui.api.kinds import GIT_REPOSITORY, HELM_RELEASE
from fluxtui.engine.runtime.cache import CRDS, Cache
from fluxtui.engine.runtime.objects import Key, Object
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.resources import Resource
from tests.engine.polling import eventually

KEY = Key("flux-system", "fleet")


@asynccontextmanager
async def watching(cache: Cache) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(cache.run())
        try:
            yield
        finally:
            task.cancel()


async def git(client: Client) -> Resource:
    found = (await client.resources()).find(GIT_REPOSITORY.group, GIT_REPOSITORY.kind)
    assert found is not None
    return found


def repository(name: str = KEY.name) -> dict[str, Any]:
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": name, "namespace": KEY.namespace},
        "spec": {"interval": "10m", "url": "https://host/x"},
    }


async def test_listeners_hear_of_additions_changes_and_deletions(client: Client) -> None:
    resource = await git(client)
    await client.create(resource, repository())
    cache = Cache(client)
    heard: list[tuple[str, str]] = []

    def listen(old: Object | None, new: Object | None) -> None:
        heard.append((_url(old), _url(new)))

    cache.subscribe(GIT_REPOSITORY, listen)
    async with watching(cache):
        await cache.wait_synced(GIT_REPOSITORY)
        change = {"spec": {"url": "https://host/y"}}
        await client.patch(resource, KEY.name, KEY.namespace, change, type=PatchType.MERGE)
        await eventually(lambda: len(heard) == 2)
        await client.delete(resource, *reversed(KEY))
        await eventually(lambda: cache.get(GIT_REPOSITORY, KEY) is None)
    assert heard == [("", "https://host/x"), ("https://host/x", "https://host/y"), ("https://host/y", "")]


def _url(obj: Object | None) -> str:
    return str(obj["spec"]["url"]) if obj else ""


async def test_a_kind_without_a_crd_is_waited_for(client: Client) -> None:
    crd = next(crd for crd in all_crds() if crd["spec"]["names"]["kind"] == "HelmRelease")
    name = crd["metadata"]["name"]
    await client.delete(CRDS, name)
    resources = client.resources

    async def unserved() -> bool:
        return (await resources(refresh=True)).find(HELM_RELEASE.group, HELM_RELEASE.kind) is None

    await eventually(unserved)
    cache = Cache(client)
    cache.subscribe(HELM_RELEASE, lambda old, new: None)
    cache.subscribe(GIT_REPOSITORY, lambda old, new: None)
    async with watching(cache):
        await cache.wait_synced(GIT_REPOSITORY)
        assert not cache.watches(HELM_RELEASE)
        await client.create(CRDS, crd)
        await eventually(lambda: cache.watches(HELM_RELEASE))


async def test_our_own_write_is_known_at_once_and_an_older_state_does_not_undo_it(client: Client) -> None:
    resource = await git(client)
    created = await client.create(resource, repository())
    cache = Cache(client)
    cache.subscribe(GIT_REPOSITORY, lambda old, new: None)
    async with watching(cache):
        await cache.wait_synced(GIT_REPOSITORY)
    written = await client.patch(
        resource, KEY.name, KEY.namespace, {"metadata": {"labels": {"a": "b"}}}, type=PatchType.MERGE
    )
    cache.wrote(GIT_REPOSITORY, written)
    store = next(iter(cache._stores.values()))
    cache._put(store, created)
    cache._replace(store, [created])
    seen = cache.get(GIT_REPOSITORY, KEY)
    assert seen is not None
    assert seen["metadata"]["labels"] == {"a": "b"}
    cache.wrote(GIT_REPOSITORY, {**written, "metadata": {**written["metadata"], "name": "unknown"}})
    assert cache.get(GIT_REPOSITORY, Key("flux-system", "unknown")) is None
