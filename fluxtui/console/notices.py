"""What stands in place of the tree when there are no lines: each case says what is so and what can be done."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from fluxtui.console import keys
from fluxtui.console.columns import Brush
from fluxtui.console.themes import Palette
from fluxtui.fleet.text import counted


def empty_tree(brush: Brush, filter_text: str, origin: str, problem: str = "") -> Text:
    """The words for a tree without lines.

    Args:
        filter_text: the filter, as typed.
        problem: what is wrong with it.
        origin: where clusters were looked for: the kubeconfig files, in words.
    """
    mirror, palette = brush.mirror, brush.palette
    if not mirror.clusters:
        return _no_clusters(origin, palette)
    if problem:
        page = _page("The filter can't be read", [problem], palette)
        # In the field, the key of the help is a letter of the filter.
        key = " ".join(keys.shown_of(each, brush.keymap) for each in ("leave-field", "help"))
        return page.append(f"\n\n{key}", palette.key).append("  explains the filter", palette.muted)
    if filter_text:
        return _nothing_matches(brush, filter_text)
    return _page("Nothing here", ["No cluster has anything to show in this view."], palette)


def _no_clusters(origin: str, palette: Palette) -> Text:
    page = _page("No clusters yet", [f"Looked in {origin}." if origin else "No kubeconfig was found."], palette)
    page.append("\n\nTo see your fleet\n", palette.muted)
    page.append("  fluxtui --kubeconfig ~/.kube/config\n", palette.link)
    page.append("  fluxtui --kubeconfig 'clusters/*.yaml' --context 'prod-*'\n", palette.link)
    page.append("\nWithout any cluster, docker or network\n", palette.muted)
    page.append("  fluxtui demo", palette.link)
    page.append("   a sandbox fleet, gone when you leave", palette.muted)
    return page


def _nothing_matches(brush: Brush, filter_text: str) -> Text:
    mirror, palette = brush.mirror, brush.palette
    total = sum(mirror.counts())
    page = _page(
        "Nothing matches",
        [f"None of {counted(total, 'object')} in {counted(len(mirror.clusters), 'cluster')} matches"],
        palette,
    )
    page.append(f"  {filter_text}", palette.link)
    key = keys.shown_of("back", brush.keymap)
    return page.append(f"\n\n{key}", palette.key).append("  drops the filter", palette.muted)


def _page(title: str, lines: Sequence[str], palette: Palette) -> Text:
    text = Text().append(f"{title}\n", palette.strong)
    for line in lines:
        text.append(f"\n{line}", palette.ink)
    return text
