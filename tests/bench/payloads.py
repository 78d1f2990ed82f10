"""The objects of a fake fleet: as large and as mixed as real ones, as bytes that are ready to send.

Ten variants of a cluster are made, each with names, revisions and inventories of its own; cluster n has variant n % 10.
A Kustomization is some 7.6 KB with 5–100 inventory entries, a release 6.4 KB, a source 3 KB; 1.9 KB of each are
managedFields.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from fluxtui.api import kinds
from fluxtui.api.kinds import Kind

VARIANTS = 10
PAGE = 500
MIX: tuple[tuple[Kind, float], ...] = (
    (kinds.GIT_REPOSITORY, 0.03),
    (kinds.OCI_REPOSITORY, 0.01),
    (kinds.HELM_REPOSITORY, 0.08),
    (kinds.HELM_CHART, 0.18),
    (kinds.BUCKET, 0.004),
    (kinds.KUSTOMIZATION, 0.36),
    (kinds.HELM_RELEASE, 0.24),
    (kinds.IMAGE_REPOSITORY, 0.03),
    (kinds.IMAGE_POLICY, 0.03),
    (kinds.IMAGE_UPDATE, 0.006),
    (kinds.ALERT, 0.02),
    (kinds.PROVIDER, 0.006),
    (kinds.RECEIVER, 0.004),
)
"""The kinds a cluster serves and their share of its objects."""
BAD = 50
"""Every so manieth object has failed."""
_VERSION = b"@@version@@"
_MESSAGE = b"@@message@@"
_CHANGED = b"@@changed@@"
_READY = b"@@ready@@"
_REASON = b"@@reason@@"
_MARKS = (_VERSION, _CHANGED, _MESSAGE, _REASON, _READY)


class Body(NamedTuple):
    """One object: its name and the bytes between the five places that change with each event."""

    name: str
    namespace: str
    pieces: tuple[bytes, ...]
    good: str
    is_bad: bool

    def render(self, version: int, changed: str, message: str, reason: str, ready: str) -> bytes:
        """The object's JSON; `changed` is RFC 3339, `ready` True, False or Unknown."""
        one, two, three, four, five, six = self.pieces
        values = (str(version), changed, message, reason, ready)
        a, b, c, d, e = (value.encode() for value in values)
        return b"".join((one, a, two, b, three, c, four, d, five, e, six))


class Collection(NamedTuple):
    """The objects of one kind in one variant of a cluster."""

    kind: Kind
    bodies: tuple[Body, ...]

    @property
    def path(self) -> str:
        """`/apis/…/v1/kustomizations`"""
        return f"/apis/{self.kind.group}/{self.kind.versions[0]}/{self.kind.plural}"

    def pages(self, size: int, version: int, changed: str) -> list[bytes]:
        """Bodies of the LIST, `size` objects each; the token of a page is the number of its first object."""
        shown = [first_look(body, version, changed) for body in self.bodies]
        answers = []
        for start in range(0, max(1, len(shown)), size):
            token = f'"continue":"{start + size}",' if start + size < len(shown) else ""
            head = (
                f'{{"apiVersion":"{self.kind.group}/{self.kind.versions[0]}","kind":"{self.kind.kind}List",'
                f'"metadata":{{{token}"resourceVersion":"{version}"}},"items":['
            )
            answers.append(head.encode() + b",".join(shown[start : start + size]) + b"]}")
        return answers


def first_look(body: Body, version: int, changed: str) -> bytes:
    """The object before any event."""
    if body.is_bad:
        return body.render(
            version, changed, f"timeout waiting for deployment/{body.name}", "HealthCheckFailed", "False"
        )
    return body.render(version, changed, body.good, "ReconciliationSucceeded", "True")


def compressed(body: bytes) -> bytes:
    """As an API server compresses a large answer."""
    return gzip.compress(body, 4)


def variant(number: int, objects: int, started: str) -> list[Collection]:
    """One variant of a cluster with about so many objects, all reconciled lately: at `started`, RFC 3339."""
    chance = random.Random(number)
    return [
        Collection(kind, tuple(_bodies(kind, max(1, round(share * objects)), number, started, chance)))
        for kind, share in MIX
    ]


def _bodies(kind: Kind, count: int, number: int, started: str, chance: random.Random) -> Iterator[Body]:
    for index in range(count):
        name = f"{kind.short}-{number}{index:04}"
        namespace = "flux-system" if kind.category != "releases" else f"team-{index % 12:02}"
        revision = f"main@sha1:{hashlib.sha1(f'{number}/{index // 40}'.encode()).hexdigest()}"
        good = f"Applied revision: {revision}"
        made = _object(kind, name, namespace, revision, started, chance)
        pieces = _split(json.dumps(made, separators=(",", ":")).encode())
        yield Body(name, namespace, pieces, good, index % BAD == BAD - 1)


def _split(text: bytes) -> tuple[bytes, ...]:
    pieces = []
    for mark in _MARKS:
        piece, _, text = text.partition(mark)
        pieces.append(piece)
    return (*pieces, text)


def _object(
    kind: Kind, name: str, namespace: str, revision: str, started: str, chance: random.Random
) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"{chance.getrandbits(128):032x}",
        "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app.kubernetes.io/part-of": "platform", "kustomize.toolkit.fluxcd.io/name": "flux-system"},
        "finalizers": ["finalizers.fluxcd.io"],
        "managedFields": _managed(kind, chance),
        "resourceVersion": _VERSION.decode(),
    }
    spec, status = _parts(kind, name, revision, started, chance)
    return {
        "apiVersion": f"{kind.group}/{kind.versions[0]}",
        "kind": kind.kind,
        "metadata": metadata,
        "spec": spec,
        "status": {"conditions": [_condition()], "observedGeneration": 3, **status},
    }


def _condition() -> dict[str, Any]:
    return {
        "lastTransitionTime": _CHANGED.decode(),
        "message": _MESSAGE.decode(),
        "observedGeneration": 3,
        "reason": _REASON.decode(),
        "status": _READY.decode(),
        "type": "Ready",
    }


def _managed(kind: Kind, chance: random.Random) -> list[dict[str, Any]]:
    fields: dict[str, Any] = {
        f"f:field-{chance.randrange(1000)}": {".": {}, "f:value": {}, "k:{name}": {}} for _ in range(44)
    }
    return [{"manager": kind.controller, "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields}]


def _parts(
    kind: Kind, name: str, revision: str, started: str, chance: random.Random
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Spec and status of a kind."""
    interval = {"interval": "10m0s"}
    if kind is kinds.KUSTOMIZATION:
        entries = [
            {"id": f"team-space-{chance.randrange(40):02}_{name}-component-{each}_apps_Deployment", "v": "v1"}
            for each in range(chance.randrange(5, 101))
        ]
        source = {"sourceRef": {"kind": "GitRepository", "name": f"git-{name[3:4]}0000"}}
        spec = {**interval, "path": f"./apps/{name}", "prune": True, "wait": True, **source}
        past = {
            "digest": f"sha256:{chance.getrandbits(256):064x}",
            "firstReconciled": "2026-11-20T00:00:00Z",
            "lastReconciled": started,
            "lastReconciledDuration": "1.234567s",
            "lastReconciledStatus": "ReconciliationSucceeded",
            "metadata": {"revision": revision},
            "totalReconciliations": 144,
        }
        return spec, {"lastAppliedRevision": revision, "inventory": {"entries": entries}, "history": [past] * 5}
    if kind is kinds.HELM_RELEASE:
        chart = {"spec": {"chart": "podinfo", "version": "6.x", "sourceRef": {"kind": "HelmRepository", "name": "pod"}}}
        past = {
            "appVersion": "6.7.1",
            "chartName": "podinfo",
            "chartVersion": "6.7.1",
            "configDigest": f"sha256:{chance.getrandbits(256):064x}",
            "digest": f"sha256:{chance.getrandbits(256):064x}",
            "firstDeployed": started,
            "lastDeployed": started,
            "name": name,
            "namespace": "default",
            "status": "deployed",
            "version": 3,
        }
        values = {f"key{each}": {"enabled": True, "image": f"registry.example/{name}:{each}"} for each in range(60)}
        return {**interval, "chart": chart, "values": values}, {"history": [past] * 4}
    if kind in _SMALL:
        return {**interval, **_SMALL[kind]}, {}
    artifact = {
        "revision": revision,
        "lastUpdateTime": started,
        "size": 12345,
        "digest": f"sha256:{'0' * 64}",
        "path": f"{kind.plural}/{name}/latest.tar.gz",
        "url": f"http://source-controller.flux-system.svc.cluster.local./{kind.plural}/{name}/latest.tar.gz",
    }
    return {**interval, **_sources(kind, name)}, {"artifact": artifact}


_SMALL: dict[Kind, dict[str, Any]] = {
    kinds.IMAGE_REPOSITORY: {"image": "registry.example/platform/app"},
    kinds.IMAGE_POLICY: {"imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": "1.x"}}},
    kinds.IMAGE_UPDATE: {
        "sourceRef": {"kind": "GitRepository", "name": "fleet"},
        "git": {"commit": {"author": {"email": "flux@example.com"}}},
    },
    kinds.ALERT: {"providerRef": {"name": "chat"}, "eventSources": [{"kind": "Kustomization", "name": "*"}]},
    kinds.PROVIDER: {"type": "slack", "channel": "platform"},
    kinds.RECEIVER: {
        "type": "generic",
        "secretRef": {"name": "token"},
        "resources": [{"kind": "GitRepository", "name": "fleet"}],
    },
}


def _sources(kind: Kind, name: str) -> dict[str, Any]:
    if kind is kinds.HELM_CHART:
        return {"chart": "podinfo", "version": "6.x", "sourceRef": {"kind": "HelmRepository", "name": "pod"}}
    if kind is kinds.BUCKET:
        return {"bucketName": name, "endpoint": "minio.example"}
    if kind is kinds.OCI_REPOSITORY:
        return {"url": f"oci://registry.example/{name}", "ref": {"tag": "latest"}}
    url = {"url": f"https://git.example/{name}"}
    return {**url, "ref": {"branch": "main"}} if kind is kinds.GIT_REPOSITORY else url
