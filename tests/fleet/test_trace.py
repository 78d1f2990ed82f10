"""Traces: the chain from source to dependents, and the cause in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from fluxtui.fleet.branches import Child
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.states import State
from fluxtui.fleet.trace import Role, Trace, root_cause, sentence, trace
from tests.fleet.objects import failed, flux, mirror_of, ready, ref, said

GIT = {"sourceRef": {"kind": "GitRepository", "name": "fleet"}}


def owned_by(name: str, group: str = "kustomize", namespace: str = "flux-system") -> dict[str, str]:
    return {f"{group}.toolkit.fluxcd.io/name": name, f"{group}.toolkit.fluxcd.io/namespace": namespace}


def ks(name: str, *conditions: dict[str, Any], depends: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    spec = {**GIT, "dependsOn": [{"name": each} for each in depends], **more.pop("spec", {})}
    return flux("ks", name, *conditions, spec=spec, **more)


def steps(found: Trace) -> list[tuple[str, str]]:
    return [(step.role.value, step.ref.name) for step in found.steps]


def fleet(**conditions: Any) -> Mirror:
    """git → root → infra ← apps ← canary, apps applying Deployment web/api."""

    def of(name: str) -> tuple[Any, ...]:
        found: tuple[Any, ...] = conditions.get(name, (ready(),))
        return found

    return mirror_of(
        c=[
            flux("git", "fleet", *of("git")),
            ks("root", *of("root")),
            ks("infra", *of("infra"), labels=owned_by("root")),
            ks(
                "apps",
                *of("apps"),
                depends=("infra",),
                labels=owned_by("root"),
                status={"inventory": {"entries": [{"id": "web_api_apps_Deployment", "v": "v1"}]}},
            ),
            ks("canary", *of("canary"), depends=("apps",), labels=owned_by("root")),
        ]
    )


def test_the_whole_chain_of_an_object() -> None:
    found = trace(fleet(), ref("ks", "apps", "c"))
    assert steps(found) == [
        ("source", "fleet"),
        ("owner", "root"),
        ("depends on", "infra"),
        ("object", "apps"),
        ("awaited by", "canary"),
    ]
    assert found.cause == ""
    assert found.of(Role.DEPENDENCY)[0].ref == ref("ks", "infra", "c")


def test_a_source_feeds_and_a_root_owns() -> None:
    mirror = fleet()
    assert steps(trace(mirror, ref("git", "fleet", "c"))) == [
        ("object", "fleet"),
        ("feeds", "apps"),
        ("feeds", "canary"),
        ("feeds", "infra"),
        ("feeds", "root"),
    ]
    owned = [name for role, name in steps(trace(mirror, ref("ks", "root", "c"))) if role == "owns"]
    assert owned == ["apps", "canary", "infra"]


def test_an_object_of_an_inventory_is_traced_through_its_owner() -> None:
    mirror = fleet()
    api = Ref("c", "apps", "Deployment", "web", "api")
    found = trace(mirror, api, Child(api, state=State.FAILED, message="1/3 ready"))
    assert steps(found) == [
        ("source", "fleet"),
        ("owner", "root"),
        ("owner", "apps"),
        ("depends on", "infra"),
        ("object", "api"),
    ]
    assert found.of(Role.SELF)[0].message == "1/3 ready"
    nobody = Ref("c", "apps", "Deployment", "web", "other")
    assert steps(trace(mirror, nobody)) == [("object", "other")]


WAITS = (failed("DependencyNotReady", "dependency 'flux-system/infra' is not ready"),)


@pytest.mark.parametrize(
    ("conditions", "name", "cause"),
    [
        ({}, "apps", ""),
        ({"apps": (failed(message="no such file"),)}, "apps", "ks apps failed: no such file"),
        (
            {"apps": WAITS, "infra": (failed(message="no such file"),)},
            "apps",
            "ks apps waits for ks infra, which failed: no such file",
        ),
        (
            {
                "canary": WAITS,
                "apps": WAITS,
                "infra": (failed(message="no artifact"),),
                "git": (failed(message="authentication required"),),
            },
            "canary",
            "ks canary waits for ks apps, which waits for ks infra, whose source is git fleet, "
            "which failed: authentication required",
        ),
        (
            {"root": (failed(message="no artifact"),), "git": (said("Stalled", "True", message="bad URL"), failed())},
            "root",
            "ks root gets nothing from its source git fleet, which is stalled: bad URL",
        ),
        (
            {"apps": WAITS, "infra": (said("Ready", "Unknown", message="applying"),)},
            "apps",
            "ks apps waits for ks infra, which is progressing: applying",
        ),
    ],
)
def test_the_cause_is_one_sentence(conditions: dict[str, Any], name: str, cause: str) -> None:
    found = trace(fleet(**conditions), ref("ks", name, "c"))
    assert found.cause == cause
    assert bool(found.chain) == bool(cause)


def test_a_missing_dependency_is_the_root() -> None:
    mirror = mirror_of(c=[ks("apps", *WAITS, depends=("infra",)), flux("git", "fleet", ready())])
    found = trace(mirror, ref("ks", "apps", "c"))
    assert found.cause == "ks apps waits for ks infra, which does not exist"
    assert found.of(Role.DEPENDENCY)[0].missing


def test_a_suspended_dependency_that_is_not_ready_is_the_root() -> None:
    mirror = mirror_of(
        c=[
            ks("apps", *WAITS, depends=("infra",)),
            ks("infra", failed(message="broken"), spec={"suspend": True}),
            flux("git", "fleet", ready()),
        ]
    )
    assert (
        trace(mirror, ref("ks", "apps", "c")).cause == "ks apps waits for ks infra, which is suspended (failed): broken"
    )


def test_circles_of_dependencies_end() -> None:
    mirror = mirror_of(
        c=[ks("a", *WAITS, depends=("b",)), ks("b", *WAITS, depends=("a",)), flux("git", "fleet", ready())]
    )
    assert root_cause(mirror, ref("ks", "a", "c")) == (ref("ks", "a", "c"), ref("ks", "b", "c"))
    assert sentence(mirror, ()) == ""
    assert len(trace(mirror, ref("ks", "a", "c")).steps) < 8


@pytest.mark.parametrize(
    ("spec", "sources"),
    [
        ({"chartRef": {"kind": "OCIRepository", "name": "podinfo"}}, ["podinfo"]),
        (
            {"chart": {"spec": {"chart": "x", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}}},
            ["charts", "web-web"],
        ),
    ],
)
def test_the_sources_of_releases(spec: dict[str, Any], sources: list[str]) -> None:
    chart_spec = {"chart": "x", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}
    mirror = mirror_of(
        c=[
            flux("hr", "web", ready(), namespace="web", spec=spec),
            flux("chart", "web-web", ready(), namespace="web", spec=chart_spec, labels=owned_by("web", "helm", "web")),
            flux("helm", "charts", ready(), namespace="web"),
            flux("oci", "podinfo", ready(), namespace="web"),
        ]
    )
    found = trace(mirror, ref("hr", "web", "c", "web"))
    assert [step.ref.name for step in found.of(Role.SOURCE)] == sources
    assert "web" in [step.ref.name for step in trace(mirror, ref("helm", "charts", "c", "web")).of(Role.CONSUMER)] or (
        "chartRef" in spec
    )


def test_image_kinds_are_chained() -> None:
    mirror = mirror_of(
        c=[
            flux("imgr", "web", ready()),
            flux("imgp", "web", ready(), spec={"imageRepositoryRef": {"name": "web"}}),
            flux("imgu", "update", ready(), spec=GIT),
            flux("git", "fleet", ready()),
        ]
    )
    assert steps(trace(mirror, ref("imgp", "web", "c"))) == [("source", "web"), ("object", "web")]
    assert steps(trace(mirror, ref("imgu", "update", "c"))) == [("source", "fleet"), ("object", "update")]


def test_a_circle_is_called_one() -> None:
    def waits(name: str, other: str) -> dict[str, Any]:
        message = f"dependency 'flux-system/{other}' is not ready"
        return ks(name, failed("DependencyNotReady", message), depends=(other,))

    mirror = mirror_of(c=[flux("git", "fleet", ready()), waits("east", "west"), waits("west", "east")])
    cause = trace(mirror, ref("ks", "east", "c")).cause
    assert cause == "ks east waits for ks west, which waits for ks east: a circle"
