"""What applying would change, told by another process: its answer, its failures, and its end with whoever waits."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from fluxtui.fleet.comparison import Comparison, ComparisonError, applier, compare
from fluxtui.fleet.engines import context_arguments
from fluxtui.fleet.refs import Ref
from fluxtui.kube.kubeconfig import IN_CLUSTER, Context
from tests.fleet.conftest import Start
from tests.fleet.live import context_of
from tests.fleet.objects import flux, mirror_of, ready, ref

CONTEXT = Context("prod", "prod", "/config", "https://example.com")
APPS = ref("ks", "apps")
API = Ref("prod", "apps", "Deployment", "web", "api")
DEADLINE = 60.0


def printing(text: str, errors: str = "", code: int = 1) -> tuple[str, ...]:
    """A program that prints this, whatever it is asked."""
    words = f"import sys; sys.stdout.write({text!r}); sys.stderr.write({errors!r}); sys.exit({code})"
    return sys.executable, "-c", words


def answer(*items: Mapping[str, object], **errors: str) -> str:
    told = {"items": items, "errors": [{"cluster": cluster, "message": text} for cluster, text in errors.items()]}
    return msgspec.json.encode(told).decode()


async def compared(*program: str) -> Comparison:
    return await compare(CONTEXT, APPS, program)


async def test_what_would_become_of_the_objects() -> None:
    changes = [
        {
            "group": "apps",
            "kind": "Deployment",
            "namespace": "web",
            "name": "api",
            "action": "changed",
            "diff": "-a\n+b",
        },
        {"group": "", "kind": "Service", "namespace": "web", "name": "api", "action": "unchanged", "diff": ""},
    ]
    item = {"cluster": "prod", "revision": "main@sha1:1", "changes": changes, "problems": ["one\x1b[2J\ntwo"]}
    found = await compared(*printing(answer(item)))
    assert [change.name for change in found.of(APPS)] == ["api", "api"]
    assert [change.diff for change in found.of(API)] == ["-a\n+b"]
    assert found.of(msgspec.structs.replace(API, name="other")) == ()
    assert found.problems == ("one\ntwo",)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (printing("", "fluxtui: no context matches 'prod'\n", 2), "no context matches"),
        (printing("", ""), "no answer"),
        (printing(answer(prod="it does not answer")), "it does not answer"),
        (printing(answer(), 'Kustomization "apps" not found'), "not found"),
        (("/nowhere/fluxtui",), "can't be started"),
    ],
)
async def test_why_nothing_can_be_told(program: tuple[str, ...], words: str) -> None:
    with pytest.raises(ComparisonError, match=words):
        await compared(*program)


async def test_the_process_ends_with_whoever_waits_for_it(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    words = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    task = asyncio.create_task(compared(sys.executable, "-c", words))
    async with asyncio.timeout(DEADLINE):
        await _written(file)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


async def _written(file: Path) -> None:
    while True:
        if await asyncio.to_thread(lambda: file.exists() and file.read_text()):
            return
        await asyncio.sleep(0.01)


async def test_what_is_in_no_kubeconfig_is_refused() -> None:
    inside = Context(IN_CLUSTER, IN_CLUSTER, IN_CLUSTER, "https://10.0.0.1")
    with pytest.raises(ComparisonError, match="no kubeconfig"):
        await compare(inside, APPS)


async def test_the_verb_is_asked_and_its_answer_understood(start: Start, tmp_path: Path) -> None:
    cluster, client = await start("east")
    resource = await client.resource_for((APPS.group, "", APPS.kind))
    spec = {"path": "./", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "gone"}}
    await client.create(resource, flux("ks", "apps", namespace="default", spec=spec))
    context = context_of(cluster, tmp_path)
    found = await compare(context, ref("ks", "apps", context.id, "default"))
    assert any("gone" in problem for problem in found.problems)


def test_who_applies_an_object() -> None:
    entry = {"inventory": {"entries": [{"id": "web_api_apps_Deployment", "v": "v1"}]}}
    labels = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
    mirror = mirror_of(prod=[flux("ks", "apps", ready(), status=entry), flux("hr", "podinfo", ready(), labels=labels)])
    assert applier(mirror, APPS) == applier(mirror, API) == applier(mirror, ref("hr", "podinfo")) == APPS
    assert applier(mirror, ref("git", "fleet")) is None


def test_another_process_finds_the_context_where_this_one_did() -> None:
    assert context_arguments(CONTEXT, {}) == ["--kubeconfig=/config", "--context=prod"]
    assert context_arguments(CONTEXT, {"KUBECONFIG": "/config"}) == ["--kubeconfig=/config", "--context=prod"]
    assert context_arguments(CONTEXT, {"KUBECONFIG": "/config:/other"}) == ["--context=prod"]
    assert context_arguments(CONTEXT, {"KUBECONFIG": "/one:/other"}) == ["--kubeconfig=/config", "--context=prod"]
