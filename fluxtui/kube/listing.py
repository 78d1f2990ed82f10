"""Lists in pages, decoded straight into the type the caller reads."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from fluxtui.kube.errors import Gone, Unreachable
from fluxtui.kube.gate import Gate
from fluxtui.kube.resources import Resource
from fluxtui.kube.transport import Response

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

T = TypeVar("T")

PAGE = 500
METADATA_ONLY = "application/json;as={kind};g=meta.k8s.io;v=v1,application/json"


class ListMeta(msgspec.Struct, gc=False, rename={"resource_version": "resourceVersion", "token": "continue"}):
    """metav1.ListMeta."""

    resource_version: str = ""
    token: str = ""


class _List(msgspec.Struct, Generic[T]):
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[T] | None = None


class Query(msgspec.Struct, frozen=True):
    """What is listed and watched."""

    resource: Resource
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""
    metadata_only: bool = False

    @property
    def path(self) -> str:
        """Path of the collection."""
        return self.resource.path(self.namespace)

    @property
    def params(self) -> dict[str, str]:
        """The selectors as query parameters."""
        params = {"labelSelector": self.label_selector, "fieldSelector": self.field_selector}
        return {key: value for key, value in params.items() if value}

    def accept(self, *, watch: bool = False) -> str:
        """The Accept header."""
        if not self.metadata_only:
            return "application/json"
        return METADATA_ONLY.format(kind="PartialObjectMetadata" if watch else "PartialObjectMetadataList")


class Page(msgspec.Struct, Generic[T]):
    """One page of a list. `first`: it begins the list, also when an expired list had to be begun again."""

    items: list[T]
    resource_version: str
    first: bool


def decode(answer: Response) -> dict[str, Any]:
    """The JSON object in an answer. Raises Unreachable when it is none: whoever answered was no API server."""
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreachable("the answer is not JSON as an API server sends it") from None


async def pages(
    client: Client, query: Query, item: type[T] | Any, *, limit: int = PAGE, gate: Gate | None = None
) -> AsyncIterator[Page[T]]:
    """The pages of a list, their items decoded as `item`; dicts get the apiVersion and kind that list items lack.

    A list that expires between pages is begun again in one piece. Raises KubeError, and msgspec.ValidationError for an
    item that is not of the type.
    """
    of: Any = item
    decoder: msgspec.json.Decoder[_List[T]] = _decoder(of)
    token, first = "", True
    while True:
        params = query.params
        if limit:
            params["limit"] = str(limit)
        if token:
            params["continue"] = token
        try:
            async with gate.requesting() if gate else contextlib.nullcontext():
                answer = await client.request("GET", query.path, params=params, accept=query.accept())
        except Gone:
            if not token:
                raise
            token, first, limit = "", True, 0
            continue
        async with gate.decoding() if gate else contextlib.nullcontext():
            try:
                said = decoder.decode(answer.body)
            except msgspec.ValidationError:
                raise
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise Unreachable("the list is not JSON as an API server sends it") from None
            items = said.items or []
            if item == dict[str, Any]:
                complete(items, query.resource)
        yield Page(items, said.metadata.resource_version, first)
        token, first = said.metadata.token, False
        if not token:
            return


@functools.cache
def _decoder(item: Any) -> msgspec.json.Decoder[Any]:
    """Of a list of such items; making one takes longer than it takes to read a small list."""
    list_type: Any = _List
    return msgspec.json.Decoder(list_type[item])


def complete(items: list[Any], resource: Resource) -> None:
    """Give dicts the apiVersion and kind of their resource."""
    for item in items:
        item["apiVersion"] = resource.api_version
        item["kind"] = resource.kind
