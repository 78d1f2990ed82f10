"""What the engine needs on a cluster: the CRDs of its kinds, and the namespace flux-system.

CRDs that somebody else manages (upstream Flux) are left alone, on the way in and on the way out; a cluster whose
controllers are at work is refused. What is taken away, and in which order, is that of `flux uninstall`: finalizers
first, so that nothing the objects applied is pruned, then the objects, the CRDs and the namespace.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from fluxtui.api.crds import MANAGED_BY, PART_OF, all_crds
from fluxtui.api.kinds import KINDS
from fluxtui.api.meta import FLUX_NAMESPACE
from fluxtui.engine.runtime.leases import IDENTITY_PREFIX, LEASES
from fluxtui.kube.apply import Applier, ApplyError
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.errors import KubeError, NotFound, UnknownKind
from fluxtui.kube.health import wait_until_gone
from fluxtui.kube.identity import Identity, identity_of, labels_of, version_of
from fluxtui.kube.plan import ApplyOptions

Object = dict[str, Any]

MANAGER = "fluxtui"
TIMEOUT = 60.0
"""Seconds for CRDs to be established, or gone."""
SKEW = 300.0
"""Seconds a clock of another host may be wrong: a Lease older than that is dead, a younger one is watched."""
_LOOK_EVERY = 1.0
_CRD = ("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
_LEASES = frozenset(f"{kind.controller}-leader-election" for kind in KINDS if kind.controller)


class Report(msgspec.Struct):
    """What was done, a line an object: `CustomResourceDefinition/x created`. Filled as it is done."""

    lines: list[str] = []


class InstallationError(KubeError):
    """The installation can't be done, or can't be undone; the text says why."""


def manifests() -> list[Object]:
    """Everything that `install` puts on a cluster."""
    labels = {MANAGED_BY: MANAGER, PART_OF: "flux"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": FLUX_NAMESPACE, "labels": labels}}
    return [namespace, *all_crds()]


async def install(client: Client, report: Report | None = None, *, dry_run: bool = False) -> Report:
    """Apply the manifests, and wait for the CRDs to be served.

    Raises InstallationError when Flux's own controllers are at work or flux-system is being deleted, and KubeError.
    """
    report = report or Report([])
    holders = [holder for holder in await _holders(client) if not holder.startswith(IDENTITY_PREFIX)]
    if holders:
        raise InstallationError(f"Flux's own controllers reconcile this cluster ({', '.join(holders)})")
    wanted = []
    for obj in manifests():
        live = await _live(client, obj)
        if live is not None and live["metadata"].get("deletionTimestamp"):
            raise InstallationError(f"{identity_of(obj)} is being deleted: wait until it is gone")
        if live is not None and labels_of(live).get(MANAGED_BY) != MANAGER:
            report.lines.append(f"{identity_of(obj)} kept, it is not fluxtui's")
        else:
            wanted.append(obj)
    options = ApplyOptions(manager=MANAGER, wait_timeout=TIMEOUT)
    if dry_run:
        plans = await Applier(client).preview(wanted, options)
        report.lines += [f"{plan.change} (dry run)" for plan in plans]
        return report
    try:
        report.lines += [str(change) for change in await Applier(client).apply(wanted, options)]
    except ApplyError as error:
        report.lines += [str(change) for change in error.changes]
        raise
    return report


async def uninstall(
    client: Client, report: Report | None = None, *, keep_namespace: bool = False, dry_run: bool = False
) -> Report:
    """Take away what `install` has put there, and the Flux objects of those kinds; what they applied stays.

    Raises InstallationError when somebody holds the Leases (an engine that runs), and KubeError.
    """
    report = report or Report([])
    holders = await _holders(client)
    if holders:
        raise InstallationError(f"this cluster is being reconciled by {', '.join(holders)}: stop that first")
    suffix = " (dry run)" if dry_run else ""
    crds = await _own_crds(client)
    objects = [obj for crd in crds for obj in await _objects(client, crd)]
    # All finalizers go before the first object: deleting one may delete others (by owner references).
    if not dry_run:
        for obj in objects:
            await _release(client, obj)
    for obj in objects:
        if not dry_run:
            await _delete(client, obj)
        report.lines.append(f"{identity_of(obj)} deleted{suffix}")
    gone: dict[Identity, str] = {}
    for crd in crds:
        if not dry_run:
            await _delete(client, crd)
            gone[identity_of(crd)] = version_of(crd)
        report.lines.append(f"{identity_of(crd)} deleted{suffix}")
    if gone:
        await wait_until_gone(client, gone, TIMEOUT)
    namespace = manifests()[0]
    live = await _live(client, namespace)
    if live is not None and labels_of(live).get(MANAGED_BY) == MANAGER and not keep_namespace:
        if not dry_run:
            await _delete(client, live)
        report.lines.append(f"{identity_of(namespace)} deleted{suffix}")
    return report


async def _live(client: Client, obj: Object) -> Object | None:
    resource = await client.resource_for(obj)
    try:
        return await client.get(resource, obj["metadata"]["name"], obj["metadata"].get("namespace", ""))
    except NotFound:
        return None


async def _own_crds(client: Client) -> Sequence[Object]:
    found = await client.list(await client.resource_for(_CRD), label_selector=f"{MANAGED_BY}={MANAGER}")
    known = {crd["metadata"]["name"] for crd in all_crds()}
    return [crd for crd in found.items if crd["metadata"]["name"] in known]


async def _objects(client: Client, crd: Object) -> Sequence[Object]:
    spec = crd["spec"]
    try:
        resource = await client.resource_for((spec["group"], "", spec["names"]["kind"]))
        return (await client.list(resource)).items
    except (UnknownKind, NotFound):
        return []


async def _release(client: Client, obj: Object) -> None:
    """Take an object's finalizers away: nobody is left who would obey them."""
    metadata = obj["metadata"]
    if not metadata.get("finalizers"):
        return
    patch = {"metadata": {"finalizers": None}}
    resource = await client.resource_for(obj)
    try:
        await client.patch(
            resource,
            metadata["name"],
            metadata.get("namespace", ""),
            patch,
            type=PatchType.MERGE,
            field_manager=MANAGER,
        )
    except NotFound:
        return


async def _delete(client: Client, obj: Object) -> None:
    metadata = obj["metadata"]
    try:
        await client.delete(await client.resource_for(obj), metadata["name"], metadata.get("namespace", ""))
    except NotFound:
        return


async def _holders(client: Client) -> list[str]:
    """Who holds the Leases of Flux's controllers and is alive: seen to renew one, or said to have done so just now.

    A Lease that looks expired is watched for its duration, as another host's clock may be wrong.
    """
    first = await _lease_specs(client)
    alive = {name for name, spec in first.items() if _age(spec) <= _duration(spec)}
    doubtful = {name: spec for name, spec in first.items() if name not in alive and _age(spec) <= SKEW}
    until = time.monotonic() + max(map(_duration, doubtful.values()), default=0.0)
    while doubtful and not alive and time.monotonic() < until:
        await asyncio.sleep(_LOOK_EVERY)
        now = await _lease_specs(client)
        alive = {name for name, spec in doubtful.items() if name in now and now[name] != spec}
    return sorted({str(first[name]["holderIdentity"]) for name in alive})


async def _lease_specs(client: Client) -> dict[str, dict[str, Any]]:
    """The Leases of Flux's controllers that somebody holds, by name."""
    leases = await client.list(LEASES, FLUX_NAMESPACE)
    specs = {lease["metadata"]["name"]: lease.get("spec") or {} for lease in leases.items}
    return {name: spec for name, spec in specs.items() if name in _LEASES and spec.get("holderIdentity")}


def _age(spec: dict[str, Any]) -> float:
    """Seconds since the Lease was renewed, by the clocks of both hosts."""
    try:
        return time.time() - datetime.fromisoformat(str(spec.get("renewTime"))).timestamp()
    except ValueError:
        return math.inf


def _duration(spec: dict[str, Any]) -> float:
    return float(spec.get("leaseDurationSeconds") or 15)
