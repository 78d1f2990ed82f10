"""Watch events and list items as the type the caller reads, in one pass where the server's JSON allows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from fluxtui.kube.errors import api_error, clean
from fluxtui.kube.resources import Resource

T = TypeVar("T")

Key = tuple[str, str]
"""(namespace, name); the namespace is empty for what has none."""


class Garbled(Exception):
    """A stream brought something that is no watch event."""


class Change(NamedTuple, Generic[T]):
    """One event. `obj` is None for a bookmark, a deletion, and an object not of the type (`problem` says why)."""

    type: str
    key: Key
    version: str
    obj: T | None = None
    kept: bytes = b""
    problem: str = ""


class _Meta(msgspec.Struct, gc=False, rename={"resource_version": "resourceVersion"}):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Partial(msgspec.Struct, gc=False):
    metadata: _Meta


class _Event(msgspec.Struct, Generic[T], gc=False):
    type: str
    object: T


class _Envelope(msgspec.Struct):
    type: str
    object: msgspec.Raw


_PREFIXES = (b'{"type":"ADDED"', b'{"type":"MODIFIED"')
_partial = msgspec.json.Decoder(_Partial)
_envelope = msgspec.json.Decoder(_Envelope)


class Decoder(Generic[T]):
    """Decodes objects of one kind as `item`: dict[str, Any], or a struct whose `metadata` has `name`, `namespace` and
    `resource_version`.

    An object that is not of the type goes to `fallback` as bytes (which may raise ValueError); without one it becomes a
    Change with a problem. `keep` makes what is kept of an object from its JSON, or from that of the event with it.
    """

    def __init__(
        self,
        item: Any,
        resource: Resource,
        *,
        fallback: Callable[[bytes], T] | None = None,
        keep: Callable[[bytes], bytes] | None = None,
    ) -> None:
        event_type: Any = _Event
        self._is_dict = item is dict or item == dict[str, Any]
        self._resource = resource
        self._fallback = fallback
        self._keep = keep
        self._event: msgspec.json.Decoder[_Event[T]] = msgspec.json.Decoder(event_type[item])
        self._object: msgspec.json.Decoder[T] = msgspec.json.Decoder(item)

    def event(self, line: bytes) -> Change[T]:
        """One line of a watch. Raises ApiError for an ERROR event, Garbled for what is none."""
        if line.startswith(_PREFIXES):
            try:
                event = self._event.decode(line)
            except msgspec.ValidationError:
                pass
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise Garbled("not JSON") from error
            else:
                return self._change(event.type, event.object, line)
        try:
            envelope = _envelope.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Garbled("not a watch event") from error
        body = bytes(envelope.object)
        if envelope.type in ("ADDED", "MODIFIED"):
            return self.item(body, envelope.type)
        if envelope.type in ("DELETED", "BOOKMARK"):
            meta = self._meta(body)
            return Change(envelope.type, (meta.namespace, meta.name), meta.resource_version)
        if envelope.type == "ERROR":
            raise api_error(0, body)
        raise Garbled("an unknown type of event")

    def item(self, body: bytes, type: str = "ADDED") -> Change[T]:
        """One object from its JSON. Raises Garbled when it has no metadata."""
        try:
            return self._change(type, self._object.decode(body), body)
        except msgspec.ValidationError as error:
            problem = clean(str(error))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Garbled("not JSON") from error
        if self._fallback is not None:
            try:
                return self._change(type, self._fallback(body), body)
            except (ValueError, msgspec.ValidationError) as error:
                problem = clean(str(error))
        meta = self._meta(body)
        return Change(type, (meta.namespace, meta.name), meta.resource_version, problem=problem)

    def listed(self, obj: T) -> Change[T]:
        """One item of a list that was decoded as a whole."""
        return self._change("ADDED", obj)

    def _change(self, type: str, obj: T, body: bytes = b"") -> Change[T]:
        kept = self._keep(body) if self._keep is not None else b""
        if self._is_dict:
            return self._dict_change(type, obj, kept)
        typed: Any = obj
        meta = typed.metadata
        return Change(type, (meta.namespace, meta.name), meta.resource_version, obj, kept)

    def _dict_change(self, type: str, obj: Any, kept: bytes) -> Change[T]:
        meta = obj.get("metadata")
        if not isinstance(meta, dict):
            raise Garbled("an object without metadata")
        # Items of lists lack both; objects cut down to their metadata have those of PartialObjectMetadata.
        obj["apiVersion"] = self._resource.api_version
        obj["kind"] = self._resource.kind
        return Change(
            type, (meta.get("namespace", ""), meta.get("name", "")), meta.get("resourceVersion", ""), obj, kept
        )

    def _meta(self, body: bytes) -> _Meta:
        try:
            return _partial.decode(body).metadata
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Garbled("an object without metadata") from error
