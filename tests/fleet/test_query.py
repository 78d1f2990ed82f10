"""The filter language: what it matches, how it prints, and what it says about mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxtui.fleet.query import FIELDS, Query, QueryError
from fluxtui.fleet.rows import Row, row_of
from fluxtui.fleet.syntax import All, Either, Field, Node, Not, Text, parse
from tests.fleet.objects import REVISION, SECONDS, ago, failed, flux, ready, said


def row(cluster: str, *args: Any, **more: Any) -> Row:
    return row_of(cluster, flux(*args, **more), SECONDS)


ROWS = {
    "api": row("prod-eu", "ks", "api", failed(message="Timeout waiting"), labels={"team": "web", "tier": "1"}),
    "infra": row("prod-us", "ks", "infra", ready(since=ago(hours=2)), status={"lastAppliedRevision": REVISION}),
    "chart": row("staging", "hr", "podinfo", ready(since=ago(days=3)), namespace="web", spec={"suspend": True}),
    "fleet": row("staging", "git", "fleet", said("Ready", "Unknown"), spec={"url": "https://git.example.com/f.git"}),
    "new": row(
        "staging",
        "ks",
        "fresh",
        creationTimestamp=ago(minutes=1),
        spec={"sourceRef": {"kind": "GitRepository", "name": "fleet"}},
    ),
}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "api infra chart fleet new"),
        ("ready=false", "api"),
        ("ready=true", "infra chart"),
        ("ready=unknown", "fleet new"),
        ("ready!=true", "api fleet new"),
        ("status=false", "api"),
        ("kind=ks", "api infra new"),
        ("kind=hr,git", "chart fleet"),
        ("kind=HelmRelease", "chart"),
        ("kind=kust", "api infra new"),
        ("kind!=ks", "chart fleet"),
        ("cluster=prod-*", "api infra"),
        ("cluster=PROD-EU", "api"),
        ("cluster!=staging ready=true", "infra"),
        ("ns=web", "chart"),
        ("namespace=flux-* kind=git", "fleet"),
        ("state=failed", "api"),
        ("state=fail,susp", "api chart"),
        ("state!=ready", "api chart fleet new"),
        ("state=trouble", "api"),
        ("suspended=true", "chart"),
        ("since<1h", "api fleet new"),
        ("since<1h kind=ks or suspended=true", "api chart new"),
        ("since>1d", "chart"),
        ("age<1h", "new"),
        ("age>2d", "api infra chart fleet"),
        ("label=team", "api"),
        ("label=team=web", "api"),
        ("label=team=w*", "api"),
        ("label=tea", ""),
        ("-l team=web", "api"),
        ("message~timeout", "api"),
        ('message~"out wait"', "api"),
        ("message!~timeout", "infra chart fleet new"),
        ("revision=main@7148a354", "infra"),
        ("revision~7148a354c0", "infra"),
        ("source=fleet", "new"),
        ("source=git/fleet", "new"),
        ("path~example.com", "fleet"),
        ("timeout", "api"),
        ("TIMEOUT", "api"),
        ("web", "chart"),
        ("pdif", "chart"),
        ("!timeout kind=ks", "infra new"),
        ("!(kind=ks or kind=hr)", "fleet"),
        ("(cluster=prod-eu or cluster=prod-us) ready=true", "infra"),
        ("name=api or name=infra", "api infra"),
        ("kind=ks and ready=false", "api"),
    ],
)
def test_matches(query: str, found: str) -> None:
    matches = Query.parse(query).matcher(SECONDS)
    assert [name for name, row in ROWS.items() if matches(row)] == found.split()


def test_since_of_a_row_without_conditions_is_since_its_creation() -> None:
    assert Query.parse("since<2m").matcher(SECONDS)(ROWS["new"])


@pytest.mark.parametrize(
    ("query", "message", "position"),
    [
        ("ready=false stat=x", "unknown field stat; did you mean state?", 12),
        ("state=broken", "unknown state broken", 0),
        ("api ready=maybe", "ready can't be maybe", 4),
        ("since<soon", "since wants a duration", 0),
        ("since=1h", "since wants one duration after < or >", 0),
        ("kind<3", "kind can't be compared with <", 0),
        ("state=", "a value is missing", 6),
        ('name="x', "the quote is not closed", 5),
        ("(a or b", "( is not closed", 0),
        ("a)", "unexpected )", 1),
        ("a or", "a term is missing", 4),
        ("or a", "a term is missing", 0),
        ("!", "nothing follows !", 0),
    ],
)
def test_mistakes_are_named_with_their_place(query: str, message: str, position: int) -> None:
    with pytest.raises(QueryError) as caught:
        Query.parse(query)
    assert caught.value.message.startswith(message)
    assert caught.value.position == position


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
fields = st.builds(
    Field,
    st.sampled_from(sorted(FIELDS)),
    st.sampled_from(("=", "!=", "~", "!~", "<", "<=", ">", ">=")),
    st.lists(words, min_size=1, max_size=3).map(tuple),
)


def nested(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(Not, inner), st.builds(All, several), st.builds(Either, several))


@settings(deadline=None)
@given(st.recursive(st.one_of(st.builds(Text, words), fields), nested, max_leaves=8))
def test_parsing_what_is_printed_gives_the_same_query(node: Node) -> None:
    assert parse(str(node)) == node


@pytest.mark.parametrize("op", ["<", ">"])
def test_a_value_is_no_part_of_the_comparison(op: str) -> None:
    for node in (Field("age", op, ("=",)), Field("age", op, ("=1h", "=2h")), Field("age", f"{op}=", ("1h",))):
        assert parse(str(node)) == node


def mistake_in(text: str) -> QueryError | None:
    try:
        Query.parse(text)
    except QueryError as error:
        return error
    return None


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_query_or_a_mistake(text: str) -> None:
    mistake = mistake_in(text)
    if mistake is not None:
        assert 0 <= mistake.position <= len(text)
        return
    query = Query.parse(text)
    assert Query.parse(str(query)) == query
    assert isinstance(query.matcher(SECONDS)(ROWS["api"]), bool)


@pytest.mark.parametrize("text", ["!" * 5000 + "a", "(" * 5000 + "a" + ")" * 5000])
def test_what_is_too_deep_is_a_mistake(text: str) -> None:
    mistake = mistake_in(text)
    assert mistake is not None
    assert mistake.message == "more than 50 terms inside each other"


@pytest.mark.parametrize("text", [" ".join(["api"] * 5000), " or ".join(["kind=git"] * 5000 + ["kind=ks"])])
def test_many_terms_are_no_trouble(text: str) -> None:
    query = Query.parse(text)
    assert query.matcher(SECONDS)(ROWS["api"])
    assert Query.parse(str(query)) == query


LETTERS = st.text("aApiEn- e", min_size=1, max_size=4).map(Text)


def spells(text: str, name: str) -> bool:
    """Whether the letters come in this order in the name."""
    rest = iter(name)
    return all(letter in rest for letter in text)


@settings(deadline=None)
@given(st.text("apifresh-odx^]W ", min_size=1, max_size=5))
def test_a_text_is_found_in_name_namespace_or_message_or_its_letters_in_the_name(text: str) -> None:
    query, wanted = Query(Text(text)), text.lower()

    def is_found(row: Row) -> bool:
        fuzzy = len(wanted) > 1 and " " not in wanted and spells(wanted, row.ref.name)
        return fuzzy or any(wanted in each for each in (row.ref.name, row.ref.namespace, row.message.lower()))

    rows = list(ROWS.values())
    expected = [is_found(row) for row in rows]
    assert query.sieve(SECONDS)(rows) == expected
    assert [query.matcher(SECONDS)(row) for row in rows] == expected


@pytest.mark.parametrize("query", ["ready=false", "kind=ks web", "!api or state=ready", ""])
def test_a_sieve_says_of_many_rows_what_the_matcher_says_of_one(query: str) -> None:
    found, rows = Query.parse(query), list(ROWS.values())
    assert found.sieve(SECONDS)(rows) == [found.matcher(SECONDS)(row) for row in rows]


@settings(deadline=None)
@given(LETTERS, LETTERS)
def test_what_passes_a_narrower_filter_passes_the_wider_one(longer: Text, shorter: Text) -> None:
    narrow, wide = Query(longer), Query(shorter)
    assert narrow.narrows(narrow)
    if narrow.narrows(wide):
        for each in ROWS.values():
            assert wide.matcher(SECONDS)(each) or not narrow.matcher(SECONDS)(each)


def test_only_a_text_that_was_typed_further_is_known_to_be_narrower() -> None:
    assert Query.parse("api").narrows(Query.parse("ap"))
    for narrow, wide in (("ap", "api"), ("kind=ks", "kind=ks"), ("api ready=true", "api"), ("!api", "!ap"), ("", "")):
        assert not Query.parse(narrow).narrows(Query.parse(wide))
