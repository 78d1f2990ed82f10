"""Objects of built-in kinds as a Go program would write them again; the real controllers are in tests/conformance."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from fluxtui.kube import gotypes
from fluxtui.kube.normalize import normalized


def again(text: str) -> dict[str, Any]:
    done: dict[str, Any] = normalized(yaml.safe_load(text))
    return done


def test_empty_structs_come_and_what_is_empty_goes() -> None:
    done = again(
        """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, annotations: {}}
        spec:
          replicas: 0
          paused: false
          selector: {matchLabels: {a: ""}}
          template:
            metadata: {labels: {a: ""}}
            spec:
              hostNetwork: false
              nodeSelector: {}
              automountServiceAccountToken: false
              securityContext: {}
              containers:
              - name: web
                image: web
                args: []
                env: [{name: A, value: ""}]
                livenessProbe: {grpc: {port: 80}}
              volumes: [{name: v, emptyDir: {}}]
        """
    )
    assert done["metadata"] == {"name": "web"}
    assert done["spec"] == {
        # A pointer to nothing is not there, one to a zero is.
        "replicas": 0,
        "selector": {"matchLabels": {"a": ""}},
        "strategy": {},
        "template": {
            "metadata": {"labels": {"a": ""}},
            "spec": {
                "automountServiceAccountToken": False,
                "securityContext": {},
                "containers": [
                    {
                        "name": "web",
                        "image": "web",
                        "env": [{"name": "A"}],
                        "resources": {},
                        "livenessProbe": {"grpc": {"port": 80, "service": None}},
                    }
                ],
                "volumes": [{"name": "v", "emptyDir": {}}],
            },
        },
    }


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("{apiVersion: v1, kind: Namespace}", {"spec": {}}),
        ("{apiVersion: v1, kind: ConfigMap, data: {}, binaryData: {}}", {}),
        ("{apiVersion: v1, kind: ConfigMap, data: {a: ''}}", {"data": {"a": ""}}),
        ("{apiVersion: v1, kind: Secret, stringData: {}, data: {}, type: ''}", {}),
        ("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, spec: {}}", {"spec": {"podSelector": {}}}),
        (
            "{apiVersion: v1, kind: Service, spec: {clusterIP: '', ports: [{port: 80}]}}",
            {"spec": {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 0}]}},
        ),
        # Neither a custom kind nor a version that is not listed is anybody's type.
        ("{apiVersion: example.com/v1, kind: Service, spec: {clusterIP: ''}}", {"spec": {"clusterIP": ""}}),
        ("{apiVersion: apps/v1beta1, kind: Deployment, spec: {paused: false}}", {"spec": {"paused": False}}),
    ],
)
def test_each_kind_has_fields_of_its_own(given: str, wanted: dict[str, Any]) -> None:
    done = again(given)
    assert {key: value for key, value in done.items() if key not in ("apiVersion", "kind")} == wanted


@pytest.mark.parametrize("wrong", ["spec: x", "spec: []", "spec: {template: {spec: {containers: {a: b}}}}"])
def test_what_does_not_fit_the_type_is_left_to_the_server(wrong: str) -> None:
    assert again(f"apiVersion: apps/v1\nkind: Deployment\n{wrong}")


def test_every_type_that_is_named_is_listed() -> None:
    table = gotypes.table()
    named = {held.lstrip("[]{}") for known in table.types.values() for held in known.fields.values()}
    assert named | set(table.kinds.values()) <= set(table.types)
