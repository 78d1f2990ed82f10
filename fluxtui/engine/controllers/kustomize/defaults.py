"""As whom objects are applied and with what they are decrypted where they do not say it: the flags of a controller.

Whoever previews a Kustomization from elsewhere finds them in the Deployment of the cluster's controller.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from fluxtui.api.meta import FLUX_NAMESPACE
from fluxtui.engine.runtime.objects import Object
from fluxtui.kube.client import Client
from fluxtui.kube.errors import KubeError

_CONTROLLERS = ("kustomize-controller", "fluxtui-engine")


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of EngineSettings; what is empty is not set."""

    default_service_account: str = ""
    default_decryption_service_account: str = ""
    default_kubeconfig_service_account: str = ""
    sops_age_secret: str = ""
    sops_vault_configmap: str = ""

    def over(self, other: Defaults) -> Defaults:
        """What is set here, and for the rest what the other has."""
        own = {name: value for name, value in msgspec.structs.asdict(self).items() if value}
        return msgspec.structs.replace(other, **own)

    @classmethod
    def of_arguments(cls, arguments: Sequence[str]) -> Defaults:
        """Read the command line of a controller; what else it says is passed over."""
        names = {f"--{field.replace('_', '-')}": field for field in cls.__struct_fields__}
        found = {}
        for index, word in enumerate(arguments):
            name, equals, value = word.partition("=")
            if name in names:
                # pflag and click take `--name value`, too.
                found[names[name]] = value if equals else "".join(arguments[index + 1 : index + 2])
        return cls(**found)


async def defaults_of(client: Client) -> Defaults:
    """The flags of the controller that a cluster runs; nothing where it runs none, or none that may be read.

    One that is scaled to zero has handed the cluster over, so that the flags of another count first.
    """
    found = [deployment async for deployment in _deployments(client)]
    for deployment in sorted(found, key=lambda one: (one.get("spec") or {}).get("replicas") == 0):
        containers = ((deployment["spec"].get("template") or {}).get("spec") or {}).get("containers") or []
        words = [str(word) for one in containers for part in ("command", "args") for word in one.get(part) or []]
        return Defaults.of_arguments(words)
    return Defaults()


async def _deployments(client: Client) -> AsyncIterator[Object]:
    for name in _CONTROLLERS:
        try:
            yield await client.get(await client.resource_for(("apps", "v1", "Deployment")), name, FLUX_NAMESPACE)
        except KubeError:
            continue
