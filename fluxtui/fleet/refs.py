"""Which object of which cluster: the key of everything in the fleet, so that equal names never meet."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from fluxtui.api.kinds import BY_KIND, KINDS
from fluxtui.fleet.text import brief, one_line

_GROUPS = {kind.kind: kind.group for kind in KINDS}
_MOST_TEXTS = 65536
_MOST_CHARACTERS = 4 << 20


class Ref(msgspec.Struct, frozen=True, gc=False, order=True, cache_hash=True):
    """An object; a cluster-scoped one has an empty namespace."""

    cluster: str
    """Id of the context."""
    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """`Kustomization flux-system/apps in prod-eu`."""
        return f"{self.kind} {self.path} in {self.cluster}"

    @property
    def path(self) -> str:
        """`flux-system/apps`, or the name alone for a cluster-scoped object."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def word(self) -> str:
        """The short word for the kind (`ks`), or the kind itself."""
        kind = BY_KIND.get((self.group, self.kind))
        return kind.short if kind else self.kind

    @property
    def inventory_id(self) -> str:
        """As Flux writes it into an inventory: `<namespace>_<name>_<group>_<kind>`."""
        name = self.name.replace(":", "__") if self.group == "rbac.authorization.k8s.io" else self.name
        return f"{self.namespace}_{name}_{self.group}_{self.kind}"


def from_inventory(cluster: str, text: str) -> Ref | None:
    """The object an inventory entry names; None when the entry can't be read."""
    namespace, first, rest = text.partition("_")
    rest, second, kind = rest.rpartition("_")
    name, third, group = rest.rpartition("_")
    if not (first and second and third and name and kind):
        return None
    return Ref(cluster, intern(group), intern(kind), intern(namespace), name.replace("__", ":"))


def group_of(api_version: str, kind: str) -> str:
    """The group of a reference that may leave its apiVersion out, as Flux's own references do."""
    if api_version:
        return api_version.rpartition("/")[0]
    return _GROUPS.get(kind, "")


class _Texts(dict[str, str]):
    def __init__(self, make: Callable[[str], str], most: int) -> None:
        super().__init__()
        self._make = make
        self._most = most

    def __missing__(self, text: str) -> str:
        if len(self) >= self._most:
            self.clear()
        made = self[text] = self._make(text)
        return made


def interner(make: Callable[[str], str] = str, most: int = _MOST_TEXTS) -> Callable[[str], str]:
    """A function that gives the one copy of what `make` gives for a text: repeated texts are kept once, each made
    presentable once. Bounded: when full it forgets all, which costs sharing but never correctness.

    It is the dictionary's own look-up, since a row asks some twenty times.
    """
    return _Texts(make, most).__getitem__


class Sharing:
    """Gives the one copy of a long text that is read from JSON: what came lately is not read again, and clusters of a
    fleet have much in common.

    It holds no more than twice so many characters (and the last text), the latest, whether or not anybody still uses
    them: a text that nobody keeps any more is forgotten with the others of its time. Of the JSON it keeps the length
    and the hash, whose 64 bits are keyed anew for each process: two of a million texts meet once in forty million
    fleets.
    """

    def __init__(self, read: Callable[[bytes], str], most: int = _MOST_CHARACTERS) -> None:
        """`read` gives the text of some JSON."""
        self._read = read
        self._young: dict[tuple[int, int], str] = {}
        self._old: dict[tuple[int, int], str] = {}
        self._most = most
        self._size = 0

    def __call__(self, json: bytes) -> str:
        """The text."""
        key = len(json), hash(json)
        found = self._young.get(key)
        if found is not None:
            return found
        text = self._old.pop(key, None)
        if text is None:
            text = self._read(json)
        if self._size + len(text) > self._most:
            self._old, self._young, self._size = self._young, {}, 0
        self._young[key] = text
        self._size += len(text)
        return text


intern = interner()
"""Texts as they are: kinds, groups, names in references."""
clean = interner(one_line)
"""Names, reasons and revisions, as one clean line."""
clean_message = interner(brief)
"""Messages, brief."""
