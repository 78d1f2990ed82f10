"""`fluxtui engine --export`: what it prints can be used as it is."""

from __future__ import annotations

import asyncio
import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from fluxtui.cli.engine import command
from fluxtui.kube.client import Client


def export(*arguments: str) -> str:
    result = CliRunner().invoke(command, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_unit_runs_the_engine_with_the_options_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    awkward = "100% $HOME 'and' \"so\" on"
    text = export("--export", "systemd", "--kubeconfig", "a.yaml", "--context", awkward, "--concurrent", "8")
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.read_string(text)
    words = shlex.split(unit["Service"]["execstart"].replace("%%", "%").replace("$$", "$"))
    assert Path(words[0]).is_absolute()
    assert words[1:] == [
        "engine",
        f"--kubeconfig={tmp_path}/a.yaml",
        f"--context={awkward}",
        "--concurrent=8",
        "--storage-path",
        "${STATE_DIRECTORY}",
    ]
    assert unit["Service"]["restartpreventexitstatus"] == "2"


def test_a_unit_names_the_kubeconfigs_that_count_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/one:{tmp_path}/two")
    text = export("--export", "systemd", "--storage-path", str(tmp_path / "store"), "--no-file-sources")
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    assert f"--kubeconfig={tmp_path}/one --kubeconfig={tmp_path}/two" in line
    assert f"--storage-path={tmp_path}/store" in line
    assert line.endswith("--no-file-sources")
    assert "STATE_DIRECTORY" not in line


def test_a_unit_has_times_and_lists_as_they_were_given() -> None:
    given = ["--requeue-dependency", "90s", "--override-manager", "a", "--override-manager", "b"]
    given += ["--custom-apply-stage-kinds", "apps/Deployment", "--feature-gates", "ExternalArtifact=false"]
    text = export("--export", "systemd", "--kubeconfig", "a.yaml", *given)
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    for word in (
        "--requeue-dependency=1m30s",
        "--override-manager=a --override-manager=b",
        "--custom-apply-stage-kinds=apps/Deployment",
        "--feature-gates=ExternalArtifact=false",
    ):
        assert word in line


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze on this machine")
    unit = tmp_path / "fluxtui.service"
    unit.write_text(export("--export", "systemd").replace("ExecStart=", f"ExecStart={shutil.which('true')} ", 1))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if str(unit) in line]) == (0, [])


async def test_a_server_takes_the_deployment(client: Client) -> None:
    text = await asyncio.to_thread(
        export, "--export", "deployment", "--image", "registry.example.com/fluxtui:1", "--metrics-addr", ":9999"
    )
    objects = list(yaml.safe_load_all(text))
    resources = await client.resources()
    made = {}
    for obj in objects:
        group, _, version = obj["apiVersion"].rpartition("/")
        resource = resources.find(group, obj["kind"], version)
        if resource is None:
            # A cluster without the built-in kinds of RBAC has the rest.
            assert group == "rbac.authorization.k8s.io"
            continue
        made[obj["kind"]] = await client.create(resource, obj)
    assert {"ServiceAccount", "Service", "Deployment"} <= set(made)
    pod = made["Deployment"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert container["image"] == "registry.example.com/fluxtui:1"
    assert container["args"][0] == "engine"
    assert [argument for argument in container["args"] if "metrics" in argument] == ["--metrics-addr=:9999"]
    assert next(port["containerPort"] for port in container["ports"] if port["name"] == "http-prom") == 9999
    assert pod["serviceAccountName"] == made["ServiceAccount"]["metadata"]["name"]
    # The engine understands what it is told.
    parsed = await asyncio.to_thread(CliRunner().invoke, command, [*container["args"][1:], "--help"])
    assert parsed.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--export", "deployment"], "needs --image"),
        (["--export", "deployment", "--image", "x", "--context", "a"], "for the cluster it runs in"),
        (["--metrics-addr", "8080"], "is no address"),
        (["--watch-label-selector", "a in b"], "unable to parse label selector"),
    ],
)
def test_what_can_not_be_is_exit_code_2(tmp_path: Path, arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(command, ["--storage-path", str(tmp_path / "storage"), *arguments])
    assert result.exit_code == 2
    assert text in result.stderr
