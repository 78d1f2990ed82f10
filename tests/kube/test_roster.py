"""Rosters: what they may say, and what their entries are while files come, go and change."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from fluxtui.kube.errors import ConfigError
from fluxtui.kube.reload import follow
from fluxtui.kube.roster import Entry, Roster, RosterReader, Selection, read, write
from tests.kube.test_kubeconfig import entry
from tests.kube.test_kubeconfig import write as write_kubeconfig


def listed(path: Path, *entries: Entry) -> Path:
    write(path, Roster(entries))
    return path


def look(reader: RosterReader) -> Selection:
    found = reader.look()
    assert found is not None
    return found


def ids(selection: Selection) -> list[str]:
    return [context.id for context in selection.contexts]


def test_an_entry_is_the_context_of_its_file_under_its_own_id(tmp_path: Path) -> None:
    one = write_kubeconfig(tmp_path / "one", entry("prod"), entry("other"))
    two = write_kubeconfig(tmp_path / "two", entry("prod"))
    roster = listed(tmp_path / "roster.json", Entry("prod", "prod", (one,)), Entry("second", "prod", (two,)))
    reader = RosterReader(roster, {})
    found = look(reader)
    assert [(context.id, context.name, context.source) for context in found.contexts] == [
        ("prod", "prod", one),
        ("second", "prod", two),
    ]
    assert not found.is_empty
    assert reader.look() is None
    assert set(reader.places()) == {str(roster), one, two}


def test_files_that_are_one_set_are_merged(tmp_path: Path) -> None:
    whole = entry("prod")
    one = write_kubeconfig(tmp_path / "contexts", {"contexts": whole["contexts"]})
    two = write_kubeconfig(tmp_path / "clusters", {"clusters": whole["clusters"], "users": whole["users"]})
    roster = listed(tmp_path / "roster.json", Entry("prod", "prod", (one, two)))
    (context,) = look(RosterReader(roster, {})).contexts
    assert (context.source, context.server, context.user_source) == (one, "https://prod.example", two)


def test_why_an_entry_has_no_context_is_said_and_the_others_have_theirs(tmp_path: Path) -> None:
    file = write_kubeconfig(tmp_path / "file", entry("good"), entry("bad", "ftp://x"))
    missing = str(tmp_path / "missing")
    roster = listed(
        tmp_path / "roster.json",
        Entry("good", "good", (file,)),
        Entry("bad", "bad", (file,)),
        Entry("gone", "gone", (file,)),
        Entry("lost", "lost", (missing,)),
    )
    found = look(RosterReader(roster, {}))
    assert ids(found) == ["good"]
    assert "expected an http://" in found.problems["bad"]
    assert found.problems["gone"] == f"{file}: there is no context 'gone'"
    assert found.problems["lost"] == f"{missing}: no such file"


def test_what_is_broken_for_now_stays_as_it_was(tmp_path: Path) -> None:
    file = Path(write_kubeconfig(tmp_path / "file", entry("a"), entry("b")))
    roster = listed(tmp_path / "roster.json", Entry("a", "a", (str(file),)))
    reader = RosterReader(roster, {})
    assert ids(look(reader)) == ["a"]
    file.write_text("{")
    found = look(reader)
    assert (ids(found), found.problems) == (["a"], {})
    assert "keeping the contexts read before" in found.warnings[0]
    roster.write_text('{"clusters": 3}')
    found = look(reader)
    assert ids(found) == ["a"]
    assert any("keeping the clusters read before" in warning for warning in found.warnings)
    # Whoever is taken out and put in again is read anew.
    listed(roster)
    assert look(reader).is_empty
    listed(roster, Entry("a", "a", (str(file),)))
    assert str(file) in look(reader).problems["a"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "truncated"),
        ("[]", "Expected `object`"),
        ('{"cluster": []}', "unknown field `cluster`"),
        ('{"clusters": [{"id": "a", "context": "a"}]}', r"kubeconfig.*\$.clusters\[0\]"),
        ('{"clusters": [{"id": "a", "context": "a", "kubeconfig": []}]}', r"clusters\[0\]: .* must not be empty"),
        ('{"clusters": [{"id": "a", "context": "a", "kubeconfig": ["x"]}]}', r"clusters\[0\].kubeconfig: .* absolute"),
        (
            '{"clusters": [{"id": "a", "context": "a", "kubeconfig": ["/x"]}, '
            '{"id": "a", "context": "b", "kubeconfig": ["/x"]}]}',
            r"clusters\[1\].id: 'a' is there twice",
        ),
    ],
)
def test_a_wrong_roster_is_refused_by_file_and_field(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "roster.json"
    with pytest.raises(ConfigError, match="no such file"):
        read(path)
    path.write_text(content)
    with pytest.raises(ConfigError, match=words) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


async def test_a_change_of_the_roster_or_of_a_kubeconfig_is_news(tmp_path: Path) -> None:
    one = write_kubeconfig(tmp_path / "one/config", entry("a"))
    two = write_kubeconfig(tmp_path / "two/config", entry("b"))
    roster = listed(tmp_path / "roster.json", Entry("a", "a", (one,)))
    async with asyncio.timeout(60), aclosing(follow(RosterReader(roster, {}))) as changes:
        assert ids(await anext(changes)) == ["a"]
        listed(roster, Entry("a", "a", (one,)), Entry("b", "b", (two,)))
        assert ids(await anext(changes)) == ["a", "b"]
        # In a folder that was of no interest before.
        write_kubeconfig(Path(two), entry("b", "https://moved.example"))
        found = await anext(changes)
        assert [context.server for context in found.contexts] == ["https://a.example", "https://moved.example"]
        listed(roster)
        assert (await anext(changes)).is_empty
