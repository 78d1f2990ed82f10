"""Log lines about an object: of the controller that reconciles it, or of its pods, several merged and followed.

Flux's controllers and our engine write the same JSON lines: `controllerKind`, `name` and `namespace` say what a line is
about. The engine's lines are in a file of the host it runs on; its Leases say where.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from fluxtui.api.kinds import BY_KIND
from fluxtui.api.meta import FLUX_NAMESPACE
from fluxtui.fleet.clusters import ClusterInfo, Mode
from fluxtui.fleet.facts import moment
from fluxtui.fleet.pods import PODS, pods_of
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.text import lines as clean_lines
from fluxtui.fleet.text import one_line
from fluxtui.kube.errors import ApiError, KubeError

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

TAIL = 200
"""Lines of the past, of each container."""
CONTROLLER_TAIL = 2000
"""Lines of a controller's past that are searched for the object."""
MOST_PODS = 12
_LONGEST = 8192
_POLL = 0.5
"""Seconds between looks at the engine's file."""
_PODS_EVERY = 2.0
"""Seconds between looks for new pods of a workload."""
_READ = 4 << 20
"""Bytes of the engine's file that are searched for past lines."""

Show = Callable[[list["LogLine"]], None]


class LogLine(msgspec.Struct, frozen=True):
    """One line, clean."""

    source: str
    """`kustomize-controller`, or `pod/container`."""
    text: str
    time: float = 0.0
    """Seconds since the epoch; 0.0 when the line does not say."""
    level: str = ""
    """`info`, `error`, `debug`, or empty."""


class Record(msgspec.Struct, rename="camel"):
    """A line of a controller, or of our engine, as it is written; nothing in it is clean."""

    level: str = ""
    ts: str | float = ""
    msg: str = ""
    error: str = ""
    controller_kind: str = ""
    name: str = ""
    namespace: str = ""
    cluster: str = ""
    revision: str = ""
    output: dict[str, str] | None = None

    @property
    def text(self) -> str:
        """What it says, on one clean line."""
        text = self.msg + (f": {self.error}" if self.error else "")
        output = (self.output or {}).items()
        changes = [f"{name} {what}" for name, what in output if what not in ("unchanged", "skipped")]
        if changes:
            text += ": " + ", ".join(changes)
        return one_line(text[:_LONGEST])

    @property
    def time(self) -> float:
        """Seconds since the epoch; 0.0 when it does not say."""
        return self.ts if isinstance(self.ts, float) else moment(self.ts)


_decode = msgspec.json.Decoder(Record).decode


def record_of(line: bytes) -> Record | None:
    """A line as a controller writes it; None for any other."""
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


async def follow_logs(client: Client, info: ClusterInfo | None, ref: Ref, show: Show) -> None:
    """Call `show` with lines about an object, past ones first, then new ones as they come.

    Runs until cancelled. What stands in the way is shown as a line of level `error`.
    """
    kind = BY_KIND.get((ref.group, ref.kind))
    try:
        if kind is None:
            await _PodLogs(client, ref, show).run()
        elif info and info.mode is Mode.EMBEDDED:
            await _engine_logs(client, info, ref, show)
        else:
            await _controller_logs(client, kind.controller, ref, show)
    except* KubeError as errors:
        show([LogLine("", str(error), level="error") for error in _leaves(errors)])


def _leaves(group: BaseExceptionGroup[Any]) -> Iterable[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def about(line: bytes, ref: Ref, source: str, clusters: frozenset[str] = frozenset()) -> LogLine | None:
    """A controller's line when it is about an object (of one of `clusters`, when they are given), else None."""
    if ref.name.encode() not in line:
        return None
    record = record_of(line)
    if record is None or (record.controller_kind, record.namespace, record.name) != (ref.kind, ref.namespace, ref.name):
        return None
    if clusters and record.cluster and record.cluster not in clusters:
        return None
    return LogLine(source, record.text, record.time, record.level)


async def _controller_logs(client: Client, controller: str, ref: Ref, show: Show) -> None:
    if not controller:
        show([LogLine("", f"no controller works on a {ref.kind}", level="info")])
        return
    pods = (await client.list(PODS, FLUX_NAMESPACE, label_selector=f"app={controller}")).items
    if not pods:
        show([LogLine("", f"no pod of {controller} in {FLUX_NAMESPACE}", level="error")])
        return
    async with asyncio.TaskGroup() as group:
        for pod in pods[:MOST_PODS]:
            group.create_task(_one_controller(client, str(pod["metadata"]["name"]), controller, ref, show))


async def _one_controller(client: Client, pod: str, controller: str, ref: Ref, show: Show) -> None:
    async for line in client.logs(pod, FLUX_NAMESPACE, follow=True, tail=CONTROLLER_TAIL):
        found = about(line, ref, controller)
        if found:
            show([found])


async def _engine_logs(client: Client, info: ClusterInfo, ref: Ref, show: Show) -> None:
    if not info.log_file:
        show([LogLine("", "the engine keeps no log file", level="info")])
        return
    if info.log_host and info.log_host != socket.gethostname():
        show([LogLine("", f"the engine runs on {info.log_host} and logs to {info.log_file} there", level="info")])
        return
    clusters = frozenset((client.id, client.context.name))
    async for line in tail(Path(info.log_file)):
        found = about(line, ref, "engine", clusters)
        if found:
            show([found])


async def tail(path: Path, *, follow: bool = True) -> AsyncGenerator[bytes, None]:
    """Lines of a file from a bounded past on; a file that is replaced is read from its beginning.

    Without `follow` it ends with what there is.
    """
    inode, position, rest = -1, 0, b""
    while True:
        chunk, inode, position, fresh = await asyncio.to_thread(_read, path, inode, position)
        rest = chunk if fresh else rest + chunk
        *complete, rest = rest.split(b"\n")
        for line in complete:
            yield line
        if not chunk:
            if not follow:
                return
            await asyncio.sleep(_POLL)


def _read(path: Path, inode: int, position: int) -> tuple[bytes, int, int, bool]:
    try:
        with path.open("rb") as file:
            found, size = _identity(file)
            fresh = found != inode or size < position
            if fresh:
                position = max(0, size - _READ) if inode == -1 else 0
            file.seek(position)
            chunk = file.read(_READ)
            return chunk, found, position + len(chunk), fresh
    except OSError:
        return b"", inode, position, False


def _identity(file: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_ino, status.st_size


class _PodLogs:
    """The containers of a workload's pods; pods that come later are followed as well."""

    def __init__(self, client: Client, ref: Ref, show: Show) -> None:
        self._client = client
        self._ref = ref
        self._show = show
        self._followed: set[tuple[str, str]] = set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                pods = await pods_of(self._client, self._ref)
                if not pods and not self._followed:
                    self._show([LogLine("", f"{self._ref.kind} {self._ref.name} has no pods", level="info")])
                    return
                for pod in pods[:MOST_PODS]:
                    for container in _containers(pod):
                        key = (str(pod["metadata"]["uid"]), container)
                        if key not in self._followed:
                            self._followed.add(key)
                            group.create_task(self._follow(str(pod["metadata"]["name"]), container))
                await asyncio.sleep(_PODS_EVERY)

    async def _follow(self, pod: str, container: str) -> None:
        source = f"{pod}/{container}"
        try:
            lines = self._client.logs(
                pod, self._ref.namespace, container=container, follow=True, tail=TAIL, timestamps=True
            )
            async for line in lines:
                self._show([_pod_line(source, line)])
        except ApiError as error:
            if error.status != 404:
                self._show([LogLine(source, str(error), level="error")])


def _containers(pod: Mapping[str, Any]) -> list[str]:
    """Containers that have run: those that still wait have no log."""
    status = pod.get("status") or {}
    found = []
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = each.get("state") or {}
        if "waiting" not in state or each.get("lastState"):
            found.append(str(each.get("name") or ""))
    return found


def _pod_line(source: str, line: bytes) -> LogLine:
    """A line that begins with its RFC 3339 time, as the kubelet writes it."""
    when, _, text = line[:_LONGEST].decode("utf-8", "replace").partition(" ")
    return LogLine(source, clean_lines(text).rstrip("\n"), moment(when))
