"""One API server: discovery and the verbs on objects."""

from __future__ import annotations

import asyncio
import enum
import math
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec

from fluxtui.kube import listing
from fluxtui.kube.connection import Connection
from fluxtui.kube.discovery import Discovery
from fluxtui.kube.errors import UnknownKind
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.lines import LineSplitter
from fluxtui.kube.resources import Resource, Resources
from fluxtui.kube.transport import IDLE_TIMEOUT, Response

__all__ = ["Client", "Object", "ObjectList", "PatchType", "Response"]

Object = dict[str, Any]
_REDISCOVER_AFTER = 1.0
_MAX_LOG_LINE = 1 << 20


class PatchType(enum.StrEnum):
    """Content types of patches; the value of APPLY is what servers of every version take, and JSON is YAML."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class ObjectList(msgspec.Struct, frozen=True):
    """A complete list and the resourceVersion it stands for."""

    items: list[Object]
    resource_version: str


class Client(Connection):
    """One API server; options are those of Connection. Methods raise the tree of `fluxtui.kube.errors`."""

    def __init__(self, context: Context, **options: Any) -> None:
        super().__init__(context, **options)
        self._discovery = Discovery(self._discover)
        self._resources: Resources | None = None
        self._discovered = float("-inf")
        self._discovering = asyncio.Lock()
        self._changed = asyncio.Event()

    async def version(self) -> dict[str, Any]:
        """`/version` of the server: gitVersion, platform, …"""
        return listing.decode(await self.request("GET", "/version"))

    async def _discover(self, path: str, headers: dict[str, str]) -> Response:
        return await self.request("GET", path, headers=headers)

    async def resources(self, *, refresh: bool = False) -> Resources:
        """What the server serves, asked once; `refresh` asks again, after a CRD or APIService changed."""
        asked = time.monotonic()
        if self._resources is not None and not refresh:
            return self._resources
        async with self._discovering:
            # Whoever waited while a discovery began takes over its answer.
            if self._resources is None or (refresh and self._discovered < asked):
                self._discovered = time.monotonic()
                found = await self._discovery.discover()
                if found != self._resources:
                    self._resources = found
                    self._changed.set()
                    self._changed = asyncio.Event()
            return self._resources

    async def resources_changed(self, within: float) -> bool:
        """Wait until a discovery brings something new, at most so many seconds; whether it did."""
        try:
            async with asyncio.timeout(within):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def resource_for(self, what: Mapping[str, Any] | tuple[str, str, str]) -> Resource:
        """The resource of an object, or of (group, version, kind); an empty version means the preferred one.

        Raises UnknownKind when the server, asked again, does not serve it.
        """
        if isinstance(what, tuple):
            group, version, kind = what
        else:
            group, _, version = str(what.get("apiVersion", "")).rpartition("/")
            kind = str(what.get("kind", ""))
        found = (await self.resources()).find(group, kind, version)
        if found is None and time.monotonic() - self._discovered > _REDISCOVER_AFTER:
            found = (await self.resources(refresh=True)).find(group, kind, version)
        if found is None:
            raise UnknownKind(group, kind, version)
        return found

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """One object. Raises NotFound."""
        return listing.decode(await self.request("GET", resource.path(namespace, name)))

    async def list(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = listing.PAGE,
    ) -> ObjectList:
        """All objects, in pages of `limit`; each item with its apiVersion and kind."""
        query = listing.Query(resource, namespace, label_selector, field_selector)
        items: list[Object] = []
        version = ""
        page: listing.Page[Object]
        async for page in listing.pages(self, query, Object, limit=limit):
            if page.first:
                items.clear()
            items += page.items
            version = page.resource_version
        return ObjectList(items, version)

    async def create(
        self, resource: Resource, obj: Object, *, field_manager: str = "fluxtui", dry_run: bool = False
    ) -> Object:
        """Create an object in its namespace. Raises AlreadyExists."""
        path = resource.path(obj["metadata"].get("namespace", ""))
        return await self._write("POST", path, obj, field_manager=field_manager, dry_run=dry_run)

    async def replace(
        self,
        resource: Resource,
        obj: Object,
        *,
        subresource: str = "",
        field_manager: str = "fluxtui",
        dry_run: bool = False,
    ) -> Object:
        """Replace an object, or a subresource of it. Raises Conflict when its resourceVersion is old."""
        meta = obj["metadata"]
        path = resource.path(meta.get("namespace", ""), meta["name"], subresource)
        return await self._write("PUT", path, obj, field_manager=field_manager, dry_run=dry_run)

    async def patch(
        self,
        resource: Resource,
        name: str,
        namespace: str,
        patch: Any,
        *,
        type: PatchType,
        subresource: str = "",
        field_manager: str = "fluxtui",
        force: bool = False,
        dry_run: bool = False,
    ) -> Object:
        """Patch an object: `patch` is an object, or a list of operations for PatchType.JSON.

        `force` takes fields over from other managers (APPLY only).
        """
        path = resource.path(namespace, name, subresource)
        force = force and type is PatchType.APPLY
        return await self._write("PATCH", path, patch, type.value, field_manager, dry_run, force)

    async def _write(
        self,
        method: str,
        path: str,
        obj: Any,
        content_type: str = "application/json",
        field_manager: str = "",
        dry_run: bool = False,
        force: bool = False,
    ) -> Object:
        params = {"fieldManager": field_manager} if field_manager else {}
        if dry_run:
            params["dryRun"] = "All"
        if force:
            params["force"] = "true"
        body = msgspec.json.encode(obj)
        return listing.decode(await self.request(method, path, params=params, body=body, content_type=content_type))

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        propagation: str = "Background",
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> Object | None:
        """Delete an object; the object while finalizers or a grace period keep it, None when it is gone.

        `uid` and `resource_version` are preconditions. Raises NotFound, and Conflict for a precondition.
        """
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        conditions = {"uid": uid, "resourceVersion": resource_version}
        if any(conditions.values()):
            options["preconditions"] = {key: value for key, value in conditions.items() if value}
        if dry_run:
            options["dryRun"] = ["All"]
        path = resource.path(namespace, name)
        answer = listing.decode(await self.request("DELETE", path, body=msgspec.json.encode(options)))
        return None if answer.get("kind") == "Status" else answer

    async def logs(
        self,
        pod: str,
        namespace: str,
        *,
        container: str = "",
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        previous: bool = False,
        timestamps: bool = False,
    ) -> AsyncGenerator[bytes, None]:
        """Lines of a container's log, without newline, not neutralised; `since` in seconds before now.

        Lines longer than a megabyte come in pieces. Wrap in `contextlib.aclosing` when leaving early.
        """
        wishes: dict[str, Any] = {
            "container": container,
            "follow": "true" if follow else "",
            "tailLines": "" if tail is None else tail,
            "sinceSeconds": "" if since is None else max(1, math.ceil(since)),
            "previous": "true" if previous else "",
            "timestamps": "true" if timestamps else "",
        }
        params = {key: str(value) for key, value in wishes.items() if value != ""}
        path = _PODS.path(namespace, pod, "log")
        splitter = LineSplitter(_MAX_LOG_LINE)
        # A container may be silent for days; a dead server is the liveness probe's business.
        idle = None if follow else IDLE_TIMEOUT
        async with self.stream(path, params=params, accept="*/*", idle_timeout=idle) as chunks:
            async for chunk in chunks:
                for line in splitter.feed(chunk):
                    yield line
        if last := splitter.rest():
            yield last

    async def allowed(
        self, verb: str, resource: Resource, namespace: str = "", name: str = "", subresource: str = ""
    ) -> bool:
        """Whether we may do `verb`, asked with a SelfSubjectAccessReview."""
        attributes = {
            "verb": verb,
            "group": resource.group,
            "version": resource.version,
            "resource": resource.plural,
            "subresource": subresource,
            "namespace": namespace if resource.namespaced else "",
            "name": name,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
        }
        answer = await self._write("POST", _REVIEWS, review)
        return bool((answer.get("status") or {}).get("allowed"))


_PODS = Resource("", "v1", "Pod", "pods")
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
