"""What the machine can do at this very time, for the figures to be held against.

python -m tests.bench.calibration echo            a Textual app that only shows what was typed
python -m tests.bench.calibration read CONFIG…    a client that only reads the LISTs of a fake fleet
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import sys
import time
from asyncio.sslproto import SSLProtocol
from pathlib import Path

AT_ONCE = 8
"""Clusters that are read at the same time, as the console does."""


def echo() -> None:
    """Show `typed-00001` after the first key, and so on."""
    os.environ.setdefault("TEXTUAL_FPS", "120")
    from textual.app import App, ComposeResult
    from textual.events import Key
    from textual.widgets import Static

    class Echo(App[None]):
        """One line of text."""

        def compose(self) -> ComposeResult:
            yield Static("typed-00000")

        def on_mount(self) -> None:
            self.typed = 0

        def on_key(self, event: Key) -> None:
            self.typed += 1
            self.query_one(Static).update(f"typed-{self.typed:05}")

    Echo().run()


async def read(config: bytes, paths: list[str]) -> dict[str, float]:
    """Read each path of each cluster of a kubeconfig (JSON) once; seconds, CPU seconds and bytes that it took."""
    import aiohttp

    SSLProtocol.max_size = 16 << 10
    clusters = [entry["cluster"] for entry in json.loads(config)["clusters"]]
    gate = asyncio.Semaphore(AT_ONCE)
    began, cpu, size = time.monotonic(), time.process_time(), 0

    async def one(cluster: dict[str, str]) -> None:
        nonlocal size
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        async with gate, aiohttp.ClientSession() as session:
            context = ssl.create_default_context(cadata=authority)

            async def get(path: str) -> int:
                async with session.get(f"{cluster['server']}{path}?limit=500", ssl=context) as answer:
                    return len(await answer.read())

            size += sum(await asyncio.gather(*map(get, paths)))

    await asyncio.gather(*map(one, clusters))
    return {"seconds": time.monotonic() - began, "cpu": time.process_time() - cpu, "bytes": size}


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        echo()
    else:
        sys.stdout.write(json.dumps(asyncio.run(read(Path(sys.argv[2]).read_bytes(), sys.argv[3:]))))
