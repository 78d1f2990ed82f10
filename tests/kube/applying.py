"""Objects to apply, the options to apply them with, and hands to change what is applied."""

from __future__ import annotations

from typing import Any

from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.errors import NotFound
from fluxtui.kube.identity import identity_of
from fluxtui.kube.plan import ApplyOptions, Marks

Object = dict[str, Any]
OWNER = {"example.com/name": "apps", "example.com/namespace": "flux-system"}
MARKS = Marks(
    exclude=(("example.com/reconcile", "disabled"),),
    if_not_present=(("example.com/ssa", "IfNotPresent"),),
    force=(("example.com/force", "enabled"),),
    merge=(("example.com/ssa", "Merge"),),
)
OPTIONS = ApplyOptions(manager="kustomize-controller", owner=OWNER, marks=MARKS)


def config_map(name: str, namespace: str, data: Any = None, **annotations: str) -> Object:
    metadata: Object = {"name": name, "namespace": namespace}
    if annotations:
        metadata["annotations"] = {f"example.com/{key}": value for key, value in annotations.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {"k": "v"}}


def definition_of(kind: str, scope: str, schema: Object, **more: Any) -> Object:
    """A CRD of example.com with one version; `more` are further fields of its spec."""
    plural = f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
            **more,
        },
    }


def deployment(name: str, namespace: str) -> Object:
    container: Object = {"name": "app", "image": "example.com/app:1", "ports": [{"containerPort": 80}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": None},
        "spec": {
            "replicas": 1,
            "strategy": None,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    }


async def get(client: Client, obj: Object) -> Object | None:
    identity = identity_of(obj)
    try:
        return await client.get(await client.resource_for(obj), identity.name, identity.namespace)
    except NotFound:
        return None


async def patch(client: Client, obj: Object, change: Any, manager: str = "kubectl-edit") -> None:
    identity = identity_of(obj)
    resource = await client.resource_for(obj)
    await client.patch(resource, identity.name, identity.namespace, change, type=PatchType.MERGE, field_manager=manager)
