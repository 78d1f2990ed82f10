"""aiohttp, imported without its trust stores.

Importing it makes two TLS contexts and fills both with the system's authorities: a third of the time that a command
needs in all. Ours are made in `fluxtui.kube.tls`, so those of aiohttp are filled when somebody uses them.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from typing import Any

_LOADER = "set_default_verify_paths"
"""What everything that trusts the system's authorities calls in the end."""


class LateContext(ssl.SSLContext):
    """A context that loads the system's authorities with its first connection."""

    _is_loaded = False

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """As the base."""
        self._load()
        return super().wrap_bio(*args, **options)

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """As the base."""
        self._load()
        return super().wrap_socket(*args, **options)

    def _load(self) -> None:
        if not self._is_loaded:
            self._is_loaded = True
            self.set_default_verify_paths()


@contextlib.contextmanager
def late_authorities() -> Iterator[None]:
    """A time in which contexts that are to trust the system's authorities become late ones."""

    def put_off(context: ssl.SSLContext) -> None:
        if type(context) is ssl.SSLContext:
            context.__class__ = LateContext
        else:
            super(ssl.SSLContext, context).set_default_verify_paths()

    # The base's own method comes back when this one is gone.
    setattr(ssl.SSLContext, _LOADER, put_off)
    try:
        yield
    finally:
        delattr(ssl.SSLContext, _LOADER)


with late_authorities():
    import aiohttp as aiohttp
    from aiohttp.abc import AbstractResolver as AbstractResolver
    from aiohttp.abc import ResolveResult as ResolveResult
