"""Which kinds of Flux and its family an API server serves."""

from __future__ import annotations

from fluxtui.api.kinds import BY_KIND, is_flux_group
from fluxtui.kube.resources import Resource, Resources


def flux_resources(resources: Resources) -> list[Resource]:
    """The kinds of Flux and its family that a server serves, each in the version we read best."""
    found: dict[tuple[str, str], Resource] = {}
    for resource in resources.preferred:
        if is_flux_group(resource.group) and {"list", "watch"} <= set(resource.verbs):
            kind = BY_KIND.get((resource.group, resource.kind))
            versions = kind.versions if kind else ()
            served = (resources.find(resource.group, resource.kind, version) for version in versions)
            found[resource.group, resource.kind] = next((each for each in served if each), resource)
    return list(found.values())
