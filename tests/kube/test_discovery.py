"""What a server serves: aggregated and legacy discovery."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from fluxtui.kube.client import Client
from fluxtui.kube.errors import (
    UnknownKind,
)
from fluxtui.kube.resources import Resource
from tests.kube.support import context, serve, status


def discovery(*names: str, stale: str = "") -> dict[str, Any]:
    """An aggregated answer of one group."""
    resources = [
        {
            "resource": name,
            "responseKind": {"group": "", "version": "", "kind": name.title()[:-1]},
            "scope": "Namespaced",
            "singularResource": name[:-1],
            "verbs": ["get", "list"],
            "shortNames": [name[0]],
            "categories": ["all"],
            "subresources": [{"subresource": "status"}],
        }
        for name in names
    ]
    versions = [{"version": "v2", "resources": resources}, {"version": "v1", "resources": resources}]
    groups = [{"metadata": {"name": "toys.test"}, "versions": versions}]
    if stale:
        groups.append({"metadata": {"name": stale}, "versions": [{"version": "v1", "freshness": "Stale"}]})
    return {"kind": "APIGroupDiscoveryList", "items": groups}


async def test_aggregated_discovery_takes_two_requests_and_then_only_a_tag() -> None:
    requests: list[tuple[str, int]] = []
    served = discovery("robots", stale="metrics.k8s.io")

    async def handle(request: web.Request) -> web.StreamResponse:
        assert "as=APIGroupDiscoveryList" in request.headers["Accept"]
        tag = f'"{len(served["items"][0]["versions"][0]["resources"])}"'
        code = 304 if request.headers.get("If-None-Match") == tag else 200
        requests.append((request.path, code))
        if code == 304:
            return web.Response(status=304)
        items = served if request.path == "/apis" else {"kind": "APIGroupDiscoveryList", "items": []}
        return web.json_response(items, headers={"ETag": tag})

    async with serve(handle) as url, Client(context(url)) as client:
        first, again = await asyncio.gather(client.resources(), client.resources())
        assert first is again
        assert sorted(requests) == [("/api", 200), ("/apis", 200)]
        robot = first.find("toys.test", "Robot")
        assert robot == Resource(
            "toys.test", "v2", "Robot", "robots", "robot", True, ("get", "list"), ("r",), ("all",), ("status",)
        )
        assert first.find("toys.test", "Robot", "v1") is not None
        assert first.by_word("robots.toys.test") is robot
        assert first.by_word("r") is robot
        assert first.failures == {"metrics.k8s.io/v1": "the API does not answer at present"}
        changed = asyncio.ensure_future(client.resources_changed(5))
        await client.resources(refresh=True)
        assert requests[2:] == [("/apis", 304)]
        assert not changed.done()
        served["items"][0]["versions"][0]["resources"] += discovery("balls")["items"][0]["versions"][0]["resources"]
        await client.resources(refresh=True)
        assert await changed
        assert (await client.resource_for({"apiVersion": "toys.test/v2", "kind": "Ball"})).plural == "balls"


async def test_a_kind_that_is_not_served_is_named() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.json_response(discovery("robots"))

    async with serve(handle) as url, Client(context(url)) as client:
        with pytest.raises(UnknownKind, match=r"the cluster serves no kind Car in toys\.test/v2"):
            await client.resource_for(("toys.test", "v2", "Car"))


async def test_legacy_discovery_survives_groups_that_fail() -> None:
    answers: dict[str, Any] = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {
            "kind": "APIGroupList",
            "groups": [
                {
                    "name": "apps",
                    "versions": [{"groupVersion": "apps/v1beta1", "version": "v1beta1"},
                                 {"groupVersion": "apps/v1", "version": "v1"}],
                    "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
                },
                {"name": "metrics.k8s.io", "versions": [{"groupVersion": "metrics.k8s.io/v1", "version": "v1"}]},
            ],
        },
        "/api/v1": {
            "kind": "APIResourceList",
            "resources": [
                {"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ["list"], "shortNames": ["po"]},
                {"name": "pods/log", "kind": "Pod", "namespaced": True, "verbs": ["get"]},
                {"name": "nodes", "kind": "Node", "namespaced": False, "verbs": ["list"]},
            ],
        },
        "/apis/apps/v1": {"resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True}]},
        "/apis/apps/v1beta1": {"resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True}]},
    }  # fmt: skip

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path in answers:
            return web.json_response(answers[request.path])
        return status(503, "ServiceUnavailable", "the server is currently unable to handle the request")

    async with serve(handle) as url, Client(context(url)) as client:
        found = await client.resources()
    assert [resource.name for resource in found.preferred] == ["pods", "nodes", "deployments.apps"]
    pods = found.by_plural("pods")
    assert pods is not None
    assert pods.subresources == ("log",)
    deployments = found.find("apps", "Deployment")
    assert deployments is not None
    assert deployments.version == "v1"
    assert "unable to handle" in found.failures["metrics.k8s.io/v1"]
