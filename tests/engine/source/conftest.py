"""Fixtures of the source tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.source.repositories import GitServer, Repository, http_backend, serving


@pytest.fixture
def server(repository: Repository) -> Iterator[GitServer]:
    """The repository at `<url>/fleet/.git`."""
    if not http_backend():
        pytest.skip("this git has no http-backend")
    with serving(repository.path.parent) as found:
        yield found
