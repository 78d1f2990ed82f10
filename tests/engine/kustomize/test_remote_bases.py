"""Kustomizations that build on what other servers have: allowed, bounded and without the user's keys, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fluxtui.api.meta import REQUESTED_AT
from tests.engine.kustomize.world import World, config_map
from tests.engine.polling import eventually
from tests.engine.source.repositories import GitServer, Repository, need_http_backend, serving

need_http_backend()


@pytest.fixture
def base(tmp_path: Path) -> Repository:
    """A repository with a kustomization in `apps`, which others build on."""
    found = Repository(tmp_path / "git" / "base")
    found.commit(files={"apps/kustomization.yaml": "resources: [a.yaml]\n", "apps/a.yaml": config_map("a", k="one")})
    return found


@pytest.fixture
def server(base: Repository) -> Iterator[GitServer]:
    with serving(base.path.parent) as found:
        yield found


def on(address: str) -> dict[str, str]:
    """A source that builds on an address."""
    return {"kustomization.yaml": f"resources: ['{address}']\nnamePrefix: p-\n"}


def copies(world: World) -> int:
    """How many commits of remote bases are kept."""
    return len(list((world.store.root / ".remotes" / "repositories").glob("*/*")))


async def data(world: World, name: str = "p-a") -> dict[str, str]:
    obj = await world.get("ConfigMap", name)
    return dict((obj or {}).get("data") or {})


async def test_a_base_over_http_and_what_becomes_of_it(world: World, base: Repository, server: GitServer) -> None:
    revision = await world.publish(on(f"{server.url}/base/.git//apps?ref=main"))
    async with world.running():
        await world.kustomization("apps")
        await world.ready("apps", revision)
        assert await data(world) == {"k": "one"}
        assert copies(world) == 1
        # The artifact is the same; what others have is not.
        base.commit(files={"apps/a.yaml": config_map("a", k="two")})
        await world.change("apps", {"metadata": {"annotations": {REQUESTED_AT: "1"}}})

        async def is_new() -> bool:
            return await data(world) == {"k": "two"}

        await eventually(is_new)
        await world.change("apps", {"metadata": {"annotations": {REQUESTED_AT: "2"}}})

        async def is_handled() -> bool:
            return (await world.status("apps")).get("lastHandledReconcileAt") == "2"

        await eventually(is_handled)
    assert copies(world) == 2


async def test_remote_bases_can_be_refused(world: World, server: GitServer) -> None:
    address = f"{server.url}/base/.git//apps?ref=main"
    await world.publish(on(address))
    async with world.running(remote_bases=False):
        await world.kustomization("apps")
        await world.settled("apps", "BuildFailed", f"'{address}' is remote, and this build may read local files only")
    assert server.requests == []


async def test_files_of_the_host_are_read_only_where_they_may_be_sources(world: World, base: Repository) -> None:
    revision = await world.publish(on(f"{base.url}//apps?ref=main"))
    await world.kustomization("apps")
    async with world.running(file_sources=False):
        await world.settled("apps", "BuildFailed", "transport 'file' not allowed")
    async with world.running():
        await world.change("apps", {"metadata": {"annotations": {REQUESTED_AT: "1"}}})
        await world.ready("apps", revision)
    assert await data(world) == {"k": "one"}


async def test_a_remote_that_is_gone_is_told(world: World, server: GitServer) -> None:
    await world.publish(on(f"{server.url}/nobody/.git//apps?ref=main"))
    async with world.running():
        await world.kustomization("apps")
        await world.settled("apps", "BuildFailed", "git failed")


async def test_a_base_that_is_none_is_named_by_its_commit(world: World, base: Repository, server: GitServer) -> None:
    commit = base.commit(files={"plain/a.yaml": config_map("a")})
    await world.publish(on(f"{server.url}/base/.git//plain?ref=main"))
    async with world.running():
        await world.kustomization("apps")
        await world.settled("apps", "BuildFailed", f"in directory '{commit}/plain'")


async def test_keys_of_the_user_are_not_used(
    world: World, server: GitServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.require_basic("user", "pass")
    host = server.url.removeprefix("http://")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".netrc").write_text(f"machine {host.partition(':')[0]} login user password pass\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    await world.publish(on(f"{server.url}/base/.git//apps?ref=main"))
    async with world.running():
        await world.kustomization("apps")
        await world.settled("apps", "BuildFailed", "git failed")
