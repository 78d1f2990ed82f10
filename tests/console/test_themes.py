"""Themes: complete, readable, and two of them for eyes that cannot separate red from green."""

from __future__ import annotations

import itertools

import pytest
from textual.color import Color
from textual.theme import Theme

from fluxtui.config import ConsoleSettings
from fluxtui.console.themes import DIM, NAMES, PAPER, THEMES

TEXT_TOKENS = ("ink", "strong", "link", "progress", "success", "warning", "error", "accent")
STATES = ("success", "progress", "error", "warning")


def colours(theme: Theme) -> dict[str, Color]:
    variables = theme.to_color_system().generate() | theme.variables
    return {name: Color.parse(variables[name]) for name in (*TEXT_TOKENS, "muted", "background", "bar", "cursor")}


def test_two_dark_two_light_and_the_settings_default_is_the_first() -> None:
    assert [theme.dark for theme in THEMES] == [True, True, False, False]
    assert ConsoleSettings().theme == NAMES[0]


@pytest.mark.parametrize("theme", THEMES, ids=NAMES)
def test_text_is_readable_on_every_ground(theme: Theme) -> None:
    shades = colours(theme)
    for token, ground in itertools.product(TEXT_TOKENS, ("background", "bar", "cursor")):
        assert contrast(shades[token], shades[ground]) >= 4.5, (token, ground)
    for ground in ("background", "bar"):
        assert contrast(shades["muted"], shades[ground]) >= 4.5, ground


def contrast(one: Color, other: Color) -> float:
    """The contrast ratio of WCAG 2.2."""

    def luminance(colour: Color) -> float:
        red, green, blue = (
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def seen_without_red_or_green(colour: Color) -> list[tuple[float, ...]]:
    """The colour as protanopes and deuteranopes see it (matrices of Viénot, Brettel and Mollon, 1999)."""
    linear = [part**2.2 for part in colour.normalized]
    matrices = (
        ((0.1124, 0.8876, 0.0), (0.1124, 0.8876, 0.0), (0.0040, -0.0040, 1.0)),
        ((0.2928, 0.7072, 0.0), (0.2928, 0.7072, 0.0), (-0.0223, 0.0223, 1.0)),
    )
    return [
        tuple(max(0.0, sum(a * b for a, b in zip(row, linear, strict=True))) ** (1 / 2.2) for row in matrix)
        for matrix in matrices
    ]


@pytest.mark.parametrize("theme", [DIM, PAPER], ids=["dim", "paper"])
def test_states_differ_without_red_or_green(theme: Theme) -> None:
    shades = colours(theme)
    for one, other in itertools.combinations(STATES, 2):
        pairs = zip(seen_without_red_or_green(shades[one]), seen_without_red_or_green(shades[other]), strict=True)
        for first, second in pairs:
            distance = sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5
            assert distance > 0.18, (one, other, distance)
