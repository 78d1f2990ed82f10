"""Random overlays for a kustomize builder: bases, components, patches, generators and transformers that mostly fit.

An overlay is a mapping of paths to texts; `overlay` is the directory to build. Values that a reader of YAML could take
for different things are frequent, and so are names that several objects share.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

Draw = Any
"""What hypothesis gives to a composite strategy."""
Files = dict[str, str]

NAMES = ("web", "db", "web-db", "cache")
NAMESPACES = ("shop", "default", "team-a")
IMAGES = ("nginx", "nginx:1.25", "example.com:5000/app/web:v1", "redis@sha256:0123456789abcdef", "busybox:latest")
WRITTEN = (
    *("yes", "no", "on", "off", "y", "n", "true", "False", '"true"', "'yes'", "null", "~", '""', "''", '"null"'),
    *("0", "1", "-1", "0755", "0o17", "0x1F", "089", "1_000", "1e3", "1.0", "1.50", "-.5", "1e400", '"1e3"', '"1"'),
    *("2024-01-01", "2024-01-01T10:00:00Z", '"2024-01-01"', "12:30:45", "1.2.3", "v1", "18446744073709551615"),
    *("18446744073709551616", "9223372036854775807", "-9223372036854775808", "100000000000000000000000", "0b11", "+1"),
    *("plain words", "'it''s'", '"a\\tb"', '"line\\nline\\n"', '" lead"', '"trail "', '"# no"', "a#b", '": "', "a:b"),
    *("<<", "=", '"="', "!!str 5", "!!int 7", "ünïcode", '"日本"', '"\\u00e9\\u2028x"', '"x\\u2028"', "'{}'", "'[]'"),
    *('"- a"', "'a: b'", "'!x'", "'%x'", "'@x'", "'`x'", "'x,y'", "$(NAME)", "a$(NAME)b", "'&x'", '"?"'),
    *("|\n  a\n\n  ---\n", ">-\n  folded\n  text\n", "|+\n  keep\n\n", "|-\n  {\"a\": 1}\n", '"' + "long " * 30 + '"'),
)  # fmt: skip
KEYS = ("alpha", "beta-2", "beta-10", "x.y/z", "Zed", "a_b", "k1", "k01", "on", "yes", "1", "true")


class Written(str):
    """A scalar as it is to be written."""

    __slots__ = ()


def rendered(value: Any, indent: int = 0) -> str:
    """A value in block style, lists below their key not indented; ends with a line break."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        return "".join(f"{pad}{_key(key)}:{_after_key(item, indent)}" for key, item in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{pad}-{_after_dash(item, indent)}" for item in value)
    return f"{pad}{_scalar(value, indent)}\n"


def _key(key: str) -> str:
    return key if isinstance(key, Written) else json.dumps(key) if key in ("on", "yes", "1", "true") else key


def _after_key(value: Any, indent: int) -> str:
    if isinstance(value, dict) and value:
        return "\n" + rendered(value, indent + 1)
    if isinstance(value, list) and value:
        return "\n" + rendered(value, indent)
    return f" {_scalar(value, indent)}\n"


def _after_dash(value: Any, indent: int) -> str:
    if isinstance(value, dict | list) and value:
        return " " + rendered(value, indent + 1).removeprefix("  " * (indent + 1))
    return f" {_scalar(value, indent)}\n"


def _scalar(value: Any, indent: int) -> str:
    if isinstance(value, Written):
        first, *rest = value.removesuffix("\n").split("\n")
        return "\n".join([first, *(f"{'  ' * indent}{line}" if line else "" for line in rest)])
    return json.dumps(value, ensure_ascii=False)


written = st.sampled_from(WRITTEN).map(Written)
names = st.sampled_from(NAMES)
texts = st.sampled_from(("a", "b", "1", "true", "x y", "", "prod"))
labels = st.dictionaries(st.sampled_from(("app", "tier", "example.com/part")), texts, min_size=1, max_size=2)


def tree(depth: int = 2) -> st.SearchStrategy[Any]:
    """Anything that a field of an object may hold."""
    if depth == 0:
        return written
    inner = tree(depth - 1)
    return st.one_of(
        written,
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        st.lists(inner, max_size=3),
    )


def some(strategy: st.SearchStrategy[Any], chance: int = 2) -> st.SearchStrategy[Any]:
    """A value one time in `chance`, None otherwise."""
    return st.integers(1, chance).flatmap(lambda drawn: strategy if drawn == 1 else st.none())


def without_none(**fields: Any) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


@st.composite
def metadata(draw: Draw, name: str | None = None) -> dict[str, Any]:
    """Name, and perhaps namespace, labels and annotations."""
    keys = st.sampled_from(KEYS if draw(st.integers(1, 12)) == 1 else KEYS[:-4])
    return without_none(
        name=name or draw(names),
        namespace=draw(some(st.sampled_from(NAMESPACES), 3)),
        labels=draw(some(st.dictionaries(st.sampled_from(("app", "tier")), texts.map(json.dumps).map(Written)))),
        annotations=draw(some(st.dictionaries(keys, st.one_of(texts, written), max_size=2), 3)),
    )


@st.composite
def container(draw: Draw, name: str) -> dict[str, Any]:
    """A container with references to ConfigMaps and Secrets."""
    variables = [
        {"name": "A", "value": draw(written)},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": draw(names), "key": "k"}}},
        {"name": "C", "valueFrom": {"secretKeyRef": {"name": draw(names), "key": "k"}}},
        {"name": "A", "value": "again"},
    ]
    ports = [
        {"containerPort": 80},
        {"containerPort": 80, "protocol": "UDP"},
        {"containerPort": 443, "protocol": "TCP", "name": "tls"},
        {"containerPort": draw(st.sampled_from((80, 8080))), "protocol": "TCP"},
    ]
    return without_none(
        name=name,
        image=draw(some(st.sampled_from(IMAGES))),
        env=draw(some(st.lists(st.sampled_from(variables), max_size=3))),
        envFrom=draw(some(st.lists(names.map(lambda name: {"configMapRef": {"name": name}}), max_size=2), 3)),
        ports=draw(some(st.lists(st.sampled_from(ports), max_size=3), 3)),
        command=draw(some(st.lists(written, max_size=2), 3)),
        volumeMounts=draw(some(st.just([{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/w"}]), 4)),
    )


@st.composite
def pod(draw: Draw) -> dict[str, Any]:
    """The specification of a pod."""
    used = draw(st.lists(st.sampled_from(("main", "side", "init")), max_size=3, unique=True))
    volume = {"name": "v", draw(st.sampled_from(("configMap", "secret"))): {}}
    for kind, field in (("configMap", "name"), ("secret", "secretName")):
        if kind in volume:
            volume[kind] = {field: draw(names)}
    return without_none(
        containers=[draw(container(name)) for name in used],
        initContainers=draw(some(container("setup").map(lambda one: [one]), 4)),
        volumes=draw(some(st.just([volume]))),
        serviceAccountName=draw(some(names, 3)),
        imagePullSecrets=draw(some(names.map(lambda name: [{"name": name}]), 4)),
        tolerations=draw(some(st.just([{"key": "a", "operator": "Exists"}]), 5)),
        nodeSelector=draw(some(labels, 5)),
    )


@st.composite
def workload(draw: Draw, name: str | None = None) -> dict[str, Any]:
    """A Deployment or one of its relatives."""
    kind, version = draw(
        st.sampled_from(
            (("Deployment", "apps/v1"), ("StatefulSet", "apps/v1"), ("DaemonSet", "apps/v1"), ("Job", "batch/v1"),
             ("Deployment", "apps/v1"), ("CronJob", "batch/v1"), ("ReplicaSet", "apps/v1"))
        )
    )  # fmt: skip
    template = {"metadata": draw(some(st.just({"labels": {"app": "web"}}))) or {}, "spec": draw(pod())}
    inner = without_none(
        replicas=draw(some(st.integers(0, 3))),
        selector=draw(some(labels.map(lambda pairs: {"matchLabels": pairs}))),
        template=template,
    )
    if kind == "StatefulSet":
        inner["serviceName"] = draw(names)
        inner["volumeClaimTemplates"] = [{"metadata": {"name": "d"}, "spec": {"storageClassName": "fast"}}]
    spec = {"schedule": "* * * * *", "jobTemplate": {"spec": inner}} if kind == "CronJob" else inner
    return {"apiVersion": version, "kind": kind, "metadata": draw(metadata(name)), "spec": spec}


@st.composite
def service(draw: Draw) -> dict[str, Any]:
    """A Service."""
    ports = (
        {"port": 80},
        {"port": 80, "protocol": "UDP"},
        {"port": 443, "protocol": "TCP"},
        {"port": 8080, "name": "x"},
    )
    spec = without_none(selector=draw(some(labels)), ports=draw(some(st.lists(st.sampled_from(ports), max_size=3))))
    return {"apiVersion": "v1", "kind": "Service", "metadata": draw(metadata()), "spec": spec}


@st.composite
def data_object(draw: Draw) -> dict[str, Any]:
    """A ConfigMap, a Secret, or something of a kind that nobody knows."""
    data = draw(st.dictionaries(st.sampled_from(KEYS), written, max_size=4))
    kind = draw(st.sampled_from(("ConfigMap", "ConfigMap", "Secret", "Widget", "WidgetList")))
    if kind.startswith("Widget"):
        spec = draw(tree(3))
        return {"apiVersion": "example.com/v1", "kind": kind, "metadata": draw(metadata()), "spec": spec, "data": data}
    return {"apiVersion": "v1", "kind": kind, "metadata": draw(metadata()), "data": data}


@st.composite
def binding(draw: Draw) -> dict[str, Any]:
    """A role or account, or what binds one."""
    group = "rbac.authorization.k8s.io"
    kind = draw(st.sampled_from(("ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")))
    if kind == "ServiceAccount":
        return {"apiVersion": "v1", "kind": kind, "metadata": draw(metadata())}
    found: dict[str, Any] = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": draw(metadata())}
    if kind.endswith("Binding"):
        found["roleRef"] = {
            "apiGroup": group,
            "kind": draw(st.sampled_from(("Role", "ClusterRole"))),
            "name": draw(names),
        }
        found["subjects"] = [
            without_none(
                kind="ServiceAccount",
                name=draw(st.one_of(names, st.just("default"))),
                namespace=draw(some(st.sampled_from(NAMESPACES))),
            )
        ]
    else:
        found["rules"] = [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [draw(names)]}]
    return found


@st.composite
def other(draw: Draw) -> dict[str, Any]:
    """Kinds that transformers treat in their own way."""
    kind = draw(st.sampled_from(("Namespace", "Ingress", "CRD", "HPA", "PVC", "Webhook", "NetworkPolicy")))
    meta = draw(metadata())
    if kind == "Namespace":
        return {"apiVersion": "v1", "kind": kind, "metadata": {**meta, "name": draw(st.sampled_from(NAMESPACES))}}
    if kind == "Ingress":
        backend = {"service": {"name": draw(names), "port": {"number": 80}}}
        rules = [{"host": "x", "http": {"paths": [{"path": "/", "backend": backend}]}}]
        spec = {"defaultBackend": backend, "rules": rules, "tls": [{"secretName": draw(names)}]}
        return {"apiVersion": "networking.k8s.io/v1", "kind": kind, "metadata": meta, "spec": spec}
    if kind == "CRD":
        spec = {"group": "example.com", "names": {"kind": "Widget", "plural": "widgets"}, "scope": "Namespaced"}
        meta = {**meta, "name": "widgets.example.com"}
        version = "apiextensions.k8s.io/v1"
        return {"apiVersion": version, "kind": "CustomResourceDefinition", "metadata": meta, "spec": spec}
    if kind == "HPA":
        scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "name": draw(names)}
        spec_of_scaler = {"scaleTargetRef": scaled, "maxReplicas": 3}
        version, kind = "autoscaling/v2", "HorizontalPodAutoscaler"
        return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec_of_scaler}
    if kind == "Webhook":
        client = {"service": {"name": draw(names), "namespace": draw(st.sampled_from(NAMESPACES))}}
        hooks = [{"name": "a.example.com", "clientConfig": client}]
        version = "admissionregistration.k8s.io/v1"
        return {"apiVersion": version, "kind": "ValidatingWebhookConfiguration", "metadata": meta, "webhooks": hooks}
    if kind == "NetworkPolicy":
        spec = {"podSelector": {"matchLabels": {"app": "a"}}, "ingress": [{"from": [{"podSelector": {}}]}]}
        return {"apiVersion": "networking.k8s.io/v1", "kind": kind, "metadata": meta, "spec": spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": {"storageClassName": "x"}}


objects = st.one_of(workload(), workload(), service(), data_object(), data_object(), binding(), other())


@st.composite
def stream(draw: Draw, taken: frozenset[tuple[str, str]]) -> tuple[list[dict[str, Any]], str]:
    """Objects of other kinds and names than those taken, and the YAML that holds them."""
    found = draw(
        st.lists(objects.filter(lambda item: _identity(item) not in taken), min_size=1, max_size=5, unique_by=_identity)
    )
    comment = draw(st.sampled_from(("", "", "# head\n", "\n", "---\n", "\ufeff")))
    if draw(st.integers(1, 12)) == 1:
        return found, rendered({"apiVersion": "v1", "kind": "List", "items": found})
    separator = draw(st.sampled_from(("---\n", "---\n", "--- \n# only words\n---\n", "---\n---\n", "--- # x\n")))
    text = comment + separator.join(rendered(item) for item in found)
    return found, text.replace("\n", "\r\n") if draw(st.integers(1, 15)) == 1 else text


def _identity(item: dict[str, Any]) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]
