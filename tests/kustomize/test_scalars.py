"""Scalars and streams as Kubernetes reads YAML, from a file to what is printed."""

from __future__ import annotations

import pytest

from fluxtui.kustomize import KustomizeError, build
from fluxtui.kustomize.filesystem import MemoryFileSystem

HEAD = "apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: x\n"


def built(text: str | bytes, fields: str = "") -> str:
    data = text if isinstance(text, bytes) else text.encode()
    top = f"resources: [x.yaml]\n{fields}".encode()
    return build("/top", fs=MemoryFileSystem({"/top/kustomization.yaml": top, "/top/x.yaml": data})).to_yaml()


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("yes", '"yes"'),
        ("off", '"off"'),
        ("y", '"y"'),
        ("True", "true"),
        ("0755", "493"),
        ("0o17", "15"),
        ('"0755"', '"0755"'),
        ("089", "89"),
        ("1e3", "1000"),
        ('"1e3"', '"1e3"'),
        ("1.50", "1.5"),
        ("1e400", "1e400"),
        ("2024-01-01", '"2024-01-01T00:00:00Z"'),
        ('"2024-01-01"', '"2024-01-01"'),
        ("12:30:45", '"12:30:45"'),
        ("9223372036854775807", "9223372036854775807"),
        ("18446744073709551616", "1.8446744073709552e+19"),
        ("-9223372036854775809", "-9.223372036854776e+18"),
        ("1e20", "1e+20"),
        ("null", "null"),
        ("~", "null"),
        ("'null'", '"null"'),
        ("ünï ☃", "ünï ☃"),
        ('"\\u65e5\\U0001F600"', r'"日\U0001F600"'),
        ("<<", "<<"),
        ("=", "="),
        ("!!str 5", '"5"'),
    ],
)
def test_scalars(written: str, printed: str) -> None:
    assert built(f"{HEAD}spec:\n  a: {written}\n") == f"{HEAD}spec:\n  a: {printed}\n"


@pytest.mark.parametrize("written", [".inf", "-.inf", ".nan"])
def test_numbers_that_json_does_not_have(written: str) -> None:
    with pytest.raises(KustomizeError, match=r"Widget.*is no number that JSON has"):
        built(f"{HEAD}spec:\n  a: {written}\n")


@pytest.mark.parametrize("key", ["1", "true", "~", "1.5", "2024-01-01"])
def test_keys_that_are_no_text(key: str) -> None:
    with pytest.raises(KustomizeError, match="is no text"):
        built(f"{HEAD}spec:\n  {key}: a\n")
    assert f'"{key}": a' in built(f'{HEAD}spec:\n  "{key}": a\n')


def test_a_key_given_twice() -> None:
    with pytest.raises(KustomizeError, match=r"/top/x\.yaml: line 7: mapping key 'a' already defined"):
        built(f"{HEAD}spec:\n  a: 1\n  a: 2\n")


def test_anchors_and_merge_keys() -> None:
    text = f"{HEAD}spec:\n  base: &b {{p: 1, q: &q [z]}}\n  more:\n    <<: *b\n    p: 2\n  list: *q\n"
    assert (
        built(text)
        == f"{HEAD}spec:\n  base:\n    p: 1\n    q:\n    - z\n  list:\n  - z\n  more:\n    p: 2\n    q:\n    - z\n"
    )


def test_documents_of_comments_only() -> None:
    assert built(f"# one\n---\n# two\n---\n{HEAD}---\n---\n# three\n") == HEAD


def test_a_separator_inside_of_text() -> None:
    text = f"{HEAD}spec:\n  a: |\n    one\n    ---\n    two\n"
    assert built(text) == text


def test_windows_line_ends_and_byte_order_mark() -> None:
    text = f"{HEAD}spec:\n  a: |\n    one\n    two\n"
    assert built(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) == text


def test_comments_are_dropped_and_keys_sorted() -> None:
    assert built(f"# top\n{HEAD}spec:\n  b: 1 # why\n  a: 2\n") == f"{HEAD}spec:\n  a: 2\n  b: 1\n"


def test_keys_are_sorted_by_the_numbers_in_them() -> None:
    spec = "  a2: 1\n  a10: 2\n  a_b: 3\n  ab: 4\n  ¹: 5\n  ٣: 6\n"
    lines = built(f"{HEAD}spec:\n{spec}", "namePrefix: p-\n").splitlines()
    assert lines[5:] == ["  ¹: 5", "  ٣: 6", "  a_b: 3", "  a2: 1", "  a10: 2", "  ab: 4"]


@pytest.mark.parametrize("fields", ["namePrefix: ''\n", "commonAnnotations: {}\n", "namespace: ''\n"])
def test_fields_that_say_nothing_change_nothing(fields: str) -> None:
    assert built(HEAD, fields) == HEAD
