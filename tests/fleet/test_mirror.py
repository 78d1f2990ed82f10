"""The mirror: events and re-lists lead to the same rows, counts and links; clusters are never confused."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxtui.api.kinds import Category
from fluxtui.api.meta import REQUESTED_AT
from fluxtui.fleet.branches import Branch, Child
from fluxtui.fleet.clusters import ClusterInfo, Phase
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.states import State
from tests.fleet.objects import SECONDS, ago, failed, flux, mirror_of, ready, ref

KS = ref("ks").group, ref("ks").kind


def count(mirror: Mirror, cluster: str = "", category: Category | None = None) -> dict[str, int]:
    return {state.name: number for state, number in zip(State, mirror.counts(cluster, category), strict=True) if number}


class Clock:
    def __init__(self) -> None:
        self.now = SECONDS

    def __call__(self) -> float:
        return self.now


def test_the_same_name_in_two_clusters_is_two_rows() -> None:
    mirror = mirror_of(east=[flux("ks", "apps", ready())], west=[flux("ks", "apps", failed())])
    east, west = ref("ks", "apps", "east"), ref("ks", "apps", "west")
    assert (mirror.rows[east].state, mirror.rows[west].state) == (State.READY, State.FAILED)
    mirror.upsert("east", [flux("ks", "apps", failed())])
    mirror.remove([west])
    assert list(mirror.rows) == [east]
    assert count(mirror) == {"FAILED": 1}
    assert count(mirror, "west") == {}


def test_a_relist_removes_what_vanished_and_nothing_else() -> None:
    mirror = mirror_of(c=[flux("ks", "a"), flux("ks", "b"), flux("git", "a")], d=[flux("ks", "b")])
    kept = mirror.upsert("c", [flux("ks", "a")])
    mirror.retain("c", *KS, kept)
    assert {(each.cluster, each.kind, each.name) for each in mirror.rows} == {
        ("c", "Kustomization", "a"),
        ("c", "GitRepository", "a"),
        ("d", "Kustomization", "b"),
    }


def test_changes_are_told_once_until_they_are_taken() -> None:
    kicks: list[None] = []
    mirror = mirror_of(c=[flux("ks", "a", ready())])
    mirror.on_change = lambda: kicks.append(None)
    mirror.upsert("c", [flux("ks", "a", failed())])
    mirror.upsert("c", [flux("ks", "a", ready())])
    assert len(kicks) == 1
    changes = mirror.drain()
    assert (changes.rows, changes.structure) == ({ref("ks", "a", "c")}, False)
    mirror.upsert("c", [flux("ks", "b")])
    assert len(kicks) == 2
    assert mirror.drain().structure
    assert mirror.drain() == (set(), set(), set(), False)


@pytest.mark.parametrize(
    "obj",
    [
        flux("ks", "a", ready(), status={"inventory": {"entries": [{"id": "x_y__ConfigMap", "v": "v1"}]}}),
        flux("ks", "a", ready(), labels={"kustomize.toolkit.fluxcd.io/name": "root"}),
        flux("ks", "a", ready(), spec={"sourceRef": {"kind": "Bucket", "name": "b"}}),
    ],
)
def test_other_links_are_a_change_of_structure(obj: dict[str, Any]) -> None:
    mirror = mirror_of(c=[flux("ks", "a", ready())])
    before = mirror.revision("c", Category.KUSTOMIZATIONS)
    mirror.upsert("c", [obj])
    assert mirror.drain().structure
    assert mirror.revision("c", Category.KUSTOMIZATIONS) != before


def test_links_are_kept_both_ways() -> None:
    owner = {"kustomize.toolkit.fluxcd.io/name": "root", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
    inventory = {"inventory": {"entries": [{"id": "web_api_apps_Deployment", "v": "v1"}]}}
    apps = flux(
        "ks",
        "apps",
        labels=owner,
        spec={"sourceRef": {"kind": "GitRepository", "name": "fleet"}, "dependsOn": [{"name": "infra"}]},
        status=inventory,
    )
    mirror = mirror_of(c=[flux("ks", "root"), flux("git", "fleet"), flux("ks", "infra"), apps])
    here = ref("ks", "apps", "c")
    assert mirror.owned(ref("ks", "root", "c")) == {here}
    assert mirror.consumers(ref("git", "fleet", "c")) == {here}
    assert mirror.dependents(ref("ks", "infra", "c")) == {here}
    assert mirror.owners(Ref("c", "apps", "Deployment", "web", "api")) == [here]
    assert mirror.owners(Ref("c", "apps", "Deployment", "web", "ap")) == []
    assert mirror.owners(Ref("d", "apps", "Deployment", "web", "api")) == []
    mirror.upsert("c", [flux("ks", "apps")])
    assert not mirror.owned(ref("ks", "root", "c"))
    assert not mirror.consumers(ref("git", "fleet", "c"))
    assert not mirror.dependents(ref("ks", "infra", "c"))


def test_the_root_that_applies_itself_has_no_owner() -> None:
    owner = {"kustomize.toolkit.fluxcd.io/name": "root", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
    mirror = mirror_of(c=[flux("ks", "root", labels=owner)])
    assert mirror.rows[ref("ks", "root", "c")].owner is None


def test_a_lost_kind_turns_unreachable_with_time_and_fresh_with_the_next_list() -> None:
    clock = Clock()
    mirror = Mirror(clock)
    mirror.set_cluster(ClusterInfo(id="c", phase=Phase.LIVE))
    mirror.upsert("c", [flux("ks", "a", ready()), flux("ks", "b", failed()), flux("git", "a", ready())])
    mirror.set_lost("c", *KS, SECONDS)
    assert mirror.refresh() == SECONDS + 30
    assert count(mirror) == {"READY": 2, "FAILED": 1}
    clock.now += 31
    mirror.refresh()
    assert count(mirror) == {"UNREACHABLE": 2, "READY": 1}
    assert set(mirror.troubled) == {ref("ks", "a", "c"), ref("ks", "b", "c")}
    assert mirror.rows[ref("ks", "b", "c")].before == State.FAILED
    kept = mirror.upsert("c", [flux("ks", "a", ready())])
    mirror.retain("c", *KS, kept)
    assert count(mirror) == {"READY": 2}
    assert not mirror.troubled


def test_time_alone_makes_rows_overdue() -> None:
    clock = Clock()
    mirror = Mirror(clock)
    asked = flux("ks", "a", ready(), spec={"interval": "1m"}, annotations={REQUESTED_AT: ago(seconds=0)})
    mirror.upsert("c", [asked])
    mirror.drain()
    for _ in range(3):
        mirror.upsert("c", [asked])
    assert mirror.refresh() == SECONDS + 120
    clock.now += 121
    mirror.refresh()
    assert count(mirror) == {"OVERDUE": 1}
    assert mirror.drain().rows == {ref("ks", "a", "c")}


def test_a_controller_that_stops_renewing_makes_its_ready_rows_overdue() -> None:
    mirror = mirror_of(c=[flux("ks", "a", ready()), flux("hr", "b", ready())])
    info = mirror.clusters["c"]
    mirror.set_cluster(ClusterInfo(id="c", phase=info.phase, stale_controllers=("helm-controller",)))
    assert count(mirror, "c") == {"OVERDUE": 1, "READY": 1}
    mirror.upsert("c", [flux("hr", "b", ready("again"))])
    assert count(mirror, "c", Category.RELEASES) == {"OVERDUE": 1}
    mirror.set_cluster(info)
    assert count(mirror, "c") == {"READY": 2}


def test_dropping_a_cluster_leaves_nothing_of_it() -> None:
    mirror = mirror_of(c=[flux("ks", "a", spec={"dependsOn": [{"name": "b"}]})], d=[flux("ks", "a")])
    mirror.set_branch(ref("ks", "a", "c"), Branch((Child(Ref("c", "", "Pod", "n", "p")),)))
    mirror.set_lost("c", *KS, SECONDS)
    mirror.drop_cluster("c")
    assert list(mirror.rows) == [ref("ks", "a", "d")]
    assert list(mirror.clusters) == ["d"]
    assert not mirror.branches
    assert not mirror.dependents(ref("ks", "b", "c"))
    assert mirror.refresh() == float("inf")


names = st.sampled_from("abcd")
objects = st.builds(
    lambda word, name, verdict, source, owner, suspend: flux(
        word,
        name,
        *verdict,
        spec={
            "sourceRef": {"kind": "GitRepository", "name": source},
            "suspend": suspend,
            "dependsOn": [{"name": owner}],
        },
        labels={"kustomize.toolkit.fluxcd.io/name": owner, "kustomize.toolkit.fluxcd.io/namespace": "flux-system"},
    ),
    st.sampled_from(("ks", "git", "hr")),
    names,
    st.sampled_from(((), (ready(),), (failed(),))),
    names,
    names,
    st.booleans(),
)
steps = st.lists(
    st.tuples(st.sampled_from(("upsert", "upsert", "delete")), st.sampled_from("xy"), objects), max_size=30
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_events_and_a_relist_lead_to_the_same_mirror(steps: list[tuple[str, str, dict[str, Any]]]) -> None:
    live = mirror_of(x=[], y=[])
    final: dict[Ref, dict[str, Any]] = {}
    for what, cluster, obj in steps:
        metadata = obj["metadata"]
        key = Ref(cluster, obj["apiVersion"].partition("/")[0], obj["kind"], metadata["namespace"], metadata["name"])
        if what == "upsert":
            live.upsert(cluster, [obj])
            final[key] = obj
        else:
            live.remove([key])
            final.pop(key, None)
    listed = mirror_of(**{name: [obj for key, obj in final.items() if key.cluster == name] for name in "xy"})
    assert live.rows == listed.rows
    assert Counter(row.state for row in live.rows.values()) == Counter(
        {state: number for state, number in zip(State, live.counts(), strict=True) if number}
    )
    assert set(live.troubled) == {row.ref for row in live.rows.values() if row.state.is_trouble}
    for cluster in "xy":
        for category in Category:
            assert live.counts(cluster, category) == listed.counts(cluster, category)
            assert set(live.refs(cluster, category)) == set(listed.refs(cluster, category))
        for name in "abcd":
            for word in ("ks", "git"):
                one = ref(word, name, cluster)
                assert set(live.owned(one)) == set(listed.owned(one))
                assert set(live.consumers(one)) == set(listed.consumers(one))
                assert set(live.dependents(one)) == set(listed.dependents(one))
