"""Text in the pane: laid out for the width there is, long words and all."""

from __future__ import annotations

import itertools

import pytest
from rich.text import Text
from textual.app import App, ComposeResult

from fluxtui.console.themes import DARK, palette
from fluxtui.console.widgets.document import Document, Paragraph, _breaks


class Host(App[None]):
    def compose(self) -> ComposeResult:
        yield Document(palette(DARK.to_color_system().generate() | DARK.variables))


async def test_text_that_comes_while_the_widget_is_hidden_is_laid_out_when_it_shows() -> None:
    host = Host()
    async with host.run_test(size=(60, 10)) as pilot:
        document = host.query_one(Document)
        document.display = False
        await pilot.pause()
        document.set_text([Paragraph(Text("as wide as there is room for it"))])
        document.display = True
        await pilot.pause()
        assert [piece.text.plain for piece in document.lines] == ["as wide as there is room for it"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("label   some words and more", ["label   some ", "words and ", "more"]),
        ("label   one-word-longer-than-any-line", ["label   one-", "word-", "longer-", "than-any-", "line"]),
        ("created ConfigMap/long/name", ["created ", "ConfigMap/", "long/name"]),
        ("label   0123456789abcdef", ["label   01234", "56789abcde", "f"]),
    ],
)
def test_words_that_fit_into_no_line_break_at_their_joints(text: str, lines: list[str]) -> None:
    places = [0, *_breaks(text, 13, 10), len(text)]
    assert [text[start:end] for start, end in itertools.pairwise(places)] == lines


async def test_lines_of_a_text_stay_lines_and_are_indented() -> None:
    host = Host()
    async with host.run_test(size=(24, 10)) as pilot:
        document = host.query_one(Document)
        document.set_text([Paragraph(Text("Progressing\nNamespace/shop created\nJob/b"), indent=4)])
        await pilot.pause()
        wrapped = [piece.text.plain for piece in document.lines]
        assert wrapped == ["Progressing", "    Namespace/shop", "    created", "    Job/b"]
        document.action_wrap()
        cut = [piece.text.plain for piece in document.lines]
        assert cut == ["Progressing", "    Namespace/shop created", "    Job/b"]
