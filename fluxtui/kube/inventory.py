"""The objects an applier manages, as it writes them to its status.

Source: docs/spec/v1/kustomizations.md "Inventory"; the entries are `{id: <namespace>_<name>_<group>_<kind>, v: v1}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fluxtui.kube.identity import Identity, identity_of, parse_id, version_of


class InventoryError(ValueError):
    """An entry that names no object."""


class Inventory:
    """An ordered set of objects, each with the version it was applied with."""

    def __init__(self, versions: Mapping[Identity, str] | None = None) -> None:
        self._versions = dict(versions or {})

    @classmethod
    def of_status(cls, status: Mapping[str, Any] | None) -> Inventory:
        """Read `status.inventory`; None is an empty inventory.

        Raises InventoryError that names the entry which can't be read.
        """
        versions = {}
        for entry in (status or {}).get("entries") or []:
            try:
                versions[parse_id(entry["id"])] = entry["v"]
            except (KeyError, TypeError, ValueError) as error:
                raise InventoryError(f"inventory entry {entry!r}: {error}") from error
        return cls(versions)

    @classmethod
    def of_objects(cls, objects: Iterable[Mapping[str, Any]]) -> Inventory:
        """The inventory of a set of objects."""
        return cls({identity_of(obj): version_of(obj) for obj in objects})

    def to_status(self) -> dict[str, Any]:
        """As `status.inventory`."""
        return {"entries": [{"id": identity.id, "v": version} for identity, version in self._versions.items()]}

    def __contains__(self, identity: object) -> bool:
        return identity in self._versions

    def __iter__(self) -> Iterator[Identity]:
        return iter(self._versions)

    def __len__(self) -> int:
        return len(self._versions)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Inventory) and self._versions == other._versions

    def version(self, identity: Identity) -> str:
        """The version an object was applied with. Raises KeyError when it is not there."""
        return self._versions[identity]

    def __or__(self, other: Inventory) -> Inventory:
        """Both together; where both have an object, the version of `other`."""
        return Inventory({**self._versions, **other._versions})

    def __sub__(self, other: Inventory) -> Inventory:
        """What is not in `other`, whatever its version."""
        return Inventory({found: version for found, version in self._versions.items() if found not in other})

    def __and__(self, identities: Iterable[Identity]) -> Inventory:
        """Only these objects."""
        wanted = set(identities)
        return Inventory({found: version for found, version in self._versions.items() if found in wanted})
