"""Who a resource is: group, version, kind, namespace and name; and selecting by them."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from fluxtui.kustomize.patterns import fits

DEFAULT_NAMESPACE = "default"
NO_NAMESPACE = "_non_namespaceable_"
"""What takes the place of a namespace for kinds that have none."""


class Gvk(NamedTuple):
    """Group, version and kind; the group of core kinds is empty."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """`apps/v1`, `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def fits(self, group: str, version: str, kind: str) -> bool:
        """Whether group, version and kind are those; empty ones are any."""
        return group in ("", self.group) and version in ("", self.version) and kind in ("", self.kind)

    def __str__(self) -> str:
        return f"{self.kind or '[noKind]'}.{self.version or '[noVer]'}.{self.group or '[noGrp]'}"


class Id(NamedTuple):
    """An identity that a resource has or had."""

    gvk: Gvk
    namespace: str
    """As written, or NO_NAMESPACE for a kind without one."""
    name: str

    @property
    def effective_namespace(self) -> str:
        """No namespace is the default one."""
        return self.namespace or DEFAULT_NAMESPACE

    @property
    def key(self) -> tuple[Gvk, str, str]:
        """Equal for equal identities."""
        return self.gvk, self.namespace or DEFAULT_NAMESPACE, self.name

    def __str__(self) -> str:
        namespace = "" if self.namespace == NO_NAMESPACE else self.namespace
        return f"{self.gvk}/{self.name or '[noName]'}.{namespace or '[noNs]'}"


def gvk_of(api_version: str, kind: str) -> Gvk:
    """Group, version and kind of an object's two fields."""
    group, slash, version = api_version.partition("/")
    return Gvk(group, version, kind) if slash else Gvk("", api_version, kind)


class Selector(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Selects resources: regular expressions that must match as a whole, and label selectors; empty is any."""

    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    label_selector: str = ""
    annotation_selector: str = ""

    @property
    def names_nothing(self) -> bool:
        """Whether it selects by labels or annotations alone."""
        return not (self.group or self.version or self.kind or self.name or self.namespace)

    def fits_gvk(self, gvk: Gvk) -> bool:
        """Whether group, version and kind fit. Raises FieldError."""
        return fits(self.group, gvk.group) and fits(self.version, gvk.version) and fits(self.kind, gvk.kind)

    def __str__(self) -> str:
        parts = ((field, getattr(self, field)) for field in self.__struct_fields__)
        return ", ".join(f"{field} {value}" for field, value in parts if value) or "everything"
