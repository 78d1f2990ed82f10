"""The same question to many clusters at once; one that does not answer costs nothing but its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click
import msgspec

from fluxtui.api.kinds import Kind, is_flux_group
from fluxtui.cli.words import Wanted, kind_hint
from fluxtui.kube.errors import Forbidden, KubeError, NotFound, UnknownKind, Unreachable
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.resources import Resource

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

T = TypeVar("T")
Object = dict[str, Any]

AT_ONCE = 24
"""Clusters asked at the same time."""


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
                found[context.id] = Trouble(context.id, f"no answer within {within:g}s")
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


class Listing(msgspec.Struct):
    """The objects of one cluster, and the kinds that could not be listed."""

    objects: list[Object] = []
    problems: list[str] = []


async def list_objects(client: Client, wanted: Wanted, namespace: str, label_selector: str = "") -> Listing:
    """All objects of the wanted kinds. A kind that the cluster does not serve is a problem only when it was the only
    one that was asked for. Raises KubeError when the cluster does not answer."""
    resources = [_guess(kind) for kind in wanted.kinds]
    if wanted.words or len(resources) > 1:
        served = await client.resources()
        resources = [found for kind in wanted.kinds if (found := served_as(kind, served.find))]
        for word in wanted.words:
            found = served.by_word(word)
            if found is None:
                raise KubeError(f"{UnknownKind('', word)}{kind_hint(word)}")
            if not is_flux_group(found.group):
                raise KubeError(f"{found.name} is no kind of Flux")
            resources.append(found)
    results = await asyncio.gather(*(_list(client, resource, namespace, label_selector) for resource in resources))
    listing = Listing()
    for result in results:
        if isinstance(result, str):
            listing.problems.append(result)
        else:
            listing.objects += result
    return listing


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


async def _list(client: Client, resource: Resource, namespace: str, label_selector: str) -> list[Object] | str:
    """The objects of a kind, or why they can't be listed."""
    try:
        return (await client.list(resource, namespace, label_selector=label_selector)).items
    except NotFound:
        return await _list_served(client, resource, namespace, label_selector)
    except Forbidden as error:
        return str(error)


async def _list_served(client: Client, resource: Resource, namespace: str, selector: str) -> list[Object] | str:
    """The same in the version that the cluster serves."""
    try:
        served = await client.resource_for((resource.group, "", resource.kind))
        if served.version == resource.version:
            return f"the cluster does not list {resource.name}"
        return (await client.list(served, namespace, label_selector=selector)).items
    except Unreachable:
        raise
    except KubeError as error:
        return str(error)
