"""Leader election with the Leases of the upstream controllers, all of a cluster's or none.

The engine writes to a cluster only while it holds the Lease `<controller>-leader-election` of every controller it
stands in for, so that it never works beside upstream's. Durations, fields and the rule that a Lease is alive for as
long as it was *seen* to change (no clock of another host is trusted) are those of client-go's leaderelection.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from fluxtui.engine.runtime.backoff import jittered
from fluxtui.engine.runtime.objects import Object, micro_timestamp, now
from fluxtui.engine.runtime.settings import EngineSettings
from fluxtui.kube.errors import AlreadyExists, Conflict, KubeError, NotFound, Unreachable
from fluxtui.kube.resources import Resource

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

LEASES = Resource(
    group="coordination.k8s.io",
    version="v1",
    kind="Lease",
    plural="leases",
    singular="lease",
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
)
IDENTITY_PREFIX = "fluxtui_"
"""Holder identities of this engine start with it; upstream's start with the name of a pod."""

logger = logging.getLogger("fluxtui.engine.leases")


class Holder(msgspec.Struct, frozen=True):
    """Somebody else who holds a Lease we need."""

    lease: str
    identity: str
    age: float
    """Seconds since the holder renewed it, by the holder's clock."""

    def __str__(self) -> str:
        return f"{self.lease} is held by {self.identity} (renewed {max(0, round(self.age))}s ago)"


class Standing(msgspec.Struct, frozen=True):
    """How an election stands."""

    leading: bool = False
    holders: tuple[Holder, ...] = ()
    """Who stands in the way."""
    problem: str = ""
    """Why the Leases can't be had, when nobody stands in the way: a sentence for users."""
    reachable: bool = True
    """Whether the API server answers."""


class _Observed(msgspec.Struct):
    lease: Object
    at: float

    @property
    def spec(self) -> dict[str, Any]:
        return self.lease.get("spec") or {}


class LeaderElection:
    """Takes, renews and gives back a cluster's Leases; `run` does it all.

    `annotations` are put on the Leases while they are held, so that whoever sees only the cluster learns about the
    engine.
    """

    def __init__(
        self,
        client: Client,
        controllers: Sequence[str],
        identity: str,
        settings: EngineSettings,
        *,
        annotations: Mapping[str, str] | None = None,
        on_change: Callable[[Standing], None] = lambda _: None,
    ) -> None:
        self._client = client
        shard = _shard(settings.label_selector)
        self._managers = {f"{controller}-leader-election{shard}": controller for controller in controllers}
        self._identity = identity
        self._settings = settings
        self._annotations = dict(annotations or {})
        self._on_change = on_change
        self._observed: dict[str, _Observed] = {}
        self._held: dict[str, Object] = {}
        self._until = 0.0
        self._renewed = 0.0
        self.standing = Standing()

    @property
    def leases(self) -> tuple[str, ...]:
        """Names of the Leases stood for."""
        return tuple(self._managers)

    @property
    def remaining(self) -> float:
        """For how many seconds from now all Leases are ours beyond doubt; 0 when they are not.

        The lesser by the loop's clock and by the wall clock, which goes on while a machine sleeps.
        """
        if not self.standing.leading:
            return 0.0
        by_loop = self._until - asyncio.get_running_loop().time()
        by_wall = self._settings.renew_deadline - (time.time() - self._renewed)
        return max(0.0, min(by_loop, by_wall))

    @property
    def leading(self) -> bool:
        """Whether all Leases are held beyond doubt at this moment."""
        return self.remaining > 0

    async def run(self, lead: Callable[[], Awaitable[None]], ended: Callable[[], bool] = lambda: False) -> None:
        """Wait for the Leases, run `lead` while they are held, again and again; returns when `lead` returns.

        After a loss it returns, too, when `ended` says that the Leases are not wanted any more. When a Lease is lost,
        `lead` is cancelled (and `leading` is False before it notices). On return and on cancellation the Leases are
        given back.
        """
        try:
            while True:
                await self._acquire()
                if await self._lead(lead):
                    return
                logger.error("%s: the Leases were lost, reconciliation stopped", self._client.id)
                if ended():
                    return
        finally:
            self._stand(Standing())
            await self._give_back()

    async def _lead(self, lead: Callable[[], Awaitable[None]]) -> bool:
        """Run `lead` beside the renewal. Whether `lead` came to its end, rather than the Leases."""
        finished = False
        try:
            async with asyncio.TaskGroup() as group:
                renewal = group.create_task(self._renew(), name=f"renew leases of {self._client.id}")
                await lead()
                finished = True
                renewal.cancel()
        except* _Lost:
            pass
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # Before Python 3.13, a TaskGroup that ends for an error of its own drops a cancellation meanwhile.
            raise asyncio.CancelledError
        return finished

    async def _acquire(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._settings.renew_deadline):
                    standing = await self._try()
            except (KubeError, TimeoutError) as error:
                reachable = not isinstance(error, Unreachable | TimeoutError)
                standing = Standing(problem=_problem(error, self._settings.namespace), reachable=reachable)
            self._stand(standing)
            if standing.leading:
                return
            await asyncio.sleep(jittered(self._settings.retry_period, 0.1))

    async def _try(self) -> Standing:
        """One try for all Leases: none is touched as long as another holder of any of them is alive."""
        await self._observe()
        holders = self._holders()
        if holders:
            await self._give_back()
            return Standing(holders=holders)
        start, wall = asyncio.get_running_loop().time(), time.time()
        try:
            for name in self._managers:
                await self._write(name)
        except (Conflict, AlreadyExists):
            await self._give_back()
            return Standing(problem="another process is taking the Leases")
        self._extend(start, wall)
        return Standing(leading=True)

    async def _observe(self) -> None:
        found = await self._client.list(LEASES, self._settings.namespace)
        at = asyncio.get_running_loop().time()
        leases = {lease["metadata"]["name"]: lease for lease in found.items}
        for name in self._managers:
            lease = leases.get(name)
            known = self._observed.get(name)
            if lease is None:
                self._observed.pop(name, None)
            elif known is None or known.spec != (lease.get("spec") or {}):
                self._observed[name] = _Observed(lease, at)
            else:
                known.lease = lease
            if lease is not None and (lease.get("spec") or {}).get("holderIdentity") == self._identity:
                self._held[name] = lease
            else:
                self._held.pop(name, None)

    def _holders(self) -> tuple[Holder, ...]:
        at = asyncio.get_running_loop().time()
        holders = []
        for name, observed in self._observed.items():
            identity = observed.spec.get("holderIdentity") or ""
            lasts = float(observed.spec.get("leaseDurationSeconds") or 0)
            if identity and identity != self._identity and observed.at + lasts > at:
                holders.append(Holder(name, identity, _age(observed.spec)))
        return tuple(holders)

    async def _renew(self) -> None:
        """Renew until that fails for good; raises _Lost when the Leases are lost."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._settings.retry_period)
            if not self.leading:
                break
            start, wall = loop.time(), time.time()
            try:
                async with asyncio.timeout_at(self._until):
                    for name in self._managers:
                        await self._renew_one(name)
            except _Lost as lost:
                logger.error("%s: %s", self._client.id, lost)
                break
            except (KubeError, TimeoutError) as error:
                logger.warning("%s: the Leases were not renewed: %s", self._client.id, error or "no answer in time")
                continue
            self._extend(start, wall)
        self._stand(Standing())
        raise _Lost

    async def _renew_one(self, name: str) -> None:
        try:
            await self._write(name)
        except (Conflict, NotFound):
            # Somebody wrote it: harmless (an annotation) or the end.
            try:
                fresh = await self._client.get(LEASES, name, self._settings.namespace)
            except NotFound:
                self._held.pop(name, None)
                self._observed.pop(name, None)
            else:
                holder = (fresh.get("spec") or {}).get("holderIdentity") or ""
                if holder != self._identity:
                    self._held.pop(name, None)
                    raise _Lost(f"{name} was taken by {holder or 'nobody'}") from None
                self._held[name] = fresh
            await self._write(name)

    async def _write(self, name: str) -> None:
        """Create or update one Lease as ours, with the version last seen."""
        lease = self._held.get(name) or (self._observed[name].lease if name in self._observed else None)
        manager = self._managers[name]
        if lease is None:
            body = self._body(name, {"metadata": {}}, 0, micro_timestamp())
            self._held[name] = await self._client.create(LEASES, body, field_manager=manager)
            return
        spec = lease.get("spec") or {}
        transitions = int(spec.get("leaseTransitions") or 0)
        acquired = spec.get("acquireTime") or micro_timestamp()
        if spec.get("holderIdentity") != self._identity:
            transitions, acquired = transitions + 1, micro_timestamp()
        body = self._body(name, lease, transitions, acquired)
        self._held[name] = await self._client.replace(LEASES, body, field_manager=manager)

    def _body(self, name: str, lease: Object, transitions: int, acquired: str) -> Object:
        metadata = {key: value for key, value in lease["metadata"].items() if key != "managedFields"}
        metadata |= {"name": name, "namespace": self._settings.namespace}
        if self._annotations:
            metadata["annotations"] = {**(metadata.get("annotations") or {}), **self._annotations}
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(self._settings.lease_duration),
                "acquireTime": acquired,
                "renewTime": micro_timestamp(),
                "leaseTransitions": transitions,
            },
        }

    async def _give_back(self) -> None:
        """Release what is held, so that the next holder need not wait; as client-go's ReleaseOnCancel."""
        held, self._held = self._held, {}
        try:
            async with asyncio.timeout(self._settings.release_deadline):
                for name, lease in held.items():
                    body = self._body(name, lease, int(lease["spec"].get("leaseTransitions") or 0), micro_timestamp())
                    body["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                    for key in self._annotations:
                        body["metadata"]["annotations"].pop(key, None)
                    with suppress(Conflict, NotFound):
                        await self._client.replace(LEASES, body, field_manager=self._managers[name])
        except (KubeError, TimeoutError) as error:
            logger.warning("%s: Leases not released: %s", self._client.id, error or "no answer in time")

    def _extend(self, start: float, wall: float) -> None:
        """Take the Leases as renewed when the requests began, by loop time and by the wall clock."""
        self._until = start + self._settings.renew_deadline
        self._renewed = wall

    def _stand(self, standing: Standing) -> None:
        if standing != self.standing:
            self.standing = standing
            self._on_change(standing)


class _Lost(Exception):
    """The Leases are no longer ours."""


def _shard(selector: str) -> str:
    """What upstream's controllers add to the names of their Leases when they watch only some objects."""
    return f"-{hashlib.sha256(selector.encode()).hexdigest()[:8]}" if selector else ""


def _age(spec: Mapping[str, Any]) -> float:
    try:
        renewed = datetime.fromisoformat(str(spec.get("renewTime")).replace("Z", "+00:00"))
        return (now() - renewed).total_seconds()
    except (ValueError, TypeError):
        return 0.0


def _problem(error: Exception, namespace: str) -> str:
    if isinstance(error, NotFound):
        return f"namespace {namespace} does not exist; `fluxtui install` creates it"
    return str(error) or "no answer in time"
