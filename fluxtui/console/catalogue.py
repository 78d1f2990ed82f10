"""The entries of the command palette: made from the key table, the views, themes, clusters and kinds there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from textual.dom import DOMNode

from fluxtui.api.kinds import BY_KIND
from fluxtui.console import keys
from fluxtui.console.screens.palette import Command
from fluxtui.console.themes import NAMES
from fluxtui.console.widgets.filterline import VIEW_LABELS
from fluxtui.fleet.lines import View, cluster_key
from fluxtui.fleet.text import one_line

if TYPE_CHECKING:
    from fluxtui.console.screens.fleet import FleetScreen

_HIDDEN = frozenset({"commands", "back", "leave"})
"""Bindings that make no sense from the palette."""


def catalogue(screen: FleetScreen, keymap: Mapping[str, str]) -> list[Command]:
    """Everything that can be called by name from the main screen."""
    return [
        *_keys(screen, keymap),
        *_views(screen),
        *_kinds(screen),
        *_clusters(screen),
        *_namespaces(screen),
        *_themes(screen),
    ]


def _keys(screen: FleetScreen, keymap: Mapping[str, str]) -> Iterator[Command]:
    nodes: tuple[tuple[str, DOMNode], ...] = (
        ("fleet", screen),
        ("tree", screen.fleet_tree),
        ("pane", screen.pane),
        ("document", screen.pane.document),
        ("app", screen.app),
    )
    for scope, node in nodes:
        for binding in keys.SCOPES[scope]:
            if binding.id and binding.id not in _HIDDEN and (binding.id != "outage" or screen.start.outage):
                action = binding.action

                def run(action: str = action, node: DOMNode = node) -> None:
                    screen.call_later(screen.app.run_action, action, node)

                key = keys.shown_first(keymap.get(binding.id, binding.key))
                yield Command(binding.id, binding.tooltip, run, key)
    yield Command("q", "Leave fluxtui", screen.app.exit)


def _views(screen: FleetScreen) -> Iterator[Command]:
    for view, label in VIEW_LABELS.items():

        def run(view: View = view) -> None:
            screen.set_view(view)

        yield Command(f"view {view.value}", f"Arrange the fleet: {label}", run)


def _kinds(screen: FleetScreen) -> Iterator[Command]:
    present = screen.census.kinds()
    for key in sorted(present & BY_KIND.keys(), key=list(BY_KIND).index):
        kind = BY_KIND[key]

        def run(word: str = kind.short) -> None:
            screen.filter_line.set_text(f"kind={word}")

        yield Command(kind.short, f"Only {kind.plural}", run)


def _clusters(screen: FleetScreen) -> Iterator[Command]:
    for cluster in screen.fleet.mirror.clusters:

        def run(cluster: str = cluster) -> None:
            screen.fleet_tree.go_to(cluster_key(cluster))

        yield Command(f"ctx {one_line(cluster)}", "Go to the cluster", run)


def _namespaces(screen: FleetScreen) -> Iterator[Command]:
    for namespace in screen.census.namespaces():

        def run(namespace: str = namespace) -> None:
            screen.filter_line.set_text(f"ns={namespace}")

        yield Command(f"ns {namespace}", "Only this namespace", run)


def _themes(screen: FleetScreen) -> Iterator[Command]:
    for name in NAMES:

        def run(name: str = name) -> None:
            screen.app.theme = name

        yield Command(f"theme {name}", "Switch the colours", run)
