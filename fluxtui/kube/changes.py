"""What was done to a set of objects, one line an object.

Source: the change sets of fluxcd/pkg `ssa`; the lines are what Flux puts in events.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Iterator

import msgspec

from fluxtui.kube.identity import Identity, Object
from fluxtui.kube.inventory import Inventory


class Action(enum.StrEnum):
    """What happened to an object."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    DELETED = "deleted"
    UNKNOWN = "unknown"

    @property
    def is_change(self) -> bool:
        """Whether the cluster is different after it."""
        return self not in (Action.UNCHANGED, Action.SKIPPED)


class Change(msgspec.Struct, frozen=True):
    """What happened to one object."""

    identity: Identity
    version: str
    action: Action
    live: Object | None = None
    """The object as the server has it now, if the server was asked."""
    dropped: tuple[str, ...] = ()
    """Paths of fields that were left out because the server's schema does not have them."""

    def __str__(self) -> str:
        return f"{self.identity} {self.action}"


class ChangeSet:
    """Changes in the order in which they were made."""

    def __init__(self, changes: Iterable[Change] = ()) -> None:
        self._changes = list(changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self._changes)

    def __len__(self) -> int:
        return len(self._changes)

    def __str__(self) -> str:
        return "\n".join(map(str, self._changes))

    def extend(self, changes: Iterable[Change]) -> None:
        """Append changes."""
        self._changes.extend(changes)

    def remove(self, identities: Collection[Identity]) -> None:
        """Take back the changes of some objects."""
        self._changes = [change for change in self._changes if change.identity not in identities]

    @property
    def changed(self) -> ChangeSet:
        """Only what made a difference."""
        return ChangeSet(change for change in self._changes if change.action.is_change)

    @property
    def inventory(self) -> Inventory:
        """Every object that was looked at, skipped ones included."""
        return Inventory({change.identity: change.version for change in self._changes})

    def of(self, *actions: Action) -> ChangeSet:
        """Only the changes of some actions."""
        return ChangeSet(change for change in self._changes if change.action in actions)
