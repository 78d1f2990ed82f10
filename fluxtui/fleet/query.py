"""The filter language of the console and of the verbs: `ready=false kind=hr cluster=prod-* since<1h timeout`.

Terms beside each other must all hold; `or`, `!` and brackets do what they say; `syntax.FIELDS` lists the fields. Text
without a field is looked for in name, namespace and message; in the name also fuzzily, its letters in order.
"""

from __future__ import annotations

from fluxtui.fleet import syntax
from fluxtui.fleet.matching import Predicate, Sieve, compiled, sieve
from fluxtui.fleet.syntax import FIELDS, Node, QueryError, Text

__all__ = ["FIELDS", "Predicate", "Query", "QueryError"]


class Query:
    """A filter that was read and makes sense."""

    def __init__(self, node: Node | None = None) -> None:
        self.node = node

    @classmethod
    def parse(cls, text: str) -> Query:
        """Read a filter; an empty text matches everything.

        Raises QueryError with the position and what is wrong there.
        """
        return cls(syntax.parse(text, lambda field: _ignore(compiled(field, 0.0))))

    def matcher(self, now: float) -> Predicate:
        """The filter as a function of a row; `now` (seconds since the epoch) is what `since` and `age` count to."""
        return compiled(self.node, now)

    def sieve(self, now: float) -> Sieve:
        """The same as a function of many rows, which says of each whether it passes."""
        return sieve(self.node, now)

    def narrows(self, other: Query) -> bool:
        """Whether what passes this filter is known to pass the other: a text that was typed further does so."""
        ours, theirs = self.node, other.node
        return isinstance(ours, Text) and isinstance(theirs, Text) and theirs.text.lower() in ours.text.lower()

    def __str__(self) -> str:
        """The filter in its plainest form; parsing it gives the same filter."""
        return str(self.node) if self.node else ""

    def __bool__(self) -> bool:
        """Whether anything is filtered at all."""
        return self.node is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Query) and self.node == other.node

    def __hash__(self) -> int:
        return hash(self.node)


def _ignore(_: Predicate) -> None:
    """Compiling is the check; the function is not needed."""
