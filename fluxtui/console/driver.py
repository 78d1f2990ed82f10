"""The terminal's driver: as Textual's own, but its thread sleeps until a key comes.

Textual's looks ten times a second whether it shall end, which costs as much as ten clusters at rest. It stands on
internals of Textual, so that pyproject.toml allows no other minor version than the one it is tested with.
"""

from __future__ import annotations

import contextlib
import os
import selectors
from codecs import getincrementaldecoder
from typing import Any

from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

LOOK = 0.05
"""Seconds between looks at the time while it may tell what a key was: a lone escape, or the first byte of another."""
_AT_ONCE = 4096


class PatientDriver(LinuxDriver):
    """A driver whose thread is woken when it shall end."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)

    def disable_input(self) -> None:
        """As the base, which waits for the thread to end."""
        os.write(self._waker, b"x")
        super().disable_input()
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, _AT_ONCE)

    def close(self) -> None:
        super().close()
        os.close(self._woken)
        os.close(self._waker)

    def run_input_thread(self) -> None:
        """Read keys until the driver wants no more, or there is no terminal any more."""
        parser, decoder = XTermParser(self._debug), getincrementaldecoder("utf-8")("replace")
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                ready = {key.fd for key, _ in selector.select(LOOK if parser._timeout_time is not None else None)}
                if self.fileno in ready:
                    data = _read(self.fileno)
                    if not data:
                        selector.unregister(self.fileno)
                    # The parser takes nothing for the end; it may be the beginning of a character.
                    for message in parser.feed(text) if (text := decoder.decode(data)) else ():
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)
                if self._woken in ready:
                    self.exit_event.wait(LOOK)
        with contextlib.suppress(EOFError, ParseError):
            # What was begun is no key.
            list(parser.feed(""))


def _read(file: int) -> bytes:
    """What was typed; nothing at the end of the terminal."""
    try:
        return os.read(file, _AT_ONCE)
    except OSError:
        return b""
