"""`python -m tests.readme`: writes the README's key table, which is made from the key table of the console."""

from __future__ import annotations

from pathlib import Path

from fluxtui.console import keys

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- keys -->\n", "<!-- /keys -->"


def table() -> str:
    """The keys by group, as Markdown."""
    lines = ["| keys | id | what |", "|---|---|---|"]
    for group, rows in keys.by_group():
        lines.append(f"| **{group}** | | |")
        for shown, binding in rows:
            text = shown.replace("\\", "\\\\").replace("|", "\\|")
            lines.append(f"| {text} | `{binding.id}` | {binding.tooltip} |")
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """The README with the table between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
