"""What is typed reaches the app whenever it comes, in whatever pieces, and the thread that reads it ends at once."""

from __future__ import annotations

import os
import pty
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from textual import events
from textual.message import Message

from fluxtui.console import driver as driver_module
from fluxtui.console.driver import PatientDriver
from tests.engine.polling import eventually


class Typed(PatientDriver):
    """A driver of a terminal without a screen, which keeps what it understood."""

    def __init__(self) -> None:
        app: Any = None
        super().__init__(app, mouse=False)
        self.keys: list[str] = []

    def process_message(self, message: Message) -> None:
        if isinstance(message, events.Key):
            self.keys.append(message.key)


@contextmanager
def reading(driver: Typed) -> Iterator[None]:
    """As between two times in which the terminal is somebody else's."""
    thread = driver._key_thread = Thread(target=driver.run_input_thread)
    thread.start()
    try:
        yield
    finally:
        driver.disable_input()
        assert not thread.is_alive()


@asynccontextmanager
async def terminal(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Typed, int]]:
    """A driver, and where to type."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    monkeypatch.setattr("sys.__stdin__", SimpleNamespace(fileno=lambda: slave, isatty=lambda: True))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    driver = Typed()
    try:
        yield driver, master
    finally:
        driver.close()
        for file in (slave, master):
            os.close(file)


async def test_keys_come_one_by_one_and_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    async with terminal(monkeypatch) as (driver, master):
        with reading(driver):
            os.write(master, b"a\x1b[B")
            await eventually(lambda: driver.keys == ["a", "down"])
            first, second = (bytes([byte]) for byte in "é".encode())
            os.write(master, first)
            os.write(master, second + b"\xff" + b"b")
            await eventually(lambda: driver.keys[-1] == "b")
            assert driver.keys[2] == "é"


async def test_a_lone_escape_is_a_key_without_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async with terminal(monkeypatch) as (driver, master):
        with reading(driver):
            os.write(master, b"\x1b")
            await eventually(lambda: driver.keys == ["escape"])


async def test_the_terminal_is_lent_and_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with terminal(monkeypatch) as (driver, master):

        def has(count: int) -> bool:
            return driver.keys == ["x"] * count

        for count in range(1, 4):
            with reading(driver):
                os.write(master, b"x")
                await eventually(partial(has, count))
            # Whoever has it now may not be there any more, and the app may end.
            driver.disable_input()


async def test_a_terminal_that_is_gone_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    def read(file: int) -> bytes:
        reads.append(file)
        return b""

    monkeypatch.setattr(driver_module, "_read", read)
    async with terminal(monkeypatch) as (driver, master):
        with reading(driver):
            os.write(master, b"x")
            await eventually(lambda: bool(reads))
        assert len(reads) == 1
