"""Scalars, bounds and errors of the YAML that Kubernetes reads; what is written is read back the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxtui.kustomize import documents
from fluxtui.kustomize.errors import LoadError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0775", 509),
        ("010", 8),
        ("0o17", 15),
        ("089", 89),
        ('"0775"', "0775"),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("no", "no"),
        ("y", "y"),
        ("n", "n"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ('"null"', "null"),
        ("1_000", 1000),
        ("12:30:45", "12:30:45"),
        ("1.0", 1),
        ("1e3", 1000),
        ("1.5", 1.5),
        ("-7", -7),
        ("0x1F", 31),
        ("=", "="),
        ("2022-01-01", "2022-01-01T00:00:00Z"),
        ('"2022-01-01"', "2022-01-01"),
        ("12345678901234567000", 12345678901234567000),
        ("v1.2", "v1.2"),
        ("18446744073709551616", 1.8446744073709552e19),
        ("-9223372036854775809", -9.223372036854776e18),
        ("1e19", 10**19),
        ("1e20", 1e20),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    read = documents.read(f"value: {text}\n", "a.yaml")["value"]
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize("text", ["0658", "1e3", "yes", "null", "2022-01-01", "on", "y", "0o17", "true", "", "1_000"])
def test_text_that_others_would_take_for_more_is_quoted(text: str) -> None:
    assert documents.write({"value": text}).strip() == f"value: {text!r}".replace("'", '"')


@pytest.mark.parametrize("text", ["wait...", "0...", "...", "two\nlines...\n", "kept\n\n", "two\n...\n"])
def test_text_may_end_as_a_document_does(text: str) -> None:
    for value in ({"value": text}, [text], text):
        written = documents.write(value)
        assert documents.read(written, "a.yaml") == value
        assert not written.endswith("\n...\n")


def test_keys_that_look_like_booleans_are_text() -> None:
    assert documents.read("on: 1\nyes: 2\n", "a.yaml") == {"on": 1, "yes": 2}
    assert '"on": 1' in documents.write({"on": 1})


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co"), exclude_characters="\ufeff"), max_size=12)
    | st.from_regex(r"[-+.0-9eExXoO_:]{1,6}", fullmatch=True)
    | st.sampled_from(["yes", "No", "NULL", "~", "<<", "=", "on", "0775", "1.0", "a: b", "# x", "two\nlines\n", " x "]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abyn01 -", max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert documents.read(documents.write({"value": value}), "a.yaml") == {"value": value}


def test_aliases_and_merge_keys_are_expanded() -> None:
    text = "base: &base {a: 1, b: 2}\nmore: {<<: *base, b: 3}\n"
    assert documents.read(text, "a.yaml")["more"] == {"a": 1, "b": 3}


def test_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 9):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    with pytest.raises(LoadError, match=r"^a\.yaml: .*too large"):
        documents.read("\n".join(lines), "a.yaml")


def test_depth_is_bounded() -> None:
    assert documents.read("[" * 50 + "]" * 50, "a.yaml")
    with pytest.raises(LoadError, match="too deep"):
        documents.read("[" * 500 + "]" * 500, "a.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: .*'a'"),
        ("a: .inf\n", "line 1: .inf"),
        ("a: .nan\n", "line 1: .nan"),
        ("? [x]\n: 1\n", "line 1: a key must be text"),
        ("a: [1\n", "line"),
        (b"a: \xff\n", "UTF-8"),
    ],
)
def test_errors_name_the_file_and_the_line(text: str | bytes, said: str) -> None:
    with pytest.raises(LoadError, match=rf"^a\.yaml: .*{said}"):
        documents.read(text, "a.yaml")


def test_byte_order_mark_and_windows_line_ends() -> None:
    assert documents.read(b"\xef\xbb\xbfa: 1\r\nb: |\r\n  x\r\n  y\r\n", "a.yaml") == {"a": 1, "b": "x\ny\n"}


def test_streams() -> None:
    assert documents.read_all("---\na: 1\n---\n# nothing\n---\nb: 2\n", "a.yaml") == [{"a": 1}, {"b": 2}]
    assert documents.read("", "a.yaml") is None
    with pytest.raises(LoadError, match="one document"):
        documents.read("a: 1\n---\nb: 2\n", "a.yaml")
