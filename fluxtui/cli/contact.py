"""The same question to many clusters at once; one that does not answer costs nothing but its own answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click
import msgspec

from fluxtui.api.kinds import Kind, is_flux_group
from fluxtui.cli.words import Wanted, kind_hint
from fluxtui.fleet import probe, wire
from fluxtui.fleet.wire import Wire
from fluxtui.kube.errors import Forbidden, KubeError, NotFound, UnknownKind, Unreachable
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.resources import Resource, Resources

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

T = TypeVar("T")
Object = dict[str, Any]
Read = Callable[["Client", Resource, str, str], Awaitable[list[T]]]
"""Lists the objects of a kind: client, kind, namespace, label selector. Raises KubeError."""

AT_ONCE = 24
"""Clusters asked at the same time."""
LEASES_WITHIN = 10.0
"""Seconds in which a cluster must say who holds its Leases; else they are taken to be renewed."""


class Trouble(msgspec.Struct, frozen=True):
    """A cluster, or a kind of it, that could not be asked."""

    cluster: str
    message: str


class Answers(Generic[T]):
    """What the clusters said, in their order."""

    def __init__(self) -> None:
        self.of: dict[str, T] = {}
        self.troubles: list[Trouble] = []

    def complain(self) -> None:
        """Say on stderr which clusters did not answer."""
        for trouble in self.troubles:
            click.echo(f"✗ {trouble.cluster}: {trouble.message}", err=True)


async def ask_all(contexts: Sequence[Context], within: float, ask: Callable[[Client], Awaitable[T]]) -> Answers[T]:
    """Put `ask` to every cluster, each within so many seconds. KubeErrors become troubles."""
    from fluxtui.kube.client import Client

    gate = asyncio.Semaphore(AT_ONCE)
    found: dict[str, T | Trouble] = {}

    async def one(context: Context) -> None:
        async with gate:
            try:
                async with asyncio.timeout(within), Client(context, request_timeout=within) as client:
                    found[context.id] = await ask(client)
            except TimeoutError:
                found[context.id] = Trouble(context.id, f"no answer within {within:g} s")
            except KubeError as error:
                found[context.id] = Trouble(context.id, str(error))

    async with asyncio.TaskGroup() as group:
        for context in contexts:
            group.create_task(one(context))
    answers: Answers[T] = Answers()
    for context in contexts:
        answer = found[context.id]
        if isinstance(answer, Trouble):
            answers.troubles.append(answer)
        else:
            answers.of[context.id] = answer
    return answers


class Listing(msgspec.Struct, Generic[T]):
    """The objects of one cluster, and the kinds that could not be listed."""

    objects: list[T] = []
    problems: list[str] = []
    stale: tuple[str, ...] = ()
    """Controllers that no longer renew their Lease, where that was asked."""


async def list_objects(client: Client, wanted: Wanted, namespace: str, label_selector: str = "") -> Listing[Object]:
    """All objects of the wanted kinds. A kind that the cluster does not serve is a problem only when it was the only
    one that was asked for. Raises KubeError when the cluster does not answer."""
    return await _list_all(whole, client, wanted, namespace, label_selector)


async def _list_all(read: Read[T], client: Client, wanted: Wanted, namespace: str, label_selector: str) -> Listing[T]:
    if wanted.words or len(wanted.kinds) > 1:
        resources = served_of(wanted, await client.resources())
    else:
        resources = [_guess(kind) for kind in wanted.kinds]
    results = await asyncio.gather(*(_list(read, client, each, namespace, label_selector) for each in resources))
    listing: Listing[T] = Listing()
    for result in results:
        if isinstance(result, str):
            listing.problems.append(result)
        else:
            listing.objects += result
    return listing


def served_of(wanted: Wanted, served: Resources) -> list[Resource]:
    """The wanted kinds that a cluster serves. Raises KubeError for a word that names none of them."""
    if wanted.every:
        from fluxtui.fleet.served import flux_resources

        return flux_resources(served)
    resources = [found for kind in wanted.kinds if (found := served_as(kind, served.find))]
    for word in wanted.words:
        found = served.by_word(word)
        if found is None:
            raise KubeError(f"{UnknownKind('', word)}{kind_hint(word)}")
        if not is_flux_group(found.group):
            raise KubeError(f"{found.name} is no kind of Flux")
        resources.append(found)
    return resources


async def list_to_judge(
    read: Read[T], client: Client, wanted: Wanted, namespace: str, label_selector: str = ""
) -> Listing[T]:
    """The same, read as a whole or in part, and what else the states of the objects depend on. Raises KubeError as
    `list_objects` does."""
    try:
        async with asyncio.TaskGroup() as group:
            listing = group.create_task(_list_all(read, client, wanted, namespace, label_selector))
            stale = group.create_task(stale_controllers(client, probe.LeaseWatch()))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    found = listing.result()
    found.stale = stale.result()
    return found


async def stale_controllers(client: Client, watch: probe.LeaseWatch) -> tuple[str, ...]:
    """Controllers that do not renew their Lease, as far as that can be known."""
    try:
        leases = await probe.leases(client, LEASES_WITHIN)
    except KubeError:
        return ()
    return watch.look(leases, time.time()).stale if leases else ()


def served_as(kind: Kind, find: Callable[[str, str, str], Resource | None]) -> Resource | None:
    """A kind in the best version that a cluster serves."""
    for version in kind.versions:
        found = find(kind.group, kind.kind, version)
        if found:
            return found
    return find(kind.group, kind.kind, "")


def _guess(kind: Kind) -> Resource:
    """The resource of a kind in its newest version: one request less than asking the cluster first."""
    return Resource(kind.group, kind.versions[0], kind.kind, kind.plural)


async def whole(client: Client, resource: Resource, namespace: str, selector: str) -> list[Object]:
    """The objects of a kind with all that is in them."""
    return (await client.list(resource, namespace, label_selector=selector)).items


async def in_part(client: Client, resource: Resource, namespace: str, selector: str) -> list[Wire]:
    """The same, but only what a row needs of them: read in a third of the time."""
    from fluxtui.kube import listing

    found: list[Wire] = []
    try:
        page: listing.Page[Wire]
        async for page in listing.pages(client, listing.Query(resource, namespace, selector), Wire):
            if page.first:
                found.clear()
            found += page.items
    except msgspec.ValidationError:
        # One of them has another shape than its CRD says.
        found = [wire.read(obj) for obj in await whole(client, resource, namespace, selector)]
    for obj in found:
        obj.api_version, obj.kind = resource.api_version, resource.kind
    return found


async def _list(
    read: Read[T], client: Client, resource: Resource, namespace: str, label_selector: str
) -> list[T] | str:
    """The objects of a kind, or why they can't be listed."""
    try:
        return await read(client, resource, namespace, label_selector)
    except NotFound:
        return await _list_served(read, client, resource, namespace, label_selector)
    except Forbidden as error:
        return str(error)


async def _list_served(
    read: Read[T], client: Client, resource: Resource, namespace: str, selector: str
) -> list[T] | str:
    """The same in the version that the cluster serves."""
    try:
        served = await client.resource_for((resource.group, "", resource.kind))
        if served.version == resource.version:
            return f"the cluster does not list {resource.name}"
        return await read(client, served, namespace, selector)
    except Unreachable:
        raise
    except KubeError as error:
        return str(error)
