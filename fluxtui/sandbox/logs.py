"""Logs of pods: bounded buffers, read from the end or followed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from fluxtui.sandbox.statuses import bad_request

Object = dict[str, Any]

MAX_LINES = 2000


class Line(msgspec.Struct, frozen=True):
    """One line of a container."""

    time: datetime
    text: str


class _Buffer:
    def __init__(self) -> None:
        self.lines: deque[Line] = deque(maxlen=MAX_LINES)
        self.count = 0
        self.changed = asyncio.Event()
        self.ended = False


class Logs:
    """The logs of all containers of one cluster."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._buffers: dict[tuple[str, str], _Buffer] = {}
        self._previous: dict[tuple[str, str], list[Line]] = {}

    def write(self, uid: str, container: str, text: str) -> None:
        """Add a line to a container's log."""
        buffer = self._buffers.setdefault((uid, container), _Buffer())
        buffer.lines.append(Line(self._clock(), text))
        buffer.count += 1
        buffer.changed.set()

    def restart(self, uid: str, container: str) -> None:
        """Begin the log of a restarted container; the old one can be read as the previous."""
        buffer = self._buffers.setdefault((uid, container), _Buffer())
        self._previous[uid, container] = list(buffer.lines)
        buffer.lines.clear()

    def end(self, uid: str) -> None:
        """End all logs of a pod that is gone: who follows them is done."""
        for key, buffer in list(self._buffers.items()):
            if key[0] == uid:
                buffer.ended = True
                buffer.changed.set()
                del self._buffers[key]

    def lines(self, pod: Object, query: Mapping[str, str]) -> list[bytes]:
        """The lines that a request asks for. Raises StatusError 400 for an unknown container, or bad numbers."""
        key = (pod["metadata"]["uid"], _container(pod, query))
        if query.get("previous") in ("true", "1"):
            found = self._previous.get(key)
            if found is None:
                name = pod["metadata"]["name"]
                raise bad_request(f'previous terminated container "{key[1]}" in pod "{name}" not found')
            return _cut(found, query, self._clock())
        buffer = self._buffers.get(key)
        return _cut(list(buffer.lines) if buffer else [], query, self._clock())

    async def follow(self, pod: Object, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """The lines that are there, then new ones until the pod is gone."""
        key = (pod["metadata"]["uid"], _container(pod, query))
        buffer = self._buffers.setdefault(key, _Buffer())
        for data in _cut(list(buffer.lines), query, self._clock()):
            yield data
        seen = buffer.count
        while not buffer.ended:
            buffer.changed.clear()
            if buffer.count == seen:
                await buffer.changed.wait()
            new = list(buffer.lines)[-(buffer.count - seen) :] if buffer.count > seen else []
            seen = buffer.count
            for line in new:
                yield _bytes(line, query)


def _container(pod: Object, query: Mapping[str, str]) -> str:
    names = [item["name"] for item in pod["spec"].get("containers") or ()]
    wanted = query.get("container") or (names[0] if len(names) == 1 else "")
    if not wanted:
        listed = " ".join(names)
        raise bad_request(
            f"a container name must be specified for pod {pod['metadata']['name']}, choose one of: [{listed}]"
        )
    if wanted not in names:
        raise bad_request(f"container {wanted} is not valid for pod {pod['metadata']['name']}")
    return wanted


def _cut(lines: list[Line], query: Mapping[str, str], now: datetime) -> list[bytes]:
    try:
        if query.get("sinceSeconds"):
            since = now - timedelta(seconds=int(query["sinceSeconds"]))
            lines = [line for line in lines if line.time >= since]
        if query.get("sinceTime"):
            moment = datetime.fromisoformat(query["sinceTime"].replace("Z", "+00:00"))
            lines = [line for line in lines if line.time >= moment]
        if query.get("tailLines"):
            count = int(query["tailLines"])
            lines = lines[-count:] if count else []
    except (ValueError, TypeError, OverflowError) as error:
        raise bad_request(f"sinceSeconds, sinceTime or tailLines is not valid: {error}") from error
    return [_bytes(line, query) for line in lines]


def _bytes(line: Line, query: Mapping[str, str]) -> bytes:
    stamp = ""
    if query.get("timestamps") in ("true", "1"):
        stamp = line.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ ")
    return f"{stamp}{line.text}\n".encode()
