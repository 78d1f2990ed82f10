"""The lines of a tree: what the console paints, one per visible node."""

from __future__ import annotations

import enum
from collections.abc import Hashable, Set

import msgspec

from fluxtui.api.kinds import Category
from fluxtui.fleet.branches import Child
from fluxtui.fleet.query import Query
from fluxtui.fleet.refs import Ref

Key = Hashable
"""Names a node of a tree, the same as long as the node exists: selection, marks and expansion are kept by it."""


class View(enum.StrEnum):
    """The ways to arrange the fleet."""

    KIND = "kind"
    OWNERSHIP = "ownership"
    SOURCE = "source"
    FAILURE = "failure"
    FLAT = "flat"


class Order(enum.StrEnum):
    """The ways to sort objects that stand beside each other."""

    NAME = "name"
    """By kind, namespace and name."""
    STATE = "state"
    """What wants attention first."""
    CHANGE = "change"
    """What changed last first."""


class LineType(enum.IntEnum):
    """What a line stands for."""

    CLUSTER = 0
    """A cluster: `mirror.clusters[line.cluster]`."""
    GROUP = 1
    """A category of kinds in a cluster."""
    OBJECT = 2
    """A row: `mirror.rows[line.ref]`."""
    CHILD = 3
    """An object without a row: `line.child`."""
    SOURCE = 4
    """A repository, bucket or registry that clusters follow: `line.text`."""
    FAILURE = 5
    """A message that several rows share: `line.text`."""
    NOTICE = 6
    """A sentence in place of lines that are not there: loading, empty, forbidden, unreachable."""


class Line(msgspec.Struct, gc=False, frozen=True):
    """One line."""

    key: Key
    depth: int
    type: LineType
    opens: bool = False
    """Whether something can hang below it."""
    opened: bool = False
    cluster: str = ""
    """Empty for lines that stand for several clusters."""
    category: Category | None = None
    """Of a GROUP."""
    ref: Ref | None = None
    """Of an OBJECT or a CHILD."""
    child: Child | None = None
    """Of a CHILD."""
    text: str = ""
    """Of a SOURCE, a FAILURE, a GROUP or a NOTICE."""
    members: tuple[Ref, ...] = ()
    """The rows that a SOURCE or a FAILURE stands for, or a CLUSTER or GROUP while a filter is on; see `Tree.counts`.
    Of an OBJECT, the rows it hides where these are others than those it applied; see `Tree.hidden`."""
    filtered: bool = False
    """Whether `members` are all that counts of a CLUSTER or GROUP, or all that an OBJECT hides."""


class Shape(msgspec.Struct, frozen=True):
    """What decides which lines there are, beside the fleet itself."""

    view: View = View.KIND
    expanded: Set[Key] = frozenset()
    """Nodes that were opened."""
    folded: Set[Key] = frozenset()
    """Nodes that were closed although they are open by themselves: clusters and groups while a filter is on."""
    query: Query | None = None
    order: Order = Order.NAME


def cluster_key(cluster: str) -> Key:
    """The key of a CLUSTER line."""
    return ("cluster", cluster)


def group_key(cluster: str, category: Category) -> Key:
    """The key of a GROUP line."""
    return ("group", cluster, category)
