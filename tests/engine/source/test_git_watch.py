"""Commits to local repositories are noticed when they happen."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fluxtui.engine.adapters.git_watch import RefWatcher
from tests.engine.polling import eventually
from tests.engine.source.repositories import Repository


@asynccontextmanager
async def watching(watcher: RefWatcher[str]) -> AsyncIterator[list[str]]:
    woken: list[str] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watcher.run(woken.append))
        try:
            yield woken
        finally:
            task.cancel()


async def test_a_commit_a_tag_and_a_push_wake_the_key_of_their_repository(
    repository: Repository, tmp_path: Path
) -> None:
    other = Repository(tmp_path / "other")
    other.commit("first")
    bare = tmp_path / "bare.git"
    repository.git("clone", "--quiet", "--bare", ".", str(bare))
    watcher: RefWatcher[str] = RefWatcher()
    watcher.add("fleet", repository.path)
    watcher.add("other", other.path)
    watcher.add("bare", bare)
    async with watching(watcher) as woken:
        for key, change in (
            ("fleet", lambda: repository.commit("change")),
            ("other", lambda: other.git("tag", "v1")),
            ("bare", lambda: repository.git("push", "--quiet", str(bare), "HEAD:refs/heads/new")),
        ):
            await asyncio.to_thread(change)
            await eventually(functools.partial(woken.__contains__, key))
    assert set(woken) == {"fleet", "other", "bare"}


async def test_a_commit_made_while_the_watch_was_being_set_up_is_not_missed(repository: Repository) -> None:
    watcher: RefWatcher[str] = RefWatcher()
    watcher.add("fleet", repository.path)
    await asyncio.to_thread(repository.commit, "in between")
    async with watching(watcher) as woken:
        await eventually(lambda: woken == ["fleet"])


async def test_repositories_come_and_go_while_watching(repository: Repository, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other")
    other.commit("first")
    watcher: RefWatcher[str] = RefWatcher()
    async with watching(watcher) as woken:
        watcher.add("fleet", repository.path)
        await asyncio.to_thread(repository.commit, "one")
        await eventually(lambda: "fleet" in woken)
        watcher.add("other", other.path)
        watcher.remove("fleet")
        await asyncio.to_thread(other.commit, "two")
        await eventually(lambda: "other" in woken)
        del woken[:]
        await asyncio.to_thread(repository.commit, "nobody cares")
        await asyncio.to_thread(other.commit, "three")
        await eventually(lambda: "other" in woken)
        assert "fleet" not in woken


async def test_a_linked_work_tree_is_watched_where_its_refs_are(repository: Repository, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    repository.git("worktree", "add", "--quiet", "-b", "side", str(linked))
    watcher: RefWatcher[str] = RefWatcher()
    watcher.add("linked", linked)
    async with watching(watcher) as woken:
        await asyncio.to_thread(repository.commit, "change")
        await eventually(lambda: "linked" in woken)


async def test_a_directory_that_is_no_repository_is_no_error(tmp_path: Path) -> None:
    watcher: RefWatcher[str] = RefWatcher()
    watcher.add("none", tmp_path / "none")
    async with watching(watcher) as woken:
        await asyncio.sleep(0)
    assert woken == []
