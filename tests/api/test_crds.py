"""The generated CRDs: what Kubernetes and Flux's users rely on in them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fluxtui.api import durations, kinds
from fluxtui.api.crds import DEFINITIONS, all_crds
from fluxtui.api.helm import HelmRelease
from fluxtui.api.kustomize import Kustomization
from fluxtui.api.source import GitRepository

CRDS = {crd["spec"]["names"]["kind"]: crd for crd in all_crds()}


def at(schema: dict[str, Any], path: str) -> dict[str, Any]:
    for part in path.split("."):
        schema = schema["items"] if part == "[]" else schema["properties"][part]
    return schema


def schema(kind: str) -> dict[str, Any]:
    root: dict[str, Any] = CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return root


def test_every_object_in_a_schema_is_structural() -> None:
    def walk(node: dict[str, Any], where: str) -> None:
        assert "type" in node, where
        assert not ("properties" in node and "additionalProperties" in node), where
        for name, child in node.get("properties", {}).items():
            walk(child, f"{where}.{name}")
        if isinstance(node.get("additionalProperties"), dict):
            walk(node["additionalProperties"], f"{where}.*")
        if node["type"] == "array":
            walk(node["items"], f"{where}[]")

    for kind in CRDS:
        walk(schema(kind), kind)


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("Kustomization", "spec.interval", {"pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"}),
        ("Kustomization", "spec.force", {"default": False}),
        ("Kustomization", "spec.targetNamespace", {"maxLength": 63, "minLength": 1}),
        ("Kustomization", "spec.postBuild.substituteFrom.[].kind", {"enum": ["ConfigMap", "Secret"]}),
        ("Kustomization", "status", {"default": {"observedGeneration": -1}}),
        ("GitRepository", "spec.timeout", {"default": "60s"}),
        ("GitRepository", "spec.url", {"pattern": "^(http|https|ssh|file)://.*$"}),
        ("HelmRelease", "spec.values", {"x-kubernetes-preserve-unknown-fields": True}),
        ("HelmRelease", "spec.chart.spec.version", {"default": "*"}),
        ("HelmRelease", "spec.install.disableOpenAPIValidation", {"type": "boolean"}),
        ("HelmRelease", "spec.install.skipCRDs", {"type": "boolean"}),
    ],
)
def test_constraints_follow_the_api_documents(kind: str, path: str, expected: dict[str, Any]) -> None:
    assert expected.items() <= at(schema(kind), path).items()


def test_required_fields_are_those_of_the_documents() -> None:
    assert set(at(schema("Kustomization"), "spec")["required"]) == {"interval", "prune", "sourceRef"}
    assert set(at(schema("GitRepository"), "spec")["required"]) == {"interval", "url"}
    assert set(at(schema("HelmRelease"), "spec")["required"]) == {"interval"}


def test_rules_reach_the_crd() -> None:
    rules = at(schema("HelmRelease"), "spec")["x-kubernetes-validations"]
    assert [rule["message"] for rule in rules] == ["either chart or chartRef must be set"]


def test_every_field_is_described() -> None:
    for definition in DEFINITIONS:
        for name, field in at(schema(definition.kind.kind), "spec")["properties"].items():
            assert field.get("description"), f"{definition.kind.kind}.spec.{name}"


@pytest.mark.parametrize("type_", [GitRepository, Kustomization, HelmRelease])
def test_a_mistake_is_named_by_its_path(type_: type[msgspec.Struct]) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.spec\.interval"):
        msgspec.convert({"metadata": {"name": "x"}, "spec": {"interval": "soon", "url": "https://x"}}, type_)


def test_words_name_one_kind_each() -> None:
    assert kinds.BY_WORD["ks"] is kinds.KUSTOMIZATION
    assert kinds.BY_WORD["gitrepo"] is kinds.GIT_REPOSITORY
    assert kinds.BY_WORD["helmreleases"] is kinds.HELM_RELEASE
    assert kinds.BY_WORD["imageupdateautomation"] is kinds.IMAGE_UPDATE


@pytest.mark.parametrize(
    ("text", "seconds", "printed"),
    [
        ("10m", 600, "10m0s"),
        ("1h30m", 5400, "1h30m0s"),
        ("500ms", 0.5, "500ms"),
        ("1m0.5s", 60.5, "1m0.5s"),
        ("0", 0, "0s"),
        ("36h", 129600, "36h0m0s"),
    ],
)
def test_durations(text: str, seconds: float, printed: str) -> None:
    assert durations.parse(text) == seconds
    assert durations.text(seconds) == printed
    assert durations.parse(printed) == seconds


@pytest.mark.parametrize("text", ["", "soon", "10", "1d", "1m x", "m", "-5m"])
def test_what_is_no_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        durations.parse(text)
