"""Waiting until a set of objects is ready, or gone.

By reading what is not ready yet, often at first and every five seconds later, with the rights that applying needs.
Source: the wait of fluxcd/pkg `ssa` and the status readers of fluxcd/cli-utils (a workload fails when its Pods do).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from fluxtui.api.kstatus import Result, Status, is_unschedulable, status_of
from fluxtui.kube.batch import each
from fluxtui.kube.errors import ApiError, KubeError, NotFound, UnknownKind
from fluxtui.kube.identity import Identity, Object

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

_FIRST_PAUSE = 0.25
_LAST_PAUSE = 5.0
_PODS_EVERY = 5.0
_CONCURRENCY = 8
_WORKLOADS = frozenset({("apps", "Deployment"), ("apps", "ReplicaSet"), ("apps", "StatefulSet")})
_PODS = {"apiVersion": "v1", "kind": "Pod"}


class HealthError(KubeError):
    """Objects that failed or are not ready in time: `timeout waiting for: [Deployment/web/api status: 'Failed']`."""


async def wait_until_ready(
    client: Client,
    wanted: Mapping[Identity, str],
    within: float,
    *,
    known: Mapping[Identity, Object] | None = None,
    fail_fast: bool = True,
    may_vanish: Collection[Identity] = (),
    judge: Callable[[Object], Result | None] | None = None,
    vanished: set[Identity] | None = None,
) -> None:
    """Wait, at most `within` seconds, until every object (identity → API version) is Current.

    `known` are objects read a moment ago, which saves reading those that are ready. With `fail_fast`, the first Failed
    object ends the wait; without, the wait goes on while others are in progress. `may_vanish` are Jobs that delete
    themselves when done. `judge` knows the health of objects better than kstatus, or says None. `vanished`, if given,
    gets what does not exist any more, for which then nobody waits. Raises HealthError.
    """
    check = _Check(client, wanted, may_vanish, judge, vanished)
    check.learn(known or {})
    try:
        async with asyncio.timeout(within):
            await check.run(fail_fast)
    except TimeoutError:
        raise HealthError(f"timeout waiting for: [{', '.join(check.blame(Status.CURRENT))}]") from None
    failed = check.blame(*(status for status in Status if status is not Status.FAILED))
    if failed:
        raise HealthError(f"failed early due to stalled resources: [{', '.join(failed)}]")


async def wait_until_gone(client: Client, gone: Mapping[Identity, str], within: float) -> None:
    """Wait, at most `within` seconds, until no object is left. Raises HealthError that names the first that is."""
    left = dict(gone)
    pause = _FIRST_PAUSE
    try:
        async with asyncio.timeout(within):
            while left:
                found = await each(list(left.items()), lambda item: read(client, *item), _CONCURRENCY)
                left = {entry[0]: left[entry[0]] for entry in found.results if entry[1] is not None}
                if left:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LAST_PAUSE)
    except TimeoutError:
        raise HealthError(f"{next(iter(left))} termination timeout: {within:g}s are over") from None


async def read(client: Client, identity: Identity, version: str) -> tuple[Identity, Object | None]:
    """The identity and the live object, None when it does not exist.

    Raises UnknownKind when the server does not serve the kind in any version, and what the client raises.
    """
    api_version = f"{identity.group}/{version}" if identity.group else version
    try:
        resource = await client.resource_for({"apiVersion": api_version, "kind": identity.kind})
    except UnknownKind:
        other = (await client.resources()).find(identity.group, identity.kind)
        if other is None:
            raise
        resource = other
    try:
        return identity, await client.get(resource, identity.name, identity.namespace)
    except NotFound:
        return identity, None


class _Check:
    def __init__(
        self,
        client: Client,
        wanted: Mapping[Identity, str],
        may_vanish: Collection[Identity],
        judge: Callable[[Object], Result | None] | None,
        vanished: set[Identity] | None,
    ) -> None:
        self._vanished = vanished
        self._judge = judge
        self._client = client
        self._wanted = dict(wanted)
        self._may_vanish = may_vanish
        self._results: dict[Identity, Result] = {}
        self._workloads: dict[Identity, Object] = {}
        self._broken: dict[Identity, str] = {}

    def learn(self, objects: Mapping[Identity, Object]) -> None:
        for identity, obj in objects.items():
            if identity in self._wanted:
                self._note(identity, obj)

    def blame(self, *innocent: Status) -> list[str]:
        """A phrase for each object whose status is none of these, or unknown."""
        phrases = []
        for identity in self._wanted:
            result = self._results.get(identity)
            if result is None and Status.UNKNOWN not in innocent:
                phrases.append(f"can't determine status for {identity}")
            elif result is not None and result.status not in innocent:
                reason = f": {self._broken[identity]}" if identity in self._broken else ""
                phrases.append(f"{identity} status: '{result.status}'{reason}")
        return phrases

    async def run(self, fail_fast: bool) -> None:
        """Return when all are Current or nothing can change any more."""
        clock = asyncio.get_running_loop().time
        pause, next_pods = _FIRST_PAUSE, clock() + _LAST_PAUSE / 2
        unread = [identity for identity in self._wanted if identity not in self._results]
        if unread:
            await self._read(unread)
        while not self._is_over(fail_fast):
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, _LAST_PAUSE)
            await self._read([found for found, result in self._results.items() if result.status is not Status.CURRENT])
            if clock() >= next_pods:
                await self._read_pods()
                next_pods = clock() + _PODS_EVERY

    def _is_over(self, fail_fast: bool) -> bool:
        statuses = {result.status for result in self._results.values()}
        if fail_fast and Status.FAILED in statuses:
            return True
        return statuses <= {Status.CURRENT, Status.FAILED}

    async def _read(self, identities: Collection[Identity]) -> None:
        await each([(identity, self._wanted[identity]) for identity in identities], self._read_one, _CONCURRENCY)

    async def _read_one(self, item: tuple[Identity, str]) -> None:
        identity, version = item
        try:
            _, obj = await read(self._client, identity, version)
        except KubeError as error:
            # It may pass, as a missing kind or an API server that restarts; the timeout ends it.
            self._results[identity] = Result(Status.UNKNOWN, str(error))
            self._broken[identity] = str(error)
            return
        self._broken.pop(identity, None)
        self._note(identity, obj)

    def _note(self, identity: Identity, obj: Object | None) -> None:
        result = (self._judge(obj) if self._judge is not None and obj is not None else None) or status_of(obj)
        if result.status is Status.UNKNOWN:
            self._broken[identity] = result.message
        if result.status is Status.NOT_FOUND and identity in self._may_vanish:
            result = Result(Status.CURRENT, "Job is done and gone")
        if result.status is Status.NOT_FOUND and self._vanished is not None:
            self._vanished.add(identity)
            result = Result(Status.CURRENT, "gone")
        self._results[identity] = result
        self._workloads.pop(identity, None)
        if obj is not None and result.status is Status.IN_PROGRESS and (identity.group, identity.kind) in _WORKLOADS:
            self._workloads[identity] = obj

    async def _read_pods(self) -> None:
        await each(list(self._workloads.items()), self._read_pods_of, _CONCURRENCY)

    async def _read_pods_of(self, item: tuple[Identity, Object]) -> None:
        identity, workload = item
        labels = ((workload.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        if not labels:
            return
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        try:
            resource = await self._client.resource_for(_PODS)
            pods = (await self._client.list(resource, identity.namespace, label_selector=selector)).items
        except (ApiError, UnknownKind):
            return
        failed = sum(_has_failed({**_PODS, **pod}) for pod in pods)
        if failed:
            self._results[identity] = Result(Status.FAILED, f"{failed} pods have failed")


def _has_failed(pod: Object) -> bool:
    # A Pod without a node may get one from an autoscaler.
    return status_of(pod).status is Status.FAILED and not is_unschedulable(pod)
