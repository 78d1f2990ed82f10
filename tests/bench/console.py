"""A program in a real terminal, timed from outside: keys in, bytes out, CPU and memory from /proc.

Unlike `tests.terminal`, the bytes are searched and not drawn, so that watching costs nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

SIZE = (160, 50)
BAR = rb"48;(?:2;35;48;68|5;(?!16m)\d+)m(?:[^\x1b]|\x1b\[[0-9;]*m)*?"
"""The background of the cursor, in the theme that the console starts with, and what may follow it in its line."""
CURSOR = re.compile(BAR + rb"(?<=[m\W])([a-z]{2,7}-\d{3,5})\b")
"""An object's name under the cursor."""
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Late(Exception):
    """What was waited for did not come."""


class Console:
    """A program in a pty; `began` is when it was started, by the monotonic clock."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        size: tuple[int, int] = SIZE,
        throttle: Throttle | None = None,
    ) -> None:
        self.size = size
        self.throttle = throttle
        self.total = 0
        self.tail = b""
        self._kept: bytearray | None = None
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=dict(env), start_new_session=True
        )
        os.close(slave)

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the program."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + 5
            with contextlib.suppress(Late):
                while self.process.poll() is None and time.monotonic() < deadline:
                    self.pump(0.05)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        os.close(self._master)

    # Terminal

    def type(self, keys: str) -> float:
        """Type; when, by the monotonic clock."""
        moment = time.monotonic()
        os.write(self._master, keys.encode())
        return moment

    def pump(self, seconds: float) -> bytes:
        """What the program writes within `seconds`: returns with the first of it."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, seconds))
        if not ready:
            return b""
        try:
            data = os.read(self._master, 4096 if self.throttle else 65536)
        except OSError as error:
            raise Late(f"the program ended: {self.tail[-2000:].decode(errors='replace')}") from error
        if self.throttle:
            self.throttle.took(len(data))
        self.total += len(data)
        self.tail = (self.tail + data)[-20_000:]
        if self._kept is not None:
            self._kept += data
        return data

    def until(self, found: Callable[[bytes], bool], seconds: float, *, what: str = "") -> float:
        """Read until what came since now satisfies `found`; when that was. Raises Late."""
        deadline = time.monotonic() + seconds
        seen = b""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Late(f"{what or 'an answer'} did not come within {seconds:g}s: {seen[-600:]!r}")
            data = self.pump(left)
            if data:
                seen = (seen + data)[-65536:]
                if found(seen):
                    return time.monotonic()

    def drain(self, seconds: float) -> None:
        """Read for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.pump(left)

    def settle(self, quiet: float = 0.3, within: float = 10.0) -> None:
        """Read until nothing came for `quiet` seconds, or time is up (a clock on the screen ticks once a second)."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline and self.pump(quiet):
            pass

    def picture(self, seconds: float = 1.2) -> str:
        """The whole screen, made to be drawn anew and interpreted as a terminal would."""
        self._kept = bytearray()
        for columns in (self.size[0] - 1, self.size[0]):
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", self.size[1], columns, 0, 0))
            os.killpg(self.process.pid, signal.SIGWINCH)
            self.drain(seconds / 2)
        screen = pyte.Screen(*self.size)
        pyte.ByteStream(screen).feed(bytes(self._kept))
        self._kept = None
        return "\n".join(line.rstrip() for line in screen.display)

    # Process

    def cpu(self) -> float:
        """CPU seconds of the program so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident(self) -> float:
        """Megabytes of memory in use."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * _PAGE / 1e6

    def load(self, seconds: float) -> tuple[float, float]:
        """CPU in percent of a core, and bytes written to the terminal a second, over so long."""
        cpu, total, began = self.cpu(), self.total, time.monotonic()
        self.drain(seconds)
        took = time.monotonic() - began
        return (self.cpu() - cpu) / took * 100, (self.total - total) / took

    # Keys

    def moves(self, keys: str, pause: Callable[[int], float], *, patience: float = 5.0) -> list[float]:
        """Seconds from each key that moves the cursor to the first byte of its new place on the screen."""
        times, before = [], self.under_cursor()
        for index, key in enumerate(keys):
            self.drain(pause(index))
            found: list[bytes] = []

            def moved(seen: bytes, before: bytes = before, found: list[bytes] = found) -> bool:
                found[:] = [name for name in CURSOR.findall(seen) if name != before]
                return bool(found)

            began = self.type(key)
            times.append(self.until(moved, patience, what=f"the cursor after {key!r}") - began)
            before = found[-1]
        return times

    def response(self, key: str, quiet: float = 0.15, within: float = 5.0) -> float:
        """Seconds from a key to the last byte before the program is quiet again."""
        began = last = self.type(key)
        while time.monotonic() < began + within:
            if self.pump(quiet):
                last = time.monotonic()
            elif last > began:
                return last - began
        raise Late(f"nothing, or no end of it, came within {within:g}s of {key!r}")

    def under_cursor(self) -> bytes:
        """The name of what the cursor was painted on last."""
        names = CURSOR.findall(self.tail)
        return names[-1] if names else b""


class Throttle:
    """A terminal at the end of a slow line: so many bits a second, so many seconds there and back.

    The reader takes no more than the line carries, so the program feels the line through a full pty.
    """

    def __init__(self, bits: float, round_trip: float) -> None:
        self.bits = bits
        self.round_trip = round_trip
        self._free_at = 0.0

    def took(self, count: int) -> None:
        """So many bytes go over the line; wait until they have."""
        now = time.monotonic()
        self._free_at = max(now, self._free_at) + count * 8 / self.bits
        time.sleep(max(0.0, self._free_at - now))
