from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxtui.engine.controllers.kustomize.expansion import ExpansionError, UnsetVariables, expand

VARIABLES = {
    "name": "web",
    "empty": "",
    "mixed": "abcdEFGH28ij",
    "version": "1.2.3",
    "path": "path/to/file.tar.gz",
    "image": "repo/app@sha256:aa@b",
    "wide": "äöü",
    "straße": "straße",
    "7": "seven",
    "slashed": "foo/bar/baz",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("$", "$"),
        ("$name costs 5$", "$name costs 5$"),
        ("${name}", "web"),
        ("a${name}b${name}c", "awebbwebc"),
        ("${7}", "seven"),
        ("${straße^^}", "STRAßE"),
        ("$$", "$"),
        ("$${name}", "${name}"),
        ("$$${name}", "$web"),
        ("$$$${name}", "$${name}"),
        ("some text ${name}$${var$${name}$name${name}", "some text web${var${name}$nameweb"),
        ("$${var=${name}}", "${var=web}"),
        ("$(date) {{ ${name} }}", "$(date) {{ web }}"),
        ("${#mixed}", "12"),
        ("${#wide}", "6"),
        ("${mixed^}", "AbcdEFGH28ij"),
        ("${mixed^^}", "ABCDEFGH28IJ"),
        ("${mixed,}", "abcdEFGH28ij"),
        ("${mixed,,}", "abcdefgh28ij"),
        ("${empty^}", ""),
        ("${name:1}", "eb"),
        ("${name:0:2}", "we"),
        ("${name:1:99}", "eb"),
        ("${name:9}", ""),
        ("${name:x}", "web"),
        ("${name: -1}", "web"),
        ("${mixed:2:-2}", "cdEFGH28"),
        ("${mixed:9:-9}", ""),
        ("${wide:2:2}", "ö"),
        ("${unset=x}", "x"),
        ("${unset:=x}", "x"),
        ("${unset:-x}", "x"),
        ("${unset:?x}", "x"),
        ("${unset:+x}", "x"),
        ("${unset:=}", ""),
        ("${empty:=x}", "x"),
        ("${name:=x}", "web"),
        ("${unset:=a\nb}", "a\nb"),
        ("${unset:=$$}", "$$"),
        ('"${unset:=true}"', '"true"'),
        ("${unset=${name}}", "web"),
        ("${unset=a${name}-b}", "aweb-b"),
        ("${unset:=${also:=${name^^}}}", "WEB"),
        ("${unset:=a{b}c}", "a{bc}"),
        ("${version/./-}", "1-2.3"),
        ("${version//./-}", "1-2-3"),
        ("${version//./}", "123"),
        ("${slashed/\\//-}", "foo-bar/baz"),
        ("${slashed//\\//-}", "foo-bar-baz"),
        ("${mixed/#ab/X}", "XcdEFGH28ij"),
        ("${mixed/#b/X}", "abcdEFGH28ij"),
        ("${mixed/%ij/X}", "abcdEFGH28X"),
        ("${mixed/%i/X}", "abcdEFGH28ij"),
        ("${mixed/%ij/}", "abcdEFGH28ij"),
        ("${version/${empty}/x}", "x1.2.3"),
        ("${image#*@}", "sha256:aa@b"),
        ("${image##*@}", "b"),
        ("${image%@*}", "repo/app@sha256:aa"),
        ("${image%%@*}", "repo/app"),
        ("${path##*/}", "file.tar.gz"),
        ("${path%%.*}", "path/to/file"),
        ("${path%.gz}", "path/to/file.tar"),
        ("${path#p?th}", "/to/file.tar.gz"),
        ("${path#[o-q]}", "ath/to/file.tar.gz"),
        ("${path#[^o-q]}", "path/to/file.tar.gz"),
        ("${path#[}", "path/to/file.tar.gz"),
        ("${path#nothing}", "path/to/file.tar.gz"),
        ("${path#\\p}", "ath/to/file.tar.gz"),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, VARIABLES) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${name", "missing closing brace"),
        ("${name-x}", "missing closing brace"),
        ("${name.x}", "missing closing brace"),
        ("${}", "unable to parse variable name"),
        ("${ name}", "unable to parse variable name"),
        ("${!name}", "unable to parse variable name"),
        ("${#}", "bad substitution"),
        ("${#name", "bad substitution"),
        ("${name^x}", "bad substitution"),
        ("${name/}", "bad substitution"),
        ("${name/x", "bad substitution"),
        ("${name/x/y", "bad substitution"),
        ("${name#}", "unable to parse substitution within function"),
        ("${name:}", "unable to parse substitution within function"),
        ("${name:1", "bad substitution"),
        ("${name:=x", "unable to parse substitution within function"),
        ("${wide:1}", "cuts a character in half"),
        ("${a:=" * 60 + "x" + "}" * 60, "nested deeper"),
    ],
)
def test_malformed(text: str, reason: str) -> None:
    with pytest.raises(ExpansionError, match=reason):
        expand(text, VARIABLES)


def test_malformed_text_is_quoted_where_it_is() -> None:
    with pytest.raises(ExpansionError) as caught:
        expand("fine ${name}\nbad: ${name.first}\nmore", VARIABLES)
    assert caught.value.excerpt == "${name.first}"


def test_unset_variables_are_all_named_once() -> None:
    with pytest.raises(UnsetVariables) as caught:
        expand("${b} ${a^^} ${#c} ${b} ${d:=x} ${e:=${f}} ${name}", VARIABLES)
    assert caught.value.names == ["b", "a", "c", "f"]
    assert str(caught.value) == 'variable not set (strict mode): "b", "a", "c", "f"'


def test_unset_variables_are_empty_when_not_strict() -> None:
    assert expand("[${b}][${b^^}][${#b}]", {}, strict=False) == "[][][0]"


def test_a_pattern_takes_no_exponential_time() -> None:
    assert expand("${a##" + "*a" * 30 + "b}", {"a": "a" * 2000}) == "a" * 2000


@given(st.text().filter(lambda text: "$" not in text))
def test_text_without_dollars_stays(text: str) -> None:
    assert expand(text, VARIABLES) == text


@given(st.text())
def test_escaped_text_comes_back(text: str) -> None:
    assert expand(text.replace("$", "$$"), {}) == text


@given(st.text(alphabet="${}:=-#%/^,*?[]\\ab 1\n", max_size=20))
def test_any_text_expands_or_is_refused(text: str) -> None:
    with contextlib.suppress(ExpansionError):
        assert isinstance(expand("${" + text, {"a": "aab", "b": ""}, strict=False), str)
