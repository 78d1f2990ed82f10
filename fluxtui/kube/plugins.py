"""Exec credential plugins: one run serves every context that asks the same question.

Protocol: kubernetes.io/docs/reference/config-api/client-authentication.v1 (and v1beta1). kubernetes_asyncio runs a
plugin for each client, keeps no result, knows no cluster info and no timeout, hence our own.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import os
import shutil
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from fluxtui.kube.configfile import EXEC_GROUP
from fluxtui.kube.errors import AuthError, clean
from fluxtui.kube.programs import end, start
from fluxtui.kube.tls import read_file

Terminal = Callable[[], AbstractAsyncContextManager[None]]
"""Opens a context in which a plugin may talk to the user on the terminal (the console suspends its screen)."""

TIMEOUT = 60.0
"""Seconds a plugin may take on its own."""
TERMINAL_TIMEOUT = 300.0
"""Seconds a plugin may take with the user at the terminal."""
RETRY_AFTER = 10.0
"""Seconds for which a failure is the answer to everybody who asks."""
ASK_AGAIN_AFTER = 600.0
"""Seconds before the terminal is offered again to a plugin that only failed without one."""
_SKEW = 60.0
_MAX_OUTPUT = 1 << 20


class PluginSpec(msgspec.Struct, frozen=True):
    """A question to a plugin; equal ones share one answer. The repr shows the command alone."""

    command: str
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    api_version: str
    mode: str
    """Never, IfAvailable or Always."""
    cluster: str = ""
    """JSON of the cluster info, when the plugin wants it."""
    hint: str = ""
    """What the kubeconfig says about installing the command."""

    def __repr__(self) -> str:
        return f"PluginSpec({self.command!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("command", self.command)]

    @property
    def name(self) -> str:
        """The command's file name, for sentences."""
        return os.path.basename(self.command)


class Credential(msgspec.Struct, frozen=True):
    """What a plugin answered; the repr shows none of it."""

    token: str = ""
    certificate: bytes = b""
    key: bytes = b""
    expires: float = float("inf")
    """Unix time from which it is not used any more."""

    def __repr__(self) -> str:
        return "Credential(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class _Status(msgspec.Struct, rename="camel"):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime.datetime | None = None


class _Answer(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""
    status: _Status | None = None


class _Slot:
    """The state of one question."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.credential: Credential | None = None
        self.failure: AuthError | None = None
        self.failed_until = 0.0
        self.ask_after = 0.0


class ExecPlugins:
    """Runs plugins for all clients of one event loop: at most one run per question, few at a time.

    `terminal` is offered to plugins that need the user. `parallel` runs happen at once (default: one per CPU).
    """

    def __init__(
        self,
        terminal: Terminal | None = None,
        *,
        parallel: int = 0,
        timeout: float = TIMEOUT,
        terminal_timeout: float = TERMINAL_TIMEOUT,
        retry_after: float = RETRY_AFTER,
    ) -> None:
        self.terminal = terminal
        self._timeout = timeout
        self._terminal_timeout = terminal_timeout
        self._retry_after = retry_after
        self._slots: dict[PluginSpec, _Slot] = {}
        self._running = asyncio.Semaphore(parallel or os.cpu_count() or 2)
        self._at_terminal = asyncio.Lock()

    async def credential(self, spec: PluginSpec) -> Credential:
        """The current credential for `spec`, from memory until it expires. Raises AuthError."""
        slot = self._slots.setdefault(spec, _Slot())
        if slot.credential is not None and time.time() < slot.credential.expires:
            return slot.credential
        async with slot.lock:
            if slot.credential is not None and time.time() < slot.credential.expires:
                return slot.credential
            if slot.failure is not None and time.monotonic() < slot.failed_until:
                raise AuthError(str(slot.failure))
            try:
                slot.credential = await self._obtain(spec, slot)
            except AuthError as error:
                slot.failure, slot.failed_until = error, time.monotonic() + self._retry_after
                raise
            slot.failure = None
            return slot.credential

    def reject(self, spec: PluginSpec, rejected: Credential) -> None:
        """Forget a credential that a server refused, so that the next question runs the plugin again."""
        slot = self._slots.get(spec)
        if slot is not None and slot.credential == rejected:
            slot.credential = None

    async def _obtain(self, spec: PluginSpec, slot: _Slot) -> Credential:
        if spec.mode == "Always":
            if self.terminal is None:
                raise AuthError(f"exec plugin {spec.name} needs a terminal (interactiveMode: Always) and there is none")
            return await self._at(self.terminal, spec)
        try:
            async with self._running:
                return await self._run(spec, interactive=False, limit=self._timeout)
        except AuthError:
            if spec.mode == "Never" or self.terminal is None or time.monotonic() < slot.ask_after:
                raise
            slot.ask_after = time.monotonic() + ASK_AGAIN_AFTER
        return await self._at(self.terminal, spec)

    async def _at(self, terminal: Terminal, spec: PluginSpec) -> Credential:
        async with self._at_terminal, terminal():
            return await self._run(spec, interactive=True, limit=self._terminal_timeout)

    async def _run(self, spec: PluginSpec, *, interactive: bool, limit: float) -> Credential:
        command = shutil.which(spec.command)
        if command is None:
            hint = f": {spec.hint}" if spec.hint else ""
            raise AuthError(f"exec plugin {spec.command} is not installed or not on PATH{hint}")
        info = {"apiVersion": spec.api_version, "kind": "ExecCredential", "spec": {"interactive": interactive}}
        if spec.cluster:
            info["spec"] = {"cluster": msgspec.Raw(spec.cluster.encode()), "interactive": interactive}
        env = {**os.environ, **dict(spec.env), "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()}
        try:
            process = await start(
                command,
                *spec.args,
                group=not interactive,
                env=env,
                stdin=None if interactive else asyncio.subprocess.DEVNULL,
                stderr=None if interactive else asyncio.subprocess.PIPE,
                start_new_session=not interactive,
            )
        except (OSError, ValueError) as error:
            raise AuthError(f"exec plugin {spec.name} cannot be started: {error}") from error
        try:
            async with asyncio.timeout(limit):
                output, complaint = await _communicate(process)
        except TimeoutError:
            raise AuthError(f"exec plugin {spec.name} did not answer within {limit:g} s") from None
        finally:
            if process.returncode is None:
                await end(process, group=not interactive)
        if process.returncode:
            said = " ".join(complaint.decode("utf-8", "replace").split())
            more = f": {clean(said[-400:])}" if said else ""
            raise AuthError(f"exec plugin {spec.name} failed with exit code {process.returncode}{more}")
        return _credential(spec, output)


_shared: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, ExecPlugins] = weakref.WeakKeyDictionary()


def shared_plugins() -> ExecPlugins:
    """The runner without a terminal that clients of the running loop share when they are given none."""
    return _shared.setdefault(asyncio.get_running_loop(), ExecPlugins())


async def _communicate(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    """All of stdout and stderr, each up to a bound beyond which it is read and dropped."""

    async def drain(stream: asyncio.StreamReader | None) -> bytes:
        kept = bytearray()
        while stream is not None and (chunk := await stream.read(65536)):
            kept += chunk[: max(0, _MAX_OUTPUT - len(kept))]
        return bytes(kept)

    async with asyncio.TaskGroup() as group:
        output = group.create_task(drain(process.stdout))
        complaint = group.create_task(drain(process.stderr))
        await process.wait()
    return output.result(), complaint.result()


def _credential(spec: PluginSpec, output: bytes) -> Credential:
    try:
        answer = msgspec.json.decode(output, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise AuthError(f"exec plugin {spec.name} did not answer with an ExecCredential") from None
    if answer.kind != "ExecCredential" or answer.status is None:
        raise AuthError(f"exec plugin {spec.name} answered with no ExecCredential status")
    if answer.api_version != spec.api_version:
        raise AuthError(
            f"exec plugin {spec.name} speaks {answer.api_version}, but the kubeconfig says {spec.api_version}"
        )
    status = answer.status
    if bool(status.client_certificate_data) != bool(status.client_key_data):
        raise AuthError(f"exec plugin {spec.name} gave only one of client certificate and key")
    if not status.token and not status.client_certificate_data:
        raise AuthError(f"exec plugin {spec.name} gave neither a token nor a client certificate")
    expires = float("inf")
    if status.expiration_timestamp is not None:
        end, now = status.expiration_timestamp.timestamp(), time.time()
        expires = end - min(_SKEW, max(0.0, (end - now) / 10))
    return Credential(status.token, status.client_certificate_data.encode(), status.client_key_data.encode(), expires)


def spec_of(plugin: Mapping[str, Any], cluster: Mapping[str, Any], where: str) -> PluginSpec:
    """The question that a kubeconfig's `exec` asks for a cluster; both as in the file, checked.

    Raises ConfigError when the cluster's certificate authority, which the plugin wants, cannot be read.
    """
    info = ""
    if plugin.get("provideClusterInfo"):
        info = msgspec.json.encode(_cluster_info(cluster, where), order="sorted").decode()
    return PluginSpec(
        command=plugin["command"],
        args=tuple(plugin.get("args", ())),
        env=tuple((variable["name"], variable["value"]) for variable in plugin.get("env", ())),
        api_version=plugin["apiVersion"],
        mode=plugin.get("interactiveMode", "IfAvailable"),
        cluster=info,
        hint=clean(" ".join(str(plugin.get("installHint", "")).split()), 400),
    )


def _cluster_info(cluster: Mapping[str, Any], where: str) -> dict[str, Any]:
    fields = (
        "server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url",
        "disable-compression",
    )  # fmt: skip
    info = {field: cluster[field] for field in fields if cluster.get(field)}
    path = cluster.get("certificate-authority")
    if path and "certificate-authority-data" not in info:
        authority = read_file(path, where, "certificate-authority")
        info["certificate-authority-data"] = base64.b64encode(authority).decode()
    for extension in cluster.get("extensions") or ():
        if isinstance(extension, dict) and extension.get("name") == f"{EXEC_GROUP}/exec":
            info["config"] = extension.get("extension")
    return info
