"""What the engine needs on a cluster: the CRDs of its kinds, and the namespace flux-system.

CRDs that somebody else manages (upstream Flux) are left alone, on the way in and on the way out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fluxtui.api.crds import MANAGED_BY, PART_OF, all_crds
from fluxtui.api.meta import FLUX_NAMESPACE
from fluxtui.kube.apply import Applier
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.errors import NotFound
from fluxtui.kube.health import wait_until_gone
from fluxtui.kube.identity import Identity, identity_of, labels_of, version_of
from fluxtui.kube.plan import ApplyOptions
from fluxtui.kube.resources import Resource

Object = dict[str, Any]

MANAGER = "fluxtui"
TIMEOUT = 60.0
"""Seconds for CRDs to be established, or gone."""
_CRD = ("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
_LEASE = ("coordination.k8s.io", "v1", "Lease")


class Report(msgspec.Struct):
    """What was done, a line an object: `CustomResourceDefinition/x created`."""

    lines: list[str] = []


class InstallationError(Exception):
    """The installation can't be done, or can't be undone; the text says why."""


def manifests() -> list[Object]:
    """Everything that `install` puts on a cluster."""
    labels = {MANAGED_BY: MANAGER, PART_OF: "flux"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": FLUX_NAMESPACE, "labels": labels}}
    return [namespace, *all_crds()]


async def install(client: Client, *, dry_run: bool = False) -> Report:
    """Apply the manifests, and wait for the CRDs to be served. Raises KubeError."""
    report = Report([])
    wanted = []
    for obj in manifests():
        live = await _live(client, obj)
        if live is not None and labels_of(live).get(MANAGED_BY) != MANAGER:
            report.lines.append(f"{identity_of(obj)} kept, it is not fluxtui's")
        else:
            wanted.append(obj)
    options = ApplyOptions(manager=MANAGER, wait_timeout=TIMEOUT)
    if dry_run:
        plans = await Applier(client).preview(wanted, options)
        report.lines += [f"{plan.change} (dry run)" for plan in plans]
    else:
        report.lines += [str(change) for change in await Applier(client).apply(wanted, options)]
    return report


async def uninstall(client: Client, *, keep_namespace: bool = False, dry_run: bool = False) -> Report:
    """Take away what `install` has put there, and the Flux objects of those kinds; what they applied stays.

    Raises InstallationError when somebody holds the Leases (an engine that runs), and KubeError.
    """
    await _refuse_while_running(client)
    report = Report([])
    suffix = " (dry run)" if dry_run else ""
    crds = await _own_crds(client)
    gone: dict[Identity, str] = {}
    for crd in crds:
        for obj in await _objects(client, crd):
            report.lines.append(f"{identity_of(obj)} deleted{suffix}")
            if not dry_run:
                await _forget(client, obj)
        report.lines.append(f"{identity_of(crd)} deleted{suffix}")
        if not dry_run:
            await client.delete(await client.resource_for(_CRD), crd["metadata"]["name"])
            gone[identity_of(crd)] = version_of(crd)
    if gone:
        await wait_until_gone(client, gone, TIMEOUT)
    namespace = manifests()[0]
    live = await _live(client, namespace)
    if live is not None and labels_of(live).get(MANAGED_BY) == MANAGER and not keep_namespace:
        report.lines.append(f"{identity_of(namespace)} deleted{suffix}")
        if not dry_run:
            await client.delete(await client.resource_for(namespace), FLUX_NAMESPACE)
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
    resource = await _served(client, crd)
    return [] if resource is None else (await client.list(resource)).items


async def _served(client: Client, crd: Object) -> Resource | None:
    spec = crd["spec"]
    return (await client.resources()).find(spec["group"], spec["names"]["kind"])


async def _forget(client: Client, obj: Object) -> None:
    """Delete a Flux object without what it applied: its finalizer goes first."""
    resource = await client.resource_for(obj)
    metadata = obj["metadata"]
    name, namespace = metadata["name"], metadata.get("namespace", "")
    try:
        if metadata.get("finalizers"):
            patch = {"metadata": {"finalizers": None}}
            await client.patch(resource, name, namespace, patch, type=PatchType.MERGE, field_manager=MANAGER)
        await client.delete(resource, name, namespace)
    except NotFound:
        return


async def _refuse_while_running(client: Client) -> None:
    leases = await client.list(await client.resource_for(_LEASE), FLUX_NAMESPACE)
    holders = sorted(
        {
            str(spec["holderIdentity"])
            for lease in leases.items
            if lease["metadata"]["name"].endswith("-leader-election")
            and (spec := lease.get("spec") or {}).get("holderIdentity")
        }
    )
    if holders:
        raise InstallationError(f"{', '.join(holders)} reconciles this cluster: stop it first")
