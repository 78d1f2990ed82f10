"""`fluxtui build` as users call it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from fluxtui.cli.main import cli
from fluxtui.kustomize.kustomization import FIELDS

MANIFESTS = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: Web}
spec: {}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
"""


def build(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["build", *map(str, arguments)])


def kinds(result: Result) -> list[str]:
    assert result.exit_code == 0, result.stderr
    return [document["kind"] for document in yaml.safe_load_all(result.stdout)]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    found = tmp_path / "app"
    found.mkdir()
    (found / "kustomization.yaml").write_text("resources: [all.yaml]\n")
    (found / "all.yaml").write_text(MANIFESTS)
    return found


def test_order_is_by_kind_unless_none_is_asked_for(directory: Path) -> None:
    assert kinds(build(directory)) == ["Namespace", "Deployment"]
    assert kinds(build(directory, "--reorder", "legacy")) == ["Namespace", "Deployment"]
    assert kinds(build(directory, "--reorder", "none")) == ["Deployment", "Namespace"]


def test_working_directory_is_the_default(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory)
    assert kinds(build()) == ["Namespace", "Deployment"]


def test_files_outside_need_a_permission(directory: Path) -> None:
    (directory.parent / "outside.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    (directory / "kustomization.yaml").write_text("resources: [../outside.yaml]\n")
    refused = build(directory)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "is not in or below" in refused.stderr
    assert kinds(build(directory, "--load-restrictor", "LoadRestrictionsNone")) == ["ConfigMap"]


def test_output_to_a_file_or_a_directory(directory: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    result = build(directory, "-o", file)
    assert (result.exit_code, result.stdout) == (0, "")
    assert file.read_text() == build(directory).stdout

    assert build(directory, "-o", tmp_path / "missing" / "all.yaml").exit_code == 1

    parts = tmp_path / "parts"
    parts.mkdir()
    assert build(directory, "-o", parts).exit_code == 0
    assert sorted(path.name for path in parts.iterdir()) == ["apps_v1_deployment_web.yaml", "v1_namespace_shop.yaml"]
    assert yaml.safe_load((parts / "v1_namespace_shop.yaml").read_text())["metadata"] == {"name": "shop"}


def test_files_of_several_namespaces_have_those_in_their_names(directory: Path, tmp_path: Path) -> None:
    more = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: Shop}\n"
    (directory / "all.yaml").write_text(MANIFESTS + more)
    assert build(directory, "-o", tmp_path).exit_code == 0
    names = {path.name for path in tmp_path.glob("*.yaml")}
    assert names == {"default_apps_v1_deployment_web.yaml", "v1_namespace_shop.yaml", "shop_v1_configmap_x.yaml"}


def test_a_name_of_a_resource_does_not_choose_the_directory(directory: Path, tmp_path: Path) -> None:
    (directory / "all.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x/../../../evil}\n")
    parts = tmp_path / "parts"
    parts.mkdir()
    result = build(directory, "-o", parts)
    assert result.exit_code == 1
    assert "evil" in result.stderr
    assert not list(parts.iterdir())
    assert not list(tmp_path.glob("evil*"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("resourcez: [all.yaml]", "resourcez"),
        ("resources: [missing.yaml]", "missing.yaml"),
        ("resources: [", "kustomization.yaml: line"),
    ],
)
def test_a_refusal_is_one_sentence(directory: Path, content: str, said: str) -> None:
    (directory / "kustomization.yaml").write_text(content)
    result = build(directory)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    result = build(tmp_path / "missing")
    assert result.exit_code == 1
    assert "missing" in result.stderr


def test_wrong_usage() -> None:
    assert build("--reorder", "backwards").exit_code == 2
    assert build("--load-restrictor", "maybe").exit_code == 2
    assert build("a", "b").exit_code == 2


def test_help_names_every_field() -> None:
    shown = build("--help").stdout
    assert [field for field in sorted(FIELDS) if not re.search(rf"\b{field}\b", shown)] == []


def test_a_repository_is_built_and_kept(directory: Path, tmp_path: Path, isolated_home: Path) -> None:
    for arguments in (["init", "--quiet"], ["add", "-A"], ["commit", "--quiet", "-m", "first"]):
        subprocess.run(["git", "-C", directory, *arguments], check=True)
    assert kinds(build(f"file://{directory}")) == ["Namespace", "Deployment"]
    assert (isolated_home / ".cache" / "fluxtui" / "kustomize" / "repositories").is_dir()


def test_charts_need_leave(directory: Path) -> None:
    (directory / "kustomization.yaml").write_text("helmCharts: [{name: x}]\n")
    assert "--enable-helm" in build(directory).stderr
    assert "no chart found" in build(directory, "--enable-helm", "--helm-command", helm_that_says_v3(directory)).stderr


def helm_that_says_v3(directory: Path) -> str:
    program = directory / "helm"
    program.write_text("#!/bin/sh\necho v3.14.0\n")
    program.chmod(0o755)
    return str(program)


def test_everything_is_labelled_when_asked_for(directory: Path) -> None:
    built = yaml.safe_load(build(directory, "--enable-managedby-label").stdout.split("---")[0])
    assert built["metadata"]["labels"]["app.kubernetes.io/managed-by"].startswith("kustomize-v5")
