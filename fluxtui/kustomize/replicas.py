"""`replicas`: how many there are of a workload."""

from __future__ import annotations

from typing import Any

from fluxtui.kustomize.errors import BuildError
from fluxtui.kustomize.fieldspecs import Specs, set_scalar, visit
from fluxtui.kustomize.identities import Gvk
from fluxtui.kustomize.kustomization import Replica
from fluxtui.kustomize.resources import Resources


def set_replicas(resources: Resources, replica: Replica, specs: Specs) -> None:
    """Set the number of replicas by name. Raises BuildError when no resource of a right kind has or had the name."""

    def act(container: Any, key: Any) -> None:
        set_scalar(container, key, replica.count)

    found = False
    for resource in resources:
        ids = [item for item in (*resource.previous_ids, resource.id) if item.name == replica.name]
        for spec in specs:
            if any(spec.fits(item.gvk) for item in ids):
                found = True
                if spec.fits(resource.gvk):
                    visit(resource.object, spec, act, "scalar")
    if not found:
        kinds = " ".join(str(Gvk(spec.group, spec.version, spec.kind)) for spec in specs)
        raise BuildError(f"resource with name {replica.name} does not match a config with the following GVK [{kinds}]")
