"""What the process tells others: metrics, health, and what it leaves alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from fluxtui.api.kinds import HELM_REPOSITORY, Kind
from fluxtui.engine.endpoints import Address, EndpointError
from fluxtui.engine.process import Engine, Listening
from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.resources import Resource
from tests.engine.harness import QUICK, create, revision, running, state
from tests.engine.polling import eventually
from tests.engine.source.repositories import Repository
from tests.listening import streams, swallow
from tests.ports import free_port

ANY = Address("127.0.0.1", 0)


async def fetch(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


def samples(text: str, name: str) -> dict[frozenset[tuple[str, str]], float]:
    """Labels → value of a metric."""
    found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
    return {frozenset(re.findall(r'(\w+)="([^"]*)"', labels)): float(value) for labels, value in found}


def value(text: str, metric: str, **labels: str) -> float:
    """The sum of a metric over all samples that have the labels."""
    return sum(number for found, number in samples(text, metric).items() if set(labels.items()) <= found)


async def test_metrics_have_upstreams_names_and_count_what_happens(
    client: Client, context: Context, repository: Repository, tmp_path: Path
) -> None:
    lines: list[dict[str, Any]] = []
    listening = Listening(metrics=ANY, health=ANY)
    engine = Engine(QUICK, tmp_path / "storage", "fluxtui_one", listening=listening, on_ready=lines.append)
    await create(client, repository.url)
    await create(client, "file:///nowhere", "broken")
    async with running(engine, context):
        await eventually(lambda: lines)
        await eventually(lambda: revision(client))
        url = lines[0]["metrics"]

        async def counted() -> str:
            _, text = await fetch(url)
            errors = value(text, "controller_runtime_reconcile_errors_total", controller="gitrepository")
            ready = value(text, "gotk_resource_info", name="fleet", ready="True")
            done = value(text, "controller_runtime_reconcile_total", result="requeue_after")
            return text if errors and ready and done else ""

        text = await eventually(counted)
        here = {"cluster": context.id}
        assert value(text, "gotk_reconcile_duration_seconds_count", kind="GitRepository", name="fleet", **here) >= 1
        assert value(text, "gotk_reconcile_duration_seconds_count", namespace="flux-system", name="broken") >= 1
        runs = {"controller": "gitrepository", **here}
        assert value(text, "controller_runtime_reconcile_total", result="requeue_after", **runs) >= 1
        assert value(text, "controller_runtime_max_concurrent_reconciles", **runs) == QUICK.concurrent
        assert value(text, "leader_election_master_status", name="source-controller-leader-election") == 1
        assert value(text, "rest_client_requests_total", method="PATCH", code="200", **here) >= 1
        info = next(labels for labels in samples(text, "gotk_resource_info") if ("name", "fleet") in labels)
        assert {
            ("customresource_kind", "GitRepository"),
            ("customresource_group", "source.toolkit.fluxcd.io"),
            ("exported_namespace", "flux-system"),
            ("revision", await revision(client)),
            ("url", repository.url),
            ("ready", "True"),
        } <= info
        resource = (await client.resources()).by_plural("gitrepositories")
        assert resource is not None
        await client.delete(resource, "broken", "flux-system")

        async def forgotten() -> bool:
            return 'name="broken"' not in (await fetch(url))[1]

        await eventually(forgotten)


async def test_health_is_there_at_once_and_readiness_with_the_first_answers(
    client: Client, context: Context, tmp_path: Path
) -> None:
    """A server that accepts and says nothing keeps its cluster connecting."""

    async with streams(swallow) as port:
        mute = msgspec.structs.replace(context, id="mute", name="mute", server=f"http://127.0.0.1:{port}")
        place = Address("127.0.0.1", free_port())
        engine = Engine(QUICK, tmp_path / "storage", "fluxtui_one", listening=Listening(metrics=place, health=place))
        async with running(engine, mute, context):
            await eventually(lambda: state(engine, context.id) == "leading")
            assert await fetch(f"http://{place}/healthz") == (200, "ok\n")
            assert await fetch(f"http://{place}/readyz") == (503, "connecting to mute\n")
            assert (await fetch(f"http://{place}/metrics"))[0] == 200
            assert (await fetch(f"http://{place}/else"))[0] == 404


async def test_an_address_in_use_is_said(tmp_path: Path) -> None:
    async with streams(swallow) as port:
        place = Address("127.0.0.1", port)
        engine = Engine(QUICK, tmp_path / "storage", "fluxtui_one", listening=Listening(health=place))
        with pytest.raises(EndpointError, match=f"{place} can't be listened on"):
            await engine.run([])


@pytest.mark.parametrize(
    ("text", "host", "port"), [(":8080", "", 8080), ("127.0.0.1:0", "127.0.0.1", 0), ("[::1]:9", "::1", 9)]
)
def test_addresses(text: str, host: str, port: int) -> None:
    address = Address.parse(text)
    assert (address.host, address.port, str(address)) == (host, port, text)


@pytest.mark.parametrize("text", ["8080", "localhost", ":x", ":70000", ""])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        Address.parse(text)


async def test_kinds_that_nobody_reconciles_are_named_and_left_alone(
    client: Client, context: Context, tmp_path: Path
) -> None:
    resource = await serve(client, HELM_REPOSITORY)
    for name in ("one", "two"):
        obj = {
            "apiVersion": resource.api_version,
            "kind": "HelmRepository",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {"interval": "10m", "url": "https://charts.example.com"},
        }
        await client.create(resource, obj)
    before = [await client.get(resource, name, "flux-system") for name in ("one", "two")]
    engine = Engine(QUICK, tmp_path / "storage", "fluxtui_one")
    async with running(engine, context):
        found = await eventually(lambda: next((state.message for state in engine.states if state.message), ""))
        assert found == "not reconciled by this engine, nor by anybody else while it leads: 2 HelmRepository"
        assert state(engine, context.id) == "leading"
    assert [await client.get(resource, name, "flux-system") for name in ("one", "two")] == before


async def serve(client: Client, kind: Kind) -> Resource:
    """Make a server serve a kind that `fluxtui install` does not bring."""
    crds = (await client.resources()).by_plural("customresourcedefinitions")
    assert crds is not None
    anything = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.resource},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "listKind": f"{kind.kind}List",
            },
            "versions": [{"name": kind.versions[0], "served": True, "storage": True, "schema": anything}],
        },
    }
    await client.create(crds, crd)

    async def served() -> Resource | None:
        return (await client.resources(refresh=True)).find(kind.group, kind.kind, kind.versions[0])

    found = await eventually(served)
    assert found is not None
    return found
