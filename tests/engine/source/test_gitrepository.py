"""GitRepository on a cluster with real repositories: status and events as upstream's controller writes them.

The expected shapes were recorded from source-controller 1.9 (a fresh repository, a failing one, a request on an
unchanged one).
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from fluxtui.api.kinds import GIT_REPOSITORY
from fluxtui.api.meta import FINALIZER, REQUESTED_AT
from fluxtui.kube.client import PatchType
from fluxtui.kube.errors import NotFound
from tests.engine.polling import eventually
from tests.engine.source.bench import NAMESPACE, Bench, conditions, shape, status
from tests.engine.source.repositories import GitServer, Repository
from tests.listening import streams, swallow


async def test_a_fresh_repository_becomes_an_artifact(bench: Bench, repository: Repository) -> None:
    head = repository.git("rev-parse", "HEAD")
    await bench.create("fleet", repository.url)
    obj = await bench.ready("fleet")
    stored = f"stored artifact for revision 'main@sha1:{head}'"
    assert shape(obj) == [("Ready", "True", "Succeeded", stored), ("ArtifactInStorage", "True", "Succeeded", stored)]
    assert obj["metadata"]["finalizers"] == [FINALIZER]
    assert set(obj["status"]) == {"artifact", "conditions", "observedGeneration"}
    artifact = obj["status"]["artifact"]
    assert set(artifact) == {"digest", "lastUpdateTime", "path", "revision", "size", "url"}
    assert artifact["path"] == f"gitrepository/flux-system/fleet/{head}.tar.gz"
    assert artifact["revision"] == f"main@sha1:{head}"
    async with aiohttp.ClientSession() as session, session.get(artifact["url"]) as response:
        content = await response.read()
    assert artifact["digest"] == "sha256:" + hashlib.sha256(content).hexdigest()
    assert artifact["size"] == len(content)
    assert bench.files(obj) == {"apps/web.yaml", "README.md"}
    managers = {(item["manager"], item["operation"]) for item in obj["metadata"]["managedFields"]}
    assert ("source-controller", "Update") in managers
    event = await bench.event("fleet", "NewArtifact")
    assert (event["type"], event["message"]) == ("Normal", "stored artifact for commit 'fleet: first'")
    assert event["metadata"]["annotations"] == {
        "source.toolkit.fluxcd.io/digest": artifact["digest"],
        "source.toolkit.fluxcd.io/revision": f"main@sha1:{head}",
    }
    assert (event["reportingComponent"], event["source"], event["count"]) == (
        "source-controller",
        {"component": "source-controller"},
        1,
    )


async def test_a_repository_that_is_not_there_fails_and_recovers(bench: Bench, repository: Repository) -> None:
    aside = repository.path.rename(repository.path.with_name("aside"))
    await bench.create("fleet", repository.url)
    obj = await bench.failed("fleet", "GitOperationFailed")
    message = f"failed to checkout and determine revision: unable to clone '{repository.url}': repository not found"
    assert [item[:3] for item in shape(obj)] == [
        ("Reconciling", "True", "ProgressingWithRetry"),
        ("Ready", "False", "GitOperationFailed"),
        ("FetchFailed", "True", "GitOperationFailed"),
    ]
    assert {item[3] for item in shape(obj)[1:]} == {message}
    assert obj["status"]["observedGeneration"] == -1
    event = await bench.event("fleet", "GitOperationFailed")
    assert (event["type"], event["message"]) == ("Warning", message)
    assert "annotations" not in event["metadata"]
    aside.rename(repository.path)
    obj = await bench.ready("fleet")
    assert obj["status"]["observedGeneration"] == 1
    assert "FetchFailed" not in conditions(obj)


async def test_a_commit_is_noticed_without_waiting_for_the_interval(bench: Bench, repository: Repository) -> None:
    await bench.create("fleet", repository.url)
    first = await bench.ready("fleet")
    head = await asyncio.to_thread(repository.commit, "second", {"apps/api.yaml": "kind: Deployment\n"})
    obj = await bench.ready("fleet", head)
    assert bench.files(obj) == {"apps/web.yaml", "apps/api.yaml", "README.md"}
    assert first["status"]["artifact"]["digest"] != obj["status"]["artifact"]["digest"]
    await bench.event("fleet", "NewArtifact")


async def test_a_request_on_an_unchanged_repository_fetches_nothing(
    bench: Bench, repository: Repository, server: GitServer
) -> None:
    await bench.create("fleet", f"{server.url}/fleet/.git")
    first = await bench.ready("fleet")
    del server.requests[:]
    await bench.patch("fleet", {"metadata": {"annotations": {REQUESTED_AT: "2026-01-01T00:00:00Z"}}})
    obj = await bench.until("fleet", lambda obj: "lastHandledReconcileAt" in obj["status"])
    assert obj["status"]["lastHandledReconcileAt"] == "2026-01-01T00:00:00Z"
    assert obj["status"]["artifact"] == first["status"]["artifact"]
    assert status(obj, "Ready") == "True"
    revision = obj["status"]["artifact"]["revision"]
    event = await bench.event("fleet", "GitOperationSucceeded")
    assert event["message"] == f"no changes since last reconciliation: observed revision '{revision}'"
    assert (event["type"], "annotations" in event["metadata"]) == ("Normal", False)
    bodies = [path for method, path, _ in server.requests if method == "POST"]
    assert len(bodies) <= 1, "protocol v2 lists refs with one POST; a fetch would be another"


async def test_a_version_range_with_exclusions(bench: Bench, repository: Repository) -> None:
    repository.git("tag", "v1.0.0")
    first = repository.git("rev-parse", "HEAD")
    await bench.create("tagged", repository.url, ref={"semver": ">=1.0.0"}, ignore="/*\n!/apps\n")
    obj = await bench.ready("tagged")
    assert obj["status"]["artifact"]["revision"] == f"v1.0.0@sha1:{first}"
    assert obj["status"]["observedIgnore"] == "/*\n!/apps\n"
    assert bench.files(obj) == {"apps/web.yaml"}
    await bench.patch("tagged", {"spec": {"ignore": None}})
    obj = await bench.until("tagged", lambda obj: obj["status"]["observedGeneration"] == 2)
    assert "observedIgnore" not in obj["status"]
    assert bench.files(obj) == {"apps/web.yaml", "README.md"}
    second = await asyncio.to_thread(repository.commit, "second")
    repository.git("tag", "v1.1.0")
    await bench.ready("tagged", f"v1.1.0@sha1:{second}")


async def test_basic_authentication_and_what_its_absence_looks_like(
    bench: Bench, repository: Repository, server: GitServer
) -> None:
    server.require_basic("flux", "pa55word")
    url = f"{server.url}/fleet/.git"
    await bench.create("fleet", url, secretRef={"name": "auth"})
    obj = await bench.failed("fleet", "AuthenticationFailed")
    assert "failed to get secret 'flux-system/auth'" in conditions(obj)["FetchFailed"]["message"]
    await bench.secret("auth", username="flux", password="wrong")
    obj = await bench.failed("fleet", "GitOperationFailed")
    assert conditions(obj)["Ready"]["message"].endswith(f"unable to clone '{url}': authentication required")
    secrets = (await bench.client.resources()).find("", "Secret")
    assert secrets is not None
    right = {"data": {"password": base64.b64encode(b"pa55word").decode()}}
    await bench.client.patch(secrets, "auth", NAMESPACE, right, type=PatchType.MERGE)
    await bench.patch("fleet", {"metadata": {"annotations": {REQUESTED_AT: "now"}}})
    obj = await bench.ready("fleet")
    assert "pa55word" not in msgspec.json.encode(obj).decode()


@pytest.mark.parametrize(
    ("spec", "reason", "text"),
    [
        ({"provider": "github"}, "InvalidProviderConfiguration", "secretRef with github app data must be specified"),
        ({"url": "http:///nohost"}, "URLInvalid", "it names no host"),
    ],
)
async def test_what_this_engine_can_not_do_is_stalled_and_named(
    bench: Bench, repository: Repository, spec: dict[str, Any], reason: str, text: str
) -> None:
    await bench.create("fleet", **{"url": repository.url, **spec})
    obj = await bench.failed("fleet", reason)
    assert status(obj, "Stalled") == "True"
    assert text in conditions(obj)["Ready"]["message"]


async def test_an_include_is_waited_for_copied_and_followed(
    bench: Bench, repository: Repository, tmp_path: Path
) -> None:
    other = Repository(tmp_path / "repositories" / "library")
    other.commit("library", {"base/x.yaml": "one", "skipped.yaml": "s"})
    include = [{"repository": {"name": "library"}, "fromPath": "base", "toPath": "vendor/base"}]
    await bench.create("fleet", repository.url, include=include)
    obj = await bench.failed("fleet", "NotFound")
    assert status(obj, "IncludeUnavailable") == "True"
    assert (await bench.event("fleet", "NotFound"))["type"] == "Normal"
    await bench.create("library", other.url)
    await bench.ready("library")
    obj = await bench.ready("fleet")
    assert bench.files(obj) == {"apps/web.yaml", "README.md", "vendor/base/x.yaml"}
    assert obj["status"]["includedArtifacts"][0]["revision"].startswith("main@sha1:")
    assert obj["status"]["observedInclude"] == include
    digest = obj["status"]["artifact"]["digest"]
    head = await asyncio.to_thread(other.commit, "change", {"base/x.yaml": "two"})
    await bench.ready("library", head)
    await bench.patch("fleet", {"metadata": {"annotations": {REQUESTED_AT: "now"}}})
    await bench.until("fleet", lambda obj: obj["status"]["artifact"]["digest"] != digest)


def handled(request: str, obj: dict[str, Any]) -> bool:
    return bool(obj["status"].get("lastHandledReconcileAt") == request)


async def test_an_artifact_that_disappeared_or_was_damaged_is_made_again(bench: Bench, repository: Repository) -> None:
    await bench.create("fleet", repository.url)
    obj = await bench.ready("fleet")
    file = bench.store.root / "alpha" / obj["status"]["artifact"]["path"]
    content = file.read_bytes()
    for number, damage in enumerate((file.unlink, lambda: file.write_bytes(b"rubbish"))):
        damage()
        await bench.patch("fleet", {"metadata": {"annotations": {REQUESTED_AT: str(number)}}})
        await bench.until("fleet", functools.partial(handled, str(number)))
        assert file.read_bytes() == content
    assert (await bench.event("fleet", "ArtifactVerificationFailed"))["type"] == "Warning"


async def test_an_artifact_that_disappeared_and_cannot_be_made_again(bench: Bench, repository: Repository) -> None:
    await bench.create("fleet", repository.url)
    obj = await bench.ready("fleet")
    (bench.store.root / "alpha" / obj["status"]["artifact"]["path"]).unlink()
    repository.path.rename(repository.path.with_name("elsewhere"))
    bench.retry_late()
    await bench.patch("fleet", {"metadata": {"annotations": {REQUESTED_AT: "1"}}})
    obj = await bench.failed("fleet", "GitOperationFailed")
    assert "artifact" not in obj["status"]
    assert "ArtifactInStorage" not in conditions(obj)
    reconciling = conditions(obj)["Reconciling"]
    expected = ("ProgressingWithRetry", "building artifact: disappeared from storage")
    assert (reconciling["reason"], reconciling["message"]) == expected


async def test_deleting_the_object_removes_its_artifacts(bench: Bench, repository: Repository) -> None:
    await bench.create("fleet", repository.url)
    obj = await bench.ready("fleet")
    file = bench.store.root / "alpha" / obj["status"]["artifact"]["path"]
    await bench.client.delete(await bench.cluster.resource(GIT_REPOSITORY), "fleet", NAMESPACE)

    async def gone() -> bool:
        try:
            await bench.get("fleet")
        except NotFound:
            return True
        return False

    await eventually(gone)
    assert not file.exists()


async def test_no_secret_and_no_tree_stays_behind(bench: Bench, repository: Repository) -> None:
    await bench.create("fleet", repository.url)
    await bench.ready("fleet")
    await eventually(lambda: not bench.controller.queue.processing)
    assert [path.name for path in bench.store.root.iterdir() if path.name.startswith(".tmp-")] == []


async def test_a_remote_that_takes_too_long_is_given_up(bench: Bench, repository: Repository) -> None:
    async with streams(swallow) as port:
        await bench.create("fleet", f"http://127.0.0.1:{port}/x.git", timeout="300ms")
        obj = await bench.failed("fleet", "GitOperationFailed")
        assert conditions(obj)["Ready"]["message"].endswith("timed out after 300ms")
