"""Server-side apply of a set of objects: in stages, after a dry run, and only what differs.

First the definitions (CRDs, Namespaces, ClusterRoles), which are waited for, then the classes (StorageClass and the
like), then the kinds that the options put before all others, then those. Within a stage everything is dry-run before
anything is written; objects that would not change are left alone. Source: fluxcd/pkg `ssa`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from fluxtui.kube.batch import Batch, Refused, each
from fluxtui.kube.changes import Action, Change, ChangeSet
from fluxtui.kube.errors import ApiError, Conflict, Invalid, KubeError, NotFound
from fluxtui.kube.health import HealthError, wait_until_ready
from fluxtui.kube.identity import Identity, Object, identity_of, labels_of, version_of
from fluxtui.kube.inventory import Inventory
from fluxtui.kube.masking import masked_message
from fluxtui.kube.memory import Memory
from fluxtui.kube.normalize import is_definition, normalized
from fluxtui.kube.plan import ApplyOptions, Plan, Planner, patched, request

if TYPE_CHECKING:
    from fluxtui.kube.client import Client
    from fluxtui.kube.resources import Resource

_SHOWN_FAILURES = 10
_DELETE_POLL = 0.25
_SERVED_POLL, _SERVED_WITHIN = 0.25, 15.0


class ApplyError(KubeError):
    """Objects that could not be applied: a line for each, which names it."""

    def __init__(self, failures: Sequence[str], changes: ChangeSet, unsure: Inventory | None = None) -> None:
        shown = list(dict.fromkeys(failures))
        more = [f"and {len(shown) - _SHOWN_FAILURES} more"] if len(shown) > _SHOWN_FAILURES else []
        super().__init__("\n".join(shown[:_SHOWN_FAILURES] + more))
        self.changes = changes
        """What was done before and beside."""
        self.touched = changes.inventory | (unsure or Inventory())
        """What may be in the cluster: what was looked at and done, and what failed while it was written."""


class Applier:
    """Applies sets of objects to one cluster."""

    def __init__(self, client: Client, memory: Memory | None = None) -> None:
        self._client = client
        self._memory = memory if memory is not None else Memory()

    async def apply(self, objects: Iterable[Object], options: ApplyOptions) -> ChangeSet:
        """Make the cluster's objects as given; the changes are in the order in which they were made.

        Raises ApplyError, with the changes made so far, when objects are refused, the server can't be reached, or a
        definition does not become ready in time.
        """
        done = ChangeSet()
        for settle, stage in enumerate(_stages(_prepared(objects, options), options)):
            start = len(done)
            await self._write(await self._plan(stage, options, done), options, done)
            if settle < 2:
                gone = await self._settle(list(done)[start:], options, done)
                if gone:
                    # They were about to be deleted when they were applied.
                    stage = [obj for obj in stage if identity_of(obj) in gone]
                    start = len(done)
                    await self._write(await self._plan(stage, options, done), options, done)
                    await self._settle(list(done)[start:], options, done)
        return done

    async def preview(
        self, objects: Iterable[Object], options: ApplyOptions, refused: list[str] | None = None
    ) -> list[Plan]:
        """What `apply` would do, by dry runs; nothing is written.

        An object whose namespace or definition is itself new in the set counts as created. What would be refused is
        put into `refused`, a sentence for each object, and has no plan; without that list it raises ApplyError.
        """
        prepared = _prepared(objects, options)
        plans: list[Plan] = []
        for stage in _stages(prepared, options):
            created = {identity_of(plan.desired) for plan in plans if plan.action is Action.CREATED}
            waiting = [obj for obj in stage if _needs_one_of(obj, created, prepared)]
            # Without what is known: whoever looks wants to see what there is.
            known = [obj for obj in stage if obj not in waiting]
            batch = await self._planned(known, options, Memory(), writes=False)
            if batch.failures and refused is None:
                raise ApplyError(batch.failures, ChangeSet())
            plans += batch.results
            if refused is not None:
                refused += batch.failures
            plans += [Plan(obj, Action.CREATED, None, obj) for obj in waiting]
        return plans

    async def _plan(self, stage: Sequence[Object], options: ApplyOptions, done: ChangeSet) -> list[Plan]:
        batch = await self._planned(stage, options, self._memory)
        if batch.failures:
            raise ApplyError(batch.failures, done)
        return batch.results

    async def _planned(
        self, stage: Sequence[Object], options: ApplyOptions, memory: Memory, *, writes: bool = True
    ) -> Batch[Plan]:
        planner = Planner(self._client, memory, options, writes=writes)
        await planner.prefetch(stage)
        return await each(stage, planner.plan, options.concurrency, identity_of)

    async def _write(self, plans: Sequence[Plan], options: ApplyOptions, done: ChangeSet) -> None:
        """Write plans: kind after kind in the order of the set, objects of one kind at once."""
        writer = _Writer(self._client, self._memory, options)
        for _, group in groupby(plans, key=lambda plan: identity_of(plan.desired).rank):
            written = list(group)
            batch = await each(written, writer.write, options.concurrency, lambda plan: identity_of(plan.desired))
            done.extend(batch.results)
            if batch.failures:
                raise ApplyError(batch.failures, done, Inventory.of_objects(plan.desired for plan in written))

    async def _settle(self, changes: Sequence[Change], options: ApplyOptions, done: ChangeSet) -> set[Identity]:
        """Wait for definitions and classes; afterwards the server knows the kinds of new CRDs.

        Those that vanish meanwhile are returned, and their changes taken back.
        """
        # What is unchanged without being read was ready when it was read last.
        waited = [change for change in changes if change.live is not None and change.action is not Action.SKIPPED]
        gone: set[Identity] = set()
        try:
            await wait_until_ready(
                self._client,
                {change.identity: change.version for change in waited},
                options.wait_timeout,
                known={change.identity: change.live for change in waited if change.live is not None},
                fail_fast=False,
                vanished=gone,
            )
        except HealthError as error:
            raise ApplyError([str(error)], done) from error
        done.remove(gone)
        self._memory.forget(gone)
        changed = [change.live for change in waited if change.action.is_change and change.live is not None]
        definitions = [obj for obj in changed if is_definition(obj) and identity_of(obj) not in gone]
        if definitions:
            await self._await_served(definitions)
        return gone

    async def _await_served(self, definitions: Iterable[Object]) -> None:
        """Wait until the server serves the kinds of definitions in all their versions, but not for ever.

        A CRD is Established already when it gets another version, and a new one is before it is served.
        """
        wanted = [
            (obj["spec"]["group"], obj["spec"]["names"]["kind"], version["name"])
            for obj in definitions
            for version in obj["spec"]["versions"]
            if version.get("served")
        ]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SERVED_WITHIN):
                while True:
                    served = await self._client.resources(refresh=True)
                    if all(served.find(*kind) for kind in wanted):
                        return
                    await asyncio.sleep(_SERVED_POLL)


class _Writer:
    def __init__(self, client: Client, memory: Memory, options: ApplyOptions) -> None:
        self._client = client
        self._memory = memory
        self._options = options

    async def write(self, plan: Plan) -> Change:
        if not plan.action.is_change:
            return plan.change
        obj, live = plan.desired, plan.before
        identity = identity_of(obj)
        resource = await self._client.resource_for(obj)
        self._memory.forget([identity])
        try:
            if live is not None and plan.recreate:
                await self._delete(resource, live)
            if live is not None and plan.cleanup:
                await self._clean_up(resource, live)
            applied = await request(self._client, resource, obj, self._options.manager, dry_run=False)
        except ApiError as error:
            raise Refused(f"{identity} apply failed: {masked_message(obj, error.message)}") from error
        self._memory.remember(plan.source, applied, self._options.deleter(applied))
        return Change(identity, version_of(obj), plan.action, applied, tuple(plan.dropped))

    async def _delete(self, resource: Resource, live: Object) -> None:
        identity, uid = identity_of(live), live["metadata"]["uid"]
        try:
            await self._client.delete(resource, identity.name, identity.namespace, uid=uid)
            # Finalizers may take their time; the caller's timeout ends the wait.
            while True:
                found = await self._client.get(resource, identity.name, identity.namespace)
                if found["metadata"]["uid"] != uid:
                    return
                await asyncio.sleep(_DELETE_POLL)
        except NotFound:
            return

    async def _clean_up(self, resource: Resource, live: Object) -> None:
        identity = identity_of(live)
        for last in (False, True):
            patch = self._options.cleanup_patch(live)
            if not patch:
                return
            try:
                await patched(self._client, resource, live, patch, self._options.manager)
            except (Conflict, Invalid):
                if last:
                    raise
                live = await self._client.get(resource, identity.name, identity.namespace)
            else:
                return


def _prepared(objects: Iterable[Object], options: ApplyOptions) -> list[Object]:
    """Normalized copies with the owner's labels, in the order of the set."""
    prepared = [normalized(obj) for obj in objects]
    for obj in prepared:
        if options.owner:
            obj["metadata"]["labels"] = {**labels_of(obj), **options.owner}
    return sorted(prepared, key=lambda obj: identity_of(obj).order)


def _stages(objects: Sequence[Object], options: ApplyOptions) -> tuple[list[Object], ...]:
    """Definitions, classes, the kinds to be early, all others."""
    stages: tuple[list[Object], ...] = ([], [], [], [])
    for obj in objects:
        identity = identity_of(obj)
        if _is_awaited(obj):
            stages[0].append(obj)
        elif identity.kind.endswith("Class"):
            stages[1].append(obj)
        else:
            stages[2 if (identity.group, identity.kind) in options.early else 3].append(obj)
    return stages


def _is_awaited(obj: Object) -> bool:
    identity = identity_of(obj)
    awaited = (("", "Namespace"), ("rbac.authorization.k8s.io", "ClusterRole"))
    return is_definition(obj) or (identity.group, identity.kind) in awaited


def _needs_one_of(obj: Object, created: set[Identity], objects: Sequence[Object]) -> bool:
    """Whether the namespace or the kind of an object is among those yet to be created."""
    identity = identity_of(obj)
    if Identity("", identity.namespace, "", "Namespace") in created:
        return True
    return any(
        (other["spec"].get("group"), (other["spec"].get("names") or {}).get("kind")) == (identity.group, identity.kind)
        for other in objects
        if is_definition(other) and identity_of(other) in created
    )
