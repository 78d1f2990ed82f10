"""Kubeconfig files that change while we run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from fluxtui.kube import kubeconfig
from fluxtui.kube.kubeconfig import Kubeconfig
from tests.kube.support import until
from tests.kube.test_kubeconfig import entry, write


class Follower:
    """What a watcher of files was told."""

    def __init__(self) -> None:
        self.seen: list[Kubeconfig] = []

    @property
    def ids(self) -> list[str]:
        """Ids of the contexts told last."""
        return [context.id for context in self.seen[-1].contexts] if self.seen else []

    async def gets(self, true: Callable[[], Any]) -> None:
        """Wait until `true()` is."""
        await until(true)


@asynccontextmanager
async def following(*paths: str, env: dict[str, str] | None = None) -> AsyncIterator[Follower]:
    """A watcher beside the test, already looking."""
    follower = Follower()
    current = kubeconfig.load(paths, env or {})
    started = asyncio.Event()

    async def follow() -> None:
        async with aclosing(kubeconfig.watch_files(paths, env or {}, current=current)) as changes:
            started.set()
            async for config in changes:
                follower.seen.append(config)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow())
        await started.wait()
        await asyncio.sleep(0.1)  # until the kernel watches
        try:
            yield follower
        finally:
            task.cancel()


def replace(path: Path, *entries: Any) -> None:
    """Write beside and move over, as careful programs do: nobody reads the half of it."""
    write(path.with_name("new"), *entries)
    os.replace(path.with_name("new"), path)


def put(path: Path, text: str) -> None:
    """As `replace`, of a text."""
    path.with_name("new").write_text(text)
    os.replace(path.with_name("new"), path)


async def test_contexts_come_and_go_and_the_others_stay_equal(tmp_path: Path) -> None:
    path = tmp_path / "config"
    write(path, entry("a"), entry("b"))
    before = kubeconfig.load([str(path)])
    async with following(str(path)) as follower:
        replace(path, entry("b"), entry("c"))
        await follower.gets(lambda: follower.ids == ["b", "c"])
        assert follower.seen[-1]["b"] == before["b"]
        write(path, entry("b", "https://moved"))
        await follower.gets(lambda: follower.ids == ["b"] and follower.seen[-1]["b"] != before["b"])


async def test_a_broken_file_keeps_the_last_good_contexts(tmp_path: Path) -> None:
    path = tmp_path / "config"
    write(path, entry("a"))
    async with following(str(path)) as follower:
        put(path, "kind: [broken\n")
        await follower.gets(lambda: follower.seen)
        assert follower.ids == ["a"]
        assert "not valid YAML" in follower.seen[-1].warnings[-1]
        assert "keeping the contexts read before" in follower.seen[-1].warnings[-1]
        path.unlink()
        await follower.gets(lambda: "no such file" in follower.seen[-1].warnings[-1])
        write(path, entry("a"), entry("b"))
        await follower.gets(lambda: follower.ids == ["a", "b"])
        assert follower.seen[-1].warnings == ()


async def test_a_folder_swapped_by_its_link_is_noticed(tmp_path: Path) -> None:
    """How Kubernetes renews mounted Secrets: config → ..data/config, and ..data moves to another folder."""
    for name, entries in (("v1", [entry("a")]), ("v2", [entry("a"), entry("b")])):
        write(tmp_path / "mount" / name / "config", *entries)
    mount = tmp_path / "mount"
    (mount / "..data").symlink_to("v1")
    (mount / "config").symlink_to("..data/config")
    async with following(str(mount / "config")) as follower:
        (mount / "..tmp").symlink_to("v2")
        os.replace(mount / "..tmp", mount / "..data")
        await follower.gets(lambda: follower.ids == ["a", "b"])


async def test_a_new_file_of_a_glob_joins_and_renames_nobody(tmp_path: Path) -> None:
    write(tmp_path / "b.yaml", entry("prod"))
    async with following(str(tmp_path / "*.yaml")) as follower:
        replace(tmp_path / "a.yaml", entry("prod"), entry("own"))
        await follower.gets(lambda: follower.seen)
        assert sorted(follower.ids) == ["own", "prod", "prod@a"]
        assert follower.seen[-1]["prod"].source.endswith("b.yaml")


async def test_a_missing_folder_may_appear(tmp_path: Path) -> None:
    write(tmp_path / "1", entry("a"))
    later = tmp_path / "not/there/yet"
    env = {"KUBECONFIG": f"{tmp_path}/1:{later}"}
    async with following(env=env) as follower:
        write(later, entry("b"))
        await follower.gets(lambda: follower.ids == ["a", "b"])


async def test_what_means_the_same_is_no_news(tmp_path: Path) -> None:
    path = tmp_path / "config"
    write(path, entry("a"))
    async with following(str(path)) as follower:
        put(path, "# a comment\n" + path.read_text())
        await asyncio.sleep(0.5)
        replace(path, entry("a"), entry("b"))
        await follower.gets(lambda: follower.seen)
        assert len(follower.seen) == 1


async def test_a_change_from_before_the_watch_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config"
    write(path, entry("a"))
    current = kubeconfig.load([str(path)])
    write(path, entry("a"), entry("b"))
    async with aclosing(kubeconfig.watch_files([str(path)], {}, current=current)) as changes:
        config = await asyncio.wait_for(anext(changes), 60)
    assert [context.id for context in config.contexts] == ["a", "b"]


async def test_who_stops_following_leaves_no_watch_behind(tmp_path: Path) -> None:
    path = tmp_path / "config"
    write(path, entry("a"))
    changes = kubeconfig.watch_files([str(path)], {}, current=kubeconfig.load([str(path)], {}))
    news = asyncio.ensure_future(anext(changes))
    others = asyncio.all_tasks() - {news}
    await asyncio.sleep(0.1)  # until the kernel watches
    replace(path, entry("b"))
    await news
    await changes.aclose()
    # What is left to the garbage collector is closed by a task of its own, a turn later.
    await until(lambda: asyncio.all_tasks() <= others)
