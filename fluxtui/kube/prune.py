"""Deleting what an applier manages: in the reverse order of applying, and nothing that is not its own.

Source: fluxcd/pkg `ssa` (delete) and the garbage collection of kustomize-controller.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from fluxtui.kube.batch import Refused, each
from fluxtui.kube.changes import Action, Change, ChangeSet
from fluxtui.kube.errors import ApiError, Conflict, KubeError, NotFound, UnknownKind
from fluxtui.kube.health import read
from fluxtui.kube.identity import Identity, Object, is_marked, labels_of
from fluxtui.kube.inventory import Inventory
from fluxtui.kube.memory import Memory, Sighting

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

ATTEMPTS = 8
"""How often an object that changes at the same moment is looked at again."""


class PruneOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What may be deleted."""

    owner: Mapping[str, str] = {}
    """Labels an object must have, each with this value."""
    keep: tuple[tuple[str, str], ...] = ()
    """(name, value) of labels or annotations any of which keeps an object."""
    never: frozenset[str] = frozenset()
    """Uids of objects that stay, under whatever identity the inventory has them."""
    propagation: str = "Background"
    concurrency: int = 8


class PruneError(KubeError):
    """Objects that could not be deleted: `delete failed, errors: …` with a sentence for each."""

    def __init__(self, failures: list[str], changes: ChangeSet) -> None:
        super().__init__("delete failed, errors: " + "".join(f"{failure};" for failure in failures))
        self.changes = changes
        """What was done; whatever is neither deleted nor skipped there may still be in the cluster."""


async def prune(client: Client, stale: Inventory, options: PruneOptions, memory: Memory | None = None) -> ChangeSet:
    """Delete the objects of an inventory, all that can be deleted.

    What does not exist counts as deleted; what lacks the owner's labels or asks to be kept is skipped. What `memory`
    knows to be the owner's is not read before, but deleted if it still is as it was. Raises PruneError after having
    tried every object.
    """

    async def delete(identity: Identity) -> Change:
        version = stale.version(identity)
        known = memory.sighting(identity, options.owner) if memory is not None else None
        if known is not None and known.uid not in options.never:
            change = await _delete_known(client, identity, version, options, known)
            if change is not None:
                return change
        return await _delete(client, identity, version, options)

    done = ChangeSet()
    failures: list[str] = []
    ordered = sorted(stale, key=lambda identity: identity.order, reverse=True)
    for _, group in groupby(ordered, key=lambda identity: identity.rank):
        batch = await each(list(group), delete, options.concurrency)
        done.extend(batch.results)
        failures += batch.failures
    if memory is not None:
        memory.forget(stale)
    if failures or len(done) < len(stale):
        raise PruneError(failures, done)
    return done


async def preview(client: Client, stale: Inventory, options: PruneOptions) -> ChangeSet:
    """What `prune` would do with what is still there; nothing is deleted. Raises PruneError for what can't be read."""

    async def look(identity: Identity) -> Change | None:
        live = await _read(client, identity, stale.version(identity))
        if live is None:
            return None
        action = Action.SKIPPED if _is_kept(live, options) else Action.DELETED
        return Change(identity, stale.version(identity), action, live)

    ordered = sorted(stale, key=lambda identity: identity.order, reverse=True)
    batch = await each(ordered, look, options.concurrency)
    changes = ChangeSet(change for change in batch.results if change is not None)
    if batch.failures:
        raise PruneError(batch.failures, changes)
    return changes


async def _delete_known(
    client: Client, identity: Identity, version: str, options: PruneOptions, known: Sighting
) -> Change | None:
    """Delete an object that is the owner's, if it is still the version that is known; None if it is not."""
    try:
        resource = await client.resource_for((identity.group, version, identity.kind))
        live = await client.delete(
            resource,
            identity.name,
            identity.namespace,
            propagation=options.propagation,
            uid=known.uid,
            resource_version=known.version,
        )
    except NotFound:
        return Change(identity, version, Action.DELETED)
    except (UnknownKind, Conflict):
        return None
    except ApiError as error:
        raise Refused(f"{identity} delete failed: {error}") from error
    return Change(identity, version, Action.DELETED, live)


async def _delete(client: Client, identity: Identity, version: str, options: PruneOptions) -> Change:
    """Delete one object, if what was read of it still holds when it is deleted: another owner may take it meanwhile."""
    for _ in range(ATTEMPTS):
        live = await _read(client, identity, version)
        if live is None:
            return Change(identity, version, Action.DELETED)
        if _is_kept(live, options):
            return Change(identity, version, Action.SKIPPED, live)
        try:
            await client.delete(
                await client.resource_for(live),
                identity.name,
                identity.namespace,
                propagation=options.propagation,
                uid=live["metadata"]["uid"],
                resource_version=live["metadata"]["resourceVersion"],
            )
        except Conflict:
            continue
        except NotFound:
            pass
        except ApiError as error:
            raise Refused(f"{identity} delete failed: {error}") from error
        return Change(identity, version, Action.DELETED, live)
    raise Refused(f"{identity} delete failed: the object changed {ATTEMPTS} times while it was to be deleted")


async def _read(client: Client, identity: Identity, version: str) -> Object | None:
    """The object as it is, None when it or its kind is gone; raises Refused."""
    try:
        _, live = await read(client, identity, version)
    except UnknownKind as error:
        if await _is_withdrawn(client, identity):
            return None
        raise Refused(f"{identity} query failed: {error}") from error
    except ApiError as error:
        raise Refused(f"{identity} query failed: {error}") from error
    return live


def _is_kept(live: Object, options: PruneOptions) -> bool:
    labels = labels_of(live)
    foreign = any(labels.get(key) != value for key, value in options.owner.items())
    return foreign or is_marked(live, options.keep) or live["metadata"]["uid"] in options.never


async def _is_withdrawn(client: Client, identity: Identity) -> bool:
    """Whether a kind that the server does not serve is gone with its definition, not just unreachable for now."""
    resources = await client.resources(refresh=True)
    if resources.find(identity.group, identity.kind) is not None:
        return False
    return not any(failure.rpartition("/")[0] == identity.group for failure in resources.failures)
