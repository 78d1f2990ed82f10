"""Objects that are opened in a live fleet: their children, and the pods of these."""

from __future__ import annotations

import pytest

from fluxtui.api.kinds import GIT_REPOSITORY, KUSTOMIZATION
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.states import State
from fluxtui.kube.client import PatchType
from fluxtui.kube.resources import Resource
from tests.engine.polling import eventually
from tests.fleet.conftest import Start
from tests.fleet.live import applied, create, names, running
from tests.fleet.objects import flux, ready, ref

pytestmark = pytest.mark.usefixtures("quick")

DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments")


async def test_an_opened_object_shows_its_children_and_their_pods(start: Start) -> None:
    _, client = await start("east")
    apps = await applied(client)
    async with running(client.context) as fleet:
        await eventually(lambda: names(fleet) == {"apps"})
        fleet.open(apps)

        def states() -> dict[str, tuple[State, str]]:
            branch = fleet.mirror.branches.get(apps)
            if branch is None or branch.loading:
                return {}
            return {child.ref.name: (child.state, child.message) for child in branch.children}

        found = await eventually(states)
        assert list(found) == ["gone", "api", "key", "settings"]
        assert found["key"] == found["settings"] == (State.READY, "")
        assert found["gone"] == (State.FAILED, "not found in the cluster")
        api = Ref("east", "apps", "Deployment", "web", "api")
        fleet.open(api)

        def pod_words() -> str:
            branch = fleet.mirror.branches.get(api)
            return branch.children[0].message if branch and branch.children else ""

        await eventually(lambda: "DB_URL is not set" in pod_words())
        pod = fleet.mirror.branches[api].children[0]
        assert (pod.ref.kind, pod.state) == ("Pod", State.FAILED)
        await client.delete(DEPLOYMENTS, "api", "web")
        await eventually(lambda: states().get("api") == (State.FAILED, "not found in the cluster"))
        fleet.close(api)
        fleet.close(apps)
        assert not fleet.mirror.branches


async def test_children_follow_the_inventory_and_what_may_not_be_read_is_said(start: Start) -> None:
    cluster, client = await start("east")
    apps = await applied(client)
    cluster.deny(plural="secrets")
    async with running(client.context) as fleet:
        await eventually(lambda: names(fleet) == {"apps"})
        fleet.open(apps)
        await eventually(lambda: apps in fleet.mirror.branches and not fleet.mirror.branches[apps].loading)
        assert fleet.mirror.branches[apps].error == "Secret may not be read"
        resource = await client.resource_for((KUSTOMIZATION.group, "", KUSTOMIZATION.kind))
        entries = {"inventory": {"entries": [{"id": "web_settings__ConfigMap", "v": "v1"}]}}
        await client.patch(
            resource, "apps", "flux-system", {"status": entries}, type=PatchType.MERGE, subresource="status"
        )

        def children() -> list[str]:
            return [child.ref.name for child in fleet.mirror.branches[apps].children]

        await eventually(lambda: children() == ["settings"])
        await eventually(lambda: not fleet.mirror.branches[apps].error)


async def test_a_git_repository_has_no_children(start: Start) -> None:
    _, client = await start("east")
    await create(client, flux("git", "fleet", ready(), spec={"url": "https://example.com/x"}))
    fleet_ref = ref("git", "fleet", "east")
    async with running(client.context) as fleet:
        await eventually(lambda: fleet_ref in fleet.mirror.rows)
        fleet.open(fleet_ref)
        await eventually(lambda: fleet_ref in fleet.mirror.branches)
        assert fleet.mirror.branches[fleet_ref].children == ()
        assert fleet.mirror.rows[fleet_ref].kind == GIT_REPOSITORY
