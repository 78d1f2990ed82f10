"""Checks before anything is applied, each with a reason of its own, where upstream goes on or says BuildFailed.

What they stop would break a cluster: text with holes in it, or a prune of everything. Switched by `strict`.
"""

from __future__ import annotations

from fluxtui.engine.controllers.kustomize.work import Run, Work, failed
from fluxtui.kube.inventory import Inventory, InventoryError

UNRESOLVED_VARIABLES = "UnresolvedVariables"
SUBSTITUTION_SOURCE_MISSING = "SubstitutionSourceMissing"
EMPTY_BUILD = "EmptyBuild"
PATH_NOT_FOUND = "PathNotFound"


def reason(run: Run, own: str, upstream: str) -> str:
    """The reason of a check: its own, or upstream's when the engine is to behave as upstream does."""
    return own if run.cluster.settings.strict else upstream


def refuse_empty_build(run: Run) -> None:
    """Raise Failed when nothing was built and everything applied before would be deleted."""
    work = run.shared(Work)
    if work.objects or not run.object.spec.prune or not run.cluster.settings.strict:
        return
    try:
        before = Inventory.of_status(run.status.get("inventory"))
    except InventoryError:
        return
    if len(before):
        raise failed(
            run,
            EMPTY_BUILD,
            f"the build has no objects, and to prune would delete all {len(before)} objects applied before; "
            "delete the Kustomization to remove them",
        )
