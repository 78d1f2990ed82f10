"""Waiting for objects: on the sandbox, and on a real kube-apiserver with the same results."""

from __future__ import annotations

import pytest

from fluxtui.kube.apply import Applier
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.health import HealthError, wait_until_gone, wait_until_ready
from fluxtui.kube.identity import Identity, identity_of
from tests.kube.applying import OPTIONS, config_map, deployment


async def test_waiting_ends_when_objects_are_ready_or_time_is_up(client: Client, namespace: str) -> None:
    obj = deployment("web", namespace)
    await Applier(client).apply([obj, config_map("a", namespace)], OPTIONS)
    wanted = {identity_of(config_map("a", namespace)): "v1"}
    await wait_until_ready(client, wanted, 60)
    wanted = {identity_of(obj): "v1", **wanted, Identity(namespace, "x", "example.com", "Nothing"): "v1"}
    with pytest.raises(HealthError) as caught:
        await wait_until_ready(client, wanted, 2)
    assert str(caught.value) == (
        f"timeout waiting for: [Deployment/{namespace}/web status: 'InProgress', "
        f"Nothing/{namespace}/x status: 'Unknown': the cluster serves no kind Nothing in example.com/v1]"
    )
    resource = await client.resource_for(obj)
    status = {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}
    await client.patch(resource, "web", namespace, {"status": status}, type=PatchType.MERGE, subresource="status")
    with pytest.raises(HealthError, match=r"failed early due to stalled resources: .*web status: 'Failed'"):
        await wait_until_ready(client, {identity_of(obj): "v1"}, 60)
    with pytest.raises(HealthError, match="termination timeout"):
        await wait_until_gone(client, {identity_of(obj): "v1"}, 0.2)


async def test_a_job_that_deletes_itself_counts_as_done(client: Client, namespace: str) -> None:
    job = Identity(namespace, "j", "batch", "Job")
    await wait_until_ready(client, {job: "v1"}, 60, may_vanish={job})
    with pytest.raises(HealthError, match="status: 'NotFound'"):
        await wait_until_ready(client, {job: "v1"}, 2)
