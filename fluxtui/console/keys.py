"""The key table: the only place with key strings. Help, footer, palette and the README's table are made from it.

Every binding has an id (the settings file remaps by it), a description, a tooltip and a group. Scopes say where a
binding is active; a scope sees its parents' bindings too, so the same key may not mean two things along one chain.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from textual.binding import Binding
from textual.keys import KEY_ALIASES, KEY_NAME_REPLACEMENTS, Keys

MOVE = Binding.Group("Move")
SHOW = Binding.Group("Look closer")
ACT = Binding.Group("Act on objects")
MARK = Binding.Group("Mark")
FIND = Binding.Group("Find")
TEXT = Binding.Group("Inside the pane")
PROGRAM = Binding.Group("Program")
FIELDS = Binding.Group("In dialogs and fields")

GROUPS: tuple[Binding.Group, ...] = (MOVE, FIND, ACT, MARK, SHOW, TEXT, PROGRAM, FIELDS)
"""In the order help shows them."""


def _key(keys: str, action: str, identity: str, description: str, tooltip: str, group: Binding.Group) -> Binding:
    # Keys act at once and in their order: what is typed behind one that moves the focus belongs to the new focus. Only
    # what must be a letter while one is typing waits until nobody else wants it.
    patient = (group is FIELDS and identity not in ("next-field", "previous-field")) or identity in ("quit", "theme")
    return Binding(
        keys, action, description, show=False, priority=not patient, tooltip=tooltip, id=identity, group=group
    )


APP: tuple[Binding, ...] = (
    _key("Q,ctrl+q,ctrl+c", "quit", "quit", "quit", "Leave fluxtui", PROGRAM),
    _key("T", "next_theme", "theme", "theme", "Next colour theme", PROGRAM),
)

LIST: tuple[Binding, ...] = (
    _key("down,j", "move(1)", "down", "down", "Move the selection down", MOVE),
    _key("up,k", "move(-1)", "up", "up", "Move the selection up", MOVE),
    _key("pagedown,ctrl+f", "page(1)", "page-down", "page down", "Move down one page", MOVE),
    _key("pageup,ctrl+b", "page(-1)", "page-up", "page up", "Move up one page", MOVE),
    _key("home", "edge(-1)", "first", "first", "Move to the first line", MOVE),
    _key("end", "edge(1)", "last", "last", "Move to the last line", MOVE),
    _key("enter", "activate", "open", "open", "Open the branch, read the object", MOVE),
)

TREE: tuple[Binding, ...] = (
    _key("right", "unfold", "unfold", "unfold", "Open the branch", MOVE),
    _key("left,h", "fold", "fold", "fold", "Close the branch, go to its parent", MOVE),
    _key("x", "unfold_all", "unfold-all", "unfold all", "Open or close all below", MOVE),
    _key("n", "next_match(1)", "next-match", "next match", "Next match, else next failure", FIND),
    _key("N", "next_match(-1)", "previous-match", "previous match", "Previous match, else failure", FIND),
    _key("space", "mark", "mark", "mark", "Mark the object and move on", MARK),
    _key("v", "mark_range", "mark-range", "range", "Mark from the last mark on", MARK),
)

FLEET: tuple[Binding, ...] = (
    _key("R", "act('reconcile')", "reconcile", "reconcile", "Reconcile now", ACT),
    _key(
        "W",
        "act('reconcile with source')",
        "reconcile-with-source",
        "with source",
        "Fetch its source, reconcile",
        ACT,
    ),
    _key("s", "act('suspend')", "suspend", "suspend", "Suspend, with a reason", ACT),
    _key("r", "act('resume')", "resume", "resume", "Resume", ACT),
    _key("ctrl+e", "engine", "engine", "engine", "Start or stop our engine on a cluster", ACT),
    _key("d", "tab('overview')", "overview", "overview", "State, cause and settings", SHOW),
    _key("E", "tab('events')", "events", "events", "Events, of what it owns too", SHOW),
    _key("l", "tab('logs')", "logs", "logs", "What controllers and workloads say", SHOW),
    _key("t", "tab('trace')", "trace", "trace", "From source to dependents", SHOW),
    _key("D", "tab('diff')", "diff", "diff", "What applying now would change", SHOW),
    _key("H", "tab('history')", "history", "history", "Earlier revisions, how they went", SHOW),
    _key("y", "tab('yaml')", "yaml", "yaml", "The object as YAML", SHOW),
    _key("tab", "switch_pane", "switch-pane", "other pane", "Between tree and pane", SHOW),
    _key("z", "zoom", "zoom", "zoom", "Active side alone, and back", SHOW),
    _key("slash", "filter", "filter", "filter", "Filter the fleet; in the pane, search", FIND),
    _key("V", "next_view(1)", "view", "view", "Next view of the fleet", FIND),
    _key("S", "next_order", "sort", "sort", "Sort by name, state or change", FIND),
    _key("left_square_bracket", "history(-1)", "history-back", "back", "The object looked at before", FIND),
    _key("right_square_bracket", "history(1)", "history-forward", "forward", "The object looked at after", FIND),
    _key("minus", "last", "last-object", "last", "Swap with the object before", FIND),
    _key("c", "copy_name", "copy-name", "copy", "Copy the name to the clipboard", FIND),
    _key("ctrl+backslash", "clear_marks", "clear-marks", "clear", "Remove all marks", MARK),
    _key("colon", "palette", "commands", "commands", "Commands, views, clusters, kinds", PROGRAM),
    _key("question_mark", "help", "help", "keys", "This help", PROGRAM),
    _key("O", "outage", "outage", "outage", "Demo: cut a cluster off, or back", PROGRAM),
    _key("escape", "back", "back", "back", "Out of pane, zoom, marks, filter", PROGRAM),
    _key("q", "leave", "leave", "back", "Back; at the root, leave", PROGRAM),
)

PANE: tuple[Binding, ...] = (
    _key("right", "next_tab(1)", "next-tab", "next tab", "Next tab", TEXT),
    _key("left,h", "next_tab(-1)", "previous-tab", "previous tab", "Previous tab", TEXT),
    _key("f", "wish('follow')", "follow", "follow", "Follow the logs, or pause", TEXT),
    _key("x", "wish('reveal')", "reveal", "reveal", "Show or mask Secret data", TEXT),
    _key("m", "wish('managed_fields')", "managed-fields", "managed fields", "Show or fold managedFields", TEXT),
    _key("C", "wish('copy')", "copy-text", "copy all", "Copy the text of the tab", TEXT),
)

DOCUMENT: tuple[Binding, ...] = (
    _key("n", "next_hit(1)", "next-hit", "next hit", "Next hit of the search", TEXT),
    _key("N", "next_hit(-1)", "previous-hit", "previous hit", "Previous hit", TEXT),
    _key("w", "wrap", "wrap", "wrap", "Wrap long lines, or cut them", TEXT),
)

DIALOG: tuple[Binding, ...] = (
    _key("escape", "cancel", "cancel", "cancel", "Close, do nothing", FIELDS),
    _key("tab", "app.focus_next", "next-field", "next", "Next field", FIELDS),
    _key("shift+tab", "app.focus_previous", "previous-field", "previous", "Previous field", FIELDS),
)

CLOSE: tuple[Binding, ...] = (_key("q,question_mark", "cancel", "close", "close", "Close", FIELDS),)

PICK: tuple[Binding, ...] = (
    _key("down,ctrl+n", "pick(1)", "pick-next", "next", "Next entry", FIELDS),
    _key("up,ctrl+p", "pick(-1)", "pick-previous", "previous", "Previous entry", FIELDS),
)

PLAN: tuple[Binding, ...] = (_key("q", "cancel", "close-plan", "close", "Close; what runs, runs on", FIELDS),)

CRASH: tuple[Binding, ...] = (
    _key("c", "copy", "copy-report", "copy", "Copy the report", FIELDS),
    _key("q,escape,Q,ctrl+c,ctrl+q", "quit", "leave-report", "leave", "Leave", FIELDS),
)

SEARCH: tuple[Binding, ...] = (
    _key("escape", "close", "close-field", "close", "Leave a field, empty it", FIELDS),
    _key("down,up", "leave_down", "leave-field", "to the list", "Leave a field, keep its text", FIELDS),
)

SCOPES: Mapping[str, tuple[Binding, ...]] = {
    "app": APP,
    "list": LIST,
    "tree": TREE,
    "fleet": FLEET,
    "pane": PANE,
    "document": DOCUMENT,
    "dialog": DIALOG,
    "close": CLOSE,
    "pick": PICK,
    "plan": PLAN,
    "crash": CRASH,
    "search": SEARCH,
}

FOOTERS: Mapping[str, tuple[str, ...]] = {
    "tree": (
        "reconcile",
        "reconcile-with-source",
        "suspend",
        "resume",
        "events",
        "logs",
        "trace",
        "diff",
        "mark",
        "commands",
        "help",
    ),
    "document": ("back", "next-tab", "filter", "wrap", "follow", "copy-text", "zoom", "commands", "help"),
}
"""The bindings that the footer names where the focus is, the most wanted first."""

CHAINS: tuple[tuple[str, ...], ...] = (
    ("tree", "list", "fleet", "app"),
    ("document", "list", "pane", "fleet", "app"),
    ("close", "dialog", "list", "app"),
    ("pick", "dialog", "app"),
    ("plan", "dialog", "list", "app"),
    ("document", "list", "crash"),
    ("search",),
)
"""Which scopes are active together, innermost first."""


PANE_WORDS: Mapping[str, str] = {"filter": "search"}
"""What a binding is called in the footer while the pane has the focus, where it does something else there."""


def footer(place: str) -> list[Binding]:
    """The bindings of a footer (a key of `FOOTERS`), called as it calls them."""
    table = {binding.id: binding for binding in all_bindings()}
    found = [table[identity] for identity in FOOTERS[place]]
    words = PANE_WORDS if place == "document" else {}
    return [dataclasses.replace(each, description=words.get(each.id or "", each.description)) for each in found]


def all_bindings() -> Iterator[Binding]:
    """Every binding of the table, scope by scope."""
    for bindings in SCOPES.values():
        yield from bindings


def by_group(keymap: Mapping[str, str] | None = None) -> list[tuple[str, list[tuple[str, Binding]]]]:
    """(group title, [(keys as shown, binding)]) in the order of help, with the user's keys."""
    keymap = keymap or {}
    listing: list[tuple[str, list[tuple[str, Binding]]]] = []
    for group in GROUPS:
        rows = [(shown(keymap.get(b.id or "", b.key)), b) for b in all_bindings() if b.group is group]
        listing.append((group.description, rows))
    return listing


def split(keys: str) -> list[str]:
    """The single keys of a comma-separated list, in Textual's long names: `?` becomes `question_mark`."""
    names = []
    for key in (part.strip() for part in keys.split(",")):
        *modifiers, last = key.split("+")
        names.append("+".join([*modifiers, _long_name(last) if len(last) == 1 else last]))
    return names


def _long_name(character: str) -> str:
    """Textual's name of a key: letters and digits are themselves, `?` is `question_mark`."""
    if character.isalnum():
        return character
    name = unicodedata.name(character, character).lower().replace("-", "_").replace(" ", "_")
    return KEY_NAME_REPLACEMENTS.get(name, name)


_NAMES = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "minus": "-",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "ctrl+backslash": "ctrl-\\",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "down": "↓",
    "up": "↑",
    "left": "←",
    "right": "→",
    "escape": "esc",
}


def shown(keys: str) -> str:
    """Keys as people read them: `down,j` → `↓ j`."""
    return " ".join(_NAMES.get(key, key.replace("ctrl+", "ctrl-").replace("shift+", "shift-")) for key in split(keys))


def shown_first(keys: str) -> str:
    """The first of several keys, as people read it."""
    return shown(split(keys)[0])


def shown_of(identity: str, keymap: Mapping[str, str]) -> str:
    """The first key of a binding, the user's own if there is one, as people read it."""
    binding = next(each for each in all_bindings() if each.id == identity)
    return shown_first(keymap.get(identity, binding.key))


def problems(keymap: Mapping[str, str]) -> list[str]:
    """What is wrong with the user's keymap, one sentence each; empty when it can be used.

    Checked: unknown binding ids, keys Textual cannot name, and two bindings that are active together on one key.
    """
    known = {binding.id for binding in all_bindings()}
    found = [f"console.keymap: no key binding is called {identity!r}" for identity in keymap if identity not in known]
    for identity, keys in keymap.items():
        found += [f"console.keymap.{identity}: {key!r} is not a key" for key in split(keys) if not _is_key(key)]
    if found:
        return found
    return list(dict.fromkeys(sentence for chain in CHAINS for sentence in _conflicts(chain, keymap)))


def _conflicts(chain: Sequence[str], keymap: Mapping[str, str]) -> Iterator[str]:
    owners: dict[str, Binding] = {}
    for binding in (binding for scope in chain for binding in SCOPES[scope]):
        for key in split(keymap.get(binding.id or "", binding.key)):
            other = owners.setdefault(key, binding)
            if other.id == binding.id or not {other.id, binding.id} & keymap.keys():
                continue
            yield (
                f"console.keymap: {shown(key)!r} is bound twice, "
                f"to {other.id} ({other.tooltip.lower()}) and to {binding.id} ({binding.tooltip.lower()})"
            )


_KEY_NAMES = frozenset(str(key.value) for key in Keys) | frozenset(
    alias for aliases in KEY_ALIASES.values() for alias in aliases
)
_PUNCTUATION = frozenset(_long_name(chr(code)) for code in range(0x21, 0x7F))


def _is_key(key: str) -> bool:
    *modifiers, last = key.split("+")
    if not set(modifiers) <= {"ctrl", "shift", "alt", "super", "meta"}:
        return False
    if len(last) == 1 or key in _KEY_NAMES or last in _KEY_NAMES:
        return True
    return last in _PUNCTUATION
