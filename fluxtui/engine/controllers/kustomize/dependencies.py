"""Whether the Kustomizations that have to come first are ready.

Source: docs/spec/v1/kustomizations.md "Dependencies".
"""

from __future__ import annotations

import msgspec

from fluxtui.api.kinds import KUSTOMIZATION
from fluxtui.api.kustomize import Kustomization
from fluxtui.api.meta import READY
from fluxtui.engine.adapters.cel import Expression, ExpressionError
from fluxtui.engine.controllers.kustomize.sources import Source, reference
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.objects import Key, Object
from fluxtui.kube.errors import NotFound


class ReadyExpressionError(ValueError):
    """A `readyExpr` that can't be read; `str()` names the dependency."""


async def missing_dependency(cluster: Cluster, obj: Kustomization, raw: Object, source: Source) -> str:
    """Why the first dependency that is not ready is not; empty when all are. `raw` is `obj` before it was decoded.

    A dependency that is built from the same source has to have applied the same revision; an expression takes the
    place of all other checks, unless the settings have it add to them. Raises ReadyExpressionError.
    """
    for wanted in obj.spec.depends_on:
        key = Key(wanted.namespace or obj.metadata.namespace, wanted.name)
        try:
            found = await cluster.read(KUSTOMIZATION, key)
        except NotFound as error:
            return f"dependency '{key}' not found: {error}"
        if wanted.ready_expr:
            reason = _unready_by_expression(wanted.ready_expr, key, raw, found)
            if reason:
                return reason
            if not cluster.settings.additive_ready_expressions:
                continue
        try:
            dependency = msgspec.convert(found, Kustomization)
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


def _unready_by_expression(text: str, key: Key, raw: Object, dependency: Object) -> str:
    try:
        expression = Expression(text, ("self", "dep"))
    except ExpressionError as error:
        raise ReadyExpressionError(f"failed to evaluate dependency {key.name}: {error}") from error
    try:
        ready = expression.is_true({"self": raw, "dep": dependency})
    except ExpressionError as error:
        return str(error)
    return "" if ready else f"dependency '{key}' is not ready according to readyExpr eval"
