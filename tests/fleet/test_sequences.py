"""Random histories: a mirror that lived through them is the one that was built from what is left, and a tree that
kept its lines shows what a fresh one shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxtui.api.kinds import BY_KIND, Category
from fluxtui.api.meta import REQUESTED_AT
from fluxtui.fleet.ancestry import LOUD
from fluxtui.fleet.clusters import ClusterInfo, Phase
from fluxtui.fleet.lines import Key, LineType, Order, Shape, View, cluster_key, group_key
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.query import Query
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row
from fluxtui.fleet.states import State
from fluxtui.fleet.tree import Tree
from tests.fleet.objects import SECONDS, ago, failed, flux, ready, ref, said

Object = dict[str, Any]

CLUSTERS = "xy"
WORDS = ("ks", "git", "hr", "canary")
STALE = ("kustomize-controller",)


def built(word: str, name: str, said: tuple[Object, ...], other: str, owner: str, more: int) -> Object:
    """One of many objects that refer to each other, sometimes in circles; `more` chooses among oddities."""
    labels = {"kustomize.toolkit.fluxcd.io/name": owner, "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
    entries = [{"id": f"flux-system_{other}_kustomize.toolkit.fluxcd.io_Kustomization", "v": "v1"}]
    return flux(
        word,
        name,
        *said,
        spec={
            "interval": "1m",
            "sourceRef": {"kind": "GitRepository", "name": other},
            "dependsOn": [{"name": owner}],
            "suspend": more == 1,
        },
        labels=labels if more != 2 else {},
        annotations={REQUESTED_AT: ago()} if more == 3 else {},
        status={"inventory": {"entries": [*entries, {"id": "web_api_apps_Deployment", "v": "v1"}]}} if more else None,
    )


names = st.sampled_from("abc")
words = st.sampled_from(WORDS)
clusters = st.sampled_from(CLUSTERS)
verdicts = st.sampled_from(
    ((), (ready(),), (failed(),), (failed(message="pod 7 crashed"),), (said("Ready", "Unknown"),))
)
objects = st.builds(built, words, names, verdicts, names, names, st.integers(0, 4))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), clusters, objects),
        st.tuples(st.just("put"), clusters, objects),
        st.tuples(st.just("turn"), clusters, verdicts),
        st.tuples(st.just("turn"), clusters, verdicts),
        st.tuples(st.just("delete"), clusters, st.tuples(words, names)),
        st.tuples(st.just("relist"), clusters, words),
        st.tuples(st.just("lose"), clusters, words),
        st.tuples(st.just("hear"), clusters, words),
        st.tuples(st.just("wait"), clusters, st.sampled_from((1.0, 31.0, 200.0))),
        st.tuples(st.just("stale"), clusters, st.booleans()),
        st.tuples(st.just("drop"), clusters, st.none()),
    ),
    max_size=25,
)
keys: st.SearchStrategy[Key] = st.one_of(
    st.builds(cluster_key, clusters),
    st.builds(group_key, clusters, st.sampled_from(tuple(Category))),
    st.builds(lambda word, name, cluster: ref(word, name, cluster), words, names, clusters),
    st.builds(lambda one, two: (one, two), *[st.builds(lambda n, c: ref("ks", n, c), names, clusters)] * 2),
)
shapes = st.builds(
    Shape,
    view=st.sampled_from((*View, View.KIND)),
    expanded=st.frozensets(keys, max_size=8),
    folded=st.frozensets(keys, max_size=2),
    query=st.sampled_from((None, Query.parse("state!=ready"), Query.parse("a kind=ks"), Query.parse("since<1h or b"))),
    order=st.sampled_from(Order),
)


class History:
    """A mirror, and beside it all that is true at the moment."""

    def __init__(self) -> None:
        self.now = SECONDS
        self.objects: dict[Ref, Object] = {}
        self.lost: dict[tuple[str, str], float] = {}
        self.infos = {name: ClusterInfo(id=name, phase=Phase.LIVE, kinds=4, synced=4) for name in CLUSTERS}
        self.mirror = self.rebuilt(())

    def rebuilt(self, objects: tuple[Ref, ...] | None = None) -> Mirror:
        """A new mirror of what is true now."""
        mirror = Mirror(lambda: self.now)
        for info in self.infos.values():
            mirror.set_cluster(info)
        for one in self.objects if objects is None else objects:
            mirror.upsert(one.cluster, [self.objects[one]])
        for (cluster, word), since in self.lost.items():
            mirror.set_lost(cluster, ref(word).group, ref(word).kind, since)
        return mirror

    def step(self, what: str, cluster: str, with_: Any) -> None:
        """Let something happen, to the mirror and to the truth."""
        happen: Callable[[str, Any], None] = getattr(self, what)
        happen(cluster, with_)

    def put(self, cluster: str, obj: Object) -> None:
        kind = BY_KIND[obj["apiVersion"].partition("/")[0], obj["kind"]]
        self.objects[ref(kind.short, obj["metadata"]["name"], cluster)] = obj
        self.mirror.upsert(cluster, [obj])

    def turn(self, cluster: str, said: tuple[Object, ...]) -> None:
        """All objects of a cluster say something else; their links stay."""
        for one, obj in list(self.objects.items()):
            if one.cluster == cluster:
                self.put(cluster, {**obj, "status": {**obj.get("status", {}), "conditions": list(said)}})

    def delete(self, cluster: str, named: tuple[str, str]) -> None:
        self.objects.pop(ref(*named, cluster), None)
        self.mirror.remove([ref(*named, cluster)])

    def relist(self, cluster: str, word: str) -> None:
        """The list lacks what is called `a`."""
        kind = ref(word)
        self.objects.pop(ref(word, "a", cluster), None)
        self.lost.pop((cluster, word), None)
        of_kind = [one for one in self.objects if (one.cluster, one.kind) == (cluster, kind.kind)]
        kept = self.mirror.upsert(cluster, [self.objects[one] for one in of_kind])
        self.mirror.retain(cluster, kind.group, kind.kind, kept)

    def lose(self, cluster: str, word: str) -> None:
        self.lost[cluster, word] = self.now
        self.mirror.set_lost(cluster, ref(word).group, ref(word).kind, self.now)

    def hear(self, cluster: str, word: str) -> None:
        self.lost.pop((cluster, word), None)
        self.mirror.set_lost(cluster, ref(word).group, ref(word).kind, 0.0)

    def wait(self, cluster: str, seconds: float) -> None:
        self.now += seconds
        self.mirror.refresh()

    def stale(self, cluster: str, is_stale: bool) -> None:
        info = ClusterInfo(id=cluster, phase=Phase.LIVE, kinds=4, synced=4, stale_controllers=STALE if is_stale else ())
        self.infos = {**self.infos, cluster: info}
        self.mirror.set_cluster(info)

    def drop(self, cluster: str, _: None) -> None:
        """The context leaves the kubeconfig, and comes back."""
        self.objects = {one: obj for one, obj in self.objects.items() if one.cluster != cluster}
        self.lost = {key: since for key, since in self.lost.items() if key[0] != cluster}
        info = self.infos.pop(cluster)
        self.infos[cluster] = info
        self.mirror.drop_cluster(cluster)
        self.mirror.set_cluster(info)


def lasting(mirror: Mirror) -> dict[Ref, Row]:
    """The rows. How long something is overdue is said as of when it was judged, which time alone does not repeat."""
    return {
        one: msgspec.structs.replace(row, message="") if row.before is State.OVERDUE else row
        for one, row in mirror.rows.items()
    }


@settings(max_examples=80, deadline=None)
@given(steps)
def test_a_mirror_is_what_is_left_of_its_history(steps: list[tuple[str, str, Any]]) -> None:
    history = History()
    for step in steps:
        history.step(*step)
    lived, fresh = history.mirror, history.rebuilt()
    assert list(lived.clusters.values()) == list(fresh.clusters.values())
    assert lasting(lived) == lasting(fresh)
    rows = lived.rows.values()
    assert Counter(row.state for row in rows) == Counter(dict(zip(State, lived.counts(), strict=True)))
    for cluster in CLUSTERS:
        for category in Category:
            inside = [row for row in rows if row.ref.cluster == cluster and row.category == category]
            assert {row.ref for row in inside} == set(lived.refs(cluster, category))
            assert lived.counts(cluster, category) == fresh.counts(cluster, category)
    for one in (ref(word, name, cluster) for word in WORDS for name in "abc" for cluster in CLUSTERS):
        assert set(lived.owned(one)) == {row.ref for row in rows if row.owner == one}
        assert set(lived.consumers(one)) == {row.ref for row in rows if row.source == one}
        assert set(lived.dependents(one)) == {row.ref for row in rows if one in row.depends}


@settings(max_examples=80, deadline=None)
@given(steps)
def test_what_is_not_well_below_a_row_is_counted_while_it_changes(steps: list[tuple[str, str, Any]]) -> None:
    history = History()
    for step in steps:
        history.step(*step)
        mirror = history.mirror
        found = {ref: Counter[State]() for ref in mirror.rows}
        for row in mirror.rows.values():
            above, seen = row.owner, {row.ref}
            while row.state in LOUD and above is not None and above not in seen:
                seen.add(above)
                found.setdefault(above, Counter())[row.state] += 1
                above = mirror.rows[above].owner if above in mirror.rows else None
        for one, expected in found.items():
            assert +Counter(dict(zip(State, mirror.ancestry.below(one), strict=True))) == expected


@settings(max_examples=80, deadline=None)
@given(steps, st.lists(shapes, min_size=1, max_size=3))
def test_a_tree_that_kept_its_lines_shows_what_a_fresh_one_shows(
    steps: list[tuple[str, str, Any]], shapes: list[Shape]
) -> None:
    history = History()
    tree = Tree(history.mirror)
    for step in steps:
        history.step(*step)
        for shape in shapes:
            assert tree.flatten(shape) == Tree(history.mirror).flatten(shape)


@settings(max_examples=80, deadline=None)
@given(steps, shapes)
def test_the_lines_of_a_tree_are_sound(steps: list[tuple[str, str, Any]], shape: Shape) -> None:
    history = History()
    for step in steps:
        history.step(*step)
    mirror, tree = history.mirror, Tree(history.mirror)
    lines = tree.flatten(shape)
    assert len({line.key for line in lines}) == len(lines)
    above = -1
    for line in lines:
        assert line.depth <= above + 1
        above = line.depth
        assert line.opens or not line.opened
        assert (line.type == LineType.OBJECT) is (line.ref in mirror.rows)
        assert sum(tree.counts(line)) == len(tree.members(line)) or line.type == LineType.OBJECT
    everything = Shape(view=View.FLAT, query=shape.query)
    matches = shape.query.matcher(history.now) if shape.query else lambda row: True
    shown = [line.ref for line in tree.flatten(everything) if line.type == LineType.OBJECT]
    assert sorted(filter(None, shown)) == sorted(one for one, row in mirror.rows.items() if matches(row))
