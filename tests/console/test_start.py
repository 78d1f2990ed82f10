"""Starting: what is loaded before the first frame, what stops it with exit code 2, and what a bug looks like."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from fluxtui.cli.main import cli
from fluxtui.config import ConsoleSettings, Settings, SettingsError
from fluxtui.console.app import ConsoleApp
from fluxtui.console.screens.crash import report
from fluxtui.console.start import check
from fluxtui.console.widgets.chrome import Bar
from tests.console.still import Still, app, board
from tests.terminal import Terminal

FIRST_FRAME = """
import json, sys
from fluxtui.console.start import Start, run
assert "textual" not in sys.modules
import fluxtui.console.start as start
import os
os.environ.setdefault("TEXTUAL_FPS", start.FRAMES)
from fluxtui.console.app import ConsoleApp

class Probe(ConsoleApp):
    def _live(self):
        print(json.dumps({"modules": sorted(sys.modules), "fps": __import__("textual.constants").constants.MAX_FPS}))
        self.exit()

from fluxtui.kube.kubeconfig import load
Probe(Start(contexts=load([sys.argv[1]]).contexts)).run(headless=True)
"""

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "a", "user": {"token": "t"}}],
    "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
}


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(KUBECONFIG))
    return path


def test_the_first_frame_needs_no_client_no_git_and_no_http(kubeconfig: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_FRAME, str(kubeconfig)], capture_output=True, text=True, check=True, timeout=120
    )
    found = json.loads(done.stdout.splitlines()[-1])
    loaded = {name.partition(".")[0] for name in found["modules"]}
    assert not loaded & {"aiohttp", "kubernetes_asyncio", "git", "watchfiles", "semantic_version", "helm_python"}
    assert "fluxtui.kube.client" not in found["modules"]
    assert "fluxtui.engine" not in found["modules"]
    brought_up_by_keys = ("actions", "crash", "dialogs", "engines", "help", "palette", "plan")
    assert not {f"fluxtui.console.screens.{name}" for name in brought_up_by_keys} & set(found["modules"])
    assert len(found["modules"]) < 560
    assert found["fps"] == 120


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, arguments)
    return result.exit_code, result.stderr


def test_a_conflict_in_the_keymap_is_named(tmp_path: Path, kubeconfig: Path) -> None:
    settings = tmp_path / "config.yaml"
    settings.write_text("console: {keymap: {reconcile: s}}")
    code, words = run("console", "--config", str(settings), "--kubeconfig", str(kubeconfig))
    assert code == 2
    assert "'s' is bound twice, to reconcile" in words
    assert "suspend" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--kubeconfig", "nowhere.yaml"), "nowhere.yaml"),
        (("--config", "nowhere.yaml"), "nowhere.yaml: no such file"),
        (("--theme", "pink"), "there is no theme 'pink'; known are fluxtui-dark"),
    ],
)
def test_what_can_not_be_used_stops_the_start_with_exit_code_2(arguments: tuple[str, ...], words: str) -> None:
    code, said = run("console", *arguments)
    assert code == 2
    assert said.startswith("fluxtui: ")
    assert words in said
    assert "Traceback" not in said


def test_an_unknown_context_is_named(kubeconfig: Path) -> None:
    code, said = run("console", "--kubeconfig", str(kubeconfig), "--context", "prod-*")
    assert code == 2
    assert "no context matches 'prod-*'" in said


def test_problems_of_the_keymap_come_all_at_once() -> None:
    with pytest.raises(SettingsError, match=r"(?s)'reconcil'.*'suspendd'"):
        check(Settings(console=ConsoleSettings(keymap={"reconcil": "R", "suspendd": "s"})))


def test_without_a_terminal_to_draw_on_the_console_says_so(kubeconfig: Path) -> None:
    code, said = run("console", "--kubeconfig", str(kubeconfig))
    assert code == 2
    assert said == "fluxtui: the console needs a terminal: standard input or standard error is redirected\n"


def test_a_terminal_that_vanishes_takes_the_console_with_it(kubeconfig: Path) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "fluxtui", "console", "--kubeconfig", str(kubeconfig)]
    # A session of its own, so that the kernel sends no SIGHUP.
    console = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    try:
        assert select.select([master], [], [], 60)[0], "the console drew nothing"
        os.close(master)
        assert console.wait(60) == 128 + signal.SIGHUP
    finally:
        console.kill()
        console.wait(60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(kubeconfig: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "fluxtui", "--kubeconfig", str(kubeconfig)]
    with Terminal(command, env={**os.environ, "TERM": "xterm-256color"}, size=(80, 24)) as terminal:
        before = terminal.modes()
        terminal.wait_for("commands", seconds=60)
        assert terminal.modes() != before
        terminal.process.send_signal(number)
        assert terminal.wait(seconds=60) == 128 + number
        assert terminal.modes() == before
    for mode in (b"1049", b"1000", b"1003", b"1004", b"1006", b"2004"):
        assert terminal.raw.rfind(b"\x1b[?%sl" % mode) > terminal.raw.rfind(b"\x1b[?%sh" % mode), mode
    assert terminal.raw.rfind(b"\x1b[?25h") > terminal.raw.rfind(b"\x1b[?25l")


def test_a_signal_ends_a_console_whose_terminal_takes_no_more_output(kubeconfig: Path) -> None:
    command = [sys.executable, "-m", "fluxtui", "--kubeconfig", str(kubeconfig)]
    with Terminal(command, env={**os.environ, "TERM": "xterm-256color"}, size=(80, 24)) as terminal:
        terminal.wait_for("commands", seconds=60)
        terminal.hold()
        terminal.process.terminate()
        assert terminal.process.wait(60) == 128 + signal.SIGTERM


async def test_without_a_kubeconfig_the_console_opens_with_a_word_of_welcome() -> None:
    console = app(Still({}), origin="~/.kube/config")
    async with console.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        notice = str(board(pilot).query_one("#notice").render())
        assert "Looked in ~/.kube/config" in notice
        assert "fluxtui demo" in notice


async def go_down(console: ConsoleApp, password: str) -> None:
    def broken() -> None:
        secret = password
        raise RuntimeError(f"nothing works, {len(secret)}")

    async with console.run_test(size=(80, 24)) as pilot:
        board(pilot).call_later(broken)
        await pilot.pause()


async def test_a_bug_leaves_a_report_without_the_values_of_variables() -> None:
    console = app(Still())
    password = "hunter" + "2"
    with pytest.raises(RuntimeError):
        await go_down(console, password)
    assert "RuntimeError: nothing works" in console.crash_report
    assert "in broken" in console.crash_report
    assert password not in console.crash_report


def test_a_report_keeps_to_plain_characters() -> None:
    assert "\x1b" not in report(ValueError("\x1b]0;title\x07bad"))


def test_the_users_own_frame_rate_is_kept(kubeconfig: Path) -> None:
    environment = {**os.environ, "TEXTUAL_FPS": "30"}
    done = subprocess.run(
        [sys.executable, "-c", FIRST_FRAME, str(kubeconfig)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=environment,
    )
    assert json.loads(done.stdout.splitlines()[-1])["fps"] == 30


def test_saver_asks_for_few_colours_and_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    import fluxtui.console.app
    from fluxtui.cli.console import laid_over
    from fluxtui.console.start import SAVING, Start, run

    for name in SAVING:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    seen: list[Start] = []

    class Shown:
        crash_report, return_code = "", 0

        def __init__(self, start: Start) -> None:
            seen.append(start)

        async def run_async(self, *, mouse: bool) -> None:
            """Leave at once."""

    monkeypatch.setattr(fluxtui.console.app, "ConsoleApp", Shown)
    monkeypatch.setattr("fluxtui.console.start.gc.disable", lambda: None)
    monkeypatch.setattr("fluxtui.console.start.on_terminal", lambda: True)
    monkeypatch.setattr("fluxtui.console.start.end_with_terminal", lambda _: None)
    assert run(Start(settings=laid_over(Settings(), saver=True))) == 0
    assert {name: os.environ[name] for name in SAVING} == SAVING
    assert seen[0].settings.console.saver


async def test_the_clock_of_a_saving_console_has_no_seconds() -> None:
    console = app(Still(), saver=True)
    async with console.run_test(size=(120, 32)) as pilot:
        await pilot.pause()
        bar = board(pilot).query_one("#header", Bar)
        words = "".join(strip.text for strip in bar.render_lines(bar.region.reset_offset))
        assert re.search(r"\d\d:\d\d\b", words)
        assert not re.search(r"\d\d:\d\d:\d\d", words)
