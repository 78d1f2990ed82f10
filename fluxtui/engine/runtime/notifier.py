"""Events for notification-controller: posted to its address, so that Alerts go on when the engine takes over.

Source: notification-controller's docs/spec/v1/events.md, and the recorder of fluxcd/pkg `runtime/events` for severities
and retries.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import aiohttp

from fluxtui.engine.runtime.objects import Object

TRIES = 5
"""How often an event is posted to a server that does not answer, or answers with 500 or more."""
PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds between the tries."""
_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
_BACKLOG = 1000
"""Events that wait."""
_DUPLICATE = 429
"""The answer to an event that was posted a moment ago."""
_SEVERITIES = {"Normal": "info", "Warning": "error"}

logger = logging.getLogger("fluxtui.engine.events")


class Notifier:
    """Posts events, one after the other, while `run` runs."""

    def __init__(self, address: str) -> None:
        """`address` is a URL."""
        self._address = address
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_BACKLOG)
        self.dropped = 0
        """Events lost to a full backlog or a server that did not take them."""

    def tell(self, event: Object) -> None:
        """Post a core v1 Event, whose annotations become the metadata; never blocks or raises."""
        told = {
            "involvedObject": event["involvedObject"],
            "severity": _SEVERITIES[event["type"]],
            "timestamp": event["lastTimestamp"],
            "message": event["message"],
            "reason": event["reason"],
            "reportingController": event["reportingComponent"],
            "reportingInstance": socket.gethostname(),
        }
        metadata = event["metadata"].get("annotations")
        if metadata:
            told["metadata"] = metadata
        try:
            self._waiting.put_nowait(told)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Post events until cancelled."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT, headers={"User-Agent": "fluxtui"}) as session:
            while True:
                event = await self._waiting.get()
                try:
                    problem = await self._post(session, event)
                finally:
                    self._waiting.task_done()
                if problem:
                    self.dropped += 1
                    logger.warning("event not posted to %s: %s", self._address, problem)

    async def flush(self) -> None:
        """Wait until all events told so far are posted, or lost; needs `run` to be running."""
        await self._waiting.join()

    async def _post(self, session: aiohttp.ClientSession, event: dict[str, Any]) -> str:
        """Why it could not be posted; empty if it was."""
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(PAUSES[attempt - 1])
            try:
                async with session.post(self._address, json=event, allow_redirects=False) as answer:
                    if answer.status < 300 or answer.status == _DUPLICATE:
                        return ""
                    problem = f"status {answer.status}"
                    if answer.status < 500:
                        return problem
            except (aiohttp.ClientError, OSError) as error:
                # A timeout, an OSError, has no words of its own.
                problem = str(error) or "no answer"
        return problem
