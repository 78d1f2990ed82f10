"""Which kinds and namespaces the rows are of, kept while they are still true: at 50,000 rows counting anew is felt."""

from __future__ import annotations

from fluxtui.api.kinds import Category
from fluxtui.fleet.mirror import Mirror


class Census:
    """Looks only at the parts of a mirror that changed since the last time."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._known: dict[tuple[str, Category], tuple[int, set[tuple[str, str]], set[str]]] = {}

    def kinds(self) -> set[tuple[str, str]]:
        """(API group, kind) of all rows."""
        return {kind for _, kinds, _ in self._parts() for kind in kinds}

    def namespaces(self) -> list[str]:
        """The namespaces that have rows, sorted."""
        return sorted({namespace for _, _, namespaces in self._parts() for namespace in namespaces if namespace})

    def _parts(self) -> list[tuple[int, set[tuple[str, str]], set[str]]]:
        mirror = self._mirror
        return [self._part(cluster, category) for cluster in mirror.clusters for category in Category]

    def _part(self, cluster: str, category: Category) -> tuple[int, set[tuple[str, str]], set[str]]:
        revision = self._mirror.revision(cluster, category)
        known = self._known.get((cluster, category))
        if known and known[0] == revision:
            return known
        refs = self._mirror.refs(cluster, category)
        found = (revision, {(ref.group, ref.kind) for ref in refs}, {ref.namespace for ref in refs})
        self._known[cluster, category] = found
        return found
