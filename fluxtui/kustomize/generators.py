"""ConfigMaps and Secrets of literals, files and env files; their content hash; merging with what is there."""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import re
from collections.abc import Callable
from typing import Any

from fluxtui.kustomize.errors import BuildError, FieldError
from fluxtui.kustomize.kustomization import Generator, GeneratorOptions
from fluxtui.kustomize.resources import Object, Resource, Resources

_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_HASH_LENGTH = 10
_HASH_LETTERS = str.maketrans("013ae", "ghkmt")

Read = Callable[[str], bytes]


def config_map(generator: Generator, options: GeneratorOptions | None, read: Read, source: str) -> Resource:
    """Generate a ConfigMap. Raises FieldError or LoadError."""
    data: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key, content in _pairs(generator, read, source):
        try:
            data[key] = content.decode()
        except UnicodeDecodeError:
            binary[key] = base64.b64encode(content).decode()
    obj: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(generator)}
    if data:
        obj["data"] = data
    if binary:
        obj["binaryData"] = binary
    return _finished(obj, generator, options)


def secret(generator: Generator, options: GeneratorOptions | None, read: Read, source: str) -> Resource:
    """Generate a Secret. Raises FieldError or LoadError."""
    data = {key: base64.b64encode(content).decode() for key, content in _pairs(generator, read, source)}
    obj: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(generator),
        "type": generator.type or "Opaque",
    }
    if data:
        obj["data"] = data
    return _finished(obj, generator, options)


def absorb(resources: Resources, generated: Resource) -> None:
    """Add a generated resource, or merge or replace the one of its name, as its behavior says. Raises BuildError."""
    matches = resources.by_any_id(generated.id)
    behavior = generated.behavior or "create"
    if behavior == "create":
        if matches:
            raise BuildError(f"id {generated.id} exists; behavior must be merge or replace")
        resources.append(generated)
        return
    if not matches:
        raise BuildError(f"id {generated.id} does not exist; cannot {behavior}")
    if len(matches) > 1:
        raise BuildError(f"found multiple objects {generated.id} that could accept {behavior}")
    target = matches[0]
    old, new = target.object, generated.object
    for field in ("labels", "annotations"):
        entries = {**(old["metadata"].get(field) or {}), **(new["metadata"].get(field) or {})}
        if entries:
            new["metadata"][field] = entries
    new["metadata"]["name"] = old["metadata"]["name"]
    if "namespace" in old["metadata"]:
        new["metadata"]["namespace"] = old["metadata"]["namespace"]
    if behavior == "merge":
        for field in ("data", "binaryData"):
            entries = {**(old.get(field) or {}), **(new.get(field) or {})}
            if entries:
                new[field] = entries
        if "type" in old:
            new["type"] = old["type"]
    target.object = new
    target.needs_hash = generated.needs_hash or target.needs_hash


def hash_of(obj: Object) -> str:
    """The ten letters that kustomize appends to the name of a generated resource."""
    kind = obj.get("kind")
    if kind in ("ConfigMap", "Secret"):
        # The name is not part of what kustomize hashes; its place is.
        content: dict[str, Any] = {"kind": kind, "name": "", "data": obj.get("data") or ""}
        if kind == "Secret":
            content["type"] = obj.get("type", "")
            if obj.get("stringData"):
                content["stringData"] = obj["stringData"]
        elif obj.get("binaryData"):
            content["binaryData"] = obj["binaryData"]
        text = _go_json(content)
    else:
        text = _go_json(obj)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH].translate(_HASH_LETTERS)


def _go_json(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    for character, escaped in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(character, escaped)
    return text


def _metadata(generator: Generator) -> Object:
    metadata: Object = {"name": generator.name}
    if generator.namespace:
        metadata["namespace"] = generator.namespace
    return metadata


def _finished(obj: Object, generator: Generator, shared: GeneratorOptions | None) -> Resource:
    own = generator.options
    for field in ("labels", "annotations"):
        entries = {**(getattr(shared, field, None) or {}), **(getattr(own, field, None) or {})}
        if entries:
            obj["metadata"][field] = entries
    if _flag(own, shared, "immutable"):
        obj["immutable"] = True
    resource = Resource(obj)
    resource.behavior = "" if generator.behavior == "unspecified" else generator.behavior
    resource.needs_hash = not _flag(own, shared, "disable_name_suffix_hash")
    return resource


def _flag(own: GeneratorOptions | None, shared: GeneratorOptions | None, name: str) -> bool:
    return bool(getattr(own, name, None) or getattr(shared, name, None))


def _pairs(generator: Generator, read: Read, source: str) -> list[tuple[str, bytes]]:
    where = f"{source}: generator {generator.name!r}"
    if not generator.name:
        raise FieldError(f"{source}: a generator has no name")
    pairs: list[tuple[str, bytes]] = []
    envs = [*generator.envs, *([generator.env] if generator.env else [])]
    for path in envs:
        pairs += _env_file(read(path), f"{where}: {path}")
    for literal in generator.literals:
        key, equals, value = literal.partition("=")
        if not equals or not key:
            raise FieldError(f"{where}: invalid literal source {literal!r}, expected key=value")
        pairs.append((key, _unquoted(value).encode()))
    for entry in generator.files:
        key, equals, path = entry.partition("=")
        if not equals:
            key, path = posixpath.basename(entry), entry
        if not key or not path or "=" in path:
            raise FieldError(f"{where}: invalid file source {entry!r}")
        pairs.append((key, read(path)))
    seen = set()
    for key, _ in pairs:
        if not _KEY.fullmatch(key):
            raise FieldError(f"{where}: {key!r} is not a valid key")
        if key in seen:
            raise FieldError(f"{where}: cannot add key {key!r}, another key by that name already exists")
        seen.add(key)
    return pairs


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def _env_file(content: bytes, where: str) -> list[tuple[str, bytes]]:
    pairs = []
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FieldError(f"{where}: not UTF-8: {error.reason}") from error
    for number, line in enumerate(text.splitlines(), 1):
        line = line.lstrip()
        if not line or line.startswith("#"):
            continue
        key, _, value = line.partition("=")
        if not _KEY.fullmatch(key):
            raise FieldError(f"{where}, line {number}: {key!r} is not a valid key name")
        pairs.append((key, value.encode()))
    return pairs
