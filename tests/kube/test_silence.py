"""Streams and servers that say nothing: which of them are broken, and how they are found again."""

from __future__ import annotations

import asyncio
import functools
import time
from contextlib import AsyncExitStack

import pytest

from fluxtui.kube.client import Client
from fluxtui.kube.errors import Unreachable
from fluxtui.kube.liveness import Liveness
from fluxtui.kube.watch import Phase, Timing, watch
from tests.kube.following import FAST, Mirror, following
from tests.kube.support import CONFIG_MAPS, ScriptedApi, answered, config_map, context, scripted, serve, status, until
from tests.ports import free_port, held_port


async def test_a_stream_that_is_silent_too_long_is_begun_again() -> None:
    async with scripted() as api, following(api.url, timing=Timing(idle=0.3, max_pause=0.2)) as mirror:
        await until(lambda: len(api.seen("watch")) >= 3)
        assert mirror.lists == 1


async def test_a_frozen_server_is_noticed_and_taken_up_again_without_a_list() -> None:
    liveness = Liveness(quiet=0.2, patience=0.2, max_pause=0.1)
    async with scripted() as api:
        await api.put("a")
        async with following(api.url, liveness=liveness, timing=Timing()) as mirror:
            await until(lambda: mirror.phase is Phase.LIVE and api.watches)
            api.frozen.clear()
            await until(lambda: mirror.phase is Phase.BROKEN)
            broken = mirror.states[-1]
            assert isinstance(broken.error, Unreachable)
            assert broken.since == pytest.approx(liveness.last_heard, abs=0.1)
            assert "a" in mirror.objects
            api.frozen.set()
            await until(lambda: mirror.phase is Phase.LIVE)
            assert mirror.lists == 1
            assert liveness.latency is not None


async def test_a_quiet_server_that_answers_is_left_alone() -> None:
    liveness = Liveness(quiet=0.05, patience=60)
    async with scripted() as api, following(api.url, liveness=liveness, timing=Timing()) as mirror:
        await until(lambda: len(api.seen("version")) >= 4)
        assert len(api.seen("watch")) == 1
        assert mirror.phases == [Phase.SYNCING, Phase.LIVE]


def has(mirror: Mirror, name: str) -> bool:
    return name in mirror.objects


async def test_what_a_stream_says_is_a_sign_of_life() -> None:
    liveness = Liveness()
    async with scripted() as api, following(api.url, liveness=liveness, timing=Timing()) as mirror:
        await until(lambda: api.watches)
        for name in ("a", "b"):
            moment = time.monotonic()
            await api.put(name)
            await until(functools.partial(has, mirror, name))
            assert liveness._last >= moment


async def test_a_dead_server_is_asked_by_one_for_all_and_found_again() -> None:
    async with (
        scripted() as first,
        Client(context(first.url), liveness=Liveness(max_pause=0.1)) as client,
        asyncio.TaskGroup() as group,
    ):
        mirrors = [Mirror() for _ in range(5)]

        async def follow(mirror: Mirror) -> None:
            async for batch in watch(client, CONFIG_MAPS, on_state=mirror.states.append, timing=FAST):
                mirror.apply(batch)

        tasks = [group.create_task(follow(mirror)) for mirror in mirrors]
        await until(lambda: len(first.watches) == 5)
        first.frozen.clear()
        first.cut()
        await until(lambda: len(first.seen("version")) == 2)
        # All five lost their streams; one question is under way for all.
        assert len(first.seen("watch")) == 5
        first.frozen.set()
        await until(lambda: all(mirror.phase is Phase.LIVE for mirror in mirrors))
        assert all(mirror.lists == 1 for mirror in mirrors)
        for task in tasks:
            task.cancel()


async def test_a_server_that_is_gone_and_comes_back_is_right_after_one_list() -> None:
    """A restart from a backup: the port is closed for a while, and versions from before mean nothing any more."""
    api = ScriptedApi()
    await api.put("ghost")
    async with AsyncExitStack() as stack:
        port = free_port()
        async with serve(api.handle, port=port) as url:
            mirror = await stack.enter_async_context(following(url))
            await until(lambda: api.watches)
        held = held_port(port)
        await until(lambda: mirror.phase is Phase.BROKEN and "refused" in str(mirror.states[-1].error))
        assert "ghost" in mirror.objects
        api.watches.clear()
        api.objects = {"fresh": config_map("fresh", 900)}
        api.script["watch"] = [lambda _: answered(status(410, "Expired"))]
        held.close()
        async with serve(api.handle, port=port):
            await until(lambda: mirror.phase is Phase.LIVE and list(mirror.objects) == ["fresh"])
            assert mirror.lists == 2
            await stack.aclose()
