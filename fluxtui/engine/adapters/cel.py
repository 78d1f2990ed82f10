"""CEL expressions with the functions that Flux offers: strings, encoders, optional values and sets.

Source: fluxcd/pkg `runtime/cel`; the implementation is Google's own (cel-expr-python).
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

EXTRA = "CEL expressions need an interpreter that is not installed: pip install 'fluxtui[cel]'"
_LENGTH = 16 << 10
"""Characters of an expression that is accepted."""


class ExpressionError(ValueError):
    """An expression that can't be read, or has no boolean value; `str()` names the expression and says why."""


class Expression:
    """A compiled expression over the fields of an object, or over variables."""

    def __init__(self, text: str, variables: Sequence[str] = ()) -> None:
        """`variables` are the only names allowed; without any, every name is a field of what is evaluated.

        Raises ExpressionError.
        """
        self.text = text
        if len(text) > _LENGTH:
            raise ExpressionError(f"the CEL expression has more than {_LENGTH} characters")
        from cel_expr_python import cel

        try:
            self._compiled = _environment(tuple(variables)).compile(text, disable_check=not variables)
        except RuntimeError as error:
            raise ExpressionError(f"failed to parse the CEL expression '{text}': {_reason(error)}") from error
        if variables and self._compiled.return_type() != cel.Type.BOOL:
            kind = self._compiled.return_type().name().lower()
            raise ExpressionError(
                f"failed to parse the CEL expression '{text}': output type mismatch: expected bool, got {kind}"
            )

    def is_true(self, data: Mapping[str, Any]) -> bool:
        """The value for plain data. Raises ExpressionError when it is no boolean, as for a field that is not there."""
        from cel_expr_python import cel

        try:
            value = self._compiled.eval(data=dict(data))
        except RuntimeError as error:
            raise ExpressionError(f"failed to evaluate the CEL expression '{self.text}': {_reason(error)}") from error
        if value.type() == cel.Type.ERROR:
            raise ExpressionError(
                f"failed to evaluate the CEL expression '{self.text}': {_reason(value.plain_value())}"
            )
        if value.type() != cel.Type.BOOL:
            raise ExpressionError(f"failed to evaluate CEL expression as boolean: '{self.text}'")
        return bool(value.plain_value())


def available() -> bool:
    """Whether the interpreter can be imported, without importing it."""
    return importlib.util.find_spec("cel_expr_python") is not None


@functools.lru_cache(maxsize=8)
def _environment(variables: tuple[str, ...]) -> Any:
    from cel_expr_python import cel
    from cel_expr_python.ext.ext_encoders import ExtEncoders
    from cel_expr_python.ext.ext_optional import ExtOptional
    from cel_expr_python.ext.ext_strings import ExtStrings

    items = cel.Type.List(cel.Type.DYN)
    sets = [
        cel.FunctionDecl(f"sets.{name}", [cel.Overload(f"sets_{name}", cel.Type.BOOL, [items, items], False, function)])
        for name, function in (("contains", _contains), ("equivalent", _are_equivalent), ("intersects", _intersect))
    ]
    return cel.NewEnv(
        variables=dict.fromkeys(variables, cel.Type.DYN),
        extensions=[ExtStrings(), ExtEncoders(), ExtOptional()],
        functions=sets,
    )


def _contains(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return all(item in one for item in other)


def _are_equivalent(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return _contains(one, other) and _contains(other, one)


def _intersect(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return any(item in one for item in other)


def _reason(error: object) -> str:
    """The first line of what the implementation says, without its code."""
    line = str(error).partition("\n")[0]
    return line.removeprefix("INVALID_ARGUMENT: ").removeprefix("NOT_FOUND: ").removeprefix("UNKNOWN: ")
