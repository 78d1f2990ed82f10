"""The console's loop serves what comes in a bunch a few at a time, and all of it; what never ends, now and then."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import time
from collections import Counter

from fluxtui.console.turns import AT_ONCE, ATTENTION, BURST, COARSE, GAP, FairLoop, FairSelector


def _register_waker(selector: FairSelector, stack: contextlib.ExitStack) -> socket.socket:
    """What asyncio registers first; returns the end that wakes."""
    ours, theirs = map(stack.enter_context, socket.socketpair())
    selector.register(ours, selectors.EVENT_READ, "waker")
    return theirs


def test_what_comes_all_the_time_waits_for_more_while_threads_and_timers_do_not() -> None:
    with contextlib.closing(FairSelector()) as selector, contextlib.ExitStack() as stack:
        waker = _register_waker(selector, stack)
        ours, theirs = map(stack.enter_context, socket.socketpair())
        selector.register(ours, selectors.EVENT_READ, "socket")

        def turn(timeout: float | None) -> list[str]:
            """The answer to one byte, which is read then."""
            theirs.send(b"x")
            found = [key.data for key, _ in selector.select(timeout)]
            if "socket" in found:
                ours.recv(100)
            return found

        began = time.monotonic()
        for _ in range(BURST // 2):
            assert turn(0) == ["socket"]
            assert selector.select(0) == []
        for _ in range(2 * BURST):
            assert turn(None) == ["socket"]
            assert selector.select(0) == []
        assert time.monotonic() - began >= BURST * GAP, "the answers are apart"
        waker.send(b"x")
        theirs.send(b"x")
        assert "waker" in [key.data for key, _ in selector.select(60)]


def test_sockets_give_way_to_what_is_due_for_a_key_and_not_all_the_time() -> None:
    with contextlib.closing(FairSelector()) as selector, contextlib.ExitStack() as stack:
        waker = _register_waker(selector, stack)
        ours, theirs = map(stack.enter_context, socket.socketpair())
        selector.register(ours, selectors.EVENT_READ, "socket")
        theirs.send(b"x")
        began = time.monotonic()
        selector.attend()
        assert [key.data for key, _ in selector.select(60)] == ["socket"], "nothing is due so soon"
        found = selector.select(0)
        left = selector.attends_for()
        selector.attend()
        assert selector.attends_for() <= left or time.monotonic() - began > ATTENTION, "the moment is not made longer"
        if left:
            assert found == []
            waker.send(b"x")
            assert "waker" in [key.data for key, _ in selector.select(0)]
        while selector.attends_for():
            selector.select(selector.attends_for())
        assert "socket" in [key.data for key, _ in selector.select(60)]


def test_a_socket_that_has_more_is_served_without_a_rest() -> None:
    with contextlib.closing(FairSelector()) as selector, contextlib.ExitStack() as stack:
        _register_waker(selector, stack)
        ours, theirs = map(stack.enter_context, socket.socketpair())
        selector.register(ours, selectors.EVENT_READ, "socket")
        theirs.send(b"x")
        for _ in range(20 * BURST):
            assert [key.data for key, _ in selector.select(0)] == ["socket"]


def test_a_turn_serves_a_few_and_all_get_their_turn() -> None:
    with contextlib.closing(FairSelector()) as selector, contextlib.ExitStack() as stack:
        _register_waker(selector, stack)
        pairs = [socket.socketpair() for _ in range(5 * AT_ONCE + 3)]
        for ours, theirs in pairs:
            stack.enter_context(ours)
            stack.enter_context(theirs)
            selector.register(ours, 1, ours)
        assert selector.select(0) == []
        pairs[7][1].send(b"x")
        assert [key.data for key, _ in selector.select(1)] == [pairs[7][0]]
        for _, theirs in pairs:
            theirs.send(b"x")
        seen: Counter[socket.socket] = Counter()
        for _ in range(12):
            found = selector.select(0)
            assert len(found) == AT_ONCE
            seen.update(key.data for key, _ in found)
        assert len(seen) == len(pairs), "what is always ready keeps nothing else waiting"


def test_everything_arrives_and_keys_come_between() -> None:
    async def work() -> list[str]:
        loop = asyncio.get_running_loop()
        log: list[str] = []
        pairs = [socket.socketpair() for _ in range(6 * AT_ONCE)]
        done = asyncio.Event()

        def read(ours: socket.socket) -> None:
            ours.recv(1)
            loop.remove_reader(ours)
            log.append("socket")
            if log.count("socket") == 1:
                loop.call_soon_threadsafe(log.append, "key")
            if log.count("socket") == len(pairs):
                done.set()

        for ours, theirs in pairs:
            loop.add_reader(ours, read, ours)
            theirs.send(b"x")
        await asyncio.wait_for(done.wait(), 60)
        for pair in pairs:
            for each in pair:
                each.close()
        return log

    with asyncio.Runner(loop_factory=FairLoop) as runner:
        log = runner.run(work())
    assert log.count("socket") == 6 * AT_ONCE
    assert log.index("key") <= AT_ONCE


def test_what_is_due_after_a_long_wait_is_due_together_and_never_early() -> None:
    with contextlib.closing(FairLoop()) as loop:
        began = loop.time()
        wanted = [began + 100 + step / 7 for step in range(7 * 14)]
        due = [loop.call_at(moment, print).when() for moment in wanted]
        assert all(before <= moment < before + 1 for before, moment in zip(wanted, due, strict=True))
        assert len(set(due)) <= 15
        soon = [began + COARSE / 2 + step / 7 for step in range(7)]
        assert [loop.call_at(moment, print).when() for moment in soon] == soon
