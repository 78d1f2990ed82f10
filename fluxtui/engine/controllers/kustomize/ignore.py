"""`spec.ignore`: which fields of which objects are left as they are in the cluster.

Source: docs/spec/v1/kustomizations.md "Ignore"; the selectors of fluxcd/pkg `ssa/jsondiff`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fluxtui.api.fields import IgnoreRule, Selector
from fluxtui.kube.identity import annotations_of, identity_of, labels_of, version_of
from fluxtui.kustomize.errors import KustomizeError
from fluxtui.kustomize.labelselectors import selects
from fluxtui.kustomize.patterns import fits as fits_pattern

Object = dict[str, Any]
Test = Callable[[Object], bool]


class IgnoreError(ValueError):
    """A rule that can't be read; names its place in the spec."""


def ignored(rules: Sequence[IgnoreRule]) -> Callable[[Object], Sequence[str]] | None:
    """Object → the JSON pointers to leave alone; None without rules. Raises IgnoreError."""
    compiled = [(_test(rule.target, index), _pointers(rule, index)) for index, rule in enumerate(rules)]
    if not compiled:
        return None
    return lambda obj: [pointer for fits, pointers in compiled if fits(obj) for pointer in pointers]


def _pointers(rule: IgnoreRule, index: int) -> list[str]:
    for pointer in rule.paths:
        if not pointer.startswith("/"):
            raise IgnoreError(f"spec.ignore[{index}]: {pointer!r} is no JSON pointer, which starts with a slash")
    return rule.paths


def _test(target: Selector | None, index: int) -> Test:
    if target is None:
        return lambda _: True
    patterns = []
    for name in ("group", "version", "kind", "name", "namespace"):
        pattern = getattr(target, name)
        try:
            fits_pattern(pattern, "")
        except KustomizeError as error:
            raise IgnoreError(f"spec.ignore[{index}].target.{name}: {error}") from error
        patterns.append(pattern)
    try:
        selects(target.label_selector, {})
        selects(target.annotation_selector, {})
    except KustomizeError as error:
        raise IgnoreError(f"spec.ignore[{index}].target: {error}") from error

    def fits(obj: Object) -> bool:
        identity = identity_of(obj)
        values = (identity.group, version_of(obj), identity.kind, identity.name, identity.namespace)
        return (
            all(fits_pattern(pattern, value) for pattern, value in zip(patterns, values, strict=True))
            and selects(target.label_selector, labels_of(obj))
            and selects(target.annotation_selector, annotations_of(obj))
        )

    return fits
