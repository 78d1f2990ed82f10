"""The API over HTTP: paths to resources, bodies to objects, objects to answers."""

from __future__ import annotations

import copy
import secrets
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import web

from fluxtui.sandbox import bodies, discovery, options, statuses
from fluxtui.sandbox.faults import Faults
from fluxtui.sandbox.kinds import Kind
from fluxtui.sandbox.listing import Listing
from fluxtui.sandbox.logs import Logs
from fluxtui.sandbox.metadata import invalid
from fluxtui.sandbox.operations import Deletion, Operations, Write
from fluxtui.sandbox.patches import APPLY_PATCH, PATCHES, patched
from fluxtui.sandbox.reviews import Access
from fluxtui.sandbox.statuses import StatusError
from fluxtui.sandbox.store import key_of

Object = dict[str, Any]

MAX_BODY = 3 << 20
PREFIX = "/token/"
"""Path before a token, for clients that send none over plain HTTP."""
_SCALE_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
_JSON = {"Content-Type": "application/json"}
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Target:
    """What a path means: a resource, and perhaps one object or a part of it."""

    def __init__(self, kind: Kind, namespace: str, name: str, part: str) -> None:
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.part = part


class Server:
    """Answers requests to one cluster."""

    def __init__(self, operations: Operations, access: Access, faults: Faults, logs: Logs, token: str) -> None:
        self._operations = operations
        self._access = access
        self._faults = faults
        self._logs = logs
        self._token = token
        self._listing = Listing(operations)

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self.handle)
        return app

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request; whatever goes wrong becomes a Status."""
        try:
            await self._faults.before(request)
            return await self._answer(request, self._path(request))
        except StatusError as error:
            return _failure(error)
        except web.HTTPRequestEntityTooLarge:
            return _failure(StatusError(413, "RequestEntityTooLarge", f"limit is {MAX_BODY}"))

    def _path(self, request: web.Request) -> str:
        """The path of a request, once it is known who asks. Raises StatusError 401.

        A token in the header decides; without a header the one in the path does.
        """
        prefix = f"{PREFIX}{self._token}"
        path = request.path
        known = path == prefix or path.startswith(f"{prefix}/")
        path = path.removeprefix(prefix) if known else path
        if path in ("/healthz", "/readyz", "/livez", "/version"):
            return path
        header = request.headers.get("Authorization")
        if header is not None:
            known = secrets.compare_digest(header, f"Bearer {self._token}")
        if not known:
            raise statuses.unauthorized()
        return path

    async def _answer(self, request: web.Request, path: str) -> web.StreamResponse:
        parts = [part for part in path.split("/") if part]
        if not parts:
            return _json({"paths": ["/api", "/apis", "/healthz", "/openapi/v3", "/version"]})
        simple = self._about(request, parts)
        if simple is not None:
            return simple
        if parts[0] == "api" and len(parts) >= 3:
            return await self._resource(request, "", parts[1], parts[2:])
        if parts[0] == "apis" and len(parts) >= 4 and discovery.has_group(self._operations.kinds, parts[1]):
            return await self._resource(request, parts[1], parts[2], parts[3:])
        return web.Response(status=404, text="404 page not found\n")

    def _about(self, request: web.Request, parts: list[str]) -> web.Response | None:
        """Discovery, health and schemas."""
        kinds = self._operations.kinds
        path = "/".join(parts)
        if parts[0] in ("healthz", "readyz", "livez"):
            return web.Response(text="ok")
        if path == "version":
            return _json(discovery.VERSION)
        if path in ("api", "apis"):
            accept = request.headers.get("Accept", "")
            if f"g={discovery.AGGREGATED};v=v2;" in accept.replace(" ", "") or f"g={discovery.AGGREGATED}" in accept:
                body = discovery.aggregated(kinds, core=path == "api")
                content_type = f"application/json;g={discovery.AGGREGATED};v=v2;as=APIGroupDiscoveryList"
                return web.Response(body=msgspec.json.encode(body), headers={"Content-Type": content_type})
            if path == "apis":
                return _json(discovery.group_list(kinds))
            return _json({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        found: Object | None = None
        if parts[0] == "api" and len(parts) == 2:
            found = discovery.resource_list(kinds, "", parts[1])
        elif parts[0] == "apis" and len(parts) == 2:
            found = discovery.group(kinds, parts[1])
        elif parts[0] == "apis" and len(parts) == 3:
            found = discovery.resource_list(kinds, parts[1], parts[2])
        elif path == "openapi/v3":
            found = discovery.openapi_paths(kinds)
        elif path.startswith("openapi/v3/"):
            found = discovery.openapi_v3(kinds, parts[3] if parts[2] == "apis" else "", parts[-1])
        elif path == "openapi/v2" and "proto-openapi" in request.headers.get("Accept", ""):
            # An empty document: clients then validate nothing, and leave it to the server.
            content_type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
            return web.Response(body=b"", headers={"Content-Type": content_type})
        elif path == "openapi/v2":
            found = {
                "swagger": "2.0",
                "info": {"title": "Kubernetes", "version": "v1.35.4"},
                "paths": {},
                "definitions": {},
            }
        return None if found is None else _json(found)

    async def _resource(self, request: web.Request, group: str, version: str, rest: list[str]) -> web.StreamResponse:
        review = next((item for item in discovery.REVIEWS if item[:2] == (group, version) and item[3] == rest[0]), None)
        if review is not None and request.method == "POST":
            body, _ = bodies.decode(await request.read(), request.content_type, review[2], f"{group}/{version}")
            return _json(self._access.review(review[2], body, request.headers), 201)
        target = self._target(group, version, rest)
        self._allow(request, target)
        if target.name:
            return await self._object(request, target)
        return await self._collection(request, target)

    def _target(self, group: str, version: str, rest: list[str]) -> Target:
        kinds = self._operations.kinds
        if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in ("status", "finalize"):
            kind = kinds.find(group, version, rest[2])
            if kind is None or not kind.namespaced:
                raise statuses.no_such_path()
            name, part = [*rest[3:5], "", ""][:2]
            return Target(kind, rest[1], name, part)
        kind = kinds.find(group, version, rest[0])
        if kind is None or len(rest) > 3 or (kind.namespaced and len(rest) > 1):
            raise statuses.no_such_path()
        name, part = [*rest[1:3], "", ""][:2]
        return Target(kind, "", name, part)

    def _allow(self, request: web.Request, target: Target) -> None:
        verb = _VERBS.get(request.method, "")
        if request.method == "GET" and not target.name:
            verb = "watch" if request.query.get("watch") in ("true", "1") else "list"
        if request.method == "DELETE" and not target.name:
            verb = "deletecollection"
        self._access.check(verb, target.kind, target.namespace, target.name, target.part, request.headers)

    async def _collection(self, request: web.Request, target: Target) -> web.StreamResponse:
        if request.method == "GET":
            if request.query.get("watch") in ("true", "1"):
                return await self._listing.watch(request, target.kind, target.namespace, self._faults)
            return _json(self._listing.page(request, target.kind, target.namespace))
        if request.method == "POST":
            if target.kind.namespaced and not target.namespace:
                raise statuses.method_not_allowed()
            body, write = await self._sent(request, target, "CreateOptions")
            return self._written(
                request, self._operations.create(target.kind, target.namespace, body, write), target, 201
            )
        if request.method == "DELETE":
            return await self._delete_collection(request, target)
        raise statuses.method_not_allowed()

    async def _object(self, request: web.Request, target: Target) -> web.StreamResponse:
        kind, key = target.kind, (target.namespace, target.name)
        if target.part == "log" and kind.plural == "pods":
            return await self._log(request, target)
        if target.part == "scale" and kind.has_scale:
            return await self._scale(request, target)
        if target.part and not (target.part == "status" and kind.has_status):
            raise statuses.no_such_path()
        if request.method == "GET":
            return _json(self._listing.shown(request, kind, self._operations.get(kind, key)))
        if request.method == "PUT":
            body, write = await self._sent(request, target, "UpdateOptions")
            return self._written(request, self._operations.update(kind, key, body, write, target.part), target)
        if request.method == "PATCH":
            content_type = request.content_type
            if content_type not in PATCHES:
                raise statuses.unsupported_media_type()
            write = _write(request, "PatchOptions", content_type)
            body = bodies.decode_patch(await request.read(), content_type)
            obj, created = self._operations.patch(kind, key, content_type, body, write, target.part)
            return self._written(request, obj, target, 201 if created else 200)
        if request.method == "DELETE" and not target.part:
            return await self._delete(request, target)
        raise statuses.method_not_allowed()

    async def _delete(self, request: web.Request, target: Target) -> web.Response:
        deletion = await self._deletion(request)
        obj, gone = self._operations.delete(target.kind, (target.namespace, target.name), deletion)
        if not gone or target.kind.plural in ("pods", "namespaces"):
            return _json(self._listing.versioned(target.kind, obj))
        details = {"name": target.name, "kind": target.kind.plural, "uid": obj["metadata"]["uid"]}
        if target.kind.group:
            details["group"] = target.kind.group
        return _json(statuses.success(details=details))

    async def _delete_collection(self, request: web.Request, target: Target) -> web.Response:
        deletion = await self._deletion(request)
        version, found = self._operations.store.version, self._listing.select(request, target.kind, target.namespace)
        for obj in found:
            self._operations.delete(target.kind, key_of(obj), deletion)
        return _json(self._listing.as_list(target.kind, found, {"resourceVersion": str(version)}))

    async def _deletion(self, request: web.Request) -> Deletion:
        data = await request.read()
        body, _ = bodies.decode(data, request.content_type, "DeleteOptions") if data else ({}, [])
        return options.delete_options(request.query, body)

    async def _log(self, request: web.Request, target: Target) -> web.StreamResponse:
        pod = self._operations.get(target.kind, (target.namespace, target.name))
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        lines = self._logs.lines(pod, request.query)
        with suppress(ConnectionError):
            await response.prepare(request)
            if request.query.get("follow") in ("true", "1"):
                async for line in self._logs.follow(pod, request.query):
                    await response.write(line)
            else:
                await response.write(b"".join(lines))
            await response.write_eof()
        return response

    async def _scale(self, request: web.Request, target: Target) -> web.Response:
        kind, key = target.kind, (target.namespace, target.name)
        live = self._operations.get(kind, key)
        if request.method == "GET":
            return _json(_as_scale(live))
        scale, content_type = _as_scale(live), request.content_type
        if request.method == "PUT":
            scale, write = await self._sent(request, target, "UpdateOptions")
        elif request.method == "PATCH" and content_type in PATCHES and content_type != APPLY_PATCH:
            write = _write(request, "PatchOptions", content_type)
            scale = patched(kind, scale, content_type, bodies.decode_patch(await request.read(), content_type))
        else:
            raise statuses.method_not_allowed()
        changed = {**copy.deepcopy(live), "apiVersion": kind.api_version, "kind": kind.kind}
        changed["spec"]["replicas"] = (scale.get("spec") or {}).get("replicas", 0)
        version = (scale.get("metadata") or {}).get("resourceVersion")
        changed["metadata"]["resourceVersion"] = version or live["metadata"]["resourceVersion"]
        if not isinstance(changed["spec"]["replicas"], int) or changed["spec"]["replicas"] < 0:
            cause = invalid("spec.replicas", changed["spec"]["replicas"], "must be greater than or equal to 0")
            raise statuses.invalid(target.name, "autoscaling", "Scale", [cause])
        return _json(_as_scale(self._operations.update(kind, key, changed, write, "scale")))

    def _written(self, request: web.Request, obj: Object, target: Target, status: int = 200) -> web.Response:
        warnings = self._operations.warnings
        self._operations.warnings = []
        response = _json(self._listing.shown(request, target.kind, obj), status)
        for warning in warnings:
            quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
            response.headers.add("Warning", f'299 - "{quoted}"')
        return response

    async def _sent(self, request: web.Request, target: Target, options_kind: str) -> tuple[Object, Write]:
        """The object that a request sends, and how it is to be written."""
        write = _write(request, options_kind)
        body, repeated = bodies.decode(
            await request.read(), request.content_type, target.kind.kind, target.kind.api_version
        )
        return body, msgspec.structs.replace(write, repeated=tuple(repeated))


def _write(request: web.Request, options_kind: str, content_type: str = "") -> Write:
    agent = request.headers.get("User-Agent", "unknown").split(" ")[0]
    return options.write_options(request.query, agent, options_kind, content_type=content_type)


def _as_scale(obj: Object) -> Object:
    metadata = {name: obj["metadata"].get(name) for name in _SCALE_METADATA}
    selector = ((obj["spec"].get("selector") or {}).get("matchLabels")) or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": obj["spec"].get("replicas", 0)},
        "status": {
            "replicas": (obj.get("status") or {}).get("replicas", 0),
            "selector": ",".join(f"{name}={value}" for name, value in selector.items()),
        },
    }


def _failure(error: StatusError) -> web.Response:
    body = msgspec.json.encode(error.to_object())
    return web.Response(status=error.code, body=body, headers={**_JSON, **error.headers})


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), headers=_JSON)
