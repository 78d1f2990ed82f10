"""The order of the output: as loaded, or a fixed one by kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fluxtui.kustomize import schema
from fluxtui.kustomize.errors import FieldError
from fluxtui.kustomize.kustomization import LegacyOrder, SortOptions
from fluxtui.kustomize.resources import Resource, Resources

LEGACY = "legacy"
FIFO = "fifo"


def sort(resources: Resources, options: SortOptions) -> None:
    """Sort as `sortOptions` says. Raises FieldError for an unknown order."""
    order = options.order
    if order not in (LEGACY, FIFO):
        raise FieldError(f"the field 'sortOptions.order' must be one of [{FIFO}, {LEGACY}]")
    if order == FIFO:
        if options.legacy_sort_options is not None:
            raise FieldError(
                "the field 'sortOptions.legacySortOptions' is set but the selected sort order is 'fifo', not 'legacy'"
            )
        return
    legacy = options.legacy_sort_options
    if legacy is None:
        default = schema.field_specs()["legacySortOrder"]
        legacy = LegacyOrder(order_first=tuple(default["orderFirst"]), order_last=tuple(default["orderLast"]))
    _sort_legacy(resources, legacy.order_first, legacy.order_last)


def _sort_legacy(resources: Resources, first: Sequence[str], last: Sequence[str]) -> None:
    ranks = {kind: rank - len(first) for rank, kind in enumerate(first)}
    ranks.update({kind: rank + 1 for rank, kind in enumerate(last)})

    def key(resource: Resource) -> tuple[Any, ...]:
        group, version, kind = resource.gvk
        is_core = not group
        return (
            ranks.get(kind, 0),
            kind == "Namespace" and not is_core,
            f"{group or '~G'}_{version or '~V'}_{kind or '~K'}",
            f"{resource.gvk}|{resource.namespace or '~X'}|{resource.name or '~N'}",
        )

    resources.sort(key)
