"""The Overview tab: the state and why, the chain it stands in, the settings that matter, what happened lately."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from rich.text import Text

from fluxtui.console.columns import Brush, count_cells
from fluxtui.console.tabs.cluster import cluster
from fluxtui.console.tabs.events import events
from fluxtui.console.tabs.history import first_bad
from fluxtui.console.tabs.layout import BLANK, heading, labelled, sentence, state_text, words
from fluxtui.console.text import long_span
from fluxtui.console.widgets.document import NO_BREAK, Paragraph
from fluxtui.fleet import failures
from fluxtui.fleet.branches import Child
from fluxtui.fleet.facts import SUSPEND_REASON, SUSPEND_UNTIL, SUSPENDED_AT, SUSPENDED_BY, moment
from fluxtui.fleet.happenings import Happening
from fluxtui.fleet.lines import Line, LineType
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row
from fluxtui.fleet.states import State
from fluxtui.fleet.text import brief, counted, one_line, short_revision, span
from fluxtui.fleet.trace import Role, Step, Trace, trace

MOST_CHAIN = 4
"""Dependents named in the chain; the rest is counted."""
MOST_MEMBERS = 500
MOST_RECENT = 5
MOST_MESSAGE = 1000
"""Characters of a message; the YAML has it whole."""

Object = Mapping[str, Any]


def overview(
    line: Line, brush: Brush, obj: Object | None = None, happenings: Sequence[Happening] = ()
) -> list[Paragraph]:
    """What is to be said about a line. `obj` and `happenings` are the full object of an OBJECT or CHILD line and its
    events, once they are there."""
    if line.type == LineType.OBJECT and line.ref:
        row = brush.mirror.rows.get(line.ref)
        if row is None:
            return [sentence("This object is gone.", brush)]
        return [*_object(row, brush, obj), *_recent(happenings, row.ref, brush)]
    if line.type == LineType.CHILD and line.child:
        return [*_child(line.child, brush, obj), *_recent(happenings, line.child.ref, brush)]
    if line.type == LineType.CLUSTER:
        return list(cluster(line, brush))
    if line.type == LineType.NOTICE:
        return [sentence(one_line(line.text), brush)]
    return list(_members(line, brush))


def _recent(happenings: Sequence[Happening], ref: Ref, brush: Brush) -> Iterator[Paragraph]:
    """The latest events; the Events tab has them all."""
    # Of what it owns, only trouble: that pods are scheduled and pulled hides what its controller says.
    telling = [found for found in happenings if found.warning or found.is_about(ref)]
    if telling:
        yield BLANK
        yield heading("recent", brush)
        yield from events(_together(telling)[-MOST_RECENT:], ref, brush, whole=False)


def _together(happenings: Sequence[Happening]) -> list[Happening]:
    """The same thing told again and again stands once, where it was told last."""
    found: dict[tuple[str, ...], Happening] = {}
    for each in happenings:
        key = (each.kind, each.namespace, each.name, each.reason, brief(each.message))
        before = found.pop(key, None)
        found[key] = msgspec.structs.replace(each, count=each.count + before.count) if before else each
    return list(found.values())


def _object(row: Row, brush: Brush, obj: Object | None) -> Iterator[Paragraph]:
    palette = brush.palette
    now = brush.mirror.clock()
    head = state_text(row.state, brush)
    if row.state != row.before:
        head.append("  was ", palette.muted).append_text(state_text(row.before, brush))
    if row.reason and row.reason != row.state.word:
        head.append(f"  {row.reason}", palette.muted)
    if row.changed:
        head.append(f"  {long_span(now - row.changed)}", palette.muted)
    yield Paragraph(head)
    # What a suspension says stands under "held".
    if row.message and not row.suspended_note:
        yield from _message(row.message, brush)
    yield BLANK
    found = trace(brush.mirror, row.ref)
    why = [*_why(row, found, brush), *(first_bad(obj, brush) if obj and row.before.is_trouble else ())]
    yield from why
    if why:
        yield BLANK
    if row.suspended:
        yield labelled("held", _suspension(row, obj, brush), brush)
    chain = _chain(found, brush)
    if chain is not None:
        yield labelled("chain", chain, brush)
    spread = _spread(row, brush)
    if spread is not None:
        yield labelled("spread", spread, brush)
    if chain is not None or spread is not None:
        yield BLANK
    yield from _settings(row, obj, brush)
    yield from _revisions(row, brush)


def _message(text: str, brush: Brush) -> Iterator[Paragraph]:
    """What the object says of itself, as far as it leaves room for the rest."""
    yield Paragraph(Text(text[:MOST_MESSAGE], brush.palette.ink))
    if len(text) > MOST_MESSAGE:
        yield sentence(f"{len(text) - MOST_MESSAGE} more characters: see YAML", brush)


def _why(row: Row, found: Trace, brush: Brush) -> Iterator[Paragraph]:
    """The root of the trouble: the object it waits for, or what of its own does not become ready."""
    palette = brush.palette
    if found.cause and len(found.chain) > 1:
        yield labelled("why", Text(found.cause, palette.error), brush)
    branch = brush.mirror.branches.get(row.ref)
    if branch is None or not row.before.is_trouble:
        return
    bad = [child for child in branch.children if child.state == State.FAILED and child.ref not in brush.mirror.rows]
    for child in bad[:3]:
        root = _failing_pod(child, brush) or child
        name = root.ref.name if root.ref.kind == "Pod" else root.ref.path
        text = Text(f"{root.ref.kind} {name}  ", palette.ink).append(root.message, palette.error)
        yield labelled("why", text, brush)


def _failing_pod(child: Child, brush: Brush) -> Child | None:
    """The pod that keeps a workload from being ready, if its pods are known."""
    branch = brush.mirror.branches.get(child.ref)
    pods = branch.children if branch else ()
    return next((pod for pod in pods if pod.state == State.FAILED and pod.message), None)


def _suspension(row: Row, obj: Object | None, brush: Brush) -> Text:
    """Who, since and until when, and why; what is known of it."""
    palette = brush.palette
    metadata = (obj or {}).get("metadata") or {}
    notes = metadata.get("annotations") or {}
    if not any(key in notes for key in (SUSPEND_REASON, SUSPENDED_BY, SUSPENDED_AT, SUSPEND_UNTIL)):
        return Text(row.suspended_note or "no reason was left", palette.ink if row.suspended_note else palette.muted)
    now = brush.mirror.clock()
    text = Text(one_line(notes.get(SUSPEND_REASON, "")) or "no reason was left", palette.ink)
    if SUSPENDED_BY in notes:
        text.append("  by ", palette.muted).append(one_line(notes[SUSPENDED_BY]), palette.ink)
    since = moment(one_line(notes.get(SUSPENDED_AT, "")))
    if since:
        text.append(f"  for {long_span(now - since)}", palette.muted)
    until = moment(one_line(notes.get(SUSPEND_UNTIL, "")))
    if until:
        left = (
            f"  ends in {long_span(until - now)}" if until > now else f"  its end passed {long_span(now - until)} ago"
        )
        text.append(left, palette.muted if until > now else palette.warning)
    return text


def _chain(found: Trace, brush: Brush) -> Text | None:
    """`✓ git fleet → ✓ infra → ✗ apps → ✗ apps-canary`; None when the object stands alone."""
    palette = brush.palette
    steps = [*found.of(Role.SOURCE), *found.of(Role.DEPENDENCY), *found.of(Role.SELF)]
    after = [*found.of(Role.CONSUMER), *found.of(Role.DEPENDENT)]
    if len(steps) + len(after) < 2:
        return None
    arrow = Text(f"{NO_BREAK}{brush.glyphs.arrow} ", palette.muted)
    text = arrow.join(_step(step, brush) for step in steps)
    if after:
        siblings = Text(", ", palette.muted).join(_step(step, brush) for step in after[:MOST_CHAIN])
        text.append_text(arrow).append_text(siblings)
    if len(after) > MOST_CHAIN:
        text.append(f"  and {len(after) - MOST_CHAIN} more", palette.muted)
    return text


def _step(step: Step, brush: Brush) -> Text:
    palette = brush.palette
    kind = f"{step.ref.word}{NO_BREAK}" if step.role in (Role.SOURCE, Role.CONSUMER) else ""
    text = Text(f"{brush.glyph(step.state)}{NO_BREAK}", brush.state(step.state)).append(kind, palette.muted)
    return text.append(step.ref.name, palette.strong if step.role == Role.SELF else palette.ink)


def _spread(row: Row, brush: Brush) -> Text | None:
    """Where else the same thing fails."""
    others = brush.alike(row)
    if not others:
        return None
    palette = brush.palette
    clusters = sorted({ref.cluster for ref in others} | {row.ref.cluster})
    if len(clusters) == 1:
        return Text(f"same failure of {len(others) + 1} objects in this cluster", palette.ink)
    text = Text("same failure in ", palette.ink).append(f"{len(clusters)} clusters", palette.error)
    return text.append(f": {', '.join(map(one_line, clusters))}", palette.muted)


def _settings(row: Row, obj: Object | None, brush: Brush) -> Iterator[Paragraph]:
    palette = brush.palette
    spec = (obj or {}).get("spec")
    if not isinstance(spec, dict):
        if row.detail:
            yield labelled("from", Text(row.detail, palette.ink), brush)
        if row.interval:
            yield labelled("every", Text(span(row.interval), palette.ink), brush)
        return
    for label, value in _facts(spec, row):
        yield labelled(label, Text(value, palette.ink), brush)
    every = [(one_line(str(spec[field])), field, name) for field, name in _TIMES if spec.get(field)]
    if every:
        text = Text("  ").join(
            Text.assemble((f"{name} " if name else "", palette.muted), (value, palette.ink)) for value, _, name in every
        )
        yield labelled("every", text, brush)
    flags = _flags(spec)
    if flags:
        yield labelled("flags", Text("  ".join(flags), palette.ink), brush)


_TIMES = (("interval", ""), ("retryInterval", "retry"), ("timeout", "timeout"))
_SWITCHES = ("prune", "wait", "force", "insecure", "passCredentials", "recurseSubmodules")
_COUNTED = (("patches", "patches"), ("images", "images"), ("components", "components"), ("healthChecks", "checks"))


def _facts(spec: Mapping[str, Any], row: Row) -> Iterator[tuple[str, str]]:
    """The settings that say where things come from and go to."""
    for label, field in (("url", "url"), ("path", "path"), ("image", "image"), ("address", "address")):
        if isinstance(spec.get(field), str):
            yield label, row.detail.partition("@")[0] if field == "url" else one_line(spec[field])
    reference = spec.get("ref")
    if isinstance(reference, dict) and reference:
        yield "ref", "  ".join(one_line(f"{key} {value}") for key, value in sorted(reference.items()))
    chart = spec.get("chart")
    if isinstance(chart, dict) or spec.get("chartRef"):
        yield "chart", row.detail or one_line(str((spec.get("chartRef") or {}).get("name", "")))
    for label, field in (("into", "targetNamespace"), ("as", "serviceAccountName"), ("release", "releaseName")):
        if spec.get(field):
            yield label, one_line(str(spec[field]))
    remote = (spec.get("kubeConfig") or {}).get("secretRef") if isinstance(spec.get("kubeConfig"), dict) else None
    if isinstance(remote, dict):
        yield "remote", f"cluster of Secret {one_line(str(remote.get('name', '')))}"


def _flags(spec: Mapping[str, Any]) -> list[str]:
    found = [name for name in _SWITCHES if spec.get(name) is True]
    build = spec.get("postBuild") or {}
    if isinstance(build, dict):
        count = len(build.get("substitute") or {}) + len(build.get("substituteFrom") or ())
        found += [f"substitute({count})"] if count else []
    found += [f"{name}({len(spec[field])})" for field, name in _COUNTED if isinstance(spec.get(field), list)]
    if spec.get("decryption"):
        found.append("decryption")
    if spec.get("valuesFrom"):
        found.append(f"valuesFrom({len(spec['valuesFrom'])})")
    return found


def _revisions(row: Row, brush: Brush) -> Iterator[Paragraph]:
    palette = brush.palette
    if row.revision:
        text = Text(row.short, palette.link)
        if row.managed_count:
            text.append(f"  {counted(row.managed_count, 'object')}", palette.muted)
        yield labelled("now", text, brush)
    if row.attempted and row.attempted != row.revision:
        tried = Text(short_revision(row.attempted), palette.link).append("  attempted", palette.muted)
        yield labelled("next", tried, brush)


def _child(child: Child, brush: Brush, obj: Object | None) -> Iterator[Paragraph]:
    palette = brush.palette
    head = state_text(child.state, brush)
    if child.changed:
        head.append(f"  {long_span(brush.mirror.clock() - child.changed)}", palette.muted)
    yield Paragraph(head)
    if child.message:
        yield Paragraph(Text(child.message, palette.ink))
    yield BLANK
    found = trace(brush.mirror, child.ref, child)
    owners = found.of(Role.OWNER)
    if owners:
        text = Text(f" {brush.glyphs.arrow} ", palette.muted).join(_step(step, brush) for step in owners)
        yield labelled("from", text, brush)
    spec, status = (obj or {}).get("spec") or {}, (obj or {}).get("status") or {}
    if isinstance(status, dict) and isinstance(spec, dict) and "replicas" in spec:
        ready, wanted = status.get("readyReplicas") or 0, spec["replicas"]
        yield labelled("ready", Text(f"{ready} of {wanted} replicas", palette.ink), brush)
    for name, image in _images(spec):
        yield labelled("image", words([(image, palette.link), (name, palette.muted)]), brush)
    if isinstance(spec, dict) and spec.get("nodeName"):
        yield labelled("node", Text(one_line(str(spec["nodeName"])), palette.ink), brush)


def _images(spec: Any) -> Iterator[tuple[str, str]]:
    template = spec.get("template") if isinstance(spec, dict) else None
    pod = template.get("spec") if isinstance(template, dict) else spec
    for container in pod.get("containers") or () if isinstance(pod, dict) else ():
        if isinstance(container, dict):
            yield one_line(str(container.get("name", ""))), short_revision(str(container.get("image", "")))


def _members(line: Line, brush: Brush) -> Iterator[Paragraph]:
    """The objects behind a group, a source or a failure; Enter jumps to them."""
    palette = brush.palette
    refs = brush.tree.members(line)
    counts = brush.tree.counts(line)
    yield Paragraph(words(count_cells(counts, brush), ""))
    if line.type == LineType.FAILURE:
        yield Paragraph(Text(one_line(line.text), palette.error), indent=2)
    yield BLANK
    waiting = set(failures.waiting(line, brush.mirror))
    ordered = sorted(refs, key=lambda ref: (ref in waiting, brush.mirror.rows[ref].state, ref))
    for number, ref in enumerate(ordered[:MOST_MEMBERS]):
        if number == len(refs) - len(waiting):
            yield BLANK
            yield heading("waiting for it" if number == 1 else "waiting for them", brush)
        yield _member(ref, brush)
    if len(refs) > MOST_MEMBERS:
        yield sentence(f"{len(refs) - MOST_MEMBERS} more are not shown", brush)


def _member(ref: Ref, brush: Brush) -> Paragraph:
    palette = brush.palette
    row = brush.mirror.rows[ref]
    text = Text(f"{brush.glyph(row.state)} ", brush.state(row.state)).append(f"{ref.word} ", palette.muted)
    text.append(ref.path, palette.ink).append(f"  {one_line(ref.cluster)}", palette.muted)
    return Paragraph(text.append(f"  {row.short}", palette.link), target=ref, indent=2)
