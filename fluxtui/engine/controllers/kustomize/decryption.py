"""`spec.decryption`: manifests and generator files that SOPS has encrypted.

Source: docs/spec/v1/kustomizations.md "Decryption" and "Kustomize secretGenerator"; the decryptor of
kustomize-controller.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import posixpath
import stat
from collections import OrderedDict
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

from fluxtui.engine.adapters import sops
from fluxtui.engine.adapters.clouds.tokens import CloudError
from fluxtui.engine.adapters.sops import Keys, SopsError
from fluxtui.engine.controllers.kustomize import policy
from fluxtui.engine.controllers.kustomize.decryption_keys import DecryptionError, Secret, login_of
from fluxtui.engine.controllers.kustomize.generate import Additions, kustomization
from fluxtui.engine.controllers.kustomize.work import Run
from fluxtui.engine.runtime.service_accounts import ServiceAccountError
from fluxtui.kustomize import documents
from fluxtui.kustomize.errors import KustomizeError
from fluxtui.kustomize.kustomization import NAMES

Object = dict[str, Any]

_LARGEST = 5 << 20
"""Bytes of an encrypted file that is read."""


_KEPT = 8 << 20
"""Bytes of plain texts that are kept."""
_AT_ONCE = max(2, min(4, os.cpu_count() or 1))
"""Processes that decrypt for one build at once."""

T = TypeVar("T")


@asynccontextmanager
async def decryptor(run: Run, secret: Secret, known: PlainTexts) -> AsyncIterator[Decryptor]:
    """A decryptor with the keys, for the time of the context. Raises DecryptionError."""
    async with run.cluster.artifacts.workspace() as directory:
        keys = Keys(directory)
        try:
            await keys.load(secret.data)
            if secret.account is not None:
                await keys.identify(secret.account)
            if secret.lacking:
                keys.lack(secret.lacking)
            if run.cluster.settings.sops_vault_configmap:
                keys.log_in(login_of(run, secret))
            yield Decryptor(keys, secret.digest, known)
        except (SopsError, CloudError, ServiceAccountError) as error:
            raise DecryptionError(str(error)) from error
        finally:
            await keys.close()


class PlainTexts:
    """What was decrypted last, by what it was and with which keys, up to so many bytes: a new revision of a source
    leaves most of its secrets as they are, and each costs a process.
    """

    def __init__(self, limit: int = _KEPT) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    def get(self, key: bytes) -> bytes | None:
        """A plain text that is known."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: bytes, plain: bytes) -> None:
        """Keep a plain text; the least used ones go."""
        self._size += len(plain) - len(self._kept.pop(key, b""))
        self._kept[key] = plain
        while self._size > self._limit:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)


class Decryptor:
    """Decrypts what a build reads and what comes of it, a few at once."""

    def __init__(self, keys: Keys, digest: str, known: PlainTexts) -> None:
        """`digest` is that of the keys."""
        self._keys = keys
        self._digest = digest
        self._known = known
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def sources(self, root: str, directory: str, additions: Additions) -> dict[str, bytes]:
        """Plain texts (by absolute path) of the encrypted generator files and patches below a directory.

        Raises DecryptionError that names the file.
        """
        try:
            found = await asyncio.to_thread(_encrypted, root, directory, kustomization(directory, additions))
        except (KustomizeError, OSError, RecursionError) as error:
            raise DecryptionError(f"error decrypting sources: {error}") from None
        subjects = {path: posixpath.relpath(path, root) for path in found}
        plain = await _all(self._decrypt(data, kind, kind, subjects[path]) for path, (data, kind) in found.items())
        return dict(zip(found, plain, strict=True))

    async def objects(self, objects: list[Object]) -> list[Object]:
        """The objects with everything encrypted in plain text, but for those that ask to stay encrypted.

        Raises DecryptionError that names the object.
        """
        return await _all(self._object(obj) for obj in objects)

    async def _object(self, obj: Object) -> Object:
        if policy.stays_encrypted(obj):
            return obj
        subject = f"{obj.get('apiVersion')}/{obj.get('kind')}/{(obj.get('metadata') or {}).get('name')}"
        metadata = obj.get("sops")
        if isinstance(metadata, dict) and metadata.get("mac"):
            plain = await self._decrypt(msgspec.json.encode(obj), "json", "json", subject)
            try:
                return msgspec.json.decode(plain, type=dict[str, Any])
            except msgspec.MsgspecError as error:
                raise DecryptionError(f"decryption failed for '{subject}': the plain text is no object") from error
        if obj.get("kind") != "Secret" or not isinstance(obj.get("data"), dict):
            return obj
        data = {name: await self._field(value, name, subject) for name, value in obj["data"].items()}
        return {**obj, "data": data}

    async def _field(self, value: Any, name: str, subject: str) -> Any:
        try:
            data = base64.b64decode(value, validate=True)
        except (TypeError, ValueError):
            return value
        kind = sops.encrypted_format(data)
        if not kind:
            return value
        plain = await self._decrypt(data, kind, sops.format_of(name), f"{subject}' Secret field '{name}")
        return base64.b64encode(plain).decode()

    async def _decrypt(self, data: bytes, kind: str, output: str, subject: str) -> bytes:
        parts = (self._digest, kind, output, hashlib.sha256(data).hexdigest())
        key = hashlib.sha256("\n".join(parts).encode()).digest()
        plain = self._known.get(key)
        if plain is None:
            try:
                async with self._turns:
                    plain = await self._keys.decrypt(data, kind, output)
            except SopsError as error:
                raise DecryptionError(f"decryption failed for '{subject}': {error}") from error
            self._known.put(key, plain)
        return plain


async def _all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What each gives, in their order. Raises the first DecryptionError, when all have ended."""

    async def outcome(one: Coroutine[Any, Any, T]) -> T | DecryptionError:
        try:
            return await one
        except DecryptionError as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outcome(one)) for one in work]
    results = []
    for task in tasks:
        found = task.result()
        if isinstance(found, DecryptionError):
            raise found
        results.append(found)
    return results


def _encrypted(root: str, directory: str, overlay: dict[str, bytes]) -> dict[str, tuple[bytes, str]]:
    """Absolute path → content and format of every encrypted file that a build reads."""
    found: dict[str, tuple[bytes, str]] = {}
    for path, kind in _references(root, directory, overlay):
        data = None if path in found else _read(path, root)
        if data is not None and sops.is_encrypted(data, kind):
            found[path] = data, kind
    return found


def _references(root: str, start: str, overlay: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """(absolute path, format) of every file that may be encrypted, over all kustomizations that are built."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        directory = waiting.pop()
        if directory in seen or not os.path.isdir(directory):
            continue
        seen.add(directory)
        document = _document(directory, overlay)
        for reference, kind in _files(document):
            yield _inside(root, directory, reference), kind
        for field in ("resources", "components", "bases"):
            waiting += [_inside(root, directory, item) for item in _list(document, field) if isinstance(item, str)]


def _document(directory: str, overlay: dict[str, bytes]) -> dict[str, Any]:
    for name in NAMES:
        path = posixpath.join(directory, name)
        text = overlay.get(path)
        if text is None and os.path.isfile(path):
            with open(path, "rb") as file:
                text = file.read(_LARGEST)
        if text is not None:
            document = documents.read(text, path)
            return document if isinstance(document, dict) else {}
    return {}


def _files(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for generator in _list(document, "secretGenerator"):
        if not isinstance(generator, dict):
            continue
        for entry in filter(_is_text, _list(generator, "files")):
            key, _, path = entry.partition("=")
            yield path or key, sops.format_of(key)
        for path in filter(_is_text, [*_list(generator, "envs"), generator.get("env")]):
            kind = sops.format_of(path)
            yield path, "dotenv" if kind == "binary" else kind
    for patch in _list(document, "patches"):
        path = patch.get("path") if isinstance(patch, dict) else None
        if _is_text(path) and "://" not in str(path):
            yield str(path), sops.format_of(str(path))


def _list(document: dict[str, Any], field: str) -> list[Any]:
    found = document.get(field)
    return found if isinstance(found, list) else []


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _inside(root: str, directory: str, path: str) -> str:
    """An absolute path that does not leave the root: what leads out of it is clamped to it."""
    relative = posixpath.relpath(posixpath.join(directory, path), root)
    return posixpath.join(root, posixpath.normpath(posixpath.join("/", relative)).lstrip("/")).rstrip("/")


def _read(path: str, root: str) -> bytes | None:
    """A file's content; None when there is none: whoever builds says so."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    if status.st_size > _LARGEST:
        name = posixpath.relpath(path, root)
        raise DecryptionError(
            f"cannot decrypt '{name}' with size ({status.st_size} bytes) exceeding limit ({_LARGEST})"
        )
    with open(path, "rb") as file:
        return file.read()
