"""Whether the Kustomizations that have to come first are ready.

Source: docs/spec/v1/kustomizations.md "Dependencies".
"""

from __future__ import annotations

import msgspec

from fluxtui.api.kinds import KUSTOMIZATION
from fluxtui.api.kustomize import Kustomization
from fluxtui.api.meta import READY
from fluxtui.engine.controllers.kustomize.sources import Source, reference
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.objects import Key
from fluxtui.kube.errors import NotFound


async def missing_dependency(cluster: Cluster, obj: Kustomization, source: Source) -> str:
    """Why the first dependency that is not ready is not; empty when all are.

    A dependency that is built from the same source has to have applied the same revision.
    """
    for wanted in obj.spec.depends_on:
        key = Key(wanted.namespace or obj.metadata.namespace, wanted.name)
        try:
            dependency = msgspec.convert(await cluster.read(KUSTOMIZATION, key), Kustomization)
        except NotFound as error:
            return f"dependency '{key}' not found: {error}"
        except msgspec.ValidationError:
            return f"dependency '{key}' is not ready"
        status = dependency.status
        ready = any(item.type == READY and item.status == "True" for item in status.conditions)
        if not ready or status.observed_generation != dependency.metadata.generation:
            return f"dependency '{key}' is not ready"
        same_source = reference(dependency.spec, key.namespace) == (source.kind, source.key)
        if same_source and status.last_applied_revision != source.revision:
            return f"dependency '{key}' revision is not up to date"
    return ""
