"""Field specs from `crds`: OpenAPI definitions of custom kinds whose properties say what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fluxtui.kustomize import documents
from fluxtui.kustomize.configuration import EMPTY, Configuration, NameReference
from fluxtui.kustomize.errors import FieldError
from fluxtui.kustomize.fieldspecs import FieldSpec
from fluxtui.kustomize.loader import Loader

_ANNOTATION = "x-kubernetes-annotation"
_LABEL_SELECTOR = "x-kubernetes-label-selector"
_IDENTITY = "x-kubernetes-identity"
_VERSION = "x-kubernetes-object-ref-api-version"
_KIND = "x-kubernetes-object-ref-kind"
_NAME_KEY = "x-kubernetes-object-ref-name-key"
_MAX_DEPTH = 50


def load(loader: Loader, paths: Iterable[str]) -> Configuration:
    """The field specs that files of definitions (type name → `Schema`) tell of. Raises LoadError, FieldError."""
    result = EMPTY
    for path in paths:
        document = documents.read_settings(loader.load(path), path)
        if not isinstance(document, dict):
            raise FieldError(f"unable to parse open API definition from '{path}'")
        for name in document:
            properties = _properties(document, name)
            if {"kind", "apiVersion", "metadata"} <= properties.keys():
                kind = name.rpartition(".")[2]
                result = result.merged(_of_type(document, name, kind, ()))
    return result


def _properties(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    definition = document.get(name)
    fields = definition.get("Schema", definition.get("schema")) if isinstance(definition, dict) else None
    properties = fields.get("properties") if isinstance(fields, dict) else None
    return properties if isinstance(properties, dict) else {}


def _of_type(document: Mapping[str, Any], name: str, kind: str, path: tuple[str, ...]) -> Configuration:
    result = EMPTY
    if len(path) > _MAX_DEPTH:
        return result
    for field, facts in _properties(document, name).items():
        if isinstance(facts, dict):
            result = result.merged(_of_field(kind, facts, (*path, field)))
            if "$ref" in facts:
                result = result.merged(_of_type(document, str(facts["$ref"]), kind, (*path, field)))
    return result


def _of_field(kind: str, facts: Mapping[str, Any], path: tuple[str, ...]) -> Configuration:
    here = (FieldSpec(path="/".join(path), kind=kind),)
    references: tuple[NameReference, ...] = ()
    if _VERSION in facts and _KIND in facts:
        field = FieldSpec(path="/".join((*path, facts.get(_NAME_KEY, "name"))), kind=kind)
        references = (NameReference(kind=facts[_KIND], version=facts[_VERSION], field_specs=(field,)),)
    return Configuration(
        common_annotations=here if _ANNOTATION in facts else (),
        common_labels=here if _LABEL_SELECTOR in facts else (),
        name_prefix=here if _IDENTITY in facts else (),
        name_reference=references,
    )
