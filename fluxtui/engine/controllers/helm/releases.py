"""Releases: their names, digests and history, and their storage in the cluster.

Names and digests are computed as helm-controller does (`internal/release`), so that either engine recognizes the
other's releases.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fluxtui.api.helm import HelmRelease
from fluxtui.engine.adapters import helm_storage
from fluxtui.engine.adapters.helm import Chart, Object, Values
from fluxtui.engine.adapters.helm_storage import Release
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.objects import now
from fluxtui.kube.errors import AlreadyExists, NotFound
from fluxtui.kustomize import output

MANAGER = "helm-controller"
_MAX_NAME = 53
_HASH = 12


def release_name(obj: HelmRelease) -> str:
    """`spec.releaseName`, else `[<targetNamespace>-]<name>`, shortened to 53 characters with a hash."""
    if obj.spec.release_name:
        return obj.spec.release_name
    name = "-".join(filter(None, (obj.spec.target_namespace, obj.metadata.name)))
    if len(name) <= _MAX_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
    return f"{name[: _MAX_NAME - _HASH - 1]}-{digest}"


def release_namespace(obj: HelmRelease) -> str:
    """Where the release's objects go by default."""
    return obj.spec.target_namespace or obj.metadata.namespace


def storage_namespace(obj: HelmRelease) -> str:
    """Where Helm's storage is."""
    return obj.spec.storage_namespace or obj.metadata.namespace


def config_digest(values: Values) -> str:
    """Digest of a release's values: SHA-256 of their YAML with sorted keys; of nothing when there are none."""
    text = output.document(values) if values else ""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def digest(release: Release) -> str:
    """Digest of a stored release, without its chart's data: SHA-256 of JSON as Go writes it."""
    observed = {
        "name": release["name"],
        "version": release["version"],
        "info": release["info"],
        "chartMetadata": release["chart"]["metadata"],
        "config": _sorted(release.get("config") or None),
        "manifest": release.get("manifest", ""),
        "hooks": release.get("hooks") or None,
        "namespace": release["namespace"],
    }
    text = json.dumps(observed, separators=(",", ":"), ensure_ascii=False)
    for character, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028")):
        text = text.replace(character, escaped)
    return "sha256:" + hashlib.sha256(f"{text}\n".encode()).hexdigest()


def snapshot(release: Release, action: str = "") -> Object:
    """The entry of `status.history` for a stored release."""
    info, metadata = release["info"], release["chart"]["metadata"]
    entry = {
        "apiVersion": "v2",
        "digest": digest(release),
        "name": release["name"],
        "namespace": release["namespace"],
        "version": release["version"],
        "status": info["status"],
        "chartName": metadata["name"],
        "chartVersion": metadata["version"],
        "appVersion": metadata.get("appVersion", ""),
        "configDigest": config_digest(release.get("config") or {}),
        "firstDeployed": _seconds(info["first_deployed"]),
        "lastDeployed": _seconds(info["last_deployed"]),
        "action": action,
    }
    return {name: value for name, value in entry.items() if value != ""}


def full_name(release: Release) -> str:
    """`<namespace>/<name>.v<revision>`, as conditions and events say it."""
    return f"{release['namespace']}/{release['name']}.v{release['version']}"


def chart_name(release: Release) -> str:
    """`<chart>@<version>`, as conditions and events say it."""
    metadata = release["chart"]["metadata"]
    return f"{metadata['name']}@{metadata['version']}"


def new_release(
    name: str, namespace: str, revision: int, chart: Chart, values: Values, status: str, previous: Release | None
) -> Release:
    """A release that has yet to be rendered and applied."""
    moment = helm_storage.time(now())
    return {
        "name": name,
        "info": {
            "first_deployed": previous["info"]["first_deployed"] if previous else moment,
            "last_deployed": moment,
            "description": "Initial install underway" if previous is None else "Preparing upgrade",
            "status": status,
        },
        "chart": chart.stored,
        "config": values or None,
        "manifest": "",
        "version": revision,
        "namespace": namespace,
        "apply_method": "ssa",
    }


def conclude(release: Release, status: str, description: str, notes: str = "") -> None:
    """Set how a release ended, keeping the order of fields that its digest depends on."""
    info = release["info"]
    release["info"] = {
        "first_deployed": info["first_deployed"],
        "last_deployed": info["last_deployed"],
        **({"deleted": info["deleted"]} if "deleted" in info else {}),
        "description": description,
        "status": status,
        **({"notes": notes or info.get("notes")} if notes or info.get("notes") else {}),
    }


class Storage:
    """The revisions of one release in the cluster."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name

    async def history(self) -> list[Release]:
        """All revisions, oldest first. Raises KubeError or StorageError."""
        resource = await self._cluster.client.resource_for(("", "v1", "Secret"))
        found = await self._cluster.client.list(
            resource, self._namespace, label_selector=helm_storage.selector(self._name)
        )
        releases = [
            helm_storage.decode(secret) for secret in found.items if secret.get("type") == helm_storage.SECRET_TYPE
        ]
        return sorted(releases, key=lambda release: int(release["version"]))

    async def write(self, release: Release, moment: datetime | None = None) -> None:
        """Create or replace a revision."""
        resource = await self._cluster.client.resource_for(("", "v1", "Secret"))
        secret = helm_storage.encode(release, self._namespace, moment or now())
        try:
            await self._cluster.client.create(resource, secret, field_manager=MANAGER)
        except AlreadyExists:
            await self._cluster.client.replace(resource, secret, field_manager=MANAGER)

    async def supersede(self, releases: Iterable[Release], keep: int, maximum: int) -> None:
        """Mark deployed revisions other than `keep` as superseded, and remove the oldest beyond `maximum` (0: none)."""
        others = [release for release in releases if release["version"] != keep]
        for release in others:
            if release["info"]["status"] == "deployed":
                conclude(release, "superseded", release["info"]["description"])
                await self.write(release)
        surplus = others[: max(0, len(others) + 1 - maximum)] if maximum else []
        for release in surplus:
            await self.remove(release)

    async def remove(self, release: Release) -> None:
        """Remove a revision; no error when it is gone."""
        resource = await self._cluster.client.resource_for(("", "v1", "Secret"))
        name = helm_storage.secret_name(self._name, release["version"])
        try:
            await self._cluster.client.delete(resource, name, self._namespace)
        except NotFound:
            return


def _sorted(value: Any) -> Any:
    """The value with the keys of its maps sorted, as Go writes maps."""
    return json.loads(json.dumps(value, sort_keys=True))


def _seconds(moment: str) -> Any:
    return moment.partition(".")[0].rstrip("Z") + "Z"
