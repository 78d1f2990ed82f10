"""The themes as Textual `Theme` objects, and the palette of Rich styles the line painters use.

This is the only module of the console with colour literals; style sheets use the tokens, painters the palette.
`fluxtui-dim` and `fluxtui-paper` tell states apart for eyes that cannot separate red from green: their hues are after
Okabe and Ito, and differ in lightness too.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from rich.style import Style
from textual.theme import Theme


def _theme(name: str, *, dark: bool, colours: Mapping[str, str]) -> Theme:
    """A theme of named colours: Textual's own tokens are derived, ours (`$muted`, `$bar`, …) come as variables."""
    scroll = colours["background"]
    return Theme(
        name=name,
        dark=dark,
        primary=colours["link"],
        secondary=colours["progress"],
        accent=colours["accent"],
        success=colours["success"],
        warning=colours["warning"],
        error=colours["error"],
        foreground=colours["ink"],
        background=colours["background"],
        surface=colours["bar"],
        panel=colours["bar"],
        variables={
            **{token: colours[token] for token in ("ink", "strong", "muted", "faint", "link", "progress", "bar")},
            "cursor": colours["cursor"],
            "mark": colours["mark"],
            "match": colours["match"],
            "scrollbar": colours["faint"],
            "scrollbar-hover": colours["muted"],
            "scrollbar-active": colours["muted"],
            "scrollbar-background": scroll,
            "scrollbar-background-hover": scroll,
            "scrollbar-background-active": scroll,
            "scrollbar-corner-color": scroll,
            "input-cursor-background": colours["ink"],
            "input-cursor-foreground": colours["background"],
            "input-selection-background": colours["cursor"],
            "border": colours["faint"],
            "border-blurred": colours["faint"],
        },
    )


DARK = _theme(
    "fluxtui-dark",
    dark=True,
    colours={
        "background": "#0f1318",
        "bar": "#141a21",
        "cursor": "#233044",
        "mark": "#1a2431",
        "match": "#4a3f1d",
        "ink": "#d3dae4",
        "strong": "#ffffff",
        "muted": "#7c8897",
        "faint": "#353e49",
        "link": "#82aaff",
        "progress": "#5cc5ef",
        "success": "#89ca8f",
        "warning": "#e7b75f",
        "error": "#f2777a",
        "accent": "#b39ddb",
    },
)

DIM = _theme(
    "fluxtui-dim",
    dark=True,
    colours={
        "background": "#101214",
        "bar": "#171a1d",
        "cursor": "#2a3442",
        "mark": "#1d242d",
        "match": "#4d4415",
        "ink": "#c9cdd2",
        "strong": "#ffffff",
        "muted": "#828a94",
        "faint": "#3a4149",
        "link": "#a7b6d9",
        "progress": "#e3e9ec",
        "success": "#5da9e9",
        "warning": "#f3e775",
        "error": "#e08b3a",
        "accent": "#a7adb5",
    },
)

LIGHT = _theme(
    "fluxtui-light",
    dark=False,
    colours={
        "background": "#fbfbf9",
        "bar": "#f0f1ee",
        "cursor": "#dfe8f6",
        "mark": "#e9effa",
        "match": "#fbeab0",
        "ink": "#2b323b",
        "strong": "#0b0f14",
        "muted": "#646d79",
        "faint": "#c6cbd1",
        "link": "#2a5fc4",
        "progress": "#05668c",
        "success": "#22692f",
        "warning": "#7d5300",
        "error": "#b3242a",
        "accent": "#6f4fb0",
    },
)

PAPER = _theme(
    "fluxtui-paper",
    dark=False,
    colours={
        "background": "#fcfcfc",
        "bar": "#f1f2f4",
        "cursor": "#dde5ee",
        "mark": "#eaeff5",
        "match": "#f7ecaa",
        "ink": "#24292f",
        "strong": "#000000",
        "muted": "#626b75",
        "faint": "#c5cad0",
        "link": "#2d5a86",
        "progress": "#576480",
        "success": "#0a3fb0",
        "warning": "#5a0f69",
        "error": "#9c3500",
        "accent": "#57606a",
    },
)

THEMES: tuple[Theme, ...] = (DARK, DIM, LIGHT, PAPER)
"""All themes in the order the theme key walks through them; the first is the default."""

NAMES: tuple[str, ...] = tuple(theme.name for theme in THEMES)


class Palette(msgspec.Struct, frozen=True):
    """Rich styles for painting lines, computed once per theme: nothing is parsed while a line is painted."""

    ink: Style
    strong: Style
    muted: Style
    faint: Style
    link: Style
    progress: Style
    success: Style
    warning: Style
    error: Style
    accent: Style
    heading: Style
    key: Style
    cursor: Style
    """Laid over a whole line: the selection bar."""
    idle_cursor: Style
    """The selection bar of a list that does not have the focus."""
    mark: Style
    match: Style
    tab: Style
    """The active tab's label."""

    def token(self, name: str) -> Style:
        """The style of a state's colour token (`fluxtui.fleet.states`)."""
        return {
            "error": self.error,
            "warning": self.warning,
            "primary": self.progress,
            "success": self.success,
            "muted-accent": self.accent,
        }.get(name, self.muted)


def palette(variables: Mapping[str, str], *, colour: bool = True) -> Palette:
    """The palette of a theme.

    Args:
        variables: the theme's CSS variables (`App.theme_variables`).
        colour: False for terminals that asked for no colour: weight, dimming and reverse video say the same then.
    """
    if not colour:
        return _MONOCHROME

    def fore(token: str, *, bold: bool = False) -> Style:
        return Style(color=variables[token], bold=bold or None)

    cursor = Style(bgcolor=variables["cursor"])
    mark = Style(bgcolor=variables["mark"])
    return Palette(
        ink=fore("ink"),
        strong=fore("strong", bold=True),
        muted=fore("muted"),
        faint=fore("faint"),
        link=fore("link"),
        progress=fore("progress"),
        success=fore("success"),
        warning=fore("warning"),
        error=fore("error"),
        accent=fore("accent"),
        heading=fore("muted", bold=True),
        key=fore("link", bold=True),
        cursor=cursor,
        idle_cursor=mark,
        mark=mark,
        match=Style(bgcolor=variables["match"]),
        tab=cursor + fore("strong", bold=True),
    )


# Both are said each time: a style laid over another would else keep what that one had.
_PLAIN = Style(bold=False, dim=False)
_BOLD = Style(bold=True, dim=False)
_DIM = Style(bold=False, dim=True)
_MONOCHROME = Palette(
    ink=_PLAIN,
    strong=_BOLD,
    muted=_DIM,
    faint=_DIM,
    link=_PLAIN,
    progress=_PLAIN,
    success=_PLAIN,
    warning=_BOLD,
    error=_BOLD,
    accent=_PLAIN,
    heading=_BOLD,
    key=_BOLD,
    cursor=Style(reverse=True),
    idle_cursor=Style(reverse=True, dim=True),
    mark=Style(italic=True),
    match=Style(underline=True),
    tab=Style(reverse=True, bold=True),
)
