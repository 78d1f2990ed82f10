"""How `diff kustomization` prints: what changes, once for all clusters where it is the same, and who changes what."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from fluxtui.cli import output
from fluxtui.fleet.text import lines as clean
from fluxtui.fleet.text import one_line, short_revision
from fluxtui.kube.changes import Action

if TYPE_CHECKING:
    from fluxtui.engine.controllers.kustomize.preview import Difference, Preview

Object = dict[str, Any]

WORDS = {
    Action.CREATED: "created",
    Action.CONFIGURED: "changed",
    Action.DELETED: "deleted",
    Action.UNCHANGED: "unchanged",
    Action.SKIPPED: "skipped",
}
"""Action → what is said of it."""
_COLOURS = {Action.CREATED: "green", Action.CONFIGURED: "yellow", Action.DELETED: "red"}
_MARKS = {"+": "green", "-": "red", "@": "cyan"}


class Compared(msgspec.Struct, frozen=True):
    """A Kustomization of a cluster, and what it would change or why that can't be told."""

    cluster: str
    namespace: str
    name: str
    preview: Preview | None = None
    problem: str = ""

    @property
    def path(self) -> str:
        """`kustomization/flux-system/apps`."""
        return f"kustomization/{self.namespace}/{self.name}"

    @property
    def differences(self) -> Sequence[Difference]:
        """What would become of its objects."""
        return self.preview.differences if self.preview else ()

    @property
    def problems(self) -> list[str]:
        """What went wrong."""
        return [self.problem] * bool(self.problem) + list(self.preview.refused if self.preview else ())

    @property
    def whose(self) -> list[str]:
        """With whose rights it was compared, if that needs a word."""
        if self.preview is None or not (self.preview.account or self.preview.not_as):
            return []
        account = self.preview.account
        return [one_line(f"as {account}" if account else f"with your rights, not those of {self.preview.not_as}")]

    def count(self, action: Action) -> int:
        """How many objects an action would be done to."""
        return sum(found.action is action for found in self.differences)

    @property
    def has_drift(self) -> bool:
        """Whether the cluster would be different afterwards."""
        return any(found.action.is_change for found in self.differences)


def show(found: Sequence[Compared], *, several: bool) -> None:
    """Print the differences; clusters for which they are the same share them."""
    groups: dict[tuple[str, tuple[str, ...]], list[Compared]] = {}
    for each in found:
        texts = tuple(text for part in each.differences for text in _texts(part))
        if texts or each.problems:
            groups.setdefault((each.path, (*texts, *each.problems, *each.whose)), []).append(each)
    for (path, _), members in groups.items():
        clusters = ", ".join(each.cluster for each in members) + "  " if several else ""
        revisions = {each.preview.revision for each in members if each.preview} - {""}
        at = f"  {', '.join(sorted(map(short_revision, revisions)))}" if revisions else ""
        click.echo(_styled(f"► {clusters}{path}{at}{''.join(f'  {word}' for word in members[0].whose)}", bold=True))
        for part in members[0].differences:
            for text in _texts(part):
                _print(part, text)
        for problem in members[0].problems:
            for text in clean(problem).splitlines():
                click.echo(_styled(f"  {output.sign(good=False)} {text}", fg="red"))


def summarize(found: Iterable[Compared], *, several: bool) -> None:
    """Print who changes what."""
    counted = (Action.CREATED, Action.CONFIGURED, Action.DELETED, Action.UNCHANGED, Action.SKIPPED)
    headings = ["CLUSTER"] * several + ["KUSTOMIZATION", "REVISION", *(WORDS[action].upper() for action in counted)]
    table = output.Table([*headings, "PROBLEM"])
    for each in found:
        counts = [str(each.count(action)) if each.preview else "" for action in counted]
        revision = (short_revision(each.preview.revision) or "local") if each.preview else ""
        problem = one_line(each.problems[0]) if each.problems else ""
        table.add([each.cluster] * several + [f"{each.namespace}/{each.name}", revision, *counts, problem])
    table.print()


def told(each: Compared) -> Object:
    """As JSON and YAML show it."""
    return {
        "cluster": each.cluster,
        "namespace": each.namespace,
        "name": each.name,
        "revision": each.preview.revision if each.preview else "",
        "serviceAccount": each.preview.account if each.preview else "",
        "problems": each.problems,
        "changes": [
            {
                "group": part.identity.group,
                "kind": part.identity.kind,
                "namespace": part.identity.namespace,
                "name": part.identity.name,
                "action": WORDS[part.action],
                "diff": "\n".join(unified(part)),
            }
            for part in each.differences
        ],
    }


def unified(part: Difference) -> Iterator[str]:
    """The lines of a unified diff of an object that would be changed, without file names."""
    if part.action is not Action.CONFIGURED and not part.recreated:
        return
    before, after = (_yaml(obj).splitlines() for obj in (part.before, part.after))
    for position, text in enumerate(difflib.unified_diff(before, after, n=3, lineterm="")):
        if position > 1:
            yield clean(text)


def _yaml(obj: Object | None) -> str:
    from fluxtui.kustomize.documents import write

    return write(obj) if obj else ""


def _texts(part: Difference) -> Iterator[str]:
    """What is printed of an object, nothing of one that stays as it is: a line, and its diff."""
    if part.action is Action.UNCHANGED:
        return
    word = "recreated" if part.recreated else WORDS[part.action]
    taken = ", fields of other tools are taken over" if part.taken_over else ""
    yield f"{one_line(str(part.identity))} {word}{taken}"
    yield from unified(part)


def _print(part: Difference, text: str) -> None:
    mark = text[:1]
    if mark in _MARKS or mark == " ":
        click.echo(_styled(f"    {text}", fg=_MARKS.get(mark)))
    else:
        click.echo(_styled(f"  {text}", fg=_COLOURS.get(part.action)))


def _styled(text: str, **style: Any) -> str:
    return click.style(text, **style) if output.in_colour() else text
