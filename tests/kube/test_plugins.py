"""Exec credential plugins, run for real: shared, cached, bounded, and at the terminal when they need it."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import sys
import time
import types
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from fluxtui.kube import configfile
from fluxtui.kube.client import Client
from fluxtui.kube.errors import AuthError, Unauthorized
from fluxtui.kube.plugins import ExecPlugins, PluginSpec, spec_of
from tests.kube.support import Authority, context, serve, status, until

V1 = "client.authentication.k8s.io/v1"
V1BETA1 = "client.authentication.k8s.io/v1beta1"

# Appends its exec info to the file "runs" and answers with the next line of the file "answers", the last one for ever.
PLUGIN = """#!/bin/sh
cd "$(dirname "$0")"
printf "%s\\n" "$KUBERNETES_EXEC_INFO" >> runs
[ -n "$PLUGIN_SLEEP" ] && sleep "$PLUGIN_SLEEP"
[ -n "$PLUGIN_AWAITS" ] && until [ -e "$PLUGIN_AWAITS" ]; do sleep 0.01; done
[ -n "$PLUGIN_FAIL" ] && { echo "you $PLUGIN_FAIL" >&2; exit 3; }
n=$(wc -l < runs)
answer=$(sed -n "${n}p" answers)
[ -n "$answer" ] || answer=$(tail -1 answers)
printf "%s\\n" "$answer"
"""


class Plugin:
    """An exec plugin on disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "login"
        self.path.write_text(PLUGIN)
        self.path.chmod(0o755)
        self.answers({"token": "t1"})

    def answers(self, *statuses: Any, version: str = V1, kind: str = "ExecCredential") -> None:
        """What each run answers."""
        lines = [json.dumps({"apiVersion": version, "kind": kind, "status": status}) for status in statuses]
        (self.directory / "answers").write_text("\n".join(lines) + "\n")

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The exec info of each run."""
        path = self.directory / "runs"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def config(self, **more: Any) -> dict[str, Any]:
        """The exec section of a kubeconfig, checked as when it is read from one."""
        plugin = {"apiVersion": V1, "command": str(self.path), "interactiveMode": "Never", **more}
        text = json.dumps({"kind": "Config", "users": [{"name": "u", "user": {"exec": plugin}}]})
        entry = configfile.parse(text.encode(), "/test/config").users["u"]
        assert not entry.error
        return dict(entry.content["exec"])

    def spec(self, cluster: dict[str, Any] | None = None, **more: Any) -> PluginSpec:
        """A question to this plugin."""
        return spec_of(self.config(**more), cluster or {"server": "https://x"}, "test")


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


def expiring(seconds: float) -> str:
    """An expirationTimestamp so many seconds from now."""
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return moment.isoformat().replace("+00:00", "Z")


async def test_equal_questions_share_one_run(plugin: Plugin) -> None:
    plugins = ExecPlugins()
    credentials = await asyncio.gather(*(plugins.credential(plugin.spec()) for _ in range(20)))
    assert {credential.token for credential in credentials} == {"t1"}
    assert len(plugin.runs) == 1
    assert plugin.runs[0] == {"apiVersion": V1, "kind": "ExecCredential", "spec": {"interactive": False}}
    # Other arguments, environment or cluster are other questions.
    await plugins.credential(plugin.spec(args=["--profile", "b"]))
    await plugins.credential(plugin.spec(env=[{"name": "A", "value": "b"}]))
    for server in ("https://1", "https://2", "https://1"):
        await plugins.credential(plugin.spec({"server": server}, provideClusterInfo=True))
    assert len(plugin.runs) == 5


async def test_cluster_info_is_given_when_asked_for(plugin: Plugin, tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_text("CA")
    cluster = {
        "server": "https://x:6443",
        "tls-server-name": "y",
        "certificate-authority": str(authority),
        "proxy-url": "http://p",
        "extensions": [
            {"name": "other", "extension": {"no": 1}},
            {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "me", "n": 1, "text": "1"}},
        ],
    }
    text = json.dumps({"kind": "Config", "clusters": [{"name": "c", "cluster": cluster}]})
    cluster = configfile.parse(text.encode(), "/test/config").clusters["c"].content
    await ExecPlugins().credential(plugin.spec(cluster, provideClusterInfo=True))
    assert plugin.runs[0]["spec"]["cluster"] == {
        "server": "https://x:6443",
        "tls-server-name": "y",
        "certificate-authority-data": "Q0E=",
        "proxy-url": "http://p",
        "config": {"audience": "me", "n": 1, "text": "1"},
    }


async def test_a_credential_lives_until_it_expires(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin.answers(
        {"token": "t1", "expirationTimestamp": expiring(600)}, {"token": "t2", "expirationTimestamp": expiring(7200)}
    )
    plugins = ExecPlugins()
    assert (await plugins.credential(plugin.spec())).token == "t1"
    assert (await plugins.credential(plugin.spec())).token == "t1"
    clock = types.SimpleNamespace(monotonic=time.monotonic, time=lambda: time.time() + 600)
    monkeypatch.setattr("fluxtui.kube.plugins.time", clock)
    assert (await plugins.credential(plugin.spec())).token == "t2"
    assert (await plugins.credential(plugin.spec())).token == "t2"
    assert len(plugin.runs) == 2


async def test_a_refused_token_is_renewed_once_for_all(plugin: Plugin) -> None:
    plugin.answers({"token": "old"}, {"token": "new"})

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.json_response({}) if request.headers["Authorization"] == f"Bearer {valid}" else status(401)

    valid = "old"
    plugins = ExecPlugins()
    async with serve(handle) as url:
        user = {"exec": plugin.config()}
        async with (
            Client(context(url, user), plugins=plugins) as one,
            Client(context(url, user), plugins=plugins) as two,
        ):
            await one.version()
            await two.version()
            assert len(plugin.runs) == 1
            valid = "new"
            await asyncio.gather(*(client.version() for client in (one, two) for _ in range(5)))
            assert len(plugin.runs) == 2
            valid = "never"
            with pytest.raises(Unauthorized):
                await one.version()
            assert len(plugin.runs) == 3


async def test_clients_of_a_loop_share_plugins_without_being_told(plugin: Plugin) -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.json_response({})

    async with serve(handle) as url:
        for _ in range(2):
            async with Client(context(url, {"exec": plugin.config()})) as client:
                await client.version()
    assert len(plugin.runs) == 1


async def test_a_plugin_may_give_a_client_certificate(plugin: Plugin, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    certificate, key = authority.issue("robot")
    plugin.answers({"clientCertificateData": certificate.read_text(), "clientKeyData": key.read_text()})

    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        return web.json_response({"subject": str(request.transport.get_extra_info("peercert")["subject"])})

    async with serve(handle, authority.server_context("server", "IP:127.0.0.1", clients=True)) as url:
        user = {"exec": plugin.config()}
        async with Client(context(url, user, certificate_authority_data=authority.data)) as client:
            assert "robot" in (await client.version())["subject"]


async def test_v1beta1_is_spoken(plugin: Plugin) -> None:
    plugin.answers({"token": "beta"}, version=V1BETA1)
    spec = plugin.spec(apiVersion=V1BETA1, interactiveMode=None)
    assert spec.mode == "IfAvailable"
    assert (await ExecPlugins().credential(spec)).token == "beta"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({}, "neither a token nor a client certificate"),
        (None, "no ExecCredential status"),
        ({"clientCertificateData": "c"}, "only one of client certificate and key"),
        ("text", "did not answer with an ExecCredential"),
        ({"token": "t", "expirationTimestamp": "tomorrow"}, "did not answer with an ExecCredential"),
    ],
)
async def test_a_wrong_answer_is_explained(plugin: Plugin, status: Any, message: str) -> None:
    plugin.answers(status)
    with pytest.raises(AuthError, match=f"exec plugin login .*{message}"):
        await ExecPlugins().credential(plugin.spec())


async def test_an_answer_of_another_version_is_explained(plugin: Plugin) -> None:
    plugin.answers({"token": "s3cret"}, version=V1BETA1)
    with pytest.raises(AuthError, match=r"speaks .*v1beta1, but the kubeconfig says .*v1") as caught:
        await ExecPlugins().credential(plugin.spec())
    assert "s3cret" not in str(caught.value)
    plugin.answers({"token": "s3cret"}, kind="Nonsense")
    with pytest.raises(AuthError, match="no ExecCredential"):
        await ExecPlugins().credential(plugin.spec())


async def test_a_plugin_that_is_not_installed_comes_with_its_hint(plugin: Plugin) -> None:
    spec = plugin.spec(command="no-such-login", installHint="Install it\nfrom   example.org")
    with pytest.raises(AuthError, match=r"no-such-login is not installed or not on PATH: Install it from example\.org"):
        await ExecPlugins().credential(spec)


async def test_a_failure_is_everybodys_answer_for_a_while(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = plugin.spec(env=[{"name": "PLUGIN_FAIL", "value": "must \x1b[1mlog in"}])
    moment = 0.0
    clock = types.SimpleNamespace(monotonic=lambda: moment, time=time.time)
    monkeypatch.setattr("fluxtui.kube.plugins.time", clock)
    plugins = ExecPlugins(retry_after=10)
    results = await asyncio.gather(*(plugins.credential(spec) for _ in range(10)), return_exceptions=True)
    assert {str(result) for result in results} == {
        "exec plugin login failed with exit code 3: you must \ufffd[1mlog in"
    }
    assert len(plugin.runs) == 1
    moment = 10
    with pytest.raises(AuthError):
        await plugins.credential(spec)
    assert len(plugin.runs) == 2


async def test_a_plugin_that_hangs_is_ended_with_all_it_started(plugin: Plugin) -> None:
    seconds = f"98765.{os.getpid()}"
    spec = plugin.spec(env=[{"name": "PLUGIN_SLEEP", "value": seconds}])
    began = time.monotonic()
    with pytest.raises(AuthError, match=r"did not answer within 0.3 s"):
        await ExecPlugins(timeout=0.3).credential(spec)
    assert time.monotonic() - began < 60
    # Who is killed has yet to be scheduled to end.
    await until(lambda: not [pid for pid in os.listdir("/proc") if pid.isdigit() and seconds in _command(pid)])


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


async def test_plugins_run_few_at_a_time_and_beside_the_loop(plugin: Plugin) -> None:
    plugins = ExecPlugins(parallel=2)
    go_on = plugin.directory / "go-on"
    env = [{"name": "PLUGIN_SLEEP", "value": "0.15"}, {"name": "PLUGIN_AWAITS", "value": str(go_on)}]
    specs = [plugin.spec(args=[str(n)], env=env) for n in range(4)]

    async def let_go() -> None:
        """What the plugins wait for comes from the loop, once they run."""
        await until(lambda: plugin.runs)
        await asyncio.to_thread(go_on.touch)

    began = time.monotonic()
    await asyncio.gather(let_go(), *(plugins.credential(spec) for spec in specs))
    assert time.monotonic() - began >= 0.3


class Terminal:
    """Counts how often the screen was given away."""

    def __init__(self) -> None:
        self.opened = 0
        self.open = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        self.opened += 1
        self.open += 1
        assert self.open == 1
        try:
            yield
        finally:
            self.open -= 1


async def test_a_plugin_that_needs_the_terminal_gets_it_alone(plugin: Plugin) -> None:
    terminal = Terminal()
    plugins = ExecPlugins(terminal)
    specs = [plugin.spec(interactiveMode="Always", args=[str(n)]) for n in range(3)]
    await asyncio.gather(*(plugins.credential(spec) for spec in specs))
    assert terminal.opened == 3
    assert all(run["spec"]["interactive"] is True for run in plugin.runs)
    with pytest.raises(AuthError, match=r"needs a terminal .*interactiveMode: Always"):
        await ExecPlugins().credential(specs[0])


async def test_the_terminal_is_offered_once_to_a_plugin_that_fails_without(plugin: Plugin) -> None:
    terminal = Terminal()
    plugins = ExecPlugins(terminal, retry_after=0)
    plugin.path.write_text(
        PLUGIN.replace("n=$(wc", '[ "${KUBERNETES_EXEC_INFO#*true}" = "$KUBERNETES_EXEC_INFO" ] && exit 1\nn=$(wc')
    )
    spec = plugin.spec(interactiveMode="IfAvailable")
    credential = await plugins.credential(spec)
    assert credential.token == "t1"
    assert terminal.opened == 1
    plugins.reject(spec, credential)
    with pytest.raises(AuthError):
        await plugins.credential(spec)
    assert terminal.opened == 1
    never = plugin.spec(interactiveMode="Never")
    with pytest.raises(AuthError):
        await plugins.credential(never)
    assert terminal.opened == 1


async def test_nothing_secret_is_shown(plugin: Plugin) -> None:
    plugin.answers({"token": "s3cret"})
    spec = plugin.spec(env=[{"name": "PASSWORD", "value": "s3cret"}], args=["--password=s3cret"])
    credential = await ExecPlugins().credential(spec)
    assert credential.token == "s3cret"
    assert "s3cret" not in f"{credential!r} {spec!r} {credential.__rich_repr__()} {spec.__rich_repr__()}"


async def test_the_plugin_sees_our_environment_and_its_own(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    script = plugin.directory / "python-login"
    script.write_text(
        f"#!{sys.executable}\nimport json, os\n"
        "token = os.environ['OURS'] + os.environ['ITS'] + str(os.isatty(0))\n"
        f"print(json.dumps({{'apiVersion': '{V1}', 'kind': 'ExecCredential', 'status': {{'token': token}}}}))\n"
    )
    script.chmod(0o755)
    spec = plugin.spec(command=str(script), env=[{"name": "ITS", "value": "2"}])
    assert (await ExecPlugins().credential(spec)).token == "12False"
    assert "ITS" not in os.environ
