"""What Prometheus scrapes of the engine, under the names of upstream's controllers, with a label `cluster` more.

`gotk_reconcile_duration_seconds` is fluxcd/pkg's; `controller_runtime_*`, `workqueue_depth`, `rest_client_*` and
`leader_election_master_status` are controller-runtime's where they mean the same here; `gotk_resource_info` is what
Flux's monitoring example lets kube-state-metrics make of the objects. Gauges are read when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fluxtui.api.kinds import Kind
from fluxtui.engine.runtime.objects import Key, Object
from fluxtui.engine.runtime.observer import Observer

if TYPE_CHECKING:
    from fluxtui.engine.runtime.controller import Controller

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FIRST, _LAST, _BUCKETS = 0.01, 1800.0, 10
BUCKETS = [_FIRST * (_LAST / _FIRST) ** (number / (_BUCKETS - 1)) for number in range(_BUCKETS)]
"""Seconds: ten buckets, exponential, as upstream's."""
RECONCILE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)
_INFO = (
    "cluster",
    "customresource_group",
    "customresource_kind",
    "customresource_version",
    "exported_namespace",
    "name",
    "ready",
    "suspended",
    "revision",
    "source_name",
    "url",
    "chart_name",
)


class Led(msgspec.Struct, frozen=True):
    """A cluster of the process, for the gauges."""

    cluster: str
    leading: bool
    leases: tuple[str, ...]
    controllers: tuple[Controller[Any], ...]


class Metrics(Observer):
    """The metrics of one process; `clusters` tells what there is at the moment."""

    def __init__(self, clusters: Callable[[], Iterable[Led]]) -> None:
        self._registry = CollectorRegistry()
        labels = ("cluster", "kind", "name", "namespace")
        self._durations = Histogram(
            "gotk_reconcile_duration_seconds",
            "The duration in seconds of a GitOps Toolkit resource reconciliation.",
            labels,
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._runs = Counter(
            "controller_runtime_reconcile",
            "Total number of reconciliations per controller.",
            ("cluster", "controller", "result"),
            registry=self._registry,
        )
        self._errors = Counter(
            "controller_runtime_reconcile_errors",
            "Total number of reconciliation errors per controller.",
            ("cluster", "controller"),
            registry=self._registry,
        )
        self._times = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Length of time per reconciliation per controller.",
            ("cluster", "controller"),
            buckets=RECONCILE_BUCKETS,
            registry=self._registry,
        )
        self._requests = Counter(
            "rest_client_requests",
            "Number of HTTP requests, partitioned by status code, method, and host.",
            ("cluster", "code", "method", "host"),
            registry=self._registry,
        )
        self._registry.register(_Gauges(clusters))

    def reconciled(self, cluster: str, kind: Kind, key: Key, seconds: float, result: str) -> None:
        controller = kind.kind.lower()
        self._durations.labels(cluster, kind.kind, key.name, key.namespace).observe(seconds)
        self._times.labels(cluster, controller).observe(seconds)
        self._runs.labels(cluster, controller, result).inc()
        if result == "error":
            self._errors.labels(cluster, controller).inc()

    def gone(self, cluster: str, kind: Kind, key: Key) -> None:
        with suppress(KeyError):
            self._durations.remove(cluster, kind.kind, key.name, key.namespace)

    def requested(self, cluster: str, host: str, method: str, code: str) -> None:
        """Count a request to an API server; `code` is "<error>" when there was no answer."""
        self._requests.labels(cluster, code, method, host).inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    """What is true at the moment of the question."""

    def __init__(self, clusters: Callable[[], Iterable[Led]]) -> None:
        self._clusters = clusters

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        clusters = list(self._clusters())
        names = ("cluster", "controller")
        active = GaugeMetricFamily(
            "controller_runtime_active_workers", "Number of currently used workers per controller.", labels=names
        )
        most = GaugeMetricFamily(
            "controller_runtime_max_concurrent_reconciles",
            "Maximum number of concurrent reconciles per controller.",
            labels=names,
        )
        depth = GaugeMetricFamily("workqueue_depth", "Current depth of workqueue.", labels=names)
        master = GaugeMetricFamily(
            "leader_election_master_status",
            "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master.",
            labels=("cluster", "name"),
        )
        info = GaugeMetricFamily("gotk_resource_info", "The current state of a GitOps Toolkit resource.", labels=_INFO)
        for led in clusters:
            for lease in led.leases:
                master.add_metric((led.cluster, lease), float(led.leading))
            for controller in led.controllers:
                labels = (led.cluster, controller.reconciler.kind.kind.lower())
                active.add_metric(labels, len(controller.queue.processing))
                most.add_metric(labels, controller.concurrency)
                depth.add_metric(labels, len(controller.queue))
                for obj in controller.objects():
                    info.add_metric(_info(led.cluster, controller.reconciler.kind, obj), 1)
        yield from (active, most, depth, master, info)


def _info(cluster: str, kind: Kind, obj: Object) -> tuple[str, ...]:
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    conditions = status.get("conditions") or []
    ready = next((str(item.get("status")) for item in conditions if item.get("type") == "Ready"), "")
    chart = (spec.get("chart") or {}).get("spec") or {}
    source = spec.get("sourceRef") or chart.get("sourceRef") or spec.get("chartRef") or {}
    return (
        cluster,
        kind.group,
        kind.kind,
        str(obj.get("apiVersion", "")).rpartition("/")[2],
        meta.get("namespace", ""),
        meta["name"],
        ready,
        "true" if spec.get("suspend") else "",
        _revision(status),
        str(source.get("name", "")),
        str(spec.get("url", "")),
        str(chart.get("chart", "")),
    )


def _revision(status: dict[str, Any]) -> str:
    """What is in place: an artifact's revision, an applied one, or the version of a chart."""
    history = status.get("history") or [{}]
    newest = history[0] if isinstance(history[0], dict) else {}
    found = (status.get("artifact") or {}).get("revision") or status.get("lastAppliedRevision")
    return str(found or newest.get("chartVersion") or "")
