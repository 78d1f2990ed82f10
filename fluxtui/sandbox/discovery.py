"""What a server says about itself: API groups and resources (aggregated and legacy), its version, its schemas."""

from __future__ import annotations

from typing import Any

from fluxtui.sandbox.kinds import ALL_VERBS, Kind, Kinds

Object = dict[str, Any]

VERSION: Object = {
    "major": "1",
    "minor": "35",
    "gitVersion": "v1.35.4+sandbox",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
AGGREGATED = "apidiscovery.k8s.io"
REVIEWS: tuple[tuple[str, str, str, str], ...] = (
    ("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews"),
    ("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews"),
)
"""Resources that are only created: (group, version, kind, plural)."""


def aggregated(kinds: Kinds, *, core: bool) -> Object:
    """The APIGroupDiscoveryList of the core API, or of all groups."""
    groups: dict[str, dict[str, list[Object]]] = {}
    for kind in kinds:
        if (kind.group == "") is core:
            groups.setdefault(kind.group, {}).setdefault(kind.version, []).append(_aggregated(kind))
    if not core:
        for group, version, kind_name, plural in REVIEWS:
            item = {
                "resource": plural,
                "responseKind": {"group": group, "version": version, "kind": kind_name},
                "scope": "Cluster",
                "singularResource": kind_name.lower(),
                "verbs": ["create"],
            }
            groups.setdefault(group, {}).setdefault(version, []).append(item)
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
            "versions": [
                {"version": version, "resources": resources, "freshness": "Current"}
                for version, resources in sorted(versions.items(), key=lambda item: _rank(item[0]))
            ],
        }
        for group, versions in groups.items()
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def group_list(kinds: Kinds) -> Object:
    """The legacy APIGroupList."""
    names = dict.fromkeys([kind.group for kind in kinds if kind.group] + [review[0] for review in REVIEWS])
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(kinds, name) for name in names]}


def group(kinds: Kinds, name: str) -> Object | None:
    """One legacy APIGroup."""
    if not name or not has_group(kinds, name):
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(kinds, name)}


def has_group(kinds: Kinds, name: str) -> bool:
    """Whether a group is served."""
    return any(kind.group == name for kind in kinds) or any(review[0] == name for review in REVIEWS)


def resource_list(kinds: Kinds, name: str, version: str) -> Object | None:
    """The legacy APIResourceList of a group and version."""
    resources: list[Object] = []
    for kind in kinds:
        if (kind.group, kind.version) == (name, version):
            resources.append(_legacy(kind))
            resources += [
                {"name": f"{kind.plural}/{part}", "singularName": "", "namespaced": kind.namespaced, **said}
                for part, said in _parts(kind)
            ]
    for group_name, group_version, kind_name, plural in REVIEWS:
        if (group_name, group_version) == (name, version):
            resources.append(
                {"name": plural, "singularName": "", "namespaced": False, "kind": kind_name, "verbs": ["create"]}
            )
    if not resources:
        return None
    api_version = f"{name}/{version}" if name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources}


def openapi_v3(kinds: Kinds, name: str, version: str) -> Object:
    """An OpenAPI document with what kubectl asks for: which kinds there are, and that they can be dry-run."""
    schemas, paths = {}, {}
    for kind in kinds:
        if (kind.group, kind.version) != (name, version):
            continue
        gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        schema: Object = {"type": "object", "x-kubernetes-group-version-kind": [gvk]}
        if kind.openapi is not None:
            schema = {**kind.openapi, **schema}
        schemas[f"{kind.group or 'core'}.{kind.version}.{kind.kind}"] = schema
        base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        scope = "/namespaces/{namespace}" if kind.namespaced else ""
        parameters = [
            {"name": parameter, "in": "query", "schema": {"type": "string"}}
            for parameter in ("dryRun", "fieldManager", "fieldValidation", "force")
        ]
        paths[f"{base}{scope}/{kind.plural}/{{name}}"] = {
            "patch": {"parameters": parameters, "x-kubernetes-group-version-kind": gvk, "responses": {}}
        }
    info = {"title": "Kubernetes", "version": VERSION["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def openapi_paths(kinds: Kinds) -> Object:
    """The index of OpenAPI v3 documents."""
    found = {f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}" for kind in kinds}
    return {
        "paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={kinds.revision}"} for path in sorted(found)}
    }


def _aggregated(kind: Kind) -> Object:
    gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    item: Object = {
        "resource": kind.plural,
        "responseKind": gvk,
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(ALL_VERBS),
    }
    if kind.short_names:
        item["shortNames"] = list(kind.short_names)
    if kind.categories:
        item["categories"] = list(kind.categories)
    parts = [
        {
            "subresource": part,
            "responseKind": {**gvk, **{name: value for name, value in said.items() if name != "verbs"}},
            "verbs": said["verbs"],
        }
        for part, said in _parts(kind)
    ]
    if parts:
        item["subresources"] = parts
    return item


def _parts(kind: Kind) -> list[tuple[str, Object]]:
    """The subresources of a resource: name, and what discovery says of it."""
    verbs = ["get", "patch", "update"]
    found: list[tuple[str, Object]] = []
    if kind.has_status:
        found.append(("status", {"kind": kind.kind, "verbs": verbs}))
    if kind.has_scale:
        found.append(("scale", {"group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": verbs}))
    if kind.plural == "pods" and not kind.group:
        found.append(("log", {"kind": kind.kind, "verbs": ["get"]}))
    return found


def _legacy(kind: Kind) -> Object:
    return {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(ALL_VERBS),
        "shortNames": list(kind.short_names),
        "categories": list(kind.categories),
    }


def _group(kinds: Kinds, name: str) -> Object:
    versions = {kind.version for kind in kinds if kind.group == name} | {r[1] for r in REVIEWS if r[0] == name}
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in sorted(versions, key=_rank)]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _rank(version: str) -> tuple[int, str]:
    """Stable versions first, newest first."""
    stage = 0 if version[1:].isdigit() else 1 if "beta" in version else 2
    return stage, "".join(chr(0x10FFFF - ord(character)) for character in version)
