"""The Overview of a cluster: who reconciles it, how it answers, what may not be read, and what can be done about it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rich.text import Text

from fluxtui.api.meta import FLUX_NAMESPACE
from fluxtui.console import keys
from fluxtui.console.columns import Brush, cluster_state, cluster_words, count_cells
from fluxtui.console.tabs.layout import BLANK, heading, labelled, words
from fluxtui.console.widgets.document import Paragraph
from fluxtui.fleet.clusters import ClusterInfo, Mode, Phase
from fluxtui.fleet.lines import Line
from fluxtui.fleet.states import NO_COUNTS
from fluxtui.fleet.text import one_line


def cluster(line: Line, brush: Brush) -> Iterator[Paragraph]:
    """All that is known of a CLUSTER line's cluster, and what can be done where nothing goes on in it."""
    palette = brush.palette
    info = brush.mirror.clusters[line.cluster]
    counts = brush.tree.counts(line)
    # Of the cluster alone: its objects are counted below.
    state = cluster_state(info, NO_COUNTS)
    head = Text(f"{brush.glyph(state)} ", brush.state(state))
    said = cluster_words(info, brush)
    yield Paragraph(head.append(said, palette.ink))
    if info.error and one_line(info.error) not in said:
        yield Paragraph(Text(one_line(info.error), palette.error if info.is_lost else palette.warning), indent=2)
    yield from _advice(info, brush)
    yield BLANK
    yield labelled(
        "objects", words(count_cells(counts, brush), "") if any(counts) else Text("none", palette.muted), brush
    )
    facts = [
        ("server", info.server),
        ("kube", info.kubernetes_version),
        ("flux", info.flux_version),
        ("holder", info.holder),
        ("answers", f"in {round(info.latency * 1000)}ms" if info.latency and not info.is_lost else ""),
        ("kinds", f"{info.synced} of {info.kinds} watched" if info.kinds else ""),
    ]
    for label, value in facts:
        if value:
            yield labelled(label, Text(one_line(value), palette.ink), brush)
    if info.stale_controllers:
        text = Text(
            f"{', '.join(info.stale_controllers)} in {FLUX_NAMESPACE} do not renew their lease", palette.warning
        )
        yield labelled("lease", text, brush)
    for title, resources in (("may not be read", info.forbidden), ("not heard any more", info.silent)):
        if resources:
            yield BLANK
            yield heading(title, brush)
        for resource in resources:
            yield Paragraph(Text(one_line(resource), palette.warning), indent=2)


def _advice(info: ClusterInfo, brush: Brush) -> Iterator[Paragraph]:
    """What can be done about a cluster that nothing reconciles or that turns us away."""
    palette = brush.palette
    verbs: tuple[str, ...] = ()
    if info.refused and not info.distrusted:
        said = "What is shown is live, but nothing can be opened or done. The cluster is asked again now and then."
    elif info.phase is Phase.DENIED or info.refused:
        said = "Its credentials are tried again now and then, and at once when its kubeconfig changes."
    elif not info.is_settled or info.is_lost or info.mode not in (Mode.NONE, Mode.UNKNOWN):
        return
    elif not info.kinds:
        said = "It serves none of Flux's kinds. To have fluxtui reconcile it:"
        verbs = ("install", "engine")
    elif info.mode is Mode.NONE:
        said = "Nobody reconciles it: no controller holds a Lease."
        verbs = ("engine",)
    else:
        return
    yield BLANK
    yield Paragraph(Text(said, palette.muted))
    if verbs == ("engine",):
        key = Text(f"  {keys.shown_of('engine', brush.keymap)}", palette.key)
        yield Paragraph(key.append("  starts an engine on this machine", palette.muted))
    for verb in verbs:
        yield Paragraph(Text(f"  fluxtui {verb} --context {shlex.quote(one_line(info.id))}", palette.link), indent=4)
