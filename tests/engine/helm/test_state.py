"""Judging releases, and the names and digests that helm-controller would compute for them."""

from __future__ import annotations

import copy
import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from fluxtui.api.helm import HelmRelease
from fluxtui.engine.adapters import helm_storage
from fluxtui.engine.adapters.helm_storage import Release, StorageError
from fluxtui.engine.controllers.helm.releases import config_digest, digest, full_name, release_name, snapshot
from fluxtui.engine.controllers.helm.state import State, determine

CHART = {"name": "demo", "version": "0.2.0+31820d16ccd7", "apiVersion": "v2", "appVersion": "1.2.3"}


def release(version: int = 1, status: str = "deployed", **config: Any) -> Release:
    return {
        "name": "demo",
        "info": {
            "first_deployed": "2026-11-21T05:14:05.539714466Z",
            "last_deployed": "2026-11-21T05:14:37.57609867Z",
            "description": "Install complete",
            "status": status,
            "notes": "a < b & c\n",
        },
        "chart": {"metadata": dict(CHART)},
        "config": config or None,
        "manifest": "---\n# Source: demo/templates/all.yaml\n",
        "version": version,
        "namespace": "apps",
        "apply_method": "ssa",
    }


def test_digests_do_not_depend_on_the_order_of_values() -> None:
    assert digest(release(a=1, b=2)) == digest(release(b=2, a=1))
    assert digest(release(a=1)) != digest(release(a=2))
    # Computed with Go's encoding/json over the same observation.
    assert digest(release(replicas=2)) == "sha256:25e754db64e803cc5ad0327cf2dc47624e03631021e2d94cc2238facc3896e29"


def test_the_digest_of_values_is_that_of_their_yaml() -> None:
    # Recorded from helm-controller for these values.
    assert config_digest({"replicas": 2, "config": {"colour": "blue"}}) == (
        "sha256:56a64ae757c0c4f9914aea85abab0679e51e6789984f841a01819936b5ac5a8f"
    )
    text = 'hash: "1e3"\nmode: "0755"\nnumber: 1000\nswitch: "on"\n'
    values = {"switch": "on", "hash": "1e3", "mode": "0755", "number": 1000}
    assert config_digest(values) == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    assert config_digest({}) == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({}, "shop"),
        ({"targetNamespace": "web"}, "web-shop"),
        ({"releaseName": "mine", "targetNamespace": "web"}, "mine"),
        ({"targetNamespace": "a" * 60}, "a" * 40 + "-" + "1736126149e6"),
    ],
)
def test_release_names(spec: dict[str, Any], name: str) -> None:
    obj = {"metadata": {"name": "shop", "namespace": "apps"}, "spec": {"interval": "1m", **spec}}
    assert release_name(msgspec.convert(obj, HelmRelease)) == name


HISTORY = [release(1, "superseded"), release(2, replicas=2)]
KNOWN = [snapshot(HISTORY[1], "upgrade"), snapshot(HISTORY[0])]


@pytest.mark.parametrize(
    ("history", "known", "chart", "values", "state"),
    [
        ([], [], CHART, {}, State.ABSENT),
        ([release(1, "uninstalled")], [], CHART, {}, State.ABSENT),
        ([release(1, "pending-install")], [], CHART, {}, State.LOCKED),
        ([release(1, "uninstalling")], [], CHART, {}, State.LOCKED),
        (HISTORY, [], CHART, {"replicas": 2}, State.UNMANAGED),
        ([*HISTORY, release(3)], KNOWN, CHART, {"replicas": 2}, State.UNMANAGED),
        ([HISTORY[0], release(2, replicas=9)], KNOWN, CHART, {"replicas": 2}, State.UNMANAGED),
        (HISTORY, KNOWN, CHART, {"replicas": 2}, State.IN_SYNC),
        (HISTORY, KNOWN, CHART, {"replicas": 3}, State.OUT_OF_SYNC),
        (HISTORY, KNOWN, {**CHART, "version": "0.3.0"}, {"replicas": 2}, State.OUT_OF_SYNC),
    ],
)
def test_judgement(
    history: list[Release], known: list[Any], chart: dict[str, str], values: dict[str, Any], state: State
) -> None:
    assert determine(history, known, chart, values).state is state


def test_a_failed_release_is_failed_only_if_it_is_ours() -> None:
    failed = release(1, "failed")
    assert determine([failed], [snapshot(failed)], CHART, {}).state is State.FAILED
    assert determine([failed], [], CHART, {}).state is State.UNMANAGED


def test_what_is_stored_is_what_is_read() -> None:
    stored = release(3, replicas=2)
    secret = helm_storage.encode(stored, "apps", datetime(2026, 11, 21, tzinfo=UTC))
    assert secret["metadata"]["name"] == "sh.helm.release.v1.demo.v3"
    assert secret["metadata"]["labels"]["status"] == "deployed"
    assert helm_storage.decode(secret) == stored
    assert full_name(stored) == "apps/demo.v3"


@pytest.mark.parametrize("data", ["", "AAAA", "bm90IGpzb24=", "e30="])
def test_a_damaged_secret_is_named(data: str) -> None:
    secret = copy.deepcopy(helm_storage.encode(release(), "apps", datetime(2026, 11, 21, tzinfo=UTC)))
    secret["data"]["release"] = data
    with pytest.raises(StorageError, match=r"sh\.helm\.release\.v1\.demo\.v1"):
        helm_storage.decode(secret)
