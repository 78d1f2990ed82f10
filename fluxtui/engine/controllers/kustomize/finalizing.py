"""What happens to the objects of a Kustomization that is deleted.

Source: docs/spec/v1/kustomizations.md "Deletion policy" and "Finalizers".
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from fluxtui.api.kinds import KUSTOMIZE_GROUP
from fluxtui.api.meta import READY
from fluxtui.engine.controllers.kustomize import policy
from fluxtui.engine.controllers.kustomize.target import TargetError, target_of
from fluxtui.engine.controllers.kustomize.work import Run
from fluxtui.engine.runtime.outcomes import Failed
from fluxtui.kube.changes import Action
from fluxtui.kube.errors import KubeError, NotFound
from fluxtui.kube.health import HealthError, wait_until_gone
from fluxtui.kube.inventory import Inventory, InventoryError
from fluxtui.kube.memory import Memory
from fluxtui.kube.prune import PruneError, prune


async def delete_objects(run: Run, memories: Mapping[str, Memory]) -> None:
    """Delete the objects of the inventory, if the deletion policy wants it; wait for their end, if it wants that.

    `memories` are what is known of the objects of each target.

    Raises Failed when objects can't be deleted; the deletion is then tried again.
    """
    spec = run.object.spec
    try:
        inventory = Inventory.of_status(run.status.get("inventory"))
    except InventoryError as error:
        run.log(logging.ERROR, f"nothing is deleted: {error}")
        return
    if not policy.deletes_objects(spec) or not len(inventory):
        return
    for name, field in (("revision", "lastAppliedRevision"), ("originRevision", "lastAppliedOriginRevision")):
        if run.status.get(field):
            run.annotations[f"{KUSTOMIZE_GROUP}/{name}"] = run.status[field]
    ready = run.conditions.get(READY)
    reason = ready.reason if ready is not None else "info"
    account = spec.service_account_name or run.cluster.settings.default_service_account
    if account and not await _exists(run, account):
        listed = "\n".join(str(identity) for identity in inventory)
        run.event("Warning", reason, f"unable to prune objects: \n{listed}")
        return
    try:
        target = await target_of(run)
        changes = await prune(
            target.client,
            inventory,
            policy.prune_options(run.key, run.cluster.settings.concurrent_ssa),
            memories.get(target.remote.id if target.remote is not None else ""),
        )
    except TargetError as error:
        raise Failed("PruneFailed", str(error)) from error
    except PruneError as error:
        raise Failed("PruneFailed", f"pruning for deleted resource failed: {error}") from error
    run.event("Normal", reason, str(changes))
    if not policy.waits_for_termination(spec):
        return
    deleted = {change.identity: change.version for change in changes.of(Action.DELETED) if change.live is not None}
    try:
        await wait_until_gone(target.client, deleted, policy.timeout_of(spec))
    except HealthError as error:
        run.log(logging.ERROR, str(error))
        run.event("Warning", reason, "failed to wait for resources termination")


async def _exists(run: Run, account: str) -> bool:
    client = run.cluster.client
    try:
        await client.get(await client.resource_for(("", "v1", "ServiceAccount")), account, run.key.namespace)
    except NotFound:
        return False
    except KubeError as error:
        raise Failed("PruneFailed", f"ServiceAccount {run.key.namespace}/{account}: {error}") from error
    return True
