"""The views: which lines there are, in which order, with which keys; and that cached lines stay true."""

from __future__ import annotations

from typing import Any

import pytest

from fluxtui.api.kinds import Category
from fluxtui.fleet import failures
from fluxtui.fleet.branches import Branch, Child
from fluxtui.fleet.clusters import ClusterInfo, Phase
from fluxtui.fleet.failures import failure_of, spread
from fluxtui.fleet.lines import Line, LineType, Order, Shape, View, cluster_key, group_key
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.query import Query
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.states import State
from fluxtui.fleet.tree import Tree
from tests.fleet.objects import ago, failed, flux, mirror_of, ready, ref

OWNER = {"kustomize.toolkit.fluxcd.io/name": "root", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
GIT = {"sourceRef": {"kind": "GitRepository", "name": "fleet"}}


def inventory(*ids: str) -> dict[str, Any]:
    return {"inventory": {"entries": [{"id": each, "v": "v1"} for each in ids]}}


def fleet() -> Mirror:
    apps = flux(
        "ks",
        "apps",
        failed(message="pod 1 crashed"),
        labels=OWNER,
        spec=GIT,
        status=inventory("web_api_apps_Deployment"),
    )
    url = {"url": "https://git.example.com/fleet.git", "ref": {"branch": "main"}}
    return mirror_of(
        east=[flux("git", "fleet", ready(), spec=url), flux("ks", "root", ready(), spec=GIT), apps],
        west=[
            flux("git", "fleet", ready(), spec=url),
            flux("ks", "apps", failed(message="pod 2 crashed"), spec=GIT),
            flux("hr", "podinfo", ready(), namespace="web"),
        ],
    )


def draw(mirror: Mirror, shape: Shape, tree: Tree | None = None) -> list[str]:
    """Lines as text: indentation, arrow, words."""
    tree = tree or Tree(mirror)
    lines = tree.flatten(shape)
    assert len({line.key for line in lines}) == len(lines)
    return [f"{'  ' * line.depth}{_arrow(line)}{_words(line, tree)}" for line in lines]


def _arrow(line: Line) -> str:
    return ("v " if line.opened else "> ") if line.opens else "- "


def _words(line: Line, tree: Tree) -> str:
    if line.type == LineType.CLUSTER:
        return line.cluster
    if line.type in (LineType.GROUP, LineType.NOTICE):
        return line.text
    if line.type in (LineType.SOURCE, LineType.FAILURE):
        counts = tree.counts(line)
        return f"{line.text} {sum(counts)}"
    assert line.ref is not None
    return f"{line.ref.word} {line.ref.name}" + (f" {line.cluster}" if line.depth < 2 else "")


EAST = cluster_key("east")
WEST = cluster_key("west")
EAST_KS = group_key("east", Category.KUSTOMIZATIONS)


def test_by_kind() -> None:
    mirror = fleet()
    assert draw(mirror, Shape()) == ["> east", "> west"]
    shape = Shape(expanded={EAST, EAST_KS})
    assert draw(mirror, shape) == [
        "v east",
        "  > sources",
        "  v kustomizations",
        "    > ks apps",
        "    > ks root",
        "> west",
    ]


def test_children_come_from_the_inventory_and_from_owned_rows() -> None:
    mirror = fleet()
    apps, root = ref("ks", "apps", "east"), ref("ks", "root", "east")
    shape = Shape(expanded={EAST, EAST_KS, apps, root})
    assert draw(mirror, shape)[3:-1] == [
        "    v ks apps",
        "      > Deployment api",
        "    v ks root",
        "      > ks apps",
    ]
    api = Ref("east", "apps", "Deployment", "web", "api")
    pod = Ref("east", "", "Pod", "web", "api-1")
    mirror.set_branch(apps, Branch((Child(api, "v1", State.FAILED, "1/3 ready"),)))
    shape = Shape(expanded={EAST, EAST_KS, apps, (apps, api)})
    assert draw(mirror, shape)[4:6] == ["      v Deployment api", "        - loading…"]
    mirror.set_branch(api, Branch((Child(pod, "v1", State.FAILED, "exit 1"),)))
    assert draw(mirror, shape)[4:6] == ["      v Deployment api", "        - Pod api-1"]
    mirror.set_branch(apps, Branch((), error="may not be read: Secret"))
    assert draw(mirror, shape)[4:5] == ["      - may not be read: Secret"]


def test_by_ownership() -> None:
    mirror = fleet()
    root = ref("ks", "root", "east")
    assert draw(mirror, Shape(View.OWNERSHIP, {EAST, root})) == [
        "v east",
        "  v ks root east",
        "    > ks apps",
        "  - git fleet east",
        "> west",
    ]


def test_owners_in_a_circle_are_shown_once_each_and_end() -> None:
    def owned_by(name: str) -> dict[str, str]:
        return {"kustomize.toolkit.fluxcd.io/name": name, "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}

    mirror = mirror_of(c=[flux("ks", "a", labels=owned_by("b")), flux("ks", "b", labels=owned_by("a"))])
    a, b = ref("ks", "a", "c"), ref("ks", "b", "c")
    shape = Shape(View.OWNERSHIP, {cluster_key("c"), a, b, (a, b), ((a, b), a), (b, a), ((b, a), b)})
    lines = draw(mirror, shape)
    assert "  v ks a c" in lines
    assert len(lines) < 10


def test_by_source_a_repository_stands_once_for_all_clusters() -> None:
    mirror = fleet()
    key = ("source", "GitRepository", "https://git.example.com/fleet.git")
    east = ref("git", "fleet", "east")
    assert draw(mirror, Shape(View.SOURCE, {key, east})) == [
        "v https://git.example.com/fleet.git 5",
        "  v git fleet east",
        "    > ks apps",
        "    > ks root",
        "  > git fleet west",
    ]


def test_by_failure_the_same_message_is_one_line() -> None:
    mirror = fleet()
    tree = Tree(mirror)
    lines = tree.flatten(Shape(View.FAILURE))
    assert draw(mirror, Shape(View.FAILURE)) == ["> pod 1 crashed 2"]
    shape = Shape(View.FAILURE, {lines[0].key})
    assert draw(mirror, shape)[1:] == ["  > ks apps east", "  - ks apps west"]
    assert tree.members(lines[0]) == [ref("ks", "apps", "east"), ref("ks", "apps", "west")]
    failed = failure_of(mirror.rows[ref("ks", "apps", "east")])
    assert spread(mirror)[failed] == [ref("ks", "apps", "east"), ref("ks", "apps", "west")]
    assert not any(ref("ks", "root", "east") in refs for refs in spread(mirror).values())
    mirror.upsert("east", [flux("ks", "apps", ready())])
    mirror.upsert("west", [flux("ks", "apps", ready())])
    assert draw(mirror, Shape(View.FAILURE)) == ["- no failures"]


def waits(name: str, *others: str, message: str = "") -> dict[str, Any]:
    words = message or f"dependency 'flux-system/{others[0]}' is not ready"
    spec = GIT | {"dependsOn": [{"name": other} for other in others]}
    return flux("ks", name, failed("DependencyNotReady", words), spec=spec)


def test_what_waits_for_a_failure_hangs_below_it() -> None:
    broken = flux("git", "fleet", failed("GitOperationFailed", "authentication required"))
    infra = flux("ks", "infra", failed("ArtifactFailed", "Source artifact not found"), spec=GIT)
    mirror = mirror_of(
        east=[broken, infra, waits("apps", "infra"), waits("canary", "apps")],
        west=[broken, flux("ks", "lone", failed("BuildFailed", "no such file"), spec=GIT)],
    )
    lines = Tree(mirror).flatten(Shape(View.FAILURE))
    assert draw(mirror, Shape(View.FAILURE)) == ["> authentication required 5", "> no such file 1"]
    assert [found.name for found in failures.waiting(lines[0], mirror)] == ["infra", "apps", "canary"]
    assert failures.waiting(lines[1], mirror) == []
    assert draw(mirror, Shape(View.FAILURE, {lines[0].key})) == [
        "v authentication required 5",
        "  - git fleet east",
        "    - ks infra",
        "      - ks apps",
        "        - ks canary",
        "  - git fleet west",
        "> no such file 1",
    ]
    narrowed = Shape(View.FAILURE, query=Query.parse("kind=ks cluster=east"))
    assert draw(mirror, narrowed) == ["> Source artifact not found 3"]


def test_those_that_wait_for_each_other_in_a_circle_are_failures() -> None:
    circle = [waits("a", "b", message="waits"), waits("b", "a", message="waits"), waits("c", "a", message="waits too")]
    mirror = mirror_of(east=circle)
    line = Tree(mirror).flatten(Shape(View.FAILURE))[0]
    assert draw(mirror, Shape(View.FAILURE, {line.key})) == [
        "v waits 3",
        "  - ks a east",
        "    - ks c",
        "  - ks b east",
    ]


def test_a_chain_of_any_length_is_one_failure() -> None:
    chain = [waits(f"ks{n:04}", f"ks{n - 1:04}") for n in range(1, 1500)]
    mirror = mirror_of(east=[flux("ks", "ks0000", failed(message="pod crashed"), spec=GIT), *chain])
    line = Tree(mirror).flatten(Shape(View.FAILURE))[0]
    assert len(Tree(mirror).flatten(Shape(View.FAILURE, {line.key}))) == 1501


def test_flat() -> None:
    mirror = fleet()
    assert draw(mirror, Shape(View.FLAT)) == [
        "> ks apps east",
        "- ks apps west",
        "- git fleet east",
        "- git fleet west",
        "- hr podinfo west",
        "> ks root east",
    ]
    assert draw(mirror, Shape(View.FLAT, order=Order.STATE))[:3] == [
        "> ks apps east",
        "- ks apps west",
        "- git fleet east",
    ]


def test_by_change_the_latest_comes_first_and_goes_up_when_it_changes() -> None:
    objects = [flux("ks", name, ready(since=ago(hours=hours))) for name, hours in (("b", 3), ("c", 2), ("a", 1))]
    mirror = mirror_of(east=objects)
    shape, tree = Shape(View.FLAT, order=Order.CHANGE), Tree(mirror)
    assert draw(mirror, shape, tree) == ["- ks a east", "- ks c east", "- ks b east"]
    mirror.upsert("east", [flux("ks", "b", failed(since=ago(minutes=1)))])
    assert draw(mirror, shape, tree) == ["- ks b east", "- ks a east", "- ks c east"]


def test_a_filter_opens_what_it_finds_and_hides_the_rest() -> None:
    mirror = fleet()
    query = Query.parse("podinfo")
    assert draw(mirror, Shape(query=query)) == ["v west", "  v releases", "    - hr podinfo"]
    assert draw(mirror, Shape(query=query, folded={WEST})) == ["> west"]
    assert draw(mirror, Shape(View.FLAT, query=query)) == ["- hr podinfo west"]
    query = Query.parse("name=apps cluster=east")
    assert draw(mirror, Shape(View.OWNERSHIP, query=query)) == ["v east", "  v ks root east", "    > ks apps"]
    assert draw(mirror, Shape(View.SOURCE, query=query)) == [
        "v https://git.example.com/fleet.git 1",
        "  v git fleet east",
        "    > ks apps",
    ]
    assert draw(mirror, Shape(View.FAILURE, query=Query.parse("podinfo"))) == [
        "- no failures that the filter lets through"
    ]


def test_counts_below_a_filter_are_of_what_passes() -> None:
    mirror = fleet()
    tree = Tree(mirror)
    line = tree.flatten(Shape(query=Query.parse("apps")))[0]
    assert (line.cluster, sum(tree.counts(line)), tree.counts(line)[State.FAILED]) == ("east", 1, 1)
    line = tree.flatten(Shape())[0]
    assert sum(tree.counts(line)) == 3


@pytest.mark.parametrize("view", [View.KIND, View.FLAT])
def test_letters_typed_one_by_one_find_what_all_of_them_find(view: View) -> None:
    mirror = fleet()
    tree = Tree(mirror)
    typed = ("a", "ap", "app", "apps", "app", "p", "po", "po kind=hr", "pod", "")
    for order in Order:
        for text in typed:
            shape = Shape(view, query=Query.parse(text) or None, order=order)
            assert draw(mirror, shape, tree) == draw(mirror, shape)
            # What came by between two letters is found as well, and what went is not.
            if text == "ap":
                mirror.upsert("west", [flux("ks", "apply", ready())])
            if text == "app":
                mirror.remove([ref("ks", "apply", "west")])
                mirror.upsert("east", [flux("git", "fleet", failed(message="no apps"))])
        assert not tree.flatten(Shape(view, query=Query.parse("zzz")))


def test_lines_stay_true_while_rows_come_and_go() -> None:
    mirror = fleet()
    tree = Tree(mirror)
    shapes = [
        Shape(view, {EAST, WEST, EAST_KS, group_key("west", Category.KUSTOMIZATIONS)}, order=order)
        for view in View
        for order in Order
    ]
    for step in (
        lambda: None,
        lambda: mirror.upsert("east", [flux("ks", "new", ready())]),
        lambda: mirror.upsert("east", [flux("ks", "new", failed(), labels=OWNER)]),
        lambda: mirror.upsert("west", [flux("ks", "apps", ready(), status=inventory("a_b__Secret"))]),
        lambda: mirror.remove([ref("ks", "new", "east"), ref("git", "fleet", "west")]),
        lambda: mirror.drop_cluster("west"),
    ):
        step()
        for shape in shapes:
            assert draw(mirror, shape, tree) == draw(mirror, shape)


@pytest.mark.parametrize(
    ("info", "text"),
    [
        (ClusterInfo(id="c"), "connecting…"),
        (ClusterInfo(id="c", phase=Phase.SYNCING, synced=3, kinds=13), "reading, 3 of 13 kinds"),
        (ClusterInfo(id="c", phase=Phase.LIVE), "no Flux kinds are installed"),
        (ClusterInfo(id="c", phase=Phase.LIVE, kinds=13), "no Flux objects"),
        (ClusterInfo(id="c", phase=Phase.DENIED, error="the token expired"), "the token expired"),
        (ClusterInfo(id="c", phase=Phase.UNREACHABLE), "unreachable"),
        (
            ClusterInfo(id="c", phase=Phase.DEGRADED, forbidden=("helmreleases.helm.toolkit.fluxcd.io",)),
            "may not be read: helmreleases",
        ),
    ],
)
def test_a_cluster_without_rows_says_why(info: ClusterInfo, text: str) -> None:
    mirror = Mirror()
    mirror.set_cluster(info)
    assert draw(mirror, Shape(expanded={cluster_key("c")})) == ["v c", f"  - {text}"]


BELOW_APPS = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}


def deep_fleet() -> Mirror:
    """On east, root applied apps, and apps two releases, one of which is broken."""
    mirror = fleet()
    mirror.upsert(
        "east", [flux("hr", "web", failed(), labels=BELOW_APPS), flux("hr", "db", ready(), labels=BELOW_APPS)]
    )
    return mirror


def hidden(mirror: Mirror, shape: Shape) -> dict[str, int]:
    """How many failed rows the objects of east say they hide, where they hide any that are not well."""
    tree = Tree(mirror)
    lines = [line for line in tree.flatten(shape) if line.type == LineType.OBJECT and line.cluster == "east"]
    return {
        f"{line.ref.word} {line.ref.name}": tree.hidden(line)[State.FAILED]
        for line in lines
        if line.ref and any(tree.hidden(line))
    }


def test_a_folded_object_tells_what_it_hides_that_is_not_well_and_an_open_one_leaves_it_to_its_children() -> None:
    mirror = deep_fleet()
    root, apps = ref("ks", "root", "east"), ref("ks", "apps", "east")
    owners = View.OWNERSHIP
    assert hidden(mirror, Shape(owners, frozenset({EAST}))) == {"ks root": 2}
    assert hidden(mirror, Shape(owners, frozenset({EAST, root}))) == {"ks apps": 1}
    assert hidden(mirror, Shape(owners, frozenset({EAST, root, (root, apps)}))) == {}
    assert hidden(mirror, Shape(View.KIND, frozenset({EAST, EAST_KS}))) == {"ks root": 2, "ks apps": 1}
    mirror.upsert("east", [flux("hr", "web", ready(), labels=BELOW_APPS)])
    assert hidden(mirror, Shape(owners, frozenset({EAST}))) == {"ks root": 1}
    # Of a cluster that does not answer its own line speaks.
    mirror.set_lost("east", apps.group, apps.kind, 1.0)
    assert hidden(mirror, Shape(owners, frozenset({EAST}))) == {}


def test_a_folded_source_tells_what_its_consumers_and_theirs_hide_each_once() -> None:
    mirror = deep_fleet()
    source = ref("git", "fleet", "east")
    url = {"url": "https://git.example.com/fleet.git", "ref": {"branch": "main"}}
    # The source is one of the things that root applied, and hides what hides it.
    mirror.upsert("east", [flux("git", "fleet", failed(), spec=url, labels=OWNER)])
    origin = ("source", "GitRepository", "https://git.example.com/fleet.git")
    assert hidden(mirror, Shape(View.SOURCE, frozenset({origin}))) == {"git fleet": 2}
    assert hidden(mirror, Shape(View.SOURCE, frozenset({origin, source}))) == {"ks root": 3, "ks apps": 1}


@pytest.mark.parametrize(
    ("query", "found"), [("kind=hr", 1), ("name=apps", 1), ("cluster=east", 2), ("state=ready", 0)]
)
def test_a_folded_object_hides_no_more_than_the_filter_lets_through(query: str, found: int) -> None:
    root = ref("ks", "root", "east")
    shape = Shape(View.OWNERSHIP, folded=frozenset({root}), query=Query.parse(query))
    assert hidden(deep_fleet(), shape).get("ks root", 0) == found


def test_a_folded_source_hides_no_more_than_the_filter_lets_through() -> None:
    shape = Shape(View.SOURCE, folded=frozenset({ref("git", "fleet", "east")}), query=Query.parse("kind=ks"))
    assert hidden(deep_fleet(), shape) == {"git fleet": 1}


def test_a_source_stands_for_no_more_than_the_filter_lets_through() -> None:
    tree = Tree(deep_fleet())
    found = {
        text: tree.members(tree.flatten(Shape(View.SOURCE, query=Query.parse(text)))[0])
        for text in ("kind=ks state=failed cluster=east", "kind=git cluster=east")
    }
    assert list(found.values()) == [[ref("ks", "apps", "east")], [ref("git", "fleet", "east")]]
