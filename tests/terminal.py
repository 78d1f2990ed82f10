"""A real terminal for tests: runs a program in a pty and keeps what it shows on a screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

import pyte


class Terminal:
    """A program in a pty of `size` (columns, lines); what it draws is interpreted as a terminal would."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], size: tuple[int, int]) -> None:
        self.screen = pyte.Screen(*size)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = bytearray()
        self._master, slave = pty.openpty()
        self._name = os.ttyname(slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=dict(env), start_new_session=True, close_fds=True
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                # What is still drawn is read: a program can't leave a terminal that takes no more.
                self.wait(seconds=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(60)
        os.close(self._master)

    @property
    def text(self) -> str:
        """What the screen shows, a line each."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def send(self, keys: str) -> None:
        """Type keys, as the bytes a terminal would send."""
        os.write(self._master, keys.encode())

    def modes(self) -> list[object]:
        """How the terminal treats what is typed and written: termios' attributes."""
        return termios.tcgetattr(self._master)

    def hold(self) -> None:
        """Take no more output, as after ctrl-s: who writes waits."""
        slave = os.open(self._name, os.O_RDWR | os.O_NOCTTY)
        termios.tcflow(slave, termios.TCOOFF)
        os.close(slave)

    def read(self, seconds: float) -> bool:
        """Take what the program writes within `seconds`; False when it has closed the terminal."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.raw += data
        self.stream.feed(data)
        return bool(data)

    def wait_for(self, text: str, *, seconds: float) -> None:
        """Read until `text` is on the screen; AssertionError with the screen when it does not appear in time."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            left = deadline - time.monotonic()
            alive = self.read(min(0.2, max(left, 0)))
            if (left <= 0 or not alive) and text not in self.text:
                raise AssertionError(f"{text!r} is not on the screen:\n{self.text}")

    def wait_gone(self, text: str, *, seconds: float) -> None:
        """Read until `text` has left the screen."""
        deadline = time.monotonic() + seconds
        while text in self.text:
            if time.monotonic() > deadline:
                raise AssertionError(f"{text!r} is still on the screen:\n{self.text}")
            self.read(0.2)

    def wait(self, *, seconds: float) -> int:
        """Read until the program ends; its exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read(0.1)
        return self.process.wait(max(0.1, deadline - time.monotonic()))
