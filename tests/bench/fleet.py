"""The mirror, the views and the filter over a large fleet: CPU time, as ratios to one call per row.

    python -m tests.bench.fleet [CLUSTERS [OBJECTS]]

By default 100 clusters of 500 objects. A ratio of 5 means: as long as calling an empty function five times a row.
"""

from __future__ import annotations

import functools
import gc
import sys
import time
from collections.abc import Callable

import msgspec

from fluxtui.api.kinds import Category
from fluxtui.fleet.clusters import ClusterInfo, Phase
from fluxtui.fleet.lines import Order, Shape, View, cluster_key, group_key
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.query import Query
from fluxtui.fleet.rows import Row
from fluxtui.fleet.tree import Tree
from fluxtui.fleet.wire import Wire
from tests.fleet.objects import REVISION, SECONDS, failed, flux, ready

ROUNDS = 7
QUERIES = ("app", "ap9", "state!=ready", "ready=false kind=hr cluster=prod-0* since<1h", "timeout or label=team=web")


def bodies(objects: int) -> list[bytes]:
    """The objects of one cluster as JSON: four Kustomizations and four releases to two repositories, every 50th bad."""
    made = []
    source = {"sourceRef": {"kind": "GitRepository", "name": "repository-8"}}
    for number in range(objects):
        verdict = failed(message=f"timeout waiting for pod {number}") if number % 50 == 0 else ready("all well")
        if number % 10 < 4:
            entries = [{"id": f"space-{number}_app-{each}_apps_Deployment", "v": "v1"} for each in range(20)]
            status = {"lastAppliedRevision": REVISION, "inventory": {"entries": entries}}
            spec = {"path": f"./apps/{number}", "dependsOn": [{"name": f"app-{number - 10}"}], **source}
            obj = flux("ks", f"app-{number}", verdict, spec=spec, status=status)
        elif number % 10 < 8:
            history = {"history": [{"chartVersion": "1.2.3", "status": "deployed"}]}
            obj = flux("hr", f"release-{number}", verdict, namespace=f"team-{number % 7}", status=history)
        else:
            obj = flux("git", f"repository-{number}", verdict, status={"artifact": {"revision": REVISION}})
        made.append(msgspec.json.encode(obj))
    return made


def resident() -> float:
    """Megabytes of memory in use."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def quickest(work: Callable[[], object]) -> float:
    """CPU seconds of the quickest of some rounds."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def main() -> None:
    """Measure and print."""
    clusters, objects = (int(word) for word in (sys.argv[1:3] + ["100", "500"][len(sys.argv) - 1 :]))
    gc.disable()
    decode = msgspec.json.Decoder(Wire).decode
    made = bodies(objects)
    mirror = Mirror(lambda: SECONDS)
    before, began = resident(), time.process_time()
    for number in range(clusters):
        cluster = f"prod-{number:03}"
        mirror.set_cluster(ClusterInfo(id=cluster, phase=Phase.LIVE, kinds=13, synced=13))
        mirror.upsert(cluster, [decode(body) for body in made])
    took = time.process_time() - began
    rows: list[Row] = list(mirror.rows.values())

    def nothing(row: Row) -> bool:
        return False

    unit = quickest(lambda: [row for row in rows if nothing(row)])
    memory = resident() - before
    sys.stdout.write(f"{len(rows)} rows, {memory:.0f} MB; one empty call a row: {unit * 1000:.1f} ms\n")
    report("decode and fold everything", took, unit)
    tree = Tree(mirror)
    every = frozenset(
        [cluster_key(cluster) for cluster in mirror.clusters]
        + [group_key(cluster, category) for cluster in mirror.clusters for category in Category]
    )
    for view in View:
        shape = Shape(view, every)
        report(f"flatten {view}, all open", quickest(functools.partial(tree.flatten, shape)), unit)
    shape = Shape(View.KIND, every, order=Order.STATE)
    report("flatten kind, what wants attention first", quickest(lambda: tree.flatten(shape)), unit)
    for text in QUERIES:
        report(f"filter {text}", quickest(functools.partial(filtered, tree, text)), unit)


def filtered(tree: Tree, query: str) -> object:
    """The lines that a query leaves."""
    return tree.flatten(Shape(query=Query.parse(query)))


def report(what: str, seconds: float, unit: float) -> None:
    """One line of figures."""
    sys.stdout.write(f"{what:<62}{seconds * 1000:>9.1f} ms {seconds / unit:>8.1f} ×\n")


if __name__ == "__main__":
    main()
