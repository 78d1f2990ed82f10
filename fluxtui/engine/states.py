"""What becomes of the clusters of an engine, in a file for whoever asked for them by a roster."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from fluxtui.engine.embedding import ClusterState

logger = logging.getLogger("fluxtui.engine")


class StatesFile:
    """Keeps `{"clusters": [{"context", "state", "message"}]}` up to date while `run` runs.

    The states are those of ClusterState, "stopping" for a cluster that is being let go of, and "unusable" for one whose
    context can't be found.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._states: Sequence[ClusterState] = ()
        self._problems: Mapping[str, str] = {}
        self._changed = asyncio.Event()

    def tell(self, states: Sequence[ClusterState]) -> None:
        """Take over how the clusters stand."""
        self._states = states
        self._changed.set()

    def blame(self, problems: Mapping[str, str]) -> None:
        """Take over which clusters can't be used (id → why)."""
        self._problems = problems
        self._changed.set()

    async def run(self) -> None:
        """Write the file whenever something changed, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            unusable = [ClusterState(id, "unusable", why) for id, why in self._problems.items()]
            content = msgspec.json.encode({"clusters": [*self._states, *unusable]})
            try:
                await asyncio.to_thread(self._write, content)
            except OSError as error:
                logger.error("%s can't be written: %s", self._path, error.strerror or error)

    def _write(self, content: bytes) -> None:
        beside = self._path.with_name(f"{self._path.name}.new")
        beside.write_bytes(content + b"\n")
        os.replace(beside, self._path)
