"""Where the style sheets are: beside the modules in an installed package, beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_PLACES = (_PACKAGE / "styles", _PACKAGE.parent / "styles")


def path(name: str) -> Path:
    """The style sheet `name`.tcss. Raises FileNotFoundError that names both places when it is in neither."""
    for place in _PLACES:
        if (file := place / f"{name}.tcss").is_file():
            return file
    raise FileNotFoundError(f"style sheet {name}.tcss is neither in {_PLACES[0]} nor in {_PLACES[1]}")
