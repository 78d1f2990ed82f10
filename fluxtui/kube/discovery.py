"""What an API server serves, asked in one request where the server can say it in one.

Aggregated discovery v2 and v2beta1 (Kubernetes 1.26 and newer), else one request per group and version. Groups that
cannot be discovered (an aggregated API that is down) are failures of their own and hide nothing else.
Source: kubernetes.io/docs/concepts/overview/kubernetes-api, "Discovery API".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from fluxtui.kube.errors import ApiError, KubeError, NotFound, Unreachable
from fluxtui.kube.resources import Resource, Resources
from fluxtui.kube.transport import Response

Get = Callable[[str, dict[str, str]], Awaitable[Response]]
"""GET of a path with headers. Raises KubeError; answers 304 as a Response."""

_AT_ONCE = 10
_AGGREGATED = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
)


class _Kind(msgspec.Struct):
    kind: str = ""
    group: str = ""
    version: str = ""


class _Subresource(msgspec.Struct):
    subresource: str = ""


class _ResourceDiscovery(msgspec.Struct, rename="camel"):
    resource: str = ""
    response_kind: _Kind | None = None
    scope: str = ""
    singular_resource: str = ""
    verbs: tuple[str, ...] | None = ()
    short_names: tuple[str, ...] | None = ()
    categories: tuple[str, ...] | None = ()
    subresources: list[_Subresource] | None = None


class _VersionDiscovery(msgspec.Struct):
    version: str = ""
    resources: list[_ResourceDiscovery] | None = None
    freshness: str = ""


class _Name(msgspec.Struct):
    name: str = ""


class _GroupDiscovery(msgspec.Struct):
    metadata: _Name = msgspec.field(default_factory=_Name)
    versions: list[_VersionDiscovery] | None = None


class _GroupVersion(msgspec.Struct, rename="camel"):
    group_version: str = ""
    version: str = ""


class _Group(msgspec.Struct, rename="camel"):
    name: str = ""
    versions: list[_GroupVersion] = []
    preferred_version: _GroupVersion | None = None


class _Root(msgspec.Struct):
    """Any of APIGroupDiscoveryList, APIGroupList and APIVersions, told apart by `kind`."""

    kind: str = ""
    items: list[_GroupDiscovery] | None = None
    groups: list[_Group] | None = None
    versions: list[str] | None = None


class _LegacyResource(msgspec.Struct, rename="camel"):
    name: str
    kind: str = ""
    namespaced: bool = False
    singular_name: str = ""
    verbs: tuple[str, ...] | None = ()
    short_names: tuple[str, ...] | None = ()
    categories: tuple[str, ...] | None = ()


class _LegacyList(msgspec.Struct):
    resources: list[_LegacyResource] | None = None


class _Part(msgspec.Struct):
    """What one root path said, and the tag it said it with."""

    etag: str
    resources: list[Resource]
    failures: dict[str, str]


class Discovery:
    """Asks `/api` and `/apis` and remembers what they say.

    `/apis` is asked again with its tag, so that an unchanged answer costs a 304; the core group is what the server was
    built with, and is not asked about again.
    """

    def __init__(self, get: Get) -> None:
        self._get = get
        self._parts: dict[str, _Part] = {}

    async def discover(self) -> Resources:
        """All resources. Raises KubeError when the server does not even tell its groups."""
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._attempt(root)) for root in ("/api", "/apis")]
        parts: list[_Part] = []
        for result in (task.result() for task in asked):
            if isinstance(result, KubeError):
                raise result
            parts.append(result)
        failures = {name: why for part in parts for name, why in part.failures.items()}
        return Resources((resource for part in parts for resource in part.resources), failures)

    async def _attempt(self, root: str) -> _Part | KubeError:
        try:
            return await self._ask(root)
        except KubeError as error:
            return error

    async def _ask(self, root: str) -> _Part:
        kept = self._parts.get(root)
        if kept is not None and root == "/api":
            return kept
        headers = {"Accept": f"{_AGGREGATED},application/json"}
        if kept is not None and kept.etag:
            headers["If-None-Match"] = kept.etag
        try:
            answer = await self._get(root, headers)
        except NotFound:
            # A server of CRDs alone need not have the core API.
            return _Part("", [], {})
        if answer.status == 304 and kept is not None:
            return kept
        try:
            said = msgspec.json.decode(answer.body, type=_Root)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unreachable(f"{root}: the answer is no API discovery") from None
        if said.kind == "APIGroupDiscoveryList":
            part = _aggregated(said.items or [])
            part.etag = answer.headers.get("ETag", "")
        elif said.kind in ("APIGroupList", "APIVersions"):
            part = await self._legacy(said)
        else:
            raise Unreachable(f"{root}: the answer is no API discovery")
        self._parts[root] = part
        return part

    async def _legacy(self, said: _Root) -> _Part:
        paths = [("", version, f"/api/{version}") for version in said.versions or ()]
        for group in said.groups or ():
            preferred = group.preferred_version.version if group.preferred_version else ""
            versions = sorted((v.version for v in group.versions), key=lambda version: version != preferred)
            paths += [(group.name, version, f"/apis/{group.name}/{version}") for version in versions]
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(group: str, version: str, path: str) -> tuple[list[Resource], str]:
            async with limit:
                try:
                    answer = await self._get(path, {})
                    return _legacy_resources(group, version, answer.body), ""
                except (ApiError, msgspec.DecodeError, UnicodeDecodeError) as error:
                    return [], str(error)
                except Unreachable as error:
                    unreachable.append(error)
                    return [], str(error)

        unreachable: list[Unreachable] = []
        async with asyncio.TaskGroup() as tasks:
            asked = [(f"{group}/{v}".strip("/"), tasks.create_task(one(group, v, path))) for group, v, path in paths]
        if unreachable:
            raise unreachable[0]
        failures = {name: task.result()[1] for name, task in asked if task.result()[1]}
        return _Part("", [resource for _, task in asked for resource in task.result()[0]], failures)


def _aggregated(groups: Iterable[_GroupDiscovery]) -> _Part:
    part = _Part("", [], {})
    for group in groups:
        name = group.metadata.name
        for version in group.versions or ():
            if version.freshness == "Stale":
                part.failures[f"{name}/{version.version}".strip("/")] = "the API does not answer at present"
            for item in version.resources or ():
                if item.response_kind is None or not item.response_kind.kind:
                    continue
                part.resources.append(
                    Resource(
                        group=name,
                        version=version.version,
                        kind=item.response_kind.kind,
                        plural=item.resource,
                        singular=item.singular_resource,
                        namespaced=item.scope == "Namespaced",
                        verbs=item.verbs or (),
                        short_names=item.short_names or (),
                        categories=item.categories or (),
                        subresources=tuple(s.subresource for s in item.subresources or ()),
                    )
                )
    return part


def _legacy_resources(group: str, version: str, body: bytes) -> list[Resource]:
    items = msgspec.json.decode(body, type=_LegacyList).resources or []
    subresources: dict[str, list[str]] = {}
    for item in items:
        plural, slash, subresource = item.name.partition("/")
        if slash:
            subresources.setdefault(plural, []).append(subresource)
    return [
        Resource(
            group=group,
            version=version,
            kind=item.kind,
            plural=item.name,
            singular=item.singular_name,
            namespaced=item.namespaced,
            verbs=item.verbs or (),
            short_names=item.short_names or (),
            categories=item.categories or (),
            subresources=tuple(subresources.get(item.name, ())),
        )
        for item in items
        if "/" not in item.name
    ]
