"""What an API server serves: resources, and the set of them that discovery found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

import msgspec

from fluxtui.kube.errors import KubeError


def _segment(text: str, what: str) -> str:
    """`text` as one path segment.

    Raises KubeError for what the API server refuses as a name, so that no name can point at another path.
    Source: apimachinery, pkg/api/validation/path.
    """
    if text in (".", "..") or "/" in text or "%" in text:
        raise KubeError(f"{text!r} cannot be a {what}")
    return quote(text, safe=":@!$&'()*+,;=~-._")


class Resource(msgspec.Struct, frozen=True):
    """One resource of an API: where it is served and what it can do."""

    group: str
    """Empty for the core API."""
    version: str
    kind: str
    plural: str
    singular: str = ""
    namespaced: bool = True
    verbs: tuple[str, ...] = ()
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    """Names such as `status` and `scale`."""

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core API."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """`deployments.apps`, or `pods` for the core API."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Path on the server: `/apis/apps/v1/namespaces/x/deployments/y/status`.

        A namespace given for a resource without namespaces is ignored. Raises KubeError for a name that cannot be one.
        """
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if namespace and self.namespaced:
            parts += ["namespaces", _segment(namespace, "namespace")]
        parts.append(self.plural)
        if name:
            parts.append(_segment(name, f"name of a {self.kind}"))
            if subresource:
                parts.append(subresource)
        return "/".join(parts)


class Resources:
    """All resources of one API server, in the server's order of preference."""

    def __init__(self, resources: Iterable[Resource] = (), failures: Mapping[str, str] | None = None) -> None:
        self.all: tuple[Resource, ...] = tuple(resources)
        self.failures: Mapping[str, str] = dict(failures or {})
        """`group/version` → why it could not be discovered (an aggregated API that is down)."""
        self._by_kind: dict[tuple[str, str], list[Resource]] = {}
        for resource in self.all:
            self._by_kind.setdefault((resource.group, resource.kind), []).append(resource)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Resources) and self.all == other.all and self.failures == other.failures

    def __hash__(self) -> int:
        return hash(self.all)

    def find(self, group: str, kind: str, version: str = "") -> Resource | None:
        """The resource of a kind; without `version`, in the version the server prefers."""
        for resource in self._by_kind.get((group, kind), ()):
            if not version or resource.version == version:
                return resource
        return None

    def by_plural(self, plural: str, group: str | None = None, version: str = "") -> Resource | None:
        """The first resource named `plural`, in any group when `group` is None."""
        for resource in self.all:
            if (
                resource.plural == plural
                and (group is None or resource.group == group)
                and (not version or resource.version == version)
            ):
                return resource
        return None

    def by_word(self, word: str) -> Resource | None:
        """What kubectl would understand by `word`: plural, singular, kind, short name, or `plural.group`."""
        low = word.lower()
        name, _, group = low.partition(".")
        matches = (
            lambda r: r.plural == low,
            lambda r: r.singular == low or r.kind.lower() == low,
            lambda r: low in r.short_names,
            lambda r: bool(group) and name in (r.plural, r.singular) and r.group == group,
        )
        return next((r for match in matches for r in self.all if match(r)), None)

    @property
    def preferred(self) -> tuple[Resource, ...]:
        """Each kind once, in the version the server prefers."""
        return tuple(versions[0] for versions in self._by_kind.values())
