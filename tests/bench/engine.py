"""Many Kustomizations on one API server: the engine, and upstream's controllers when their binaries are given.

    KUBEBUILDER_ASSETS=DIR [FLUXTUI_FLUX_CONTROLLERS=DIR] python -m tests.bench.engine [--n 200] [--rounds 1]
    python -m tests.bench.engine --readme FILE…     the tables in the README, from results written before

`KUBEBUILDER_ASSETS` has etcd and kube-apiserver, `FLUXTUI_FLUX_CONTROLLERS` source-controller and kustomize-controller.
Each Kustomization has one ConfigMap of one GitRepository. Measured for each of create, request (nothing has changed),
revision (every ConfigMap changes), restart (all asked for while the controllers were down) and delete: seconds until
the last one is done, CPU of the controllers and of the API server with etcd, requests to the API server, and the
largest resident memory; and for half a minute of rest the requests. Each contestant has an API server of its own; they
take turns, phase by phase, so that a machine which others use is the same for both. Of several rounds the median
counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from fluxtui.api.kinds import BUCKET, GIT_REPOSITORY, HELM_CHART, HELM_REPOSITORY, KUSTOMIZATION, OCI_REPOSITORY
from fluxtui.engine.installation import install
from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context
from tests import apiserver, readme, upstream
from tests.bench import figures as figuring
from tests.bench.engine_peers import commands, running, servers
from tests.bench.engine_work import PHASES, REST, Bench, Measured
from tests.bench.rig import ROOT
from tests.engine.polling import eventually
from tests.engine.source.repositories import Repository, serving

BINARIES = "FLUXTUI_FLUX_CONTROLLERS"
RESULT = ROOT / "build" / "bench-engine.json"
OURS, UPSTREAM = "fluxtui", "upstream"
_COLUMNS = {"s": " s", "ms CPU each": " ms", "API requests each": "", "MiB": " MiB"}
"""Units of the measures that the README tells, and how they are written there."""
_TITLES = {
    "create": "created, until all are Ready",
    "request": "asked for again, nothing changed",
    "revision": "a new revision of each",
    "rest": "at rest",
    "restart": "asked for meanwhile, after a restart",
    "delete": "deleted, until all are gone",
}


class Result(msgspec.Struct):
    """A benchmark: phase → contestant → what each round measured."""

    machine: dict[str, str]
    number: int
    phases: dict[str, dict[str, list[Measured]]]


class Row(msgspec.Struct, frozen=True):
    """One measure of one phase, by contestant."""

    title: str
    unit: str
    values: dict[str, float]

    @property
    def share(self) -> float | None:
        """Ours as a share of upstream's."""
        other = self.values.get(UPSTREAM)
        return self.values[OURS] / other if other else None


def rows(result: Result) -> list[Row]:
    """The measures of all phases, medians of the rounds."""
    found = []
    for phase, contestants in result.phases.items():
        each, hour = 1 / result.number, 3600 / REST
        wanted = (
            [("requests", hour, "API requests an hour")]
            if phase == "rest"
            else [
                ("seconds", 1.0, "s"),
                ("cpu", 1000 * each, "ms CPU each"),
                ("server", 1000 * each, "ms CPU of the API server each"),
                ("requests", each, "API requests each"),
                ("memory", 1.0, "MiB"),
            ]
        )
        for field, factor, unit in wanted:
            values = {
                name: factor * statistics.median(getattr(one, field) for one in rounds)
                for name, rounds in contestants.items()
            }
            found.append(Row(_TITLES[phase], unit, values))
    return found


def table(result: Result) -> str:
    """For people."""
    lines = [f"{result.number} Kustomizations"]
    for row in rows(result):
        values = "".join(f"{name} {_shown(value):>8}  " for name, value in row.values.items())
        share = f"  {row.share:.2f}×" if row.share is not None else ""
        lines.append(f"{row.title:36} {row.unit:30} {values}{share}")
    return "\n".join(lines) + "\n"


def markdown(*results: Result) -> str:
    """For the README: a table for each result with a line for each phase, upstream's figures in brackets."""
    return "\n".join(_tabled(result) for result in results)


def _tabled(result: Result) -> str:
    found: dict[str, dict[str, Row]] = {}
    for row in rows(result):
        found.setdefault(row.title, {})[row.unit] = row
    lines = [
        f"| {result.number:,} Kustomizations | time | CPU each | API requests each | memory |",
        "|---|---:|---:|---:|---:|",
    ]
    for title, units in found.items():
        if "s" in units:
            cells = [_beside(units[unit], word) for unit, word in _COLUMNS.items()]
            lines.append(f"| {title} | {' | '.join(cells)} |")
        else:
            hourly = _beside(units["API requests an hour"], " an hour in all")
            lines.append(f"| {title} | | | {hourly} | |")
    told = result.machine
    where = f"{told['processor']}, {told['cores']} cores, {told['system']}, Python {told['python']}"
    return "\n".join(lines) + f"\n\nTaken on {told['date']} on {where}.\n"


def _beside(row: Row, unit: str) -> str:
    """Our figure, and in brackets upstream's."""
    other = row.values.get(UPSTREAM)
    return f"{_shown(row.values[OURS])}{unit}" + (f" ({_shown(other)})" if other is not None else "")


def _shown(value: float) -> str:
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


@asynccontextmanager
async def _contestant(
    context: Context, binaries: Path | None, number: int, directory: Path, url: str
) -> AsyncIterator[Bench]:
    upstream.kubeconfig_of(context, directory)
    repository = Repository(directory / "fleet")
    async with Client(context) as client:
        await install(client)
        await _established(client)
        async with running(commands(binaries, directory), directory) as contestant:
            bench = Bench(client, repository, url, contestant, servers(directory), number)
            await bench.start()
            yield bench


async def _established(client: Client) -> None:
    """Serve the kinds of upstream's source-controller which the engine does not need, and wait for all."""
    crds = await client.resource_for(("apiextensions.k8s.io", "v1", "CustomResourceDefinition"))
    kinds = (BUCKET, HELM_CHART, HELM_REPOSITORY, OCI_REPOSITORY)
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    for kind in kinds:
        found = await client.resources(refresh=True)
        if found.find(kind.group, kind.kind) is not None:
            continue
        names = {"kind": kind.kind, "plural": kind.plural, "singular": kind.kind.lower()}
        version = {"name": kind.versions[0], "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        spec = {"group": kind.group, "scope": "Namespaced", "names": names, "versions": [version]}
        version["subresources"] = {"status": {}}
        crd = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": kind.resource},
            "spec": spec,
        }
        await client.create(crds, crd)

    async def served() -> bool:
        found = await client.resources(refresh=True)
        return all(found.find(kind.group, kind.kind) for kind in (*kinds, GIT_REPOSITORY, KUSTOMIZATION))

    await eventually(served, 120)


async def _compete(result: Result, rounds: int, places: dict[str, tuple[Context, Path | None, Path, str]]) -> None:
    """All phases, the contestants in turns."""
    async with AsyncExitStack() as stack:
        benches = {
            name: await stack.enter_async_context(_contestant(context, binaries, result.number, directory, url))
            for name, (context, binaries, directory, url) in places.items()
        }
        for number in range(rounds):
            for phase in PHASES:
                # Whoever begins has the colder machine: not always the same.
                turns = list(benches) if number % 2 == 0 else list(reversed(benches))
                for name in turns:
                    measured = await benches[name].phase(phase)
                    result.phases.setdefault(phase, {}).setdefault(name, []).append(measured)
                    sys.stderr.write(f"{phase:9} {name:9} {msgspec.json.encode(measured).decode()}\n")


def measure(number: int, rounds: int, assets: Path, controllers: Path | None) -> Result:
    """Everything, for so many Kustomizations."""
    contestants: dict[str, Path | None] = {OURS: None}
    if controllers is not None:
        contestants[UPSTREAM] = controllers
    result = Result(figuring.machine(), number, {})
    with ExitStack() as stack:
        places: dict[str, tuple[Context, Path | None, Path, str]] = {}
        for name, binaries in contestants.items():
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"fluxtui-bench-{name}-")))
            git = stack.enter_context(serving(directory))
            context = stack.enter_context(apiserver.running(assets, directory))
            places[name] = context, binaries, directory, f"{git.url}/fleet/.git"
        asyncio.run(_compete(result, rounds, places))
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a table and write the JSON; or put what was written before into the README."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engine")
    parser.add_argument("--n", type=int, default=200, help="Kustomizations")
    parser.add_argument("--rounds", type=int, default=1, help="how often everything is done")
    parser.add_argument("--readme", type=Path, nargs="+", default=[], help="results for the README's tables")
    parser.add_argument("--output", type=Path, default=RESULT, help="where the JSON goes")
    asked = parser.parse_args(arguments)
    if asked.readme:
        if missing := next((file for file in asked.readme if not file.exists()), None):
            sys.exit(f"{missing} does not exist: measure before, without --readme")
        results = [msgspec.json.decode(file.read_bytes(), type=Result) for file in asked.readme]
        readme.write("engine-figures", markdown(*results))
        return
    assets = apiserver.assets()
    if assets is None:
        sys.exit(apiserver.MISSING)
    # Whoever ends the bench early ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    controllers = os.environ.get(BINARIES)
    # What can't be written is found out before, not after the measuring.
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    result = measure(asked.n, asked.rounds, assets, Path(controllers) if controllers else None)
    asked.output.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    sys.stdout.write(table(result))


if __name__ == "__main__":
    main()
