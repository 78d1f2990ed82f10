"""From a directory of an artifact to the objects to apply: generate, build, substitute.

One function of plain data, so that it can run in a worker process. Source: fluxcd/pkg `kustomize` and the build of
kustomize-controller.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

from fluxtui.engine.controllers.kustomize.generate import Additions, kustomization
from fluxtui.engine.controllers.kustomize.substitute import (
    SubstituteError,
    UnresolvedError,
    describe,
    refuse_expansions,
    substitute,
)
from fluxtui.kustomize.build import Options, build
from fluxtui.kustomize.errors import KustomizeError, RemoteRefused
from fluxtui.kustomize.filesystem import OverlayFileSystem, RealFileSystem
from fluxtui.kustomize.remotes import Remotes
from fluxtui.kustomize.resources import Resource

Object = dict[str, Any]

_BIG = 64 << 10
_CACHED = 64 << 20
_FETCHED = 1 << 30
"""Bytes of remote bases that are kept."""


class BuildFailed(Exception):
    """The source can't be built; `str()` is a sentence for users."""


class RemoteNeeded(BuildFailed):
    """The source builds on something remote, and the order has no place for it."""


class UnresolvedVariables(BuildFailed):
    """Variables that have neither a value nor a default."""


class RemoteBases(msgspec.Struct, frozen=True):
    """How remote bases are fetched."""

    cache: str
    """A directory for what is fetched."""
    protocols: tuple[str, ...]
    """What Git may speak."""
    anonymous: bool = True
    """Fetch without the settings, keys and passwords of whoever runs this."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to build."""

    root: str
    """The artifact's directory, which nothing may leave."""
    directory: str
    """Where the kustomization is, in `root`."""
    additions: Additions
    variables: Mapping[str, str] | None = None
    """None: without substitution."""
    always: bool = False
    """Substitute even without variables."""
    expects_variables: bool = False
    """Refuse variables that stay because there is no value for any."""
    strict: bool = True
    """Refuse variables without value or default; without it, they are empty."""
    ignored: frozenset[str] = frozenset()
    """Absolute paths of files and directories that are not collected where there is no kustomization."""
    remotes: RemoteBases | None = None
    """None refuses remote bases."""
    decrypted: Mapping[str, bytes] = {}
    """Plain texts of encrypted files, by absolute path."""


class Built(msgspec.Struct, frozen=True):
    """What was built."""

    objects: list[Object]
    digest: str
    """`sha256:<hex>` of the YAML of the objects, as the history of a Kustomization keeps it."""


def make(order: Order) -> Built:
    """Build the objects. Raises BuildFailed."""
    return finish(render(order), order)


def render(order: Order) -> list[Object]:
    """Run kustomize. Raises BuildFailed."""
    try:
        files = {**order.decrypted, **kustomization(order.directory, order.additions, order.ignored)}
        fs = OverlayFileSystem(RealFileSystem(order.root), files)
        options = Options(reorder="none", restrict_root=False, remotes=_remotes(order.remotes))
        resources = build(order.directory, fs=fs, options=options)
    except RemoteRefused as error:
        raise RemoteNeeded(f"kustomize build failed: {_relative(str(error), order)}") from None
    except (KustomizeError, OSError, RecursionError) as error:
        raise BuildFailed(f"kustomize build failed: {_relative(str(error), order)}") from None
    for resource in resources:
        if not (resource.name and resource.kind and resource.api_version):
            raise BuildFailed(f"failed to decode Kubernetes apiVersion, kind and name from: {resource.id}")
    return [resource.object for resource in resources]


def _remotes(bases: RemoteBases | None) -> Remotes | None:
    if bases is None:
        return None
    return Remotes(bases.cache, protocols=bases.protocols, anonymous=bases.anonymous, limit=_FETCHED)


def finish(objects: list[Object], order: Order) -> Built:
    """Substitute the variables. Raises BuildFailed."""
    if order.variables is not None:
        try:
            if order.expects_variables and not order.variables and not order.always:
                refuse_expansions(map(Resource, objects))
            objects = substitute(map(Resource, objects), order.variables, always=order.always, strict=order.strict)
        except UnresolvedError as error:
            raise UnresolvedVariables(str(error)) from None
        except SubstituteError as error:
            raise BuildFailed(str(error)) from None
        _check(objects)
    text = "---\n".join(Resource(obj).to_yaml() for obj in objects)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Built([obj for obj in objects if not _is_configuration(obj)], f"sha256:{digest}")


def is_big(directory: str) -> bool:
    """Whether a directory holds so much YAML that building it would hold up an event loop."""
    size = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            if name.endswith((".yaml", ".yml")):
                size += os.lstat(os.path.join(folder, name)).st_size
        if size > _BIG:
            return True
    return False


class BuildCache:
    """The last builds, by what they were made of, up to so many bytes."""

    def __init__(self, limit: int = _CACHED) -> None:
        self._limit = limit
        self._size = 0
        self._built: OrderedDict[bytes, bytes] = OrderedDict()

    def get(self, key: bytes) -> Built | None:
        """A build made before."""
        found = self._built.get(key)
        if found is None:
            return None
        self._built.move_to_end(key)
        return msgspec.msgpack.decode(found, type=Built)

    def put(self, key: bytes, built: Built) -> None:
        """Keep a build; the least used ones go."""
        packed = msgspec.msgpack.encode(built)
        self._size += len(packed) - len(self._built.pop(key, b""))
        self._built[key] = packed
        while self._size > self._limit:
            _, dropped = self._built.popitem(last=False)
            self._size -= len(dropped)


def cache_key(digest: str, order: Order, path: str, keys: str = "") -> bytes:
    """What a build depends on: the artifact's digest, the path in it, additions, variables, a digest of the keys."""
    parts = (
        digest,
        path,
        keys,
        order.additions,
        dict(order.variables) if order.variables is not None else None,
        order.always,
        order.expects_variables,
    )
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).digest()


def _check(objects: list[Object]) -> None:
    """After substitution names may be gone, or the same."""
    seen = set()
    for obj in objects:
        metadata = obj.get("metadata")
        if not isinstance(metadata, dict) or not (metadata.get("name") and obj.get("kind") and obj.get("apiVersion")):
            raise BuildFailed(f"post build failed for '{describe(obj)}': no apiVersion, kind or name is left")
        if not isinstance(metadata["name"], str):
            raise BuildFailed(f"post build failed for '{describe(obj)}': metadata.name is no text")
        identity = (obj["apiVersion"], obj["kind"], metadata.get("namespace"), metadata["name"])
        if identity in seen:
            raise BuildFailed(f"post build failed for '{describe(obj)}': there is another object of this name")
        seen.add(identity)


def _is_configuration(obj: Object) -> bool:
    return obj.get("kind") == "Kustomization" and str(obj.get("apiVersion", "")).startswith("kustomize.config.k8s.io/")


def _relative(message: str, order: Order) -> str:
    """A message that names files by their path in the artifact, or by the commit and path of a remote base."""
    message = message.replace(f"{os.path.realpath(order.root)}/", "").replace(f"{order.root}/", "")
    if order.remotes is None:
        return message
    caches = {re.escape(path) for path in (os.path.realpath(order.remotes.cache), order.remotes.cache)}
    return re.sub(rf"(?:{'|'.join(caches)})/repositories/[0-9a-f]{{64}}/", "", message)
