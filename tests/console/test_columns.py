"""What lines say: whose state a cluster has, what a row tells in the width there is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from fluxtui.console.cells import Cells, paint
from fluxtui.console.columns import Brush, cells, cluster_state, cluster_words
from fluxtui.console.glyphs import UNICODE
from fluxtui.console.tabs.overview import overview
from fluxtui.console.themes import DARK, palette
from fluxtui.fleet.branches import Branch, Child
from fluxtui.fleet.clusters import ClusterInfo, Mode, Phase
from fluxtui.fleet.facts import SUSPEND_REASON, SUSPEND_UNTIL, SUSPENDED_AT
from fluxtui.fleet.happenings import Happening
from fluxtui.fleet.lines import Line, LineType, cluster_key
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.states import NO_COUNTS, State
from fluxtui.fleet.tree import Tree
from tests.fleet.objects import SECONDS, ago, failed, flux, mirror_of, ready, ref

STYLES = palette(DARK.to_color_system().generate() | DARK.variables)
APPS = ref("ks", "apps")


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(os.environ, "TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def brush(mirror: Mirror) -> Brush:
    return Brush(mirror, Tree(mirror), STYLES, UNICODE)


def row_cells(*objects: dict[str, Any]) -> Cells:
    mirror = mirror_of(prod=list(objects))
    return cells(Line(APPS, 2, LineType.OBJECT, cluster="prod", ref=APPS), brush(mirror))


def text_of(cluster: ClusterInfo) -> str:
    mirror = Mirror(lambda: SECONDS)
    mirror.set_cluster(cluster)
    line = Line(cluster_key(cluster.id), 0, LineType.CLUSTER, cluster=cluster.id)
    return "\n".join(paragraph.text.plain for paragraph in overview(line, brush(mirror)))


def pane(mirror: Mirror, happenings: tuple[Happening, ...] = ()) -> str:
    line = Line(APPS, 2, LineType.OBJECT, cluster="prod", ref=APPS)
    return "\n".join(paragraph.text.plain for paragraph in overview(line, brush(mirror), None, happenings))


LIVE = ClusterInfo(id="prod", phase=Phase.LIVE, kinds=13, synced=13, mode=Mode.DELEGATED)
CLUSTERS = [
    (LIVE, State.READY),
    (msgspec.structs.replace(LIVE, phase=Phase.DENIED), State.FAILED),
    (msgspec.structs.replace(LIVE, phase=Phase.UNREACHABLE), State.UNREACHABLE),
    (msgspec.structs.replace(LIVE, kinds=0), State.UNKNOWN),
    (msgspec.structs.replace(LIVE, phase=Phase.DEGRADED, kinds=2, forbidden=("a", "b")), State.UNKNOWN),
    (msgspec.structs.replace(LIVE, phase=Phase.DEGRADED, kinds=2, forbidden=("a",)), State.READY),
    (msgspec.structs.replace(LIVE, phase=Phase.DEGRADED, kinds=2, silent=("a",)), State.UNREACHABLE),
    (msgspec.structs.replace(LIVE, phase=Phase.SYNCING), State.PROGRESSING),
]


@pytest.mark.parametrize(("info", "state"), CLUSTERS)
def test_a_cluster_is_well_only_when_it_is_read(info: ClusterInfo, state: State) -> None:
    assert cluster_state(info, NO_COUNTS) == state


def test_a_cluster_names_the_kinds_that_are_not_heard() -> None:
    text = text_of(
        msgspec.structs.replace(LIVE, phase=Phase.DEGRADED, silent=("gitrepositories.x",), error="Unauthorized")
    )
    assert text.startswith("⌁ 1 kind unreachable · ")
    assert "Unauthorized" in text
    assert text.endswith("not heard any more\ngitrepositories.x")


def test_a_cluster_that_turns_us_away_says_so_once() -> None:
    text = text_of(msgspec.structs.replace(LIVE, phase=Phase.DENIED, error="Unauthorized"))
    assert text.count("Unauthorized") == 1
    assert text.startswith("✗")


def test_a_cluster_that_nothing_reconciles_says_what_would() -> None:
    nobody = msgspec.structs.replace(LIVE, mode=Mode.NONE)
    assert "fluxtui engine --context prod" in text_of(nobody)
    assert "fluxtui install" not in text_of(nobody)
    empty = msgspec.structs.replace(nobody, kinds=0, synced=0)
    assert cluster_words(empty, brush(Mirror())) == "no Flux here"
    assert "fluxtui install --context prod" in text_of(empty)
    assert "fluxtui" not in text_of(LIVE)


def test_a_cluster_whose_controllers_fell_silent_says_so() -> None:
    killed = msgspec.structs.replace(LIVE, mode=Mode.EMBEDDED, stale_controllers=("kustomize-controller",))
    assert cluster_words(killed, brush(Mirror())) == "embedded engine · leases not renewed"


def test_a_long_name_leaves_a_third_to_what_is_wrong() -> None:
    long = Cells(2, glyph="✗", kind="ks", name="segment-" * 20, message="health check failed", tail="4m")
    line = paint(long, 80, STYLES, UNICODE).text
    assert len(line) == 80
    assert "health check failed" in line
    short = Cells(2, glyph="✗", kind="ks", name="apps", message="health check failed " * 9, tail="4m")
    assert "apps  health check failed" in paint(short, 80, STYLES, UNICODE).text


def test_a_name_keeps_the_line_when_nothing_is_to_be_said() -> None:
    line = paint(Cells(2, name="segment-" * 20, tail="4m"), 80, STYLES, UNICODE).text
    assert line.count("segment-") >= 8


def test_a_suspended_row_says_so_and_since_when() -> None:
    suspended = row_cells(flux("ks", "apps", ready(), spec={"suspend": True}))
    assert suspended.message == "suspended"
    notes = {SUSPEND_REASON: "migration", SUSPENDED_AT: ago(minutes=3), SUSPEND_UNTIL: "2026-12-01T18:00:00Z"}
    held = row_cells(flux("ks", "apps", ready(), spec={"suspend": True}, annotations=notes))
    assert held.message == "migration, until 2026-12-01 18:00"
    assert held.tail == "3m"


def test_a_message_of_any_length_leaves_room_for_the_rest() -> None:
    mirror = mirror_of(prod=[flux("ks", "apps", failed("BuildFailed", "word " * 1000), spec={"path": "./apps"})])
    text = pane(mirror)
    assert len(text) < 1400
    assert "more characters" in text


def test_why_names_the_pod_where_it_is_known() -> None:
    mirror = mirror_of(prod=[flux("ks", "apps", failed("HealthCheckFailed", "Deployment/web/api"))])
    api, pod = Ref("prod", "apps", "Deployment", "web", "api"), Ref("prod", "", "Pod", "web", "api-x2kqp")
    mirror.set_branch(APPS, Branch((Child(api, "v1", State.FAILED, "Progress deadline exceeded"),)))
    assert "Deployment web/api  Progress deadline exceeded" in pane(mirror)
    mirror.set_branch(api, Branch((Child(pod, "v1", State.FAILED, "exit 1: DB_URL is not set"),)))
    assert "Pod api-x2kqp  exit 1: DB_URL is not set" in pane(mirror)


def test_recent_is_what_the_object_tells_and_what_goes_wrong_below_it() -> None:
    def event(kind: str, name: str, reason: str, *, warning: bool) -> Happening:
        namespace = APPS.namespace if kind == APPS.kind else "web"
        return Happening(SECONDS, SECONDS, warning, reason, "", kind, namespace, name)

    mirror = mirror_of(prod=[flux("ks", "apps", ready())])
    text = pane(
        mirror,
        (
            event("Kustomization", "apps", "Progressing", warning=False),
            event("Pod", "api", "BackOff", warning=True),
            *(event("Pod", "api", "Pulled", warning=False) for _ in range(9)),
        ),
    )
    assert "Progressing" in text
    assert "BackOff" in text
    assert "Pulled" not in text


def test_what_is_told_again_and_again_is_recent_once() -> None:
    def event(seconds: float, message: str) -> Happening:
        return Happening(seconds, seconds, True, "HealthCheckFailed", message, APPS.kind, APPS.namespace, APPS.name)

    mirror = mirror_of(prod=[flux("ks", "apps", ready())])
    again = [event(SECONDS - 90 + 30 * n, f"health check failed after {n}.5s: not ready") for n in range(3)]
    text = pane(mirror, (*again[:2], event(SECONDS - 40, "another thing"), again[2]))
    assert text.count("HealthCheckFailed") == 2
    assert "HealthCheckFailed ×3" in text
