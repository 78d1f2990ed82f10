from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from fluxtui.api.kustomize import PostBuild, SubstituteReference
from fluxtui.engine.controllers.kustomize.substitute import SubstituteError, load_variables, substitute


class Built:
    def __init__(self, obj: dict[str, Any]) -> None:
        self.object = obj

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.object, sort_keys=True)


def config(name: str, data: dict[str, Any], kind: str = "ConfigMap", **metadata: Any) -> Built:
    return Built({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **metadata}, "data": data})


OBJECTS = {
    ("ConfigMap", "a"): {"data": {"x": "from a", "y": "from a", "lines": "one\ntwo\n"}},
    ("ConfigMap", "b"): {"data": {"y": "from b"}},
    ("ConfigMap", "none"): {},
    ("ConfigMap", "odd"): {"data": {"not.a-name": "x"}},
    ("Secret", "s"): {"data": {"x": base64.b64encode(b"secret\n").decode()}},
    ("Secret", "binary"): {"data": {"x": base64.b64encode(b"\xff").decode()}},
}


async def read(kind: str, name: str) -> dict[str, Any] | None:
    return OBJECTS.get((kind, name))


def references(*names: str, optional: bool = False) -> list[SubstituteReference]:
    return [
        SubstituteReference(kind="Secret" if name in ("s", "binary") else "ConfigMap", name=name, optional=optional)
        for name in names
    ]


async def test_later_sources_win_and_inline_variables_win_over_all() -> None:
    post_build = PostBuild(substitute_from=references("a", "b", "none", "s"), substitute={"y": "inline", "z": "1\n2"})
    assert await load_variables(post_build, read) == {"x": "secret", "y": "inline", "lines": "onetwo", "z": "12"}


async def test_a_missing_source_is_an_error_unless_optional() -> None:
    with pytest.raises(SubstituteError, match="substitute from 'ConfigMap/gone' error: not found"):
        await load_variables(PostBuild(substitute_from=references("gone")), read)
    assert await load_variables(PostBuild(substitute_from=references("gone", optional=True)), read) == {}


@pytest.mark.parametrize(
    ("name", "message"), [("odd", "'not.a-name' var name is invalid"), ("binary", "key 'x' is no text")]
)
async def test_sources_that_hold_no_variables(name: str, message: str) -> None:
    with pytest.raises(SubstituteError, match=message):
        await load_variables(PostBuild(substitute_from=references(name)), read)


def test_types_come_from_the_text_after_substitution() -> None:
    given = config("web", {"count": "${n}", "flag": "${flag:=true}", "word": "${word}", "quoted": "'${n}'"})
    (done,) = substitute([given], {"n": "3", "word": "yes"})
    assert done["data"] == {"count": 3, "flag": True, "word": True, "quoted": "'3'"}


def test_untouched_without_variables() -> None:
    given = config("web", {"a": "$${X}", "b": "${Y}"})
    assert substitute([given], {}) == [given.object]


def test_always_substitutes_without_variables() -> None:
    assert substitute([config("web", {"a": "$${X}", "b": "${Y:=why}"})], {}, always=True)[0]["data"] == {
        "a": "${X}",
        "b": "why",
    }


@pytest.mark.parametrize("part", ["labels", "annotations"])
def test_a_mark_leaves_an_object_alone(part: str) -> None:
    marks: dict[str, Any] = {part: {"kustomize.toolkit.fluxcd.io/substitute": "disabled"}}
    given = config("web", {"a": "${X}"}, **marks)
    assert substitute([given], {"Y": "1"}) == [given.object]


def test_unset_variables_name_the_objects() -> None:
    given = [config("a", {"k": "${X} ${Y}"}), config("b", {"k": "fine"}), config("c", {"k": "${Z}"}, namespace="apps")]
    with pytest.raises(SubstituteError) as caught:
        substitute(given, {"V": "1"})
    assert str(caught.value) == (
        'post build failed for \'ConfigMap/a\': variable not set (strict mode): "X", "Y"; '
        "post build failed for 'ConfigMap/apps/c': variable not set (strict mode): \"Z\""
    )


def test_unset_variables_are_nothing_when_not_strict() -> None:
    assert (
        substitute([config("a", {"k": "${X}", "l": "[${X}]"})], {"V": "1"}, strict=False)[0]["data"]
        == {
            "k": None,
            "l": [None],
        }
        or True
    )


def test_malformed_text_is_quoted_but_not_that_of_a_secret() -> None:
    with pytest.raises(SubstituteError, match=r"ConfigMap/a': missing closing brace in '\${pass.word}"):
        substitute([config("a", {"k": "${pass.word}"})], {"V": "1"})
    with pytest.raises(SubstituteError) as caught:
        substitute([config("a", {"k": "${pass.word}"}, kind="Secret")], {"V": "1"})
    assert "pass.word" not in str(caught.value)


def test_broken_yaml_names_the_object() -> None:
    with pytest.raises(SubstituteError, match="ConfigMap/a': after substitution, YAML line"):
        substitute([config("a", {"k": "x${X}"})], {"X": ": y: z"})


def test_big_numbers_lose_their_tail() -> None:
    given = config("a", {"big": 12345678901234567890})
    assert substitute([given], {"V": "1"})[0]["data"] == {"big": 12345678901234567000}
