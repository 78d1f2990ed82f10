"""Reading: lists with selectors and pages, and watches."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import web

from fluxtui.sandbox import selectors, statuses, tables
from fluxtui.sandbox.faults import Faults
from fluxtui.sandbox.kinds import Kind
from fluxtui.sandbox.operations import Operations
from fluxtui.sandbox.options import list_options, number
from fluxtui.sandbox.store import Change, Object

BOOKMARK_SECONDS = 15.0
"""Pause between bookmarks. A real server's is a minute; tests and demos want to see them."""
WATCH_SECONDS = 1800.0
MAX_SNAPSHOTS = 100
_INITIAL_END = "k8s.io/initial-events-end"
_SELECTABLE = {
    "pods": ("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"),
    "events": (
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type",
    ),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
    "nodes": ("spec.unschedulable",),
    "jobs": ("status.successful",),
}  # fmt: skip


class Listing:
    """Lists and watches of one server."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._store = operations.store
        self._snapshots: dict[str, list[Object]] = {}

    def versioned(self, kind: Kind, obj: Object) -> Object:
        """An object with the API version and kind it is asked for."""
        return {**obj, "apiVersion": kind.api_version, "kind": kind.kind}

    def shown(self, request: web.Request, kind: Kind, obj: Object) -> Object:
        """One object in the form the client accepts."""
        form = tables.form(request.headers.get("Accept", ""))
        if form == "Table":
            version = obj["metadata"].get("resourceVersion", "")
            return self._table(request, kind, [self.versioned(kind, obj)], version)
        return tables.partial(obj) if form else self.versioned(kind, obj)

    def select(self, request: web.Request, kind: Kind, namespace: str) -> list[Object]:
        """The objects that a request selects. Raises StatusError 400."""
        match = self._match(request, kind, namespace)
        return [obj for obj in self._store.all(kind.store) if match(obj)]

    def page(self, request: web.Request, kind: Kind, namespace: str) -> Object:
        """A list, or one page of it. Raises StatusError."""
        asked = list_options(request.query)
        if asked.token:
            version, token, start = self._token(asked.token)
            if version < self._store.oldest or token not in self._snapshots:
                raise statuses.gone("The provided continue parameter is too old to display a consistent list result.")
            items = self._snapshots[token]
        else:
            version, token, start = self._store.version, "", 0
            self._reachable(asked.version, exact=asked.exact)
            items = self.select(request, kind, namespace)
        page = items[start : start + asked.limit] if asked.limit else items[start:]
        metadata: Object = {"resourceVersion": str(version)}
        left = len(items) - start - len(page)
        if left > 0:
            token = token or self._keep(items)
            text = json.dumps([version, token, start + len(page)])
            metadata["continue"] = base64.urlsafe_b64encode(text.encode()).decode()
            if not request.query.get("labelSelector") and not request.query.get("fieldSelector"):
                metadata["remainingItemCount"] = left
        form = tables.form(request.headers.get("Accept", ""))
        if form == "Table":
            table = self._table(request, kind, [self.versioned(kind, obj) for obj in page], str(version))
            table["metadata"] = metadata
            return table
        if form:
            return {
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": [tables.partial(obj) for obj in page],
            }
        return self.as_list(kind, page, metadata)

    def as_list(self, kind: Kind, objects: list[Object], metadata: Object) -> Object:
        """A list object."""
        items = [self.versioned(kind, obj) if kind.custom else _bare(obj) for obj in objects]
        return {"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": metadata, "items": items}

    def _reachable(self, version: str, *, exact: bool) -> None:
        """Raise StatusError when the state of a version can't be had: it is to come, or only the latest is kept."""
        latest = self._store.version
        if version and int(version) > latest:
            raise statuses.too_large_version(int(version), latest)
        if exact and int(version) < latest:
            raise statuses.gone(f"The provided resource version {version} is too old: {latest} is the only one kept.")

    async def watch(self, request: web.Request, kind: Kind, namespace: str, faults: Faults) -> web.StreamResponse:
        """Stream changes until the time is over or the client leaves. Raises StatusError."""
        query = request.query
        match = self._match(request, kind, namespace)
        initial: list[Object] | None = None
        since = query.get("resourceVersion", "")
        if query.get("sendInitialEvents") == "true" or since in ("", "0"):
            initial = [obj for obj in self._store.all(kind.store) if match(obj)]
            start = self._store.version
        else:
            start = _version(since)
        watcher = self._store.watch(kind.store, start)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            encode = self._encoder(request, kind)
            # A client may leave at any moment, also before it has heard anything.
            with suppress(TimeoutError, ConnectionError):
                await response.prepare(request)
                if initial is not None:
                    await response.write(b"".join(_line("ADDED", encode(obj, None)) for obj in initial))
                if query.get("sendInitialEvents") == "true":
                    await response.write(self._bookmark(kind, start, initial_end=True))
                seconds = number(query, "timeoutSeconds") or WATCH_SECONDS
                bookmarks = query.get("allowWatchBookmarks") == "true"
                async with asyncio.timeout(seconds):
                    while True:
                        await self._next(watcher, response, match, encode, kind, faults, bookmarks=bookmarks)
            return response
        finally:
            watcher.close()

    async def _next(
        self,
        watcher: Any,
        response: web.StreamResponse,
        match: Callable[[Object], bool],
        encode: Callable[[Object, Change | None], bytes],
        kind: Kind,
        faults: Faults,
        *,
        bookmarks: bool,
    ) -> None:
        try:
            async with asyncio.timeout(BOOKMARK_SECONDS):
                changes = await watcher.take()
        except TimeoutError:
            if bookmarks:
                await faults.during()
                await response.write(self._bookmark(kind, self._store.version))
            return
        lines = []
        for change in changes:
            type_ = _seen(change, match)
            if type_:
                lines.append(_line(type_, encode(change.object, change)))
        await faults.during()
        if lines:
            await response.write(faults.spoil(b"".join(lines)))

    def _encoder(self, request: web.Request, kind: Kind) -> Callable[[Object, Change | None], bytes]:
        form = tables.form(request.headers.get("Accept", ""))
        if form == "Table":
            return lambda obj, _: msgspec.json.encode(
                self._table(request, kind, [self.versioned(kind, obj)], obj["metadata"]["resourceVersion"])
            )
        if form:
            return lambda obj, _: msgspec.json.encode(tables.partial(obj))

        def full(obj: Object, change: Change | None) -> bytes:
            if change is None:
                return msgspec.json.encode(self.versioned(kind, obj))
            if kind.api_version not in change.encoded:
                change.encoded = {**change.encoded, kind.api_version: msgspec.json.encode(self.versioned(kind, obj))}
            return change.encoded[kind.api_version]

        return full

    def _bookmark(self, kind: Kind, version: int, *, initial_end: bool = False) -> bytes:
        metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
        if initial_end:
            metadata["annotations"] = {_INITIAL_END: "true"}
        return _line("BOOKMARK", msgspec.json.encode(
            {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
        ))  # fmt: skip

    def _match(self, request: web.Request, kind: Kind, namespace: str) -> Callable[[Object], bool]:
        by_label = selectors.labels(request.query.get("labelSelector", ""))
        known = ("metadata.name", "metadata.namespace", *_SELECTABLE.get(kind.plural, ()))
        by_field = selectors.fields(request.query.get("fieldSelector", ""), known)
        if not namespace:
            return lambda obj: by_label(obj) and by_field(obj)
        return lambda obj: obj["metadata"].get("namespace") == namespace and by_label(obj) and by_field(obj)

    def _table(self, request: web.Request, kind: Kind, objects: list[Object], version: str) -> Object:
        include = request.query.get("includeObject", "Metadata")
        return tables.table(kind, objects, version, self._operations.clock(), include=include)

    def _keep(self, items: list[Object]) -> str:
        token = f"{self._store.version}-{len(self._snapshots)}-{id(items)}"
        while len(self._snapshots) >= MAX_SNAPSHOTS:
            del self._snapshots[next(iter(self._snapshots))]
        self._snapshots[token] = items
        return token

    def _token(self, text: str) -> tuple[int, str, int]:
        try:
            version, token, start = json.loads(base64.urlsafe_b64decode(text))
        except (ValueError, binascii.Error, TypeError) as error:
            raise statuses.bad_request(f"invalid continue token: continue key is not valid: {error}") from error
        return int(version), str(token), int(start)


def _seen(change: Change, match: Callable[[Object], bool]) -> str:
    """How a change looks to a watch with a selector; empty when it does not concern it."""
    now = change.type != "DELETED" and match(change.object)
    before = change.previous is not None and match(change.previous)
    if now:
        return "MODIFIED" if before else "ADDED"
    return "DELETED" if before else ""


def _line(type_: str, obj: bytes) -> bytes:
    return b'{"type":"' + type_.encode() + b'","object":' + obj + b"}\n"


def _bare(obj: Object) -> Object:
    """An item of a built-in list, which says neither kind nor version."""
    return {name: value for name, value in obj.items() if name not in ("apiVersion", "kind")}


def _version(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise statuses.bad_request(f'invalid resource version "{text}"') from error
