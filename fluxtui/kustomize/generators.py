"""`configMapGenerator` and `secretGenerator`: ConfigMaps and Secrets of literals, files and files of variables."""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Iterator, Mapping

from fluxtui.kustomize import origins
from fluxtui.kustomize.errors import BuildError
from fluxtui.kustomize.kustomization import GeneratorArguments, GeneratorOptions, SecretArguments
from fluxtui.kustomize.loader import Loader
from fluxtui.kustomize.resources import Object, Resource, Resources
from fluxtui.kustomize.scalars import Quoted, Tree, new_key, text_of

_LINE = 70
"""Characters of base64 in a line."""
_BOM = b"\xef\xbb\xbf"


def options_of(local: GeneratorOptions | None, common: GeneratorOptions | None) -> GeneratorOptions:
    """The options of one generator, with those of `generatorOptions` where it has none."""
    local, common = local or GeneratorOptions(), common or GeneratorOptions()
    return GeneratorOptions(
        labels={**common.labels, **local.labels},
        annotations={**common.annotations, **local.annotations},
        disable_name_suffix_hash=local.disable_name_suffix_hash or common.disable_name_suffix_hash,
        immutable=local.immutable or common.immutable,
    )


def generate(loader: Loader, arguments: GeneratorArguments, options: GeneratorOptions) -> Resource:
    """The ConfigMap, or the Secret for SecretArguments. Raises BuildError, LoadError."""
    is_secret = isinstance(arguments, SecretArguments)
    kind = "Secret" if is_secret else "ConfigMap"
    if not arguments.name:
        raise BuildError(f"a {kind.lower()} must have a name")
    metadata: Object = {"name": _text(arguments.name)}
    if arguments.namespace:
        metadata["namespace"] = _text(arguments.namespace)
    if options.labels:
        metadata["labels"] = {key: _text(value) for key, value in sorted(options.labels.items())}
    if options.annotations:
        metadata["annotations"] = {key: _text(value) for key, value in sorted(options.annotations.items())}
    obj: Object = {"apiVersion": "v1", "kind": kind, "metadata": metadata}
    content = _content(loader, arguments)
    if isinstance(arguments, SecretArguments):
        obj["type"] = _text(arguments.type or "Opaque")
        obj["data"] = {new_key(key): _text(encoded(content[key])) for key in sorted(content)}
    else:
        set_data(obj, content)
    if options.immutable:
        obj["immutable"] = True
    resource = Resource(obj, loader.session.kinds)
    resource.behavior = arguments.behavior
    resource.hash_name = not options.disable_name_suffix_hash
    return resource


def set_data(obj: Object, content: Mapping[str, bytes]) -> None:
    """Put values into `data`, or into `binaryData` if they are not UTF-8."""
    for key in sorted(content):
        try:
            obj.setdefault("data", {})[new_key(key)] = _text(content[key].decode())
        except UnicodeDecodeError:
            obj.setdefault("binaryData", {})[new_key(key)] = _text(encoded(content[key]))


def encoded(value: bytes) -> str:
    """Base64, in lines if it is longer than one."""
    text = base64.b64encode(value).decode()
    if len(text) < _LINE:
        return text
    return "".join(f"{text[at : at + _LINE]}\n" for at in range(0, len(text), _LINE))


def _text(text: str) -> Tree:
    return Quoted(text) if "\n" in text else text


def _content(loader: Loader, arguments: GeneratorArguments) -> dict[str, bytes]:
    content: dict[str, bytes] = {}
    for key, value in _pairs(loader, arguments):
        if key in content:
            raise BuildError(f"configmap {arguments.name} illegally repeats the key `{key}`")
        content[key] = value
    return content


def _pairs(loader: Loader, arguments: GeneratorArguments) -> Iterator[tuple[str, bytes]]:
    for path in (*arguments.envs, *((arguments.env,) if arguments.env else ())):
        yield from _variables(loader.load(path), path)
    for literal in arguments.literals:
        yield _literal(literal)
    for source in arguments.files:
        key, path = _file_source(source)
        yield key, loader.load(path)


def _variables(data: bytes, path: str) -> Iterator[tuple[str, bytes]]:
    for number, line in enumerate(data.split(b"\n")):
        line = line.removesuffix(b"\r")
        if number == 0:
            line = line.removeprefix(_BOM)
        try:
            text = line.decode().lstrip()
        except UnicodeDecodeError as error:
            raise BuildError(f"{path}: line {number + 1} has invalid utf8 bytes") from error
        if text and not text.startswith("#"):
            key, _, value = text.partition("=")
            if key:
                yield key, value.encode()


def _literal(literal: str) -> tuple[str, bytes]:
    key, equals, value = literal.partition("=")
    if not key or not equals:
        raise BuildError(f"invalid literal source {literal}, expected key=value")
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return key, value.encode()


def _file_source(source: str) -> tuple[str, str]:
    if "=" not in source:
        return posixpath.basename(source), source
    if source.count("=") > 1:
        raise BuildError(f"source \"{source}\" key name or file path contains '='")
    key, _, path = source.partition("=")
    if not key:
        raise BuildError(f'missing key name for file path "{path}" in source "{source}"')
    if not path:
        raise BuildError(f'missing file path for key name "{key}" in source "{source}"')
    return key, path


def absorb(resources: Resources, new: Resource) -> None:
    """Add a generated resource; replace or merge one of its identity, as its behavior says. Raises BuildError."""
    found = resources.by_any_id(new.id)
    if len(found) > 1:
        raise BuildError(f"found multiple objects that could accept merge of {new.id}")
    if not found:
        if new.behavior in ("merge", "replace"):
            raise BuildError(f"id {new.id} does not exist; cannot merge or replace")
        resources.append(new)
        return
    old = found[0]
    if new.behavior not in ("merge", "replace"):
        raise BuildError(
            f"id {new.id} exists; can not use behavior: '{new.behavior or 'unspecified'}', "
            "behavior must be merge or replace"
        )
    behavior = new.behavior
    _take_metadata(new, old)
    if behavior == "merge":
        origin = old.texts("annotations").get(origins.ORIGIN)
        if origin is not None:
            new.annotate(origins.ORIGIN, origin)
        for field in ("data", "binaryData"):
            _merge_texts(new, old, field)
    resources.put(old, new)


def _take_metadata(new: Resource, old: Resource) -> None:
    for field in ("labels", "annotations"):
        new.set_texts(field, {**old.texts(field), **new.texts(field)})
    metadata = new.object["metadata"]
    metadata["name"] = old.name
    metadata.pop("namespace", None)
    if old.namespace:
        metadata["namespace"] = old.namespace
    new.previous, new.prefixes, new.suffixes = old.previous, old.prefixes, old.suffixes
    new.variables = list(old.variables)
    new.behavior = old.behavior
    new.hash_name = new.hash_name and old.hash_name


def _merge_texts(new: Resource, old: Resource, field: str) -> None:
    texts: dict[str, Tree] = {}
    for resource in (old, new):
        found = resource.object.get(field)
        if isinstance(found, dict):
            texts.update({new_key(key): _text(text_of(value)) for key, value in found.items()})
    new.object.pop(field, None)
    if texts:
        new.object[field] = texts
