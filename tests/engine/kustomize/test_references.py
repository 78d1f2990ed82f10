"""Who is woken when a dependency changes: whoever waits for it, or may be finding out right now that it has to."""

from __future__ import annotations

from typing import Any

import pytest

from fluxtui.api.kinds import KUSTOMIZATION
from fluxtui.engine.controllers.kustomize.references import References
from fluxtui.engine.runtime.objects import Key, key_of

Object = dict[str, Any]


def kustomization(name: str, ready: str, revision: str, source: str = "fleet", needs: str = "") -> Object:
    return {
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system", "generation": 1},
        "spec": {
            "sourceRef": {"kind": "GitRepository", "name": source},
            "dependsOn": [{"name": needs}] if needs else [],
        },
        "status": {
            "observedGeneration": 1,
            "lastAppliedRevision": revision,
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


@pytest.mark.parametrize(
    ("dependent", "woken"),
    [
        (kustomization("apps", "False", "one", needs="infra"), True),
        # It looked at its dependency before that was ready, and has not said so yet.
        (kustomization("apps", "True", "one", needs="infra"), True),
        (kustomization("apps", "True", "two", needs="infra"), False),
        (kustomization("apps", "True", "one", source="other", needs="infra"), False),
        (kustomization("apps", "Unknown", "one", source="other", needs="infra"), True),
        (kustomization("apps", "False", "one", needs="elsewhere"), False),
    ],
)
def test_a_dependency_that_has_become_ready_wakes_who_is_behind(dependent: Object, woken: bool) -> None:
    known = {key_of(dependent): dependent}
    kustomizations = next(
        watch for watch in References(known.get, lambda _: None).watches("a=b") if watch.kind is KUSTOMIZATION
    )
    assert list(kustomizations.requests_for(None, dependent)) == []
    working, done = kustomization("infra", "Unknown", "one"), kustomization("infra", "True", "two")
    found = list(kustomizations.requests_for(working, done))
    assert found == [Key("flux-system", "apps")] * woken
    assert list(kustomizations.requests_for(done, done)) == []
