"""Chart hooks: objects created at a moment of a release and waited for, as Helm's documentation on hooks has it."""

from __future__ import annotations

from collections.abc import Iterable

from fluxtui.engine.controllers.helm.manifests import Hook, running_at
from fluxtui.engine.controllers.helm.objects import Objects
from fluxtui.kube.errors import KubeError
from fluxtui.kube.health import HealthError

_WAITED_FOR = frozenset({"Job", "Pod"})


class HookFailed(Exception):
    """A hook could not be created or failed; the text names the hook."""


async def run_hooks(objects: Objects, hooks: Iterable[Hook], event: str, seconds: float) -> None:
    """Run the hooks of an event one after another; Jobs and Pods are waited for, each for `seconds` at most.

    Raises HookFailed at the first that fails.
    """
    done: list[Hook] = []
    for hook in running_at(hooks, event):
        name = f"{hook.object['kind']} {hook.object['metadata']['name']}"
        try:
            if "before-hook-creation" in hook.delete_policies:
                await objects.delete([hook.object], seconds=seconds)
            await objects.apply([hook.object])
            if hook.object["kind"] in _WAITED_FOR:
                await objects.wait([hook.object], seconds=seconds)
        except HealthError as error:
            if "hook-failed" in hook.delete_policies:
                await objects.delete([hook.object], seconds=seconds)
            raise HookFailed(f"{event} hook {name} failed: {error}") from error
        except KubeError as error:
            raise HookFailed(f"{event} hook {name}: {error}") from error
        done.append(hook)
    for hook in done:
        if "hook-succeeded" in hook.delete_policies:
            await objects.delete([hook.object], seconds=seconds)
