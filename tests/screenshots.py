"""`make screenshots`: the README's pictures, taken of the real console on a running demo."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

os.environ["TEXTUAL_FPS"] = "120"

from fluxtui.cli.demo.processes import Demo
from fluxtui.config import ConsoleSettings, Settings
from fluxtui.console.app import ConsoleApp
from fluxtui.console.start import Start
from fluxtui.kube.kubeconfig import load

FOLDER = Path(__file__).parents[1] / "screenshots"
SETTLE_SECONDS = 20.0
"""Until the demo's failure is known to the cluster."""
CLOSE_PROD = ("home", "left", "down", "left")
"""What is well fills no picture."""
OPEN_FAILURE = ("n", "right", "n", "right", "k", "d")
"""Down to the pod that crashes, and back to the object that is said to fail."""
PICTURES: tuple[tuple[str, str, tuple[int, int], tuple[str, ...]], ...] = (
    ("fleet", "fluxtui-dark", (120, 32), (*CLOSE_PROD, *OPEN_FAILURE)),
    ("trace", "fluxtui-dark", (120, 32), (*CLOSE_PROD, "n", "n", "t")),
    ("fleet-80x24", "fluxtui-dark", (80, 24), (*CLOSE_PROD, "n", "d")),
    ("fleet-light", "fluxtui-light", (120, 32), (*CLOSE_PROD, *OPEN_FAILURE)),
)
"""(file, theme, size, keys)."""


async def take() -> None:
    """Take all pictures."""
    FOLDER.mkdir(exist_ok=True)
    async with Demo() as demo:
        await demo.up()
        await asyncio.sleep(SETTLE_SECONDS)
        contexts = load([str(demo.kubeconfig)]).contexts
        for name, theme, size, keys in PICTURES:
            app = ConsoleApp(Start(contexts=contexts, settings=Settings(console=ConsoleSettings(theme=theme))))
            async with app.run_test(size=size) as pilot:
                await pilot.pause(4.0)
                for key in keys:
                    await pilot.press(key)
                    await pilot.pause(0.5)
                await pilot.pause(1.5)
                app.save_screenshot(f"{name}.svg", str(FOLDER))
            sys.stdout.write(f"{FOLDER.name}/{name}.svg\n")


if __name__ == "__main__":
    asyncio.run(take())
