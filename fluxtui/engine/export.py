"""How an engine is run for good: a systemd unit on a machine, or a Deployment in a cluster.

The Deployment has the ports, probes and restrictions of upstream's controllers; the engine in it reconciles the cluster
it runs in, with the rights of cluster-admin as kustomize-controller and helm-controller have by default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from fluxtui.api.meta import FLUX_NAMESPACE

NAME = "fluxtui-engine"
_ARTIFACTS, _METRICS, _HEALTH = 9090, 8080, 9440
_DATA = "/data"
_STOP = 45
"""Seconds a stop may take: runs under way, then the Leases."""
_PLAIN = re.compile(r"[A-Za-z0-9@%+=:,./_-]+")


def systemd_unit(program: str, arguments: Sequence[str]) -> str:
    """A unit for the system's or the user's manager that runs `program engine arguments`; `program` is absolute."""
    words = [program, "engine", *arguments]
    command = " ".join(map(_quoted, words))
    if not any(word.startswith("--storage-path") for word in arguments):
        command += " --storage-path ${STATE_DIRECTORY}"
    return f"""\
[Unit]
Description=GitOps engine of fluxtui
Documentation=https://fluxcd.io/flux/
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStart={command}
StateDirectory={NAME}
StateDirectoryMode=0700
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2
KillMode=mixed
TimeoutStopSec={_STOP}
UMask=0077
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=full
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes

[Install]
WantedBy=default.target
"""


def deployment(image: str, arguments: Sequence[str]) -> str:
    """YAML of everything the engine needs to run in a cluster with `fluxtui engine arguments`."""
    objects = [
        _object("v1", "ServiceAccount"),
        {
            **_object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", namespaced=False),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": FLUX_NAMESPACE}],
        },
        {
            **_object("v1", "Service"),
            "spec": {
                "type": "ClusterIP",
                "selector": {"app": NAME},
                "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}],
            },
        },
        {**_object("apps/v1", "Deployment"), "spec": _spec(image, arguments)},
    ]
    return "".join(f"---\n{yaml.safe_dump(obj, sort_keys=False)}" for obj in objects)


def _spec(image: str, arguments: Sequence[str]) -> dict[str, Any]:
    container = _container(image, arguments)
    metrics = next(str(port["containerPort"]) for port in container["ports"] if port["name"] == "http-prom")
    return {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": {"app": NAME}},
        "template": {
            "metadata": {
                "labels": {"app": NAME},
                "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": metrics},
            },
            "spec": {
                "serviceAccountName": NAME,
                "terminationGracePeriodSeconds": _STOP,
                "securityContext": {"fsGroup": 1337},
                "containers": [container],
                "volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
            },
        },
    }


def _container(image: str, arguments: Sequence[str]) -> dict[str, Any]:
    own = {
        "--storage-path": _DATA,
        "--storage-addr": f":{_ARTIFACTS}",
        "--storage-adv-addr": f"{NAME}.{FLUX_NAMESPACE}.svc.cluster.local.",
        "--metrics-addr": f":{_METRICS}",
        "--health-addr": f":{_HEALTH}",
    }
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    defaults = [f"{name}={value}" for name, value in own.items() if name not in given]
    ports = _ports({**own, **given})
    return {
        "name": "engine",
        "image": image,
        "command": ["fluxtui"],
        "args": ["engine", *defaults, *arguments],
        "env": [{"name": "HOME", "value": "/tmp"}],
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports.items()],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "healthz"}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "healthz"}},
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "data", "mountPath": _DATA}, {"name": "tmp", "mountPath": "/tmp"}],
    }


def _ports(addresses: Mapping[str, str]) -> dict[str, int]:
    """The container's ports by name."""
    names = {"http": "--storage-addr", "http-prom": "--metrics-addr", "healthz": "--health-addr"}
    return {name: int(addresses[option].rpartition(":")[2]) for name, option in names.items()}


def _object(api_version: str, kind: str, *, namespaced: bool = True) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": NAME}
    if namespaced:
        metadata["namespace"] = FLUX_NAMESPACE
    metadata["labels"] = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/managed-by": "fluxtui"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _quoted(word: str) -> str:
    """A word of ExecStart: systemd expands % and $, and knows double quotes with backslashes."""
    word = word.replace("%", "%%").replace("$", "$$")
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
