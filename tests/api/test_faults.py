"""Sentences about objects that don't fit their types."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fluxtui.api.faults import sentence
from fluxtui.api.kustomize import Kustomization, KustomizationSpec

SPEC = {"interval": "10m", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"interval": "soon"}, "spec.interval: expected a duration such as 30s, 10m or 1h30m"),
        ({"timeout": "-5m"}, "spec.timeout: expected a duration such as 30s, 10m or 1h30m"),
        ({"prune": 3}, "spec.prune: expected bool, got int"),
        ({"namePrefix": ""}, "spec.namePrefix: expected str of length >= 1"),
        ({"postBuild": {"substitute": {"a": 1}}}, "spec.postBuild.substitute[...]: expected str, got int"),
        ({"sourceRef": {"kind": "GitRepository"}}, "spec.sourceRef: object missing required field name"),
        ({"sourceRef": {"kind": "Foo", "name": "x"}}, "spec.sourceRef.kind: invalid enum value 'Foo'"),
        ({"path": None}, "spec.path: expected str, got null"),
    ],
)
def test_the_field_comes_first(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"metadata": {}, "spec": {**SPEC, **change}}, Kustomization)
    assert sentence(caught.value) == expected


def test_the_whole_has_no_field() -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert([], KustomizationSpec)
    assert sentence(caught.value) == "expected object, got array"
