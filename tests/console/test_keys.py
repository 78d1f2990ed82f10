"""The key table: complete, free of conflicts, and remapped with conflicts named."""

from __future__ import annotations

import pytest

from fluxtui.cli.demo.screen import TOUR
from fluxtui.console import keys
from fluxtui.console.screens.help import MEANINGS, contents
from fluxtui.console.themes import palette


def test_every_binding_is_described_and_named_once() -> None:
    bindings = list(keys.all_bindings())
    assert all(binding.id and binding.description and binding.tooltip and binding.group for binding in bindings)
    identities = [binding.id for binding in bindings]
    assert len(identities) == len(set(identities))


def test_help_lists_every_binding() -> None:
    listed = {binding.id for _, rows in keys.by_group() for _, binding in rows}
    assert listed == {binding.id for binding in keys.all_bindings()}


def test_defaults_give_no_key_two_meanings_in_one_place() -> None:
    everything = {binding.id or "": binding.key for binding in keys.all_bindings()}
    allowed = {"left", "right", "h"}
    for sentence in keys.problems(everything):
        assert any(f"'{keys.shown(key)}'" in sentence for key in allowed), sentence


@pytest.mark.parametrize("width", [70, 112, 152])
def test_help_says_what_states_mean_and_what_a_closed_branch_tells(width: int) -> None:
    told = "\n".join(paragraph.text.plain for paragraph in contents(palette({}, colour=False), {}, "", width))
    for state, words in MEANINGS.items():
        assert f"{state.glyph} {state.word:<14}{words}" in told
    assert f"{'✗ 2':<16}that many in its closed branch" in told


def test_a_remap_shows_in_help() -> None:
    rows = [row for _, group in keys.by_group({"reconcile": "ctrl+r,F5"}) for row in group]
    assert next(shown for shown, binding in rows if binding.id == "reconcile") == "ctrl-r F5"


@pytest.mark.parametrize(
    ("keymap", "parts"),
    [
        ({"reconcil": "R"}, ["no key binding is called 'reconcil'"]),
        ({"reconcile": "ctrl+nonsense"}, ["console.keymap.reconcile", "'ctrl+nonsense' is not a key"]),
        ({"reconcile": "s"}, ["'s' is bound twice", "reconcile", "suspend"]),
        ({"mark": "?"}, ["'?' is bound twice", "mark", "help"]),
        ({"quit": "j"}, ["'j' is bound twice", "down", "quit"]),
    ],
)
def test_problems_are_named(keymap: dict[str, str], parts: list[str]) -> None:
    problems = keys.problems(keymap)
    assert problems
    assert all(part in problems[0] for part in parts), problems


@pytest.mark.parametrize(
    "keymap",
    [{}, {"reconcile": "ctrl+r"}, {"suspend": "r", "resume": "s"}, {"help": "f1,?"}, {"mark": "space,insert"}],
)
def test_good_keymaps_pass(keymap: dict[str, str]) -> None:
    assert keys.problems(keymap) == []


def test_the_tour_is_folded_by_the_screen_and_what_is_typed_stays_a_line() -> None:
    told = contents(palette({}, colour=False), {}, TOUR.format(repository="/tmp/fleet", outage="prod-us"), 80)
    lines = [each.text.plain for each in told]
    assert any("as Git says suspend: true. Take that out" in line for line in lines)
    assert "       cd /tmp/fleet" in lines
    assert "    /tmp/fleet" in lines
