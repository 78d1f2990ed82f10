"""Name references: fields that hold the name of another resource follow it when it is renamed."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import msgspec

from fluxtui.kustomize.errors import BuildError
from fluxtui.kustomize.fields import FieldSpec, visit
from fluxtui.kustomize.resources import Resource, Resources
from fluxtui.kustomize.schema import is_cluster_scoped


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A kind that is referred to by name, and the fields that do it."""

    kind: str = ""
    group: str = ""
    version: str = ""
    field_specs: tuple[FieldSpec, ...] = ()

    def fits(self, resource: Resource) -> bool:
        """Whether a resource is of the kind referred to."""
        group, version, kind = resource.gvk
        return self.kind in ("", kind) and self.group in ("", group) and self.version in ("", version)


def fix(resources: Resources, references: Sequence[Reference]) -> None:
    """Bring every reference up to date. Raises BuildError when a name could mean several resources."""
    renamed = [resource for resource in resources if resource.previous]
    if not renamed:
        return
    for reference in references:
        candidates = [resource for resource in resources if reference.fits(resource)]
        if not any(candidate.previous for candidate in candidates):
            continue
        for referrer in resources:
            for spec in reference.field_specs:
                if spec.fits(*referrer.gvk):
                    change = functools.partial(_fixed, referrer=referrer, candidates=candidates)
                    visit(referrer.object, _plain(spec), change)


def _plain(spec: FieldSpec) -> FieldSpec:
    return FieldSpec(path=spec.path, group=spec.group, version=spec.version, kind=spec.kind)


def _fixed(value: Any, referrer: Resource, candidates: Sequence[Resource]) -> Any:
    if isinstance(value, str):
        found = _choose(value, None, referrer, candidates)
        return found.name if found is not None else value
    if isinstance(value, list):
        return [_fixed(item, referrer, candidates) for item in value]
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        found = _choose(value["name"], value.get("namespace"), referrer, candidates)
        if found is not None:
            value["name"] = found.name
            if "namespace" in value and found.metadata.get("namespace"):
                value["namespace"] = found.metadata["namespace"]
    return value


def _choose(name: str, namespace: str | None, referrer: Resource, candidates: Sequence[Resource]) -> Resource | None:
    found = [item for item in candidates if any(old.name == name for old in item.ids)]
    if namespace is not None:
        found = [item for item in found if any(old.effective_namespace == namespace for old in item.ids)]
    elif not is_cluster_scoped(referrer.api_version, referrer.kind):
        mine = {old.effective_namespace for old in referrer.ids}
        near = [
            item
            for item in found
            if is_cluster_scoped(item.api_version, item.kind) or mine & {old.effective_namespace for old in item.ids}
        ]
        found = near
    if len(found) > 1:
        found = _closest(found, referrer)
    if len(found) > 1 and len({item.name for item in found}) > 1:
        names = ", ".join(str(item.id) for item in found)
        raise BuildError(f"{referrer.id}: found multiple possible referrals for {name!r}: {names}")
    return found[0] if found else None


def _closest(found: list[Resource], referrer: Resource) -> list[Resource]:
    """Those that were renamed together with the referrer, if there are any."""
    same = [item for item in found if item.prefixes == referrer.prefixes and item.suffixes == referrer.suffixes]
    if same:
        return same
    current = [item for item in found if item.id.effective_namespace == referrer.id.effective_namespace]
    return current or found


def merge_references(base: Sequence[Reference], more: Sequence[Reference]) -> tuple[Reference, ...]:
    """Two lists of references in one, the field specs of the same kind together."""
    merged = {(item.group, item.version, item.kind): item for item in base}
    for item in more:
        key = (item.group, item.version, item.kind)
        old = merged.get(key)
        specs = item.field_specs if old is None else (*old.field_specs, *item.field_specs)
        merged[key] = msgspec.structs.replace(item, field_specs=specs)
    return tuple(merged.values())
