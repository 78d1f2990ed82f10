"""Health by the CEL expressions of `spec.healthCheckExprs`.

Source: docs/spec/v1/kustomizations.md "Health check expressions"; RFC 0009 of Flux.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from fluxtui.api.fields import CustomHealthCheck
from fluxtui.api.kstatus import Result, Status
from fluxtui.engine.adapters.cel import Expression, ExpressionError
from fluxtui.kube.normalize import group_of

Object = dict[str, Any]
Judge = Callable[[Object], Result | None]
"""Object → its health; None for an object that no expression is about."""


class _Check(msgspec.Struct, frozen=True):
    """Expressions in the order in which they are asked; the first that is true decides."""

    expressions: tuple[tuple[Status, Expression], ...]

    def judge(self, obj: Object) -> Result:
        status = obj.get("status")
        observed = status.get("observedGeneration") if isinstance(status, dict) else None
        if isinstance(observed, int) and observed != obj["metadata"].get("generation", observed):
            return Result(Status.IN_PROGRESS, "the generation is not observed yet")
        try:
            for verdict, expression in self.expressions:
                if expression.is_true(obj):
                    return Result(verdict, f"{expression.text} is true")
        except ExpressionError as error:
            return Result(Status.UNKNOWN, str(error))
        return Result(Status.IN_PROGRESS, "no expression is true")


def judge_of(checks: Sequence[CustomHealthCheck]) -> Judge | None:
    """The judge that custom checks make; None without any. Raises ExpressionError that names the check."""
    known: dict[tuple[str, str], _Check] = {}
    for index, check in enumerate(checks):
        group = group_of({"apiVersion": check.api_version})
        if (group, check.kind) in known:
            kind = ".".join(filter(None, (check.kind, group)))
            raise ExpressionError(f"duplicate custom health check for GroupKind {kind} at healthchecks[{index}]")
        known[group, check.kind] = _check(check, index)
    if not known:
        return None

    def judge(obj: Object) -> Result | None:
        group = group_of(obj)
        found = known.get((group, str(obj.get("kind", "")))) or known.get((group, ""))
        return found.judge(obj) if found is not None else None

    return judge


def _check(check: CustomHealthCheck, index: int) -> _Check:
    expressions = []
    for name, status, text in (
        ("InProgress", Status.IN_PROGRESS, check.in_progress),
        ("Failed", Status.FAILED, check.failed),
        ("Current", Status.CURRENT, check.current),
    ):
        if not text and status is not Status.CURRENT:
            continue
        place = f"failed to create custom status evaluator for healthchecks[{index}]"
        if not text:
            raise ExpressionError(f"{place}: expression {name} not specified")
        try:
            expressions.append((status, Expression(text)))
        except ExpressionError as error:
            raise ExpressionError(f"{place}: failed to parse the expression {name}: {error}") from error
    return _Check(tuple(expressions))
