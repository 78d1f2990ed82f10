"""The fleet of the snapshots: five clusters with objects in every designed state, at a frozen moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fluxtui.fleet.comparison import Change, Comparison
from fluxtui.fleet.happenings import Happening
from fluxtui.fleet.logs import LogLine
from fluxtui.fleet.refs import Ref

NOW = datetime(2026, 11, 21, 12, 3, 14, tzinfo=UTC)
GOOD = "main@sha1:7148a354c0ffee5d0d8b1f2a3c4d5e6f70819203"
OLD = "main@sha1:31c09ab2d3a1b0c9f8e7d6c5b4a3928170615243"
FLUX = "flux-system"

Object = dict[str, Any]

APIS = {
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "OCIRepository": "source.toolkit.fluxcd.io/v1",
    "HelmRepository": "source.toolkit.fluxcd.io/v1",
    "HelmChart": "source.toolkit.fluxcd.io/v1",
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
    "ImageRepository": "image.toolkit.fluxcd.io/v1",
    "ImagePolicy": "image.toolkit.fluxcd.io/v1",
    "Alert": "notification.toolkit.fluxcd.io/v1beta3",
    "Provider": "notification.toolkit.fluxcd.io/v1beta3",
    "Receiver": "notification.toolkit.fluxcd.io/v1",
    "Canary": "flagger.app/v1beta1",
}


def ago(**units: float) -> str:
    """RFC 3339 text of a moment before NOW, as `ago(minutes=4)`."""
    return (NOW - timedelta(**units)).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(kind: str, status: str, reason: str, message: str, since: str) -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since}


def flux(kind: str, name: str, namespace: str = FLUX, *, since: str, spec: Object, status: Object) -> Object:
    return {
        "apiVersion": APIS[kind],
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"{kind}-{namespace}-{name}".lower(),
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": ago(days=90),
            "finalizers": ["finalizers.fluxcd.io"],
        },
        "spec": {"interval": "10m", **spec},
        "status": {"observedGeneration": 1, **status},
    }


def ready(since: str, message: str, reason: str = "ReconciliationSucceeded") -> Object:
    return {"conditions": [condition("Ready", "True", reason, message, since)]}


def artifact(revision: str, since: str) -> Object:
    digest = f"sha256:{'0a1b' * 16}"
    place = {"path": "gitrepository/flux-system/fleet/latest.tar.gz", "url": "http://localhost/latest.tar.gz"}
    return {**place, "revision": revision, "lastUpdateTime": since, "digest": digest, "size": 2048}


def git(name: str = "fleet", revision: str = GOOD, **age: float) -> Object:
    since = ago(**(age or {"minutes": 2}))
    return flux(
        "GitRepository",
        name,
        since=since,
        spec={"url": f"https://git.example.com/platform/{name}.git", "ref": {"branch": "main"}, "interval": "1m"},
        status={
            **ready(since, f"stored artifact for revision '{revision}'", "Succeeded"),
            "artifact": artifact(revision, since),
        },
    )


def oci(name: str, revision: str, **age: float) -> Object:
    since = ago(**age)
    return flux(
        "OCIRepository",
        name,
        since=since,
        spec={"url": f"oci://registry.example.com/manifests/{name}", "ref": {"semver": "6.x"}},
        status={
            **ready(since, f"stored artifact for digest '{revision}'", "Succeeded"),
            "artifact": artifact(revision, since),
        },
    )


def kustomization(
    name: str, path: str = "", *, depends: tuple[str, ...] = (), revision: str = GOOD, since: str = "", **more: Any
) -> Object:
    """A Kustomization, Ready unless `status` says otherwise; `inventory` holds ids as Flux writes them."""
    since = since or ago(minutes=2)
    spec: Object = {
        "path": path or f"./{name}",
        "prune": True,
        "wait": True,
        "timeout": "5m",
        "retryInterval": "2m",
        "sourceRef": {"kind": "GitRepository", "name": "fleet"},
    }
    if depends:
        spec["dependsOn"] = [{"name": dependency} for dependency in depends]
    status = {
        **ready(since, f"Applied revision: {revision}"),
        "lastAppliedRevision": revision,
        "lastAttemptedRevision": revision,
        **more.get("status", {}),
    }
    entries = [{"id": identity, "v": "v1"} for identity in more.get("inventory", ())]
    if entries:
        status["inventory"] = {"entries": entries}
    return flux("Kustomization", name, since=since, spec={**spec, **more.get("spec", {})}, status=status)


def helm_release(name: str, namespace: str, version: str, *, since: str = "", **more: Any) -> Object:
    since = since or ago(hours=3)
    status = {
        **ready(since, f"Helm upgrade succeeded for release {namespace}/{name}.v4 with chart {name}@{version}"),
        "history": [{"chartName": name, "chartVersion": version, "status": "deployed", "version": 4}],
        "lastAttemptedRevision": version,
        **more.get("status", {}),
    }
    chart = {"spec": {"chart": name, "version": version, "sourceRef": {"kind": "HelmRepository", "name": "charts"}}}
    return flux(
        "HelmRelease", name, namespace, since=since, spec={"chart": chart, **more.get("spec", {})}, status=status
    )


def failed(reason: str, message: str, since: str, *, applied: str = OLD, attempted: str = GOOD) -> Object:
    return {
        "conditions": [
            condition("Ready", "False", reason, message, since),
            condition("Healthy", "False", reason, message, since),
        ],
        "lastAppliedRevision": applied,
        "lastAttemptedRevision": attempted,
        "history": [
            outcome(attempted, reason, since, NOW - timedelta(seconds=33), "30.01s", 3),
            outcome(applied, "ReconciliationSucceeded", ago(hours=2), NOW - timedelta(minutes=12), "1.41s", 11),
        ],
    }


def outcome(revision: str, result: str, first: str, last: datetime, took: str, count: int) -> Object:
    """An entry of a Kustomization's history."""
    return {
        "digest": f"sha256:{'0a1b' * 16}",
        "firstReconciled": first,
        "lastReconciled": last.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lastReconciledDuration": took,
        "lastReconciledStatus": result,
        "totalReconciliations": count,
        "metadata": {"revision": revision},
    }


def progressing(message: str, since: str) -> Object:
    return {
        "conditions": [
            condition("Reconciling", "True", "Progressing", message, since),
            condition("Ready", "Unknown", "Progressing", message, since),
        ]
    }


HEALTH = "health check failed after 30.008440786s: timeout waiting for: [Deployment/web/api status: 'InProgress']"


def prod_eu() -> list[Object]:
    api = ("web_api_apps_Deployment", "web_api__Service", "web_api-env__ConfigMap")
    waits = "dependency 'flux-system/apps' is not ready"
    return [
        git(),
        oci("podinfo", "6.9.1@sha256:c52b7e0d1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5", minutes=41),
        kustomization("flux-system", "./clusters/prod-eu"),
        kustomization("infra-controllers", depends=("flux-system",)),
        kustomization(
            "apps",
            "./apps/production",
            depends=("infra-controllers",),
            since=ago(minutes=4, seconds=12),
            inventory=api,
            spec={"postBuild": {"substitute": {"cluster": "prod-eu", "tier": "1"}}},
            status=failed("HealthCheckFailed", HEALTH, ago(minutes=4, seconds=12)),
        ),
        kustomization(
            "apps-canary",
            depends=("apps",),
            since=ago(minutes=4),
            status=failed("DependencyNotReady", waits, ago(minutes=4)),
        ),
        kustomization(
            "monitoring",
            since=ago(seconds=12),
            status=progressing(
                "Running health checks for revision main@sha1:7148a354 with a timeout of 5m", ago(seconds=12)
            ),
        ),
        helm_release("cert-manager", "cert-manager", "1.19.1"),
        helm_release("ingress-nginx", "ingress", "4.14.0", since=ago(days=2)),
        helm_release(
            "grafana",
            "monitoring",
            "10.1.2",
            since=ago(seconds=40),
            status=progressing("Running 'upgrade' action", ago(seconds=40)),
        ),
    ]


def prod_us() -> list[Object]:
    stop = {"suspend": True}
    return [
        git(),
        kustomization("flux-system", "./clusters/prod-us"),
        kustomization("infra-controllers", depends=("flux-system",)),
        kustomization("apps", "./apps/production", depends=("infra-controllers",), revision=OLD, spec=stop),
        helm_release("cert-manager", "cert-manager", "1.19.1", spec=stop),
        helm_release("ingress-nginx", "ingress", "4.14.0"),
    ]


def staging() -> list[Object]:
    stalled = {
        "conditions": [
            condition("Ready", "False", "InvalidPath", "kustomization path not found: ./tenants", ago(hours=1)),
            condition("Stalled", "True", "InvalidPath", "kustomization path not found: ./tenants", ago(hours=1)),
        ]
    }
    return [
        git(),
        kustomization("flux-system", "./clusters/staging"),
        kustomization(
            "apps", "./apps/staging", status=failed("HealthCheckFailed", HEALTH, ago(minutes=9)), since=ago(minutes=9)
        ),
        kustomization("tenants", since=ago(hours=1), status=stalled),
        helm_release("podinfo", "web", "6.9.1", since=ago(minutes=41)),
    ]


def edge_03() -> list[Object]:
    overdue = kustomization("apps", since=ago(hours=6))
    overdue["metadata"]["annotations"] = {"reconcile.fluxcd.io/requestedAt": ago(hours=5)}
    fresh = kustomization("flux-system", "./clusters/edge")
    deleting = kustomization("legacy", since=ago(minutes=3))
    deleting["metadata"]["deletionTimestamp"] = ago(minutes=3)
    return [git(), fresh, overdue, deleting]


def edge_07() -> list[Object]:
    return [git(), kustomization("flux-system", "./clusters/edge"), kustomization("apps", since=ago(hours=8))]


CLUSTERS: dict[str, list[Object]] = {
    "prod-eu": prod_eu(),
    "prod-us": prod_us(),
    "staging": staging(),
    "edge-03": edge_03(),
    "edge-07": edge_07(),
}


def happenings(ref: Ref) -> list[Happening]:
    """What was reported about any object: two steps and a failure that came three times."""
    now = NOW.timestamp()

    def event(seconds: float, reason: str, message: str, *, warning: bool = False, count: int = 1) -> Happening:
        return Happening(
            now - seconds, now - seconds, warning, reason, message, ref.kind, ref.namespace, ref.name, "", count, reason
        )

    return [
        event(257, "Progressing", f"building {GOOD}"),
        event(255, "Progressing", "Deployment/web/api configured\nConfigMap/web/api-env configured"),
        event(33, "HealthCheckFailed", HEALTH, warning=True, count=3),
    ]


def comparison(ref: Ref) -> Comparison:
    """What applying apps would change: somebody scaled its Deployment and deleted its Service."""
    scaled = "@@ -14,5 +14,5 @@\n spec:\n   progressDeadlineSeconds: 600\n-  replicas: 5\n+  replicas: 3\n   selector:"
    changes = (
        Change("apps", "Deployment", "web", "api", "changed", scaled),
        Change("", "Service", "web", "api", "created"),
        Change("", "ConfigMap", "web", "api-env", "unchanged"),
    )
    subject = Ref(ref.cluster, "kustomize.toolkit.fluxcd.io", "Kustomization", FLUX, "apps")
    return Comparison(subject, GOOD, changes, (), NOW.timestamp() - 2, 0.9)


def log_lines(ref: Ref) -> list[LogLine]:
    """Lines of a controller, or of two pods merged."""
    now = NOW.timestamp()
    if ref.kind == "Deployment":
        first, second = "api-6d9f7c-x2kqp/api", "api-6d9f7c-8h4zt/api"
        return [
            LogLine(first, "starting with 4 workers", now - 250),
            LogLine(second, "starting with 4 workers", now - 249),
            LogLine(first, "\x1b[31mfatal\x1b[0m: DB_URL is not set", now - 248, "error"),
        ]
    return [
        LogLine(
            "kustomize-controller", "server-side apply completed: Deployment/web/api configured", now - 255, "info"
        ),
        LogLine("kustomize-controller", "health check failed after 30.008440786s", now - 225, "error"),
        LogLine("kustomize-controller", "[red]not markup[/red] but text in brackets", now - 224, "info"),
    ]
