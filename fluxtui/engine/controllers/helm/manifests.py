"""What a chart rendered, sorted into objects and hooks, labelled as Flux's, and written down as Helm writes it.

Annotations, weights and the order of kinds are Helm's (chart hooks and install order of its documentation).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fluxtui.api.kinds import HELM_GROUP as GROUP
from fluxtui.engine.adapters.helm import Object, Rendered, documents
from fluxtui.kustomize import output

HOOK = "helm.sh/hook"
WEIGHT = "helm.sh/hook-weight"
DELETE_POLICY = "helm.sh/hook-delete-policy"
RESOURCE_POLICY = "helm.sh/resource-policy"
_ORDER = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
]
_RANK = {kind: rank for rank, kind in enumerate(_ORDER)}


class Hook(msgspec.Struct, frozen=True):
    """An object that is created at certain moments of a release, and not part of it."""

    object: Object
    path: str
    events: tuple[str, ...]
    """Such as `pre-install`, `post-upgrade`, `test`."""
    weight: int
    delete_policies: tuple[str, ...]
    """`before-hook-creation` when the chart says nothing."""

    def stored(self) -> Object:
        """As the release in Helm's storage has it."""
        return {
            "name": self.object["metadata"]["name"],
            "kind": self.object["kind"],
            "path": self.path,
            "manifest": _print(self.object),
            "events": list(self.events),
            "last_run": {"started_at": "", "completed_at": "", "phase": ""},
            "weight": self.weight,
            "delete_policies": list(self.delete_policies),
        }


class Manifest(msgspec.Struct, frozen=True):
    """A rendered chart: objects in install order, hooks in the order in which they run, the text Helm stores."""

    objects: tuple[Object, ...]
    hooks: tuple[Hook, ...]
    text: str
    notes: str


def sort_out(rendered: Rendered, *, name: str, namespace: str, owner: tuple[str, str]) -> Manifest:
    """Sort a chart's output; `owner` is the namespace and name of the HelmRelease, for the labels.

    Raises ValueError that names the object when a weight is no number or an object has no name.
    """
    objects, hooks = [], []
    for path, obj in rendered.objects:
        meta = obj.setdefault("metadata", {})
        if not meta.get("name"):
            raise ValueError(f"{obj.get('kind', 'object')} of {path} has no metadata.name")
        annotations = meta.get("annotations") or {}
        labelled = _labelled(obj, owner)
        if HOOK in annotations:
            hooks.append(_hook(labelled, path, annotations))
        else:
            objects.append((path, _owned(labelled, name, namespace)))
    objects.sort(key=lambda item: _rank(item[1]))
    hooks.sort(key=lambda hook: (hook.weight, _rank(hook.object), hook.object["metadata"]["name"]))
    text = "".join(f"---\n# Source: {path}\n{_print(obj)}\n" for path, obj in objects)
    return Manifest(tuple(obj for _, obj in objects), tuple(hooks), text, rendered.notes)


def keeps(obj: Mapping[str, Any]) -> bool:
    """Whether an object is to stay when its release no longer has it."""
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(RESOURCE_POLICY, "")).strip().lower() == "keep"


def parse_stored(release: Mapping[str, Any]) -> list[Object]:
    """The objects of a stored release. Blocking. Raises HelmError when the manifest can't be read."""
    return documents(str(release.get("manifest", "")), f"release {release['name']}.v{release['version']}")


def running_at(hooks: Iterable[Hook], event: str) -> list[Hook]:
    """The hooks of an event, in order."""
    return [hook for hook in hooks if event in hook.events]


def _hook(obj: Object, path: str, annotations: Mapping[str, Any]) -> Hook:
    weight = str(annotations.get(WEIGHT, "0"))
    try:
        number = int(weight)
    except ValueError:
        raise ValueError(f"{obj['kind']} {obj['metadata']['name']}: {WEIGHT} {weight!r} is not a number") from None
    policies = _words(str(annotations.get(DELETE_POLICY, ""))) or ("before-hook-creation",)
    return Hook(obj, path, _words(str(annotations[HOOK])), number, policies)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip().lower() for word in text.split(",") if word.strip())


def _labelled(obj: Object, owner: tuple[str, str]) -> Object:
    """A copy with the labels of Flux."""
    labelled = copy.deepcopy(obj)
    meta = labelled["metadata"]
    meta["labels"] = {**(meta.get("labels") or {}), f"{GROUP}/namespace": owner[0], f"{GROUP}/name": owner[1]}
    return labelled


def _owned(obj: Object, name: str, namespace: str) -> Object:
    """An object with the label and annotations by which Helm knows what belongs to a release; hooks do not."""
    meta = obj["metadata"]
    meta["labels"]["app.kubernetes.io/managed-by"] = "Helm"
    meta["annotations"] = {
        **(meta.get("annotations") or {}),
        "meta.helm.sh/release-name": name,
        "meta.helm.sh/release-namespace": namespace,
    }
    return obj


def _rank(obj: Object) -> int:
    return _RANK.get(str(obj.get("kind")), len(_RANK))


def _print(obj: Object) -> str:
    return output.document(obj)
