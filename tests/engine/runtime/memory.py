"""Leases in memory, for hours of virtual time: optimistic locking as an API server does it, and nothing else."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace
from typing import Any

from fluxtui.kube.errors import AlreadyExists, Conflict, NotFound, Unreachable


class LeaseServer:
    """What several clients share; `reachable` may be switched off, `writes` counts."""

    def __init__(self) -> None:
        self.leases: dict[str, dict[str, Any]] = {}
        self.version = 0
        self.writes = 0
        self.namespaces = {"flux-system"}

    def holder(self, name: str) -> str:
        return str(self.leases[name]["spec"]["holderIdentity"])

    def put(self, name: str, lease: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.writes += 1
        stored = deepcopy(lease)
        stored["metadata"]["resourceVersion"] = str(self.version)
        self.leases[name] = stored
        return deepcopy(stored)


class LeaseClient:
    """The part of a kube client an election uses."""

    def __init__(self, server: LeaseServer, id: str = "alpha") -> None:
        self.server = server
        self.id = id
        self.reachable = True

    async def list(self, resource: object, namespace: str = "") -> SimpleNamespace:
        self._check()
        return SimpleNamespace(items=[deepcopy(lease) for lease in self.server.leases.values()])

    async def get(self, resource: object, name: str, namespace: str = "") -> dict[str, Any]:
        self._check()
        if name not in self.server.leases:
            raise NotFound(404, "NotFound", f'leases "{name}" not found')
        return deepcopy(self.server.leases[name])

    async def create(self, resource: object, obj: dict[str, Any], *, field_manager: str = "") -> dict[str, Any]:
        self._check()
        if obj["metadata"]["namespace"] not in self.server.namespaces:
            raise NotFound(404, "NotFound", 'namespaces "flux-system" not found')
        name = obj["metadata"]["name"]
        if name in self.server.leases:
            raise AlreadyExists(409, "AlreadyExists", f'leases "{name}" already exists')
        return self.server.put(name, obj)

    async def replace(self, resource: object, obj: dict[str, Any], *, field_manager: str = "") -> dict[str, Any]:
        self._check()
        name = obj["metadata"]["name"]
        if name not in self.server.leases:
            raise NotFound(404, "NotFound", f'leases "{name}" not found')
        if obj["metadata"].get("resourceVersion") != self.server.leases[name]["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", "the object has been modified")
        return self.server.put(name, obj)

    def _check(self) -> None:
        if not self.reachable:
            raise Unreachable("connection refused")
