"""CustomResourceDefinitions of the kinds that the engine reconciles, generated from the typed kinds.

Names, short names, categories, printer columns and the status default are upstream's, so that kubectl and the flux CLI
see no difference.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fluxtui.api import kinds
from fluxtui.api.helm import HelmReleaseSpec, HelmReleaseStatus
from fluxtui.api.kustomize import KustomizationSpec, KustomizationStatus
from fluxtui.api.meta import SUBSTITUTE
from fluxtui.api.schema import structural
from fluxtui.api.source import ExternalArtifactSpec, ExternalArtifactStatus, GitRepositorySpec, GitRepositoryStatus

MANAGED_BY = "app.kubernetes.io/managed-by"
PART_OF = "app.kubernetes.io/part-of"

_COLUMNS: tuple[dict[str, str], ...] = (
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    {"name": "Status", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].message'},
)
_SOURCE: dict[str, str] = {"name": "Source", "type": "string", "jsonPath": ".spec.sourceRef.name"}
_URL: dict[str, str] = {"name": "URL", "type": "string", "jsonPath": ".spec.url"}


class Definition(msgspec.Struct, frozen=True):
    """A kind and the types its CRD is generated from."""

    kind: kinds.Kind
    spec: type[msgspec.Struct]
    status: type[msgspec.Struct]
    short_name: str
    category: str
    columns: tuple[dict[str, str], ...] = _COLUMNS
    status_default: bool = True
    """Whether a new object says `observedGeneration: -1`."""


DEFINITIONS: tuple[Definition, ...] = (
    Definition(
        kinds.GIT_REPOSITORY,
        GitRepositorySpec,
        GitRepositoryStatus,
        "gitrepo",
        "fluxcd-sources",
        (_URL, *_COLUMNS),
    ),
    Definition(
        kinds.EXTERNAL_ARTIFACT,
        ExternalArtifactSpec,
        ExternalArtifactStatus,
        "ea",
        "fluxcd-sources",
        (*_COLUMNS, _SOURCE),
        status_default=False,
    ),
    Definition(kinds.KUSTOMIZATION, KustomizationSpec, KustomizationStatus, "ks", "fluxcd-appliers"),
    Definition(kinds.HELM_RELEASE, HelmReleaseSpec, HelmReleaseStatus, "hr", "fluxcd-appliers"),
)


def crd(definition: Definition) -> dict[str, Any]:
    """The CustomResourceDefinition (apiextensions.k8s.io/v1) of one kind, as a JSON object."""
    kind = definition.kind
    status = structural(definition.status)
    if definition.status_default:
        status["default"] = {"observedGeneration": -1}
    version = {
        "name": kind.versions[0],
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": list(definition.columns),
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "description": f"{kind.kind} is the schema of the {kind.plural} API.",
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"type": "object"},
                    "spec": structural(definition.spec),
                    "status": status,
                },
            }
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": kind.resource,
            "labels": {MANAGED_BY: "fluxtui", PART_OF: "flux"},
            "annotations": {SUBSTITUTE: "disabled"},
        },
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": [definition.short_name],
                "categories": ["all", "fluxcd", definition.category],
            },
            "versions": [version],
        },
    }


def all_crds() -> list[dict[str, Any]]:
    """The CRDs of every kind that the engine reconciles or reads."""
    return [crd(definition) for definition in DEFINITIONS]
