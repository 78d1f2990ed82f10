"""Keeping the children of opened objects live: what an inventory names, judged by kstatus, and the pods of workloads.

Watches run only while a node is open, one a kind, narrowed by the owner's labels. Kinds that have no health (and
Secrets above all) are watched by their metadata only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from fluxtui.api.kinds import HELM_RELEASE, KUSTOMIZATION
from fluxtui.fleet.branches import WORKLOADS, Branch, Child, child_of, named
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.pods import PODS, belongs, pod_selector, pods_of
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.states import State
from fluxtui.kube.errors import KubeError, NotFound, UnknownKind

if TYPE_CHECKING:
    from fluxtui.kube.client import Client
    from fluxtui.kube.resources import Resource
    from fluxtui.kube.watch import Batch, WatchState

RECHECK = 30.0
"""Seconds between looks at what could not be read, and at objects that carry no owner's labels."""
MOST_GETS = 40
"""Objects without their owner's labels that are asked for one by one."""

KindKey = tuple[str, str]

HEALTHLESS = frozenset(
    {
        ("", "ConfigMap"),
        ("", "Secret"),
        ("", "ServiceAccount"),
        ("", "Namespace"),
        ("", "LimitRange"),
        ("rbac.authorization.k8s.io", "Role"),
        ("rbac.authorization.k8s.io", "RoleBinding"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("networking.k8s.io", "NetworkPolicy"),
        ("scheduling.k8s.io", "PriorityClass"),
    }
)
"""(group, kind) of objects that are well when they are there."""

_LABELS = {
    KUSTOMIZATION.kind: "kustomize.toolkit.fluxcd.io/{0}={1},kustomize.toolkit.fluxcd.io/{2}={3}",
    HELM_RELEASE.kind: "helm.toolkit.fluxcd.io/{0}={1},helm.toolkit.fluxcd.io/{2}={3}",
    "ResourceSet": "resourceset.fluxcd.controlplane.io/{0}={1},resourceset.fluxcd.controlplane.io/{2}={3}",
    "FluxInstance": "fluxcd.controlplane.io/{0}={1},fluxcd.controlplane.io/{2}={3}",
}
"""Labels that an owner puts on what it applies."""


async def keep_open(client: Client, mirror: Mirror, ref: Ref) -> None:
    """Keep `mirror.branches[ref]` true until cancelled: of a row its inventory, of a workload its pods."""
    if ref in mirror.rows:
        await _keep_inventory(client, mirror, ref)
    elif ref.kind in WORKLOADS:
        await _keep_pods(client, mirror, ref)


async def _keep_inventory(client: Client, mirror: Mirror, ref: Ref) -> None:
    moved = asyncio.Event()
    mirror.on_moved[ref] = moved.set
    try:
        while ref in mirror.rows:
            moved.clear()
            async with asyncio.TaskGroup() as group:
                tasks = _InventoryBranch(client, mirror, ref).start(group)
                await moved.wait()
                for task in tasks:
                    task.cancel()
    finally:
        mirror.on_moved.pop(ref, None)


class _InventoryBranch:
    """The children of one row, a watch for each kind."""

    def __init__(self, client: Client, mirror: Mirror, ref: Ref) -> None:
        self._client = client
        self._mirror = mirror
        self._ref = ref
        before = mirror.branches.get(ref) or named(mirror.rows[ref].managed())
        known = {child.ref: child for child in before.children}
        managed = [child for child in mirror.rows[ref].managed() if child not in mirror.rows]
        self._children = {child: known.get(child) or Child(child) for child in managed}
        self._kinds: defaultdict[KindKey, set[Ref]] = defaultdict(set)
        for child in self._children:
            self._kinds[child.group, child.kind].add(child)
        self._waiting = set(self._kinds)
        self._problems: dict[KindKey, str] = {}
        form = _LABELS.get(ref.kind, "")
        self._selector = form.format("name", ref.name, "namespace", ref.namespace)

    def start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """One task a kind, kept in `group`."""
        self._tell()
        return [group.create_task(self._keep(kind, refs)) for kind, refs in self._kinds.items()]

    async def _keep(self, kind: KindKey, refs: set[Ref]) -> None:
        while True:
            try:
                resource = await self._client.resource_for((kind[0], "", kind[1]))
                if self._selector:
                    await self._watch(kind, resource, refs)
                self._settle(kind, await self._ask(resource, refs))
            except UnknownKind as error:
                self._settle(kind, {ref: Child(ref, message=str(error)) for ref in refs})
            except KubeError as error:
                self._fail(kind, str(error))
            await asyncio.sleep(RECHECK)

    async def _watch(self, kind: KindKey, resource: Resource, refs: set[Ref]) -> None:
        from fluxtui.kube.watch import watch

        namespaces = {ref.namespace for ref in refs}
        batches = watch(
            self._client,
            resource,
            namespace=namespaces.pop() if len(namespaces) == 1 else "",
            label_selector=self._selector,
            metadata_only=kind in HEALTHLESS,
            on_state=lambda state: self._heard(kind, state),
        )
        async with contextlib.aclosing(batches):
            async for batch in batches:
                await self._fold(kind, resource, refs, batch)

    def _heard(self, kind: KindKey, state: WatchState) -> None:
        from fluxtui.kube.watch import Phase

        if state.phase in (Phase.FORBIDDEN, Phase.ABSENT):
            self._fail(kind, f"{kind[1]} may not be read" if state.phase is Phase.FORBIDDEN else str(state.error))

    async def _fold(self, kind: KindKey, resource: Resource, refs: set[Ref], batch: Batch[Any]) -> None:
        found = {self._child_ref(kind, obj): obj for obj in batch.upserts}
        news = {ref: child_of(ref, _typed(obj, resource)) for ref, obj in found.items() if ref in refs}
        gone = {Ref(self._ref.cluster, *kind, *key) for key in batch.deletes} & refs
        news |= {ref: child_of(ref, None) for ref in gone}
        if batch.replace and refs - news.keys():
            news |= await self._ask(resource, refs - news.keys())
        self._settle(kind, news)

    async def _ask(self, resource: Resource, refs: set[Ref]) -> dict[Ref, Child]:
        """Objects asked for one by one, as far as that is bearable."""
        kind = "PartialObjectMetadata"
        partial = f"application/json;as={kind};g=meta.k8s.io;v=v1"
        found = {}
        for ref in sorted(refs)[:MOST_GETS]:
            accept = partial if (ref.group, ref.kind) in HEALTHLESS else "application/json"
            try:
                answer = await self._client.request("GET", resource.path(ref.namespace, ref.name), accept=accept)
                found[ref] = child_of(ref, _typed(msgspec.json.decode(answer.body), resource))
            except NotFound:
                found[ref] = child_of(ref, None)
            except (KubeError, msgspec.DecodeError) as error:
                found[ref] = Child(ref, message=str(error))
        return found

    def _child_ref(self, kind: KindKey, obj: Mapping[str, Any]) -> Ref:
        metadata = obj.get("metadata") or {}
        return Ref(self._ref.cluster, *kind, metadata.get("namespace") or "", metadata.get("name") or "")

    def _settle(self, kind: KindKey, news: Mapping[Ref, Child]) -> None:
        self._children.update(news)
        self._problems.pop(kind, None)
        self._waiting.discard(kind)
        self._tell()

    def _fail(self, kind: KindKey, problem: str) -> None:
        self._problems[kind] = problem
        self._waiting.discard(kind)
        self._tell()

    def _tell(self) -> None:
        error = "; ".join(sorted(set(self._problems.values())))
        # What failed is looked for; the rest keeps the order in which it was applied.
        children = sorted(self._children.values(), key=lambda child: child.state != State.FAILED)
        self._mirror.set_branch(self._ref, Branch(tuple(children), bool(self._waiting), error))


def _typed(obj: dict[str, Any], resource: Resource) -> dict[str, Any]:
    """PartialObjectMetadata does not say of which kind it is; the request does."""
    obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
    return obj


async def _keep_pods(client: Client, mirror: Mirror, ref: Ref) -> None:
    from fluxtui.kube.watch import watch

    mirror.set_branch(ref, mirror.branches.get(ref) or Branch(loading=True))
    while True:
        try:
            selector = await pod_selector(client, ref)
            if not selector:
                _show_pods(mirror, ref, await pods_of(client, ref))
            else:
                pods: dict[tuple[str, str], Mapping[str, Any]] = {}
                batches = watch(client, PODS, namespace=ref.namespace, label_selector=selector)
                async with contextlib.aclosing(batches):
                    async for batch in batches:
                        if batch.replace:
                            pods.clear()
                        pods |= {(ref.namespace, pod["metadata"]["name"]): pod for pod in batch.upserts}
                        for key in batch.deletes:
                            pods.pop(key, None)
                        _show_pods(mirror, ref, [pod for pod in pods.values() if belongs(pod, ref)])
        except KubeError as error:
            mirror.set_branch(ref, Branch(error=str(error)))
        await asyncio.sleep(RECHECK / 3)


def _show_pods(mirror: Mirror, ref: Ref, pods: Iterable[Mapping[str, Any]]) -> None:
    children = [child_of(Ref(ref.cluster, "", "Pod", ref.namespace, str(pod["metadata"]["name"])), pod) for pod in pods]
    mirror.set_branch(ref, Branch(tuple(sorted(children, key=lambda child: (child.state, child.ref.name)))))
