"""What applying a set would do, object by object, found out by dry runs.

Source: fluxcd/pkg `ssa`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from fluxtui.kube.batch import Refused
from fluxtui.kube.changes import Action, Change
from fluxtui.kube.drift import has_drifted, payload
from fluxtui.kube.errors import ApiError, Conflict, Invalid, NotFound, UnknownKind
from fluxtui.kube.identity import Identity, Object, identity_of, is_marked, labels_of, version_of
from fluxtui.kube.live import LiveObjects
from fluxtui.kube.masking import masked_message, masked_pair
from fluxtui.kube.memory import Memory
from fluxtui.kube.normalize import drop_undeclared
from fluxtui.kube.ownership import Cleanup, cleanup_patch, flux_cleanup, migration_patch

if TYPE_CHECKING:
    from fluxtui.kube.client import Client
    from fluxtui.kube.resources import Resource

_OTHER_VERSION = re.compile(r"failed to convert .*field not declared in schema", re.DOTALL)
_IMMUTABLE = re.compile(r"is\simmutable|immutable\sfield")


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """Labels or annotations by which an object asks to be treated differently: (name, value) pairs, any of which."""

    exclude: tuple[tuple[str, str], ...] = ()
    """Never touched, whether the mark is on the desired or on the live object."""
    if_not_present: tuple[tuple[str, str], ...] = ()
    """Created, but never changed."""
    force: tuple[tuple[str, str], ...] = ()
    """Recreated when an immutable field changes."""
    merge: tuple[tuple[str, str], ...] = ()
    """Fields that kubectl owns stay with it."""
    keep: tuple[tuple[str, str], ...] = ()
    """Never deleted."""


class ApplyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a set is applied."""

    manager: str
    """Field manager."""
    owner: Mapping[str, str] = {}
    """Labels put on every object; objects are also found by them."""
    marks: Marks = Marks()
    force: bool = False
    """Recreate every object whose immutable fields change."""
    cleanup: Cleanup | None = None
    """What is taken over from other tools; by default what Flux takes over."""
    ignored: Callable[[Object], Sequence[str]] | None = None
    """Object → JSON pointers of fields that are left as they are live."""
    early: frozenset[tuple[str, str]] = frozenset()
    """(group, kind) of what is applied before all others, after definitions and classes."""
    concurrency: int = 8
    """Requests in flight."""
    wait_timeout: float = 60.0
    """Seconds for definitions and classes to become ready."""
    thorough: bool = True
    """Ask the server about every object; otherwise one that is as it was when it was last asked about is unchanged."""
    watched: Callable[[Identity], str] | None = None
    """Object → the resourceVersion that a stream says it has now, empty when there is no stream: saves asking."""

    def deleter(self, live: Object) -> Mapping[str, str] | None:
        """The labels of whoever may delete an object that was applied, None when nobody may."""
        owned = all(labels_of(live).get(key) == value for key, value in self.owner.items())
        return self.owner if owned and not is_marked(live, self.marks.keep) else None

    def cleanup_patch(self, live: Object) -> list[dict[str, Any]]:
        """The JSON patch that takes over a live object; empty when there is nothing to take."""
        return cleanup_patch(live, self.manager, self.cleanup or flux_cleanup(self.manager))


class Plan(msgspec.Struct):
    """What applying would do to one object; a Secret is not masked here, but in `difference`."""

    desired: Object
    action: Action
    before: Object | None = None
    after: Object | None = None
    recreate: bool = False
    """The live object has to be deleted first."""
    cleanup: bool = False
    """Other tools' ownership has to be taken over first."""
    dropped: list[str] = []
    """Paths of fields the server's schema does not have."""
    given: Object | None = None
    """The object as it was given, where `desired` leaves out dropped or ignored fields."""

    @property
    def source(self) -> Object:
        """The object as it was given."""
        return self.given if self.given is not None else self.desired

    @property
    def change(self) -> Change:
        """The change that is made by not writing anything."""
        return Change(
            identity_of(self.desired), version_of(self.desired), self.action, self.before, tuple(self.dropped)
        )

    def difference(self) -> tuple[Object | None, Object | None]:
        """The object before and after, Secrets masked."""
        return masked_pair(self.before, self.after)


class Planner:
    """Plans the objects of one stage."""

    def __init__(self, client: Client, memory: Memory, options: ApplyOptions, *, writes: bool = True) -> None:
        """`writes` lets what stands in the way of a dry run be mended."""
        self._writes = writes
        self._client = client
        self._memory = memory
        self._options = options
        self._marks = options.marks
        self._live = LiveObjects(client, options.owner)

    async def prefetch(self, objects: Sequence[Object]) -> None:
        """Read what can be read with few requests."""
        await self._live.prefetch([obj for obj in objects if not self._is_sure(obj)], self._options.concurrency)

    async def plan(self, obj: Object) -> Plan:
        """The plan for one normalized object.

        Raises Refused with a sentence that names the object; what else the client raises goes through.
        """
        try:
            resource = await self._client.resource_for(obj)
        except UnknownKind as error:
            reason = f'no matches for kind "{error.kind}" in version "{obj.get("apiVersion", "")}"'
            raise Refused(f"{identity_of(obj)} dry-run failed: {reason}") from error
        obj = _placed(obj, resource)
        if is_marked(obj, self._marks.exclude):
            return Plan(obj, Action.SKIPPED)
        if self._is_sure(obj):
            return Plan(obj, Action.UNCHANGED)
        only_if_absent = is_marked(obj, self._marks.if_not_present)
        remembered = not self._options.thorough and self._memory.knows(obj)
        if only_if_absent or remembered or self._live.has(obj):
            live = await self._live.get(resource, obj)
            if live is not None:
                if only_if_absent or is_marked(live, self._marks.exclude):
                    return Plan(obj, Action.SKIPPED, live)
                if remembered and self._memory.matches(obj, live):
                    self._memory.renew(live)
                    return Plan(obj, Action.UNCHANGED, live, live)
        plan = await self._dry_run(resource, obj)
        plan.given = obj
        if plan.action is Action.UNCHANGED and plan.before is not None:
            self._memory.remember(obj, plan.before, self._options.deleter(plan.before))
        return plan

    def _is_sure(self, obj: Object) -> bool:
        """Whether an object is known to be unchanged without asking: a stream says that it is the version compared."""
        options, identity = self._options, identity_of(obj)
        if options.thorough or options.watched is None or is_marked(obj, options.marks.if_not_present):
            return False
        found = self._memory.sighting(identity)
        return found is not None and found.version == options.watched(identity) and self._memory.knows(obj)

    async def _dry_run(self, resource: Resource, obj: Object) -> Plan:
        dropped: list[str] = []
        while True:
            try:
                applied = await request(self._client, resource, obj, self._options.manager, dry_run=True)
                break
            except ApiError as error:
                if _OTHER_VERSION.search(error.message):
                    migrated = await self._migrated(resource, obj, error)
                    if migrated is None:
                        continue
                    return migrated
                # The server names one undeclared field at a time, or some of them.
                obj, found = drop_undeclared(obj, error.message)
                if not found:
                    return await self._recreation(resource, obj, error)
                dropped += found
        if not (self._options.ignored and self._options.ignored(obj)):
            same = self._memory.said_the_same(applied)
            if same is False:
                # Nothing of it is to be taken over: it was compared as it is.
                return Plan(obj, Action.CONFIGURED, None, applied, dropped=dropped)
        # A dry run that would create gives no resourceVersion; no need to look for a live object then.
        live = await self._live.get(resource, obj) if applied["metadata"].get("resourceVersion") else None
        if live is None:
            return Plan(obj, Action.CREATED, None, applied, dropped=dropped)
        if is_marked(live, self._marks.exclude):
            return Plan(obj, Action.SKIPPED, live)
        return self._compared(obj, live, applied, dropped)

    async def _migrated(self, resource: Resource, obj: Object, error: ApiError) -> Plan | None:
        """Let managers own their fields in the version of the object, so that it can be applied; None when they do.

        The server can't tell who owns a field that the version of an entry does not have. Raises Refused when it is
        something else.
        """
        live = await self._live.get(resource, obj)
        patch = migration_patch(live, str(obj["apiVersion"])) if live is not None else []
        if not patch:
            raise Refused(_refusal(obj, error)) from error
        if not self._writes:
            return Plan(obj, Action.CONFIGURED, live, obj)
        self._live.renew(await patched(self._client, resource, obj, patch, self._options.manager))
        return None

    def _compared(self, obj: Object, live: Object, applied: Object, dropped: list[str]) -> Plan:
        options = self._options
        keeps_owners = is_marked(obj, self._marks.merge) or is_marked(live, self._marks.merge)
        cleanup = not keeps_owners and bool(options.cleanup_patch(live))
        ignored = options.ignored(obj) if options.ignored else ()
        if cleanup or has_drifted(live, applied, ignored):
            desired = payload(obj, live, applied, ignored, options.manager)
            return Plan(desired, Action.CONFIGURED, live, applied, cleanup=cleanup, dropped=dropped)
        return Plan(obj, Action.UNCHANGED, live, live, dropped=dropped)

    async def _recreation(self, resource: Resource, obj: Object, error: ApiError) -> Plan:
        """The plan after a refused dry run, if the live object may be replaced. Raises Refused if it may not."""
        immutable = isinstance(error, Conflict | Invalid) or bool(_IMMUTABLE.search(error.message))
        live = await self._live.get(resource, obj) if immutable else None
        marks = self._marks.force
        forced = self._options.force or is_marked(obj, marks) or is_marked(live, marks)
        if live is None or not forced:
            raise Refused(_refusal(obj, error)) from error
        if is_marked(live, self._marks.exclude):
            return Plan(obj, Action.SKIPPED, live)
        return Plan(obj, Action.CREATED, live, obj, recreate=True)


async def request(client: Client, resource: Resource, obj: Object, manager: str, *, dry_run: bool) -> Object:
    """Send one server-side apply, conflicts overridden; the answer is the object as the server has or would have it."""
    from fluxtui.kube.client import PatchType

    metadata = obj["metadata"]
    return await client.patch(
        resource,
        metadata["name"],
        metadata.get("namespace", ""),
        obj,
        type=PatchType.APPLY,
        field_manager=manager,
        force=True,
        dry_run=dry_run,
    )


def _placed(obj: Object, resource: Resource) -> Object:
    """The object with or without a namespace, as its kind calls for."""
    metadata = obj["metadata"]
    if resource.namespaced and not metadata.get("namespace"):
        raise Refused(f"{identity_of(obj)} namespace not specified: a {resource.kind} belongs to a namespace")
    if not resource.namespaced and "namespace" in metadata:
        return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "namespace"}}
    return obj


async def patched(client: Client, resource: Resource, obj: Object, patch: list[dict[str, Any]], manager: str) -> Object:
    """The object after a JSON patch in the name of a field manager. Raises KubeError."""
    from fluxtui.kube.client import PatchType

    identity = identity_of(obj)
    return await client.patch(
        resource, identity.name, identity.namespace, patch, type=PatchType.JSON, field_manager=manager
    )


def _refusal(obj: Object, error: ApiError) -> str:
    subject, message = identity_of(obj), masked_message(obj, error.message)
    if isinstance(error, NotFound):
        return f"{subject} not found: {message}"
    reason = f" ({error.reason})" if error.reason and error.reason != "Unknown" else ""
    return f"{subject} dry-run failed{reason}: {message}"
