"""Workloads: they get pods that become ready, or not, as annotations say."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from fluxtui.sandbox.cluster import SandboxCluster
from fluxtui.sandbox.simulation.workloads import NODES
from tests.engine.polling import eventually
from tests.sandbox.conftest import World

Object = dict[str, Any]

APPS = "apps/v1"
BATCH = "batch/v1"
PREFIX = "sandbox.fluxtui.dev/"


def workload(kind: str, annotations: dict[str, str] | None = None, /, *, image: str = "web:1", **spec: Any) -> Object:
    """A workload of a kind named `web`; annotations, without their prefix, go to the pod template."""
    labels = {"app": "web"}
    noted = {f"{PREFIX}{name}": value for name, value in (annotations or {}).items()}
    template: Object = {
        "metadata": {"labels": labels, "annotations": noted},
        "spec": {"containers": [{"name": "main", "image": image}]},
    }
    selector = {} if kind == "Job" else {"selector": {"matchLabels": labels}}
    if kind == "Job":
        template["spec"]["restartPolicy"] = "Never"
    return {"kind": kind, "metadata": {"name": "web"}, "spec": {**selector, "template": template, **spec}}


async def pods(world: World) -> list[Object]:
    return await world.items("pods", labelSelector="app=web")


async def log(world: World, pod: str, **params: str) -> list[str]:
    answer = await world.send("GET", world.path("pods", pod, part="log"), **params)
    assert answer.status == 200, answer
    return str(answer.body).splitlines()


async def test_a_deployment_becomes_ready(world: World) -> None:
    made = await world.made("deployments", workload("Deployment", replicas=2), APPS)
    status = await world.reached("deployments", "web", APPS, readyReplicas=2, unavailableReplicas=0)
    assert (status["replicas"], status["updatedReplicas"], status["availableReplicas"]) == (2, 2, 2)
    assert status["observedGeneration"] == made["metadata"]["generation"]
    assert await world.conditions("deployments", "web", APPS) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    (replica_set,) = await world.items("replicasets", APPS)
    assert replica_set["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    found = await pods(world)
    assert {pod["metadata"]["ownerReferences"][0]["uid"] for pod in found} == {replica_set["metadata"]["uid"]}
    assert {pod["status"]["phase"] for pod in found} == {"Running"}
    assert {pod["spec"]["nodeName"] for pod in found} <= set(NODES)
    assert "ScalingReplicaSet" in await world.reasons("web")
    assert {"Scheduled", "Pulled", "Created", "Started"} <= await world.reasons(found[0]["metadata"]["name"])


async def test_a_new_image_rolls_out(world: World) -> None:
    await world.made("deployments", workload("Deployment", replicas=2), APPS)
    await world.reached("deployments", "web", APPS, readyReplicas=2)
    await world.patch("deployments", "web", [{"op": "replace", "path": "/spec/template/spec/containers/0/image",
                                              "value": "web:2"}], "application/json-patch+json", APPS)  # fmt: skip

    async def rolled() -> bool:
        return {pod["spec"]["containers"][0]["image"] for pod in await pods(world)} == {"web:2"}

    await eventually(rolled)
    await world.reached("deployments", "web", APPS, observedGeneration=2, replicas=2, readyReplicas=2)
    revisions = {
        item["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: item["spec"]["replicas"]
        for item in await world.items("replicasets", APPS)
    }
    assert revisions == {"1": 0, "2": 2}


async def test_a_bad_image_leaves_the_old_pods(world: World) -> None:
    await world.made("deployments", workload("Deployment", replicas=2), APPS)
    await world.reached("deployments", "web", APPS, readyReplicas=2)
    bad = workload("Deployment", {"behavior": "image-pull"}, image="web:none", replicas=2)
    await world.patch("deployments", "web", {"spec": bad["spec"]}, "application/merge-patch+json", APPS)

    async def stuck() -> bool:
        waiting = [
            pod["status"]["containerStatuses"][0]["state"].get("waiting", {}).get("reason")
            for pod in await pods(world)
            if pod["spec"]["containers"][0]["image"] == "web:none" and "containerStatuses" in pod["status"]
        ]
        return bool(waiting) and set(waiting) <= {"ErrImagePull", "ImagePullBackOff"}

    await eventually(stuck)
    status = await world.status("deployments", "web", APPS)
    assert status["readyReplicas"] == 2
    assert (await world.conditions("deployments", "web", APPS))["Progressing"] == ("True", "ReplicaSetUpdated")


@pytest.mark.parametrize(("kind", "plural"), [("Deployment", "deployments"), ("StatefulSet", "statefulsets")])
async def test_workloads_scale(world: World, kind: str, plural: str) -> None:
    await world.made(plural, workload(kind, replicas=1), APPS)
    await world.reached(plural, "web", APPS, readyReplicas=1)
    for replicas in (3, 0):
        change = {"spec": {"replicas": replicas}}
        await world.patch(plural, "web", change, "application/merge-patch+json", APPS, "scale")
        await world.reached(plural, "web", APPS, readyReplicas=replicas, replicas=replicas)
        assert len(await pods(world)) == replicas


async def test_a_stateful_set_keeps_its_order(world: World) -> None:
    await world.made("statefulsets", workload("StatefulSet", {"behavior": "never-ready"}, replicas=2), APPS)
    await eventually(lambda: pods(world))
    await world.became("pods", "web-0", "", "Ready", "False", "ContainersNotReady")
    assert [pod["metadata"]["name"] for pod in await pods(world)] == ["web-0"]
    good = workload("StatefulSet", replicas=2)["spec"]["template"]
    await world.patch("statefulsets", "web", [{"op": "replace", "path": "/spec/template", "value": good}],
                      "application/json-patch+json", APPS)  # fmt: skip
    status = await world.reached("statefulsets", "web", APPS, readyReplicas=2)
    assert status["currentRevision"] == status["updateRevision"]
    assert [pod["metadata"]["name"] for pod in await pods(world)] == ["web-0", "web-1"]


async def test_a_daemon_set_has_a_pod_on_every_node(world: World) -> None:
    await world.made("daemonsets", workload("DaemonSet"), APPS)
    count = len(NODES)
    await world.reached("daemonsets", "web", APPS, numberReady=count, desiredNumberScheduled=count)
    assert sorted(pod["spec"]["nodeName"] for pod in await pods(world)) == sorted(NODES)


async def test_a_job_completes(world: World) -> None:
    await world.made("jobs", workload("Job", completions=2, parallelism=1), BATCH)
    status = await world.reached("jobs", "web", BATCH, succeeded=2)
    assert status["completionTime"]
    assert (await world.conditions("jobs", "web", BATCH))["Complete"] == ("True", "CompletionsReached")
    assert [pod["status"]["phase"] for pod in await pods(world)] == ["Succeeded", "Succeeded"]


async def test_a_job_fails_once_its_tries_are_used_up(world: World) -> None:
    annotations = {"behavior": "fail", "exit-message": "no such table"}
    await world.made("jobs", workload("Job", annotations, backoffLimit=1), BATCH)
    status = await world.reached("jobs", "web", BATCH, failed=2)
    assert "succeeded" not in status
    assert (await world.conditions("jobs", "web", BATCH))["Failed"] == ("True", "BackoffLimitExceeded")
    pod = (await pods(world))[0]
    assert (
        pod["status"]["containerStatuses"][0]["state"]["terminated"] | {"message": "no such table", "exitCode": 1}
        == (pod["status"]["containerStatuses"][0]["state"]["terminated"])
    )
    assert (await log(world, pod["metadata"]["name"]))[-1] == "no such table"


async def test_a_crash_loops(world: World) -> None:
    annotations = {"behavior": "crash", "exit-message": "DB_URL is not set"}
    await world.made("deployments", workload("Deployment", annotations), APPS)

    async def crashed() -> Object | None:
        for pod in await pods(world):
            for container in pod["status"].get("containerStatuses") or []:
                if container["restartCount"] and "waiting" in container["state"]:
                    return pod
        return None

    pod = await eventually(crashed)
    container = pod["status"]["containerStatuses"][0]
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert container["lastState"]["terminated"]["message"] == "DB_URL is not set"
    name = pod["metadata"]["name"]
    assert "BackOff" in await world.reasons(name)
    assert "DB_URL is not set" in await log(world, name, previous="true")
    assert (await world.conditions("deployments", "web", APPS))["Available"] == ("False", "MinimumReplicasUnavailable")


async def test_what_is_never_ready_runs_out_of_time(world: World) -> None:
    obj = workload("Deployment", {"behavior": "never-ready"}, progressDeadlineSeconds=1)
    await world.made("deployments", obj, APPS)
    await world.became("deployments", "web", APPS, "Progressing", "False", "ProgressDeadlineExceeded")

    async def unhealthy() -> bool:
        return "Unhealthy" in await world.reasons((await pods(world))[0]["metadata"]["name"])

    await eventually(unhealthy)


async def test_a_workload_may_carry_the_annotations_itself(world: World) -> None:
    obj = workload("Deployment")
    obj["metadata"]["annotations"] = {f"{PREFIX}behavior": "image-pull", f"{PREFIX}delay": "10ms"}
    await world.made("deployments", obj, APPS)

    async def failed() -> bool:
        found = await pods(world)
        return bool(found) and "Failed" in await world.reasons(found[0]["metadata"]["name"])

    await eventually(failed)


async def test_an_unknown_behavior_is_said(world: World) -> None:
    await world.made("deployments", workload("Deployment", {"behavior": "explode"}), APPS)
    await world.reached("deployments", "web", APPS, readyReplicas=1)
    (pod,) = await pods(world)
    events = await world.items("events", fieldSelector=f"involvedObject.name={pod['metadata']['name']},type=Warning")
    assert [event["reason"] for event in events] == ["UnknownBehavior"]
    assert "'explode'" in events[0]["message"]


@pytest.mark.parametrize(
    ("policy", "phase"), [("Never", "Succeeded"), ("OnFailure", "Succeeded"), ("Always", "Running")]
)
async def test_a_pod_of_nobody_ends_if_it_is_not_started_again(world: World, policy: str, phase: str) -> None:
    spec = {"restartPolicy": policy, "containers": [{"name": "main", "image": "test:1"}]}
    await world.made("pods", {"kind": "Pod", "metadata": {"name": "test", "labels": {"app": "web"}}, "spec": spec})

    async def settled() -> bool:
        (pod,) = await pods(world)
        ready = any(item["status"] == "True" for item in pod["status"].get("conditions", ()) if item["type"] == "Ready")
        return pod["status"].get("phase") == "Succeeded" or ready

    await eventually(settled)
    (pod,) = await pods(world)
    assert pod["status"]["phase"] == phase


async def test_a_lost_pod_is_replaced(world: World) -> None:
    await world.made("deployments", workload("Deployment"), APPS)
    await world.reached("deployments", "web", APPS, readyReplicas=1)
    (before,) = await pods(world)
    await world.send("DELETE", world.path("pods", before["metadata"]["name"]))

    async def replaced() -> bool:
        found = await pods(world)
        return len(found) == 1 and found[0]["metadata"]["uid"] != before["metadata"]["uid"]

    await eventually(replaced)
    await world.reached("deployments", "web", APPS, readyReplicas=1)


async def test_logs_are_followed_to_their_end(world: World, sandbox: SandboxCluster) -> None:
    await world.made("pods", {"metadata": {"name": "one", "annotations": {f"{PREFIX}log": "hello"}},
                              "spec": {"containers": [{"name": "main", "image": "web:1"}]}})  # fmt: skip
    await world.became("pods", "one", "", "Ready", "True", "")

    async def settled() -> bool:
        return "ready to serve" in await log(world, "one")

    await eventually(settled)
    lines = await log(world, "one")
    assert lines == ["starting web:1", "hello", "ready to serve"]
    assert await log(world, "one", tailLines="1") == lines[-1:]
    assert (await log(world, "one", timestamps="true"))[0].endswith("Z starting web:1")
    followed: list[str] = []
    headers = {"Authorization": f"Bearer {world.token}"}
    url = world.server + world.path("pods", "one", part="log")
    uid = (await world.get("pods", "one")).body["metadata"]["uid"]
    params = {"follow": "true", "tailLines": "1"}
    async with asyncio.timeout(60), world.session.get(url, params=params, headers=headers) as response:
        async for line in response.content:
            followed.append(line.decode().strip())
            if len(followed) == 1:
                sandbox.logs.write(uid, "main", "later")
            elif len(followed) == 2:
                await world.send("DELETE", world.path("pods", "one"))
    assert followed == ["ready to serve", "later"]


async def test_logs_need_a_container_that_exists(world: World) -> None:
    containers = [{"name": name, "image": "web:1"} for name in ("a", "b")]
    await world.made("pods", {"metadata": {"name": "two"}, "spec": {"containers": containers}})
    path = world.path("pods", "two", part="log")
    answer = await world.send("GET", path)
    assert answer.status == 400
    assert answer.body["message"] == "a container name must be specified for pod two, choose one of: [a b]"
    answer = await world.send("GET", path, container="c")
    assert (answer.status, answer.body["message"]) == (400, "container c is not valid for pod two")
    answer = await world.send("GET", path, container="a", previous="true")
    assert answer.status == 400
    for params in ({"tailLines": "x"}, {"sinceSeconds": "x"}, {"sinceTime": "x"}):
        assert (await world.send("GET", path, container="a", **params)).status == 400


async def test_without_the_simulation_nothing_happens() -> None:
    async with SandboxCluster("still", simulate=False) as cluster, aiohttp.ClientSession() as session:
        world = World(session, cluster.url, cluster.token)
        world.namespace = "default"
        await world.made("deployments", workload("Deployment"), APPS)
        for _ in range(20):
            await world.send("GET", "/version")
        assert await world.items("pods") == []
        assert await world.status("deployments", "web", APPS) == {}
