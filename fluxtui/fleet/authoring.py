"""Making, changing and deleting single objects as the verbs are asked to; every write is told to the audit log."""

from __future__ import annotations

import enum
import time
from typing import TYPE_CHECKING, Any

from fluxtui.fleet.audit import AuditLog, Entry, timestamp, who
from fluxtui.fleet.commands import FIELD_MANAGER
from fluxtui.fleet.refs import Ref
from fluxtui.kube.errors import Conflict, KubeError, NotFound

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

Object = dict[str, Any]


class Made(enum.StrEnum):
    """What became of an object that was applied."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


async def put(client: Client, obj: Object, audit: AuditLog, *, force: bool = False) -> Made:
    """Apply an object on the server's side; `force` takes over fields that others manage.

    Raises KubeError, also for fields of others without `force`.
    """
    from fluxtui.kube.client import PatchType

    resource = await client.resource_for(obj)
    metadata = obj["metadata"]
    name, namespace = metadata["name"], metadata.get("namespace", "")
    try:
        before = (await client.get(resource, name, namespace))["metadata"]["resourceVersion"]
    except NotFound:
        before = ""
    ref = Ref(client.id, resource.group, resource.kind, namespace, name)
    try:
        done = await client.patch(
            resource, name, namespace, obj, type=PatchType.APPLY, field_manager=FIELD_MANAGER, force=force
        )
    except KubeError as error:
        await _tell(client, audit, "create", ref, str(error))
        if isinstance(error, Conflict):
            raise KubeError(f"{error}; --force-conflicts takes these fields over") from error
        raise
    await _tell(client, audit, "create", ref)
    if not before:
        return Made.CREATED
    return Made.UNCHANGED if done["metadata"]["resourceVersion"] == before else Made.CONFIGURED


async def remove(client: Client, ref: Ref, uid: str, audit: AuditLog) -> bool:
    """Delete an object; whether it is gone: finalizers may keep it for a while. Raises KubeError."""
    resource = await client.resource_for((ref.group, "", ref.kind))
    try:
        left = await client.delete(resource, ref.name, ref.namespace, uid=uid)
    except KubeError as error:
        await _tell(client, audit, "delete", ref, str(error))
        raise
    await _tell(client, audit, "delete", ref)
    return left is None


async def _tell(client: Client, audit: AuditLog, action: str, ref: Ref, result: str = "written") -> None:
    moment = timestamp(time.time(), 3)
    host = client.context.host
    await audit.write(Entry(moment, who(), action, ref.cluster, host, ref.kind, ref.namespace, ref.name, result))
