"""A repository, and the Flux objects that take from it: one scenario a directory, each with an outcome of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

NAMESPACE = "flux-system"


def document(*objects: Object) -> str:
    """A YAML stream."""
    return yaml.safe_dump_all(objects)


def config_map(name: str, namespace: str = "", annotations: Object | None = None, **data: Any) -> Object:
    """A ConfigMap; in `default` of the Kustomization when no namespace is given."""
    metadata: Object = {"name": name, "namespace": namespace} if namespace else {"name": name}
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def kustomization(**fields: Any) -> str:
    """A kustomization.yaml."""
    return yaml.safe_dump({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", **fields})


def deployment(name: str, namespace: str = "apps") -> Object:
    """A Deployment that nobody runs."""
    labels = {"app": name}
    container = {"name": "web", "image": "example.com/web:1", "ports": [{"containerPort": 80}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


WIDGETS: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}

WIDGET: Object = {
    "apiVersion": "example.com/v1",
    "kind": "Widget",
    "metadata": {"name": "one", "namespace": "apps"},
    "spec": {},
}


def _annotated(name: str, annotation: str, value: str) -> Object:
    return config_map(name, "apps", {f"kustomize.toolkit.fluxcd.io/{annotation}": value}, key="value")


def _labelled(name: str, label: str, value: str) -> Object:
    obj = config_map(name, "apps", key="value")
    obj["metadata"]["labels"] = {f"kustomize.toolkit.fluxcd.io/{label}": value}
    return obj


def _binding(name: str, role: str) -> Object:
    """A ClusterRoleBinding, whose role can't be changed."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [],
    }


FILES: dict[str, str] = {
    "plain/a.yaml": document(config_map("plain-a", "apps", key="one"), config_map("plain-b", "apps", key="two")),
    "plain/deep/b.yaml": document(config_map("plain-deep", "apps", key="three")),
    "overlay/kustomization.yaml": kustomization(
        namePrefix="pre-",
        namespace="apps",
        commonAnnotations={"team": "web"},
        resources=["a.yaml"],
        configMapGenerator=[{"name": "generated", "literals": ["a=1", "b=2"]}],
    ),
    "overlay/a.yaml": document(config_map("overlay", key="value")),
    "target/a.yaml": document(config_map("target", "elsewhere", key="value")),
    "nowhere/a.yaml": document(config_map("nowhere", "no-such-namespace", key="value")),
    "broken/a.yaml": "apiVersion: v1\nkind: ConfigMap\n  metadata: {name: [}\n",
    "typed/a.yaml": (Path(__file__).parent / "typed.yaml").read_text(),
    "foreign/values.yaml": "replicas: 3\nname: web\n",
    "refused/a.yaml": document(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Not_A_Name", "namespace": "apps"}}
    ),
    "mistyped/a.yaml": document(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "apps"},
            "spec": {"ports": "x"},
        }
    ),
    "unknown-kind/a.yaml": document(
        {"apiVersion": "example.org/v1", "kind": "Gadget", "metadata": {"name": "g", "namespace": "apps"}}
    ),
    "substituted/a.yaml": document(
        config_map("substituted", "apps", key="${cluster}", deep="${region:=eu}", off="$${cluster}", cut="${long:0:4}"),
        _annotated("unsubstituted", "substitute", "disabled"),
    ),
    "unset/a.yaml": document(config_map("unset", "apps", key="${nobody_set_me}")),
    "unsourced/a.yaml": document(config_map("unsourced", "apps", key="${cluster}")),
    "first/a.yaml": document(config_map("first", "apps", key="value")),
    "second/a.yaml": document(config_map("second", "apps", key="value")),
    "waiting/a.yaml": document(deployment("never-ready")),
    "absent-check/a.yaml": document(config_map("absent-check", "apps", key="value")),
    "suspended/a.yaml": document(config_map("suspended", "apps", key="value")),
    "patched/a.yaml": document(deployment("patched")),
    "crd/crd.yaml": document(WIDGETS, WIDGET),
    "unpruned/a.yaml": document(config_map("unpruned", "apps", key="value")),
    "immutable/a.yaml": document({**config_map("immutable", "apps", key="one"), "immutable": True}),
    "forced/a.yaml": document({**config_map("forced", "apps", key="one"), "immutable": True}),
    "no-component/a.yaml": document(config_map("no-component", "apps", key="value")),
    "component/a.yaml": document(config_map("component", "apps", key="value")),
    "component-part/kustomization.yaml": yaml.safe_dump(
        {
            "apiVersion": "kustomize.config.k8s.io/v1alpha1",
            "kind": "Component",
            "commonAnnotations": {"from": "component"},
        }
    ),
    "bad-patch/a.yaml": document(config_map("bad-patch", "apps", key="value")),
    "annotated/a.yaml": document(
        _annotated("ssa-merge", "ssa", "Merge"),
        _annotated("ssa-if-not-present", "ssa", "IfNotPresent"),
        _annotated("ssa-ignore", "ssa", "Ignore"),
        _annotated("not-pruned", "prune", "disabled"),
        _annotated("not-reconciled", "reconcile", "disabled"),
    ),
    "empty/README.md": "nothing to see\n",
    "no-kubeconfig/a.yaml": document(config_map("no-kubeconfig", "apps", key="value")),
    "no-rights/a.yaml": document(config_map("no-rights", "apps", key="value")),
    "expressions/a.yaml": document({**WIDGET, "metadata": {"name": "judged", "namespace": "apps"}}),
    "affixed/a.yaml": document(config_map("affixed", "apps", key="value")),
    "orphaned/a.yaml": document(config_map("orphaned", "apps", key="value")),
    "twice/a.yaml": document(config_map("twice", "apps", key="one")),
    "twice/b.yaml": document(config_map("twice", "apps", key="two")),
    "shrinking/a.yaml": document(config_map("kept", "apps", key="value")),
    "shrinking/b.yaml": document(config_map("dropped", "apps", key="value")),
    "shrinking/c.yaml": document(_annotated("dropped-but-kept", "prune", "disabled")),
    "vanishing/a.yaml": document(config_map("vanishing", "apps", key="value")),
    "secret/a.yaml": document(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "secret", "namespace": "apps"},
            "stringData": {"password": "hunter2"},
        }
    ),
    "bad-secret/a.yaml": document(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "bad-secret", "namespace": "apps"},
            "data": {"password": "not base64!"},
        }
    ),
    "workloads/a.yaml": document(
        deployment("web"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "apps"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "reader", "namespace": "apps"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "readers"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
        },
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps-more", "labels": {"a": "b"}}},
        config_map("more", "apps-more", key="value"),
    ),
    "named/a.yaml": document(
        _binding("system:scenario", "view"), _binding("a.b:c", "view"), config_map("dots.in.it", "apps", key="value")
    ),
    "rebound/a.yaml": document(_binding("rebound", "view")),
    "rebound-by-force/a.yaml": document(_binding("rebound-by-force", "view")),
    "listed/a.yaml": document(
        {
            "apiVersion": "v1",
            "kind": "List",
            "items": [config_map("listed-a", "apps", key="one"), config_map("listed-b", "apps", key="two")],
        }
    ),
    "labelled/a.yaml": document(
        _labelled("ssa-ignored-by-label", "ssa", "Ignore"), _labelled("disabled-by-label", "reconcile", "disabled")
    ),
    "numbers/a.yaml": document(deployment("numbers")).replace("  selector:", "  replicas: ${number}\n  selector:", 1),
}

CHANGED: dict[str, str | None] = {
    "plain/a.yaml": document(config_map("plain-a", "apps", key="changed"), config_map("plain-b", "apps", key="two")),
    "immutable/a.yaml": document({**config_map("immutable", "apps", key="two"), "immutable": True}),
    "forced/a.yaml": document({**config_map("forced", "apps", key="two"), "immutable": True}),
    "broken/a.yaml": document(config_map("mended", "apps", key="value")),
    "overlay/kustomization.yaml": kustomization(
        namePrefix="pre-",
        namespace="apps",
        resources=["a.yaml"],
        configMapGenerator=[{"name": "generated", "literals": ["a=1", "b=3"]}],
    ),
    "shrinking/b.yaml": None,
    "shrinking/c.yaml": None,
    "unpruned/a.yaml": document(config_map("unpruned-too", "apps", key="value")),
    "vanishing/a.yaml": None,
    "first/a.yaml": document(config_map("first", "apps", key=["not", "text"])),
    "refused/a.yaml": document(config_map("a-name", "apps", key="value")),
    "named/a.yaml": document(_binding("a.b:c", "view")),
    "rebound/a.yaml": document(_binding("rebound", "edit")),
    "rebound-by-force/a.yaml": document(_binding("rebound-by-force", "edit")),
    "listed/a.yaml": document(config_map("listed-b", "apps", key="three")),
}
"""The second commit: what is written, and None for what is removed."""

KUSTOMIZATIONS: dict[str, Object] = {
    "plain": {},
    "typed": {},
    "overlay": {},
    "target": {"targetNamespace": "apps"},
    "nowhere": {},
    "broken": {},
    "foreign": {},
    "refused": {},
    "mistyped": {},
    "unknown-kind": {},
    "missing-path": {"path": "./there-is/no-such"},
    "outside": {"path": "../../etc"},
    "missing-source": {"sourceRef": {"kind": "GitRepository", "name": "nobody"}},
    "failing-source": {"sourceRef": {"kind": "GitRepository", "name": "no-branch"}},
    "substituted": {
        "postBuild": {
            "substitute": {"cluster": "east", "long": "abcdefgh"},
            "substituteFrom": [
                {"kind": "ConfigMap", "name": "vars"},
                {"kind": "Secret", "name": "nobody", "optional": True},
            ],
        }
    },
    "unset": {"postBuild": {"substitute": {"cluster": "east"}}},
    "unsourced": {"postBuild": {"substituteFrom": [{"kind": "ConfigMap", "name": "nobody"}]}},
    "first": {},
    "second": {"dependsOn": [{"name": "first"}]},
    "orphan-dependent": {"path": "./plain", "dependsOn": [{"name": "nobody"}], "targetNamespace": "apps"},
    "waiting": {"wait": True, "timeout": "30s"},
    "waiting-dependent": {"path": "./second", "dependsOn": [{"name": "waiting"}], "prune": False},
    "absent-check": {
        "timeout": "30s",
        "healthChecks": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "namespace": "apps"}],
    },
    "suspended": {"suspend": True},
    "patched": {
        "patches": [
            {
                "patch": "- op: add\n  path: /metadata/annotations\n  value: {patched: 'yes'}\n",
                "target": {"kind": "Deployment", "name": "patch.*"},
            },
            {"patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: patched}\nspec: {replicas: 3}\n"},
        ],
        "images": [{"name": "example.com/web", "newTag": "2"}],
        "commonMetadata": {"labels": {"team": "web"}, "annotations": {"contact": "nobody"}},
    },
    "crd": {"retryInterval": "5s"},
    "unpruned": {"prune": False},
    "immutable": {},
    "forced": {"force": True},
    "no-component": {"components": ["../no-such"]},
    "component": {"components": ["../component-part"]},
    "bad-patch": {"patches": [{"patch": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {a: b}\n"}]},
    "annotated": {},
    "empty": {},
    "no-kubeconfig": {"kubeConfig": {"secretRef": {"name": "nobody"}}},
    "no-rights": {"serviceAccountName": "nobody"},
    "expressions": {
        "wait": True,
        "timeout": "30s",
        "retryInterval": "5s",
        "dependsOn": [{"name": "crd"}],
        "healthCheckExprs": [
            {"apiVersion": "example.com/v1", "kind": "Widget", "current": "spec.size == 3", "failed": "spec.size > 3"}
        ],
    },
    "affixed": {"namePrefix": "before-", "nameSuffix": "-after"},
    "orphaned": {"deletionPolicy": "Orphan"},
    "twice": {},
    "shrinking": {},
    "vanishing": {},
    "secret": {},
    "bad-secret": {},
    "workloads": {},
    "named": {},
    "rebound": {},
    "rebound-by-force": {"force": True},
    "listed": {},
    "labelled": {},
    "numbers": {"postBuild": {"substitute": {"number": "2"}}},
}
"""Specs of Kustomizations, over `{interval, path: ./NAME, prune, sourceRef}`."""

SLOW = ("waiting", "waiting-dependent", "absent-check")
"""Those that take until their timeout."""

CUSTOM = ("expressions",)
"""Those whose objects are of a kind that another brings."""

REPOSITORIES: dict[str, Object] = {
    "no-branch": {"ref": {"branch": "nobody"}},
    "no-tag": {"ref": {"tag": "v9"}},
    "no-semver": {"ref": {"semver": ">=7.0.0"}},
    "bad-semver": {"ref": {"semver": "not a range"}},
    "no-secret": {"secretRef": {"name": "nobody"}},
    "by-tag": {"ref": {"tag": "v1.0.0"}},
    "by-semver": {"ref": {"semver": "1.x"}},
    "by-name": {"ref": {"name": "refs/heads/other"}},
    "asleep": {"suspend": True},
    "ignoring": {"ignore": "/*\n!/plain\n"},
    "sparse": {"sparseCheckout": ["plain", "overlay"]},
    "no-sparse": {"sparseCheckout": ["no-such-directory"]},
    "including": {
        "include": [{"repository": {"name": "by-tag"}, "fromPath": "plain", "toPath": "taken"}],
    },
    "no-include": {"include": [{"repository": {"name": "nobody"}, "fromPath": "a", "toPath": "b"}]},
    "bad-include": {"include": [{"repository": {"name": "by-tag"}, "fromPath": "no-such", "toPath": "b"}]},
    "unverifiable": {"verify": {"mode": "HEAD", "secretRef": {"name": "nobody"}}},
}
"""Specs of GitRepositories, over `{interval, url, ref: {branch: main}}`."""

OTHERS: tuple[Object, ...] = (
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}},
    config_map("vars", NAMESPACE, region="us"),
)
