from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxtui.engine.controllers.kustomize.documents import DocumentError, parse, rounded


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("yes", True),
        ("n", False),
        ("Off", False),
        ('"yes"', "yes"),
        ("!!str yes", "yes"),
        ("~", None),
        ("", None),
        ("0775", 509),
        ("0o17", 15),
        ("089", 89),
        ("0x1F", 31),
        ("-0b11", -3),
        ("1_000", 1000),
        ("+1", 1),
        ("12:30:45", "12:30:45"),
        ("2022-01-01", "2022-01-01"),
        ("1.0", 1),
        (".5", 0.5),
        ("6.5_5", 6.55),
        ("1e3", 1000),
        ("1e21", 1e21),
        ("1e400", "1e400"),
        ("12345678901234567890", 12345678901234567000),
        ("-", [None]),
        ("+", "+"),
        ("=", "="),
        ("1.2.3", "1.2.3"),
        ("_1", "_1"),
        ("!foo 1", "1"),
        ("!!binary aGk=", "hi"),
        ("{b: [1, a]}", {"b": [1, "a"]}),
    ],
)
def test_scalars(scalar: str, value: Any) -> None:
    assert parse(f"a:\n  {scalar}\n") == {"a": value}
    assert type(parse(f"a:\n  {scalar}\n")["a"]) is type(value)


def test_mappings() -> None:
    assert parse("1: a\ntrue: b\n1.5: c\nyes: d\n") == {"1": "a", "true": "d", "1.5": "c"}
    assert parse("x: &a {b: 1, c: 2}\nz:\n  <<: *a\n  c: 3\nl: *a\n") == {
        "x": {"b": 1, "c": 2},
        "z": {"b": 1, "c": 3},
        "l": {"b": 1, "c": 2},
    }
    assert parse("'<<': 1\n") == {"<<": 1}
    assert parse("a: 1\n---\nb: 2\n") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no mapping"),
        ("- a", "no mapping"),
        ("a: 1\n b: 2\n", "line 2"),
        ("a: [", "line"),
        ("a: .inf", "no JSON number"),
        ("null: 1", "a mapping key has to be text"),
        ("? {a: 1}\n: 1\n", "a mapping key has to be text"),
        ("<<: 1", "only mappings"),
        ("a: !!binary x", "no base64"),
        ("a: &a [*a]\n", "cannot be parsed|more than|undefined"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"{c}: &{c} [{','.join(['*' + p] * 10)}]\n" for p, c in zip("abcdefg", "bcdefgh", strict=True)),
            "more than",
        ),
        ("a: \x07", "cannot be parsed"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        parse(text)


def test_rounding() -> None:
    assert rounded({"a": [2**53, 2**53 + 1, True, 1.0, 0.1, "x", None]}) == {
        "a": [2**53, 2**53, True, 1, 0.1, "x", None]
    }


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Co", "Cn", "Zl", "Zp"], exclude_characters="\ufeff"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)


@given(st.dictionaries(TEXT, JSON))
def test_json_reads_as_itself(value: dict[str, Any]) -> None:
    assert parse(json.dumps(value, ensure_ascii=False)) == value
