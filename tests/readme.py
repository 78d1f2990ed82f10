"""`python -m tests.readme`: writes the README's key table, which is made from the key table of the console."""

from __future__ import annotations

from pathlib import Path

from fluxtui.console import keys

README = Path(__file__).parents[1] / "README.md"


def table() -> str:
    """The keys by group, as Markdown."""
    lines = ["| keys | id | what |", "|---|---|---|"]
    for group, rows in keys.by_group():
        lines.append(f"| **{group}** | | |")
        for shown, binding in rows:
            text = shown.replace("\\", "\\\\").replace("|", "\\|")
            lines.append(f"| {text} | `{binding.id}` | {binding.tooltip} |")
    return "\n".join(lines) + "\n"


def with_part(text: str, name: str, part: str) -> str:
    """A text with `part` between the marks of that name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return before + begin + part + end + after


def write(name: str, part: str) -> None:
    """Put `part` between the marks of that name in the README."""
    README.write_text(with_part(README.read_text(), name, part))


if __name__ == "__main__":
    write("keys", table())
