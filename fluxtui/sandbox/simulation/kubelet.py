"""The simulation of one cluster: a queue over all workloads, and pods that live as their behavior says."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress

from fluxtui.sandbox.logs import Logs
from fluxtui.sandbox.operations import Operations
from fluxtui.sandbox.simulation.behavior import BEHAVIORS, Behavior, behavior_of
from fluxtui.sandbox.simulation.workloads import NODES, Deployments, Jobs, PodSets
from fluxtui.sandbox.simulation.writing import KUBELET, Writer, condition
from fluxtui.sandbox.store import Change, Key, Object, StoreName, key_of

PODS = ("", "pods")
FIRST_BACKOFF = 10.0
MAX_BACKOFF = 300.0
_CERTAIN = 3
"""Back-offs that the demo and tests see pass quickly before the real ones begin."""

Item = tuple[StoreName, Key]


class Simulation:
    """Runs the workloads of one cluster."""

    def __init__(self, operations: Operations, logs: Logs, *, speed: float = 1.0) -> None:
        self._operations = operations
        self._writer = Writer(operations)
        self._logs = logs
        self._speed = speed
        self._dirty: dict[Item, None] = {}
        self._wake = asyncio.Event()
        self._timers: dict[tuple[Item, str], asyncio.TimerHandle] = {}
        controllers: list[Deployments | PodSets | Jobs] = [
            Deployments(self._writer),
            PodSets(self._writer, "replicasets", "replicaset-controller"),
            PodSets(self._writer, "statefulsets", "statefulset-controller"),
            PodSets(self._writer, "daemonsets", "daemonset-controller"),
            Jobs(self._writer),
        ]
        self._controllers: dict[StoreName, Deployments | PodSets | Jobs] = {
            controller.store: controller for controller in controllers
        }
        self._pods = Pods(self._writer, logs, self._later, speed)
        self._stop = operations.store.subscribe(self._changed)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._dirty:
                    item = next(iter(self._dirty))
                    del self._dirty[item]
                    self._sync(item)
                    await asyncio.sleep(0)
        finally:
            self._stop()
            for timer in self._timers.values():
                timer.cancel()

    def _changed(self, change: Change) -> None:
        if change.store in self._controllers or change.store == PODS:
            self._mark((change.store, key_of(change.object)))
        if change.type == "DELETED" and change.store == PODS:
            self._logs.end(change.object["metadata"]["uid"])
        namespace = change.object["metadata"].get("namespace", "")
        for reference in change.object["metadata"].get("ownerReferences") or ():
            group = str(reference.get("apiVersion", "")).rpartition("/")[0]
            for store in self._controllers:
                if store[0] == group and store[1].rstrip("s") == str(reference.get("kind", "")).lower():
                    self._mark((store, (namespace, reference["name"])))

    def _mark(self, item: Item) -> None:
        self._dirty[item] = None
        self._wake.set()

    def _sync(self, item: Item) -> None:
        store, key = item
        obj = self._operations.store.get(store, key)
        if obj is None:
            return
        if obj["metadata"].get("deletionTimestamp"):
            if store == PODS and not obj["metadata"].get("finalizers"):
                self._writer.delete(self._writer.kind("", "pods"), obj)
            return
        if store == PODS:
            self._pods.sync(obj)
            return
        again = self._controllers[store].sync(obj)
        if again is not None:
            self._later(item, again / self._speed, "deadline", lambda: self._mark(item))

    def _later(self, item: Item, seconds: float, what: str, then: Callable[[], None]) -> None:
        """Do something later; an older plan of the same kind for the same object is dropped."""
        old = self._timers.pop((item, what), None)
        if old is not None:
            old.cancel()

        def fire() -> None:
            self._timers.pop((item, what), None)
            then()

        self._timers[item, what] = asyncio.get_running_loop().call_later(seconds, fire)


Later = Callable[[Item, float, str, Callable[[], None]], None]


class Pods:
    """Scheduler and kubelet: every pod goes its way, step by step."""

    def __init__(self, writer: Writer, logs: Logs, later: Later, speed: float) -> None:
        self._writer = writer
        self._kind = writer.kind("", "pods")
        self._logs = logs
        self._later = later
        self._speed = speed

    def sync(self, pod: Object) -> None:
        """Begin a new pod's life; everything after that is on a timer."""
        if (pod.get("status") or {}).get("startTime"):
            return
        metadata = pod["metadata"]
        seed = hashlib.sha256(metadata["uid"].encode()).digest()
        node = pod["spec"].get("nodeName") or NODES[seed[0] % len(NODES)]
        if not pod["spec"].get("nodeName"):
            self._writer.update(self._kind, pod, {"spec": {"nodeName": node}})
            text = f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {node}"
            self._writer.event(pod, "Normal", "Scheduled", text, "default-scheduler")
        behavior = behavior_of(pod, job=_of_job(pod))
        if behavior.unknown:
            text = f"{behavior.unknown!r} is none of {', '.join(BEHAVIORS)}: the pod becomes ready"
            self._writer.event(pod, "Warning", "UnknownBehavior", text, "kubelet")
        address = f"10.244.{seed[1]}.{1 + seed[2] % 254}"
        waiting = {"waiting": {"reason": "ContainerCreating"}}
        self._status(pod, "Pending", waiting, ready=False, start=self._writer.now(), ip=address)
        self._plan(pod, behavior.delay / 2, lambda live: self._start(live, behavior))

    def _plan(self, pod: Object, seconds: float, step: Callable[[Object], None]) -> None:
        uid, key = pod["metadata"]["uid"], key_of(pod)

        def run() -> None:
            live = self._writer.get(self._kind, key)
            if live is not None and live["metadata"]["uid"] == uid and not live["metadata"].get("deletionTimestamp"):
                step(live)

        self._later((PODS, key), seconds / self._speed, "life", run)

    def _start(self, pod: Object, behavior: Behavior) -> None:
        image = pod["spec"]["containers"][0]["image"]
        if behavior.what == "image-pull":
            self._pull_fails(pod, behavior, image, 0)
            return
        for reason, message in (
            ("Pulled", f'Container image "{image}" already present on machine'),
            ("Created", f"Created container: {pod['spec']['containers'][0]['name']}"),
            ("Started", f"Started container {pod['spec']['containers'][0]['name']}"),
        ):
            self._writer.event(pod, "Normal", reason, message, "kubelet")
        self._run(pod, behavior, 0)

    def _run(self, pod: Object, behavior: Behavior, restarts: int) -> None:
        """The container runs; soon it is ready, or done."""
        self._say(pod, f"starting {pod['spec']['containers'][0]['image']}")
        if behavior.log:
            self._say(pod, behavior.log)
        running = {"running": {"startedAt": self._writer.now()}}
        self._status(pod, "Running", running, ready=False, restarts=restarts)
        self._plan(pod, behavior.delay / 2, lambda live: self._settle(live, behavior, restarts))

    def _settle(self, pod: Object, behavior: Behavior, restarts: int) -> None:
        match behavior.what:
            case "crash":
                self._crash(pod, behavior, restarts)
            case "complete" | "fail":
                self._finish(pod, behavior)
            case "never-ready":
                message = "Readiness probe failed: HTTP probe failed with statuscode: 503"
                self._writer.event(pod, "Warning", "Unhealthy", message, "kubelet")
                self._say(pod, "not ready: waiting for dependencies")
            case _:
                started = {"running": {"startedAt": self._writer.now()}}
                self._status(pod, "Running", started, ready=True, restarts=restarts)
                self._say(pod, "ready to serve")

    def _finish(self, pod: Object, behavior: Behavior) -> None:
        failed = behavior.what == "fail"
        self._say(pod, behavior.exit_message if failed else "done")
        state = {"terminated": self._terminated(1 if failed else 0, behavior.exit_message if failed else "")}
        self._status(pod, "Failed" if failed else "Succeeded", state, ready=False)

    def _crash(self, pod: Object, behavior: Behavior, restarts: int) -> None:
        name = pod["spec"]["containers"][0]["name"]
        self._say(pod, behavior.exit_message)
        pause = min(FIRST_BACKOFF * 2**restarts, MAX_BACKOFF)
        label = f"{pod['metadata']['name']}_{pod['metadata']['namespace']}({pod['metadata']['uid']})"
        message = f"back-off {pause:g}s restarting failed container={name} pod={label}"
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        last = {"terminated": self._terminated(1, behavior.exit_message)}
        self._status(pod, "Running", waiting, ready=False, restarts=restarts, last=last)
        text = f"Back-off restarting failed container {name} in pod {label}"
        self._writer.event(pod, "Warning", "BackOff", text, "kubelet")
        wait = 1.0 if restarts < _CERTAIN else pause

        def again(live: Object) -> None:
            self._logs.restart(live["metadata"]["uid"], name)
            self._run(live, behavior, restarts + 1)

        self._plan(pod, wait, again)

    def _pull_fails(self, pod: Object, behavior: Behavior, image: str, tries: int) -> None:
        reason = "ErrImagePull" if tries % 2 == 0 else "ImagePullBackOff"
        problem = f'failed to pull and unpack image "{image}": not found'
        message = problem if tries % 2 == 0 else f'Back-off pulling image "{image}"'
        self._status(pod, "Pending", {"waiting": {"reason": reason, "message": message}}, ready=False)
        if tries % 2 == 0:
            self._writer.event(pod, "Warning", "Failed", f'Failed to pull image "{image}": {problem}', "kubelet")
        else:
            self._writer.event(pod, "Normal", "BackOff", message, "kubelet")
        wait = 1.0 if tries < _CERTAIN else FIRST_BACKOFF
        self._plan(pod, wait, lambda live: self._pull_fails(live, behavior, image, tries + 1))

    def _terminated(self, code: int, message: str) -> Object:
        now = self._writer.now()
        state: Object = {
            "exitCode": code,
            "reason": "Error" if code else "Completed",
            "startedAt": now,
            "finishedAt": now,
        }
        return {**state, "message": message} if message else state

    def _say(self, pod: Object, text: str) -> None:
        for container in pod["spec"]["containers"]:
            self._logs.write(pod["metadata"]["uid"], container["name"], text)

    def _status(
        self,
        pod: Object,
        phase: str,
        state: Object,
        *,
        ready: bool,
        restarts: int = 0,
        last: Object | None = None,
        start: str = "",
        ip: str = "",
    ) -> None:
        old = pod.get("status") or {}
        before, now = old.get("conditions") or [], self._writer.now()
        done = phase in ("Succeeded", "Failed")
        reason = "" if ready else "PodCompleted" if done else "ContainersNotReady"
        previous = (old.get("containerStatuses") or [{}])[0].get("lastState", {})
        containers = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": ready,
                "started": "running" in state,
                "restartCount": restarts,
                "state": state,
                "lastState": last if last is not None else previous,
            }
            for container in pod["spec"]["containers"]
        ]
        status: Object = {
            "phase": phase,
            "startTime": start or old.get("startTime", now),
            "podIP": ip or old.get("podIP", ""),
            "hostIP": "192.0.2.1",
            "qosClass": "BestEffort",
            "conditions": [
                condition(before, "PodScheduled", True, "", "", now),
                condition(before, "Initialized", True, "", "", now),
                condition(before, "ContainersReady", ready, reason, "", now),
                condition(before, "Ready", ready, reason, "", now),
            ],
            "containerStatuses": containers,
        }
        with suppress(KeyError):
            self._writer.update(self._kind, pod, {"status": status}, KUBELET)


def _of_job(pod: Object) -> bool:
    return any(item.get("kind") == "Job" for item in pod["metadata"].get("ownerReferences") or ())
