"""`helmCharts`, with the real `helm` where there is one."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from fluxtui.kustomize import Helm, KustomizeError, Options, build

_PLACES = (os.environ.get("KUBEBUILDER_ASSETS", ""), os.environ.get("PATH", ""))
HELM = shutil.which("helm", path=os.pathsep.join(filter(None, _PLACES)))
needs_helm = pytest.mark.skipif(HELM is None, reason="no helm in KUBEBUILDER_ASSETS or on PATH")
TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
  namespace: {{ .Release.Namespace }}
data:
  colour: {{ .Values.colour | quote }}
  size: {{ .Values.size | quote }}
  version: {{ .Capabilities.KubeVersion.Version }}
"""


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    chart = tmp_path / "charts" / "app"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text("colour: red\nsize: 1\n")
    (chart / "templates" / "config.yaml").write_text(TEMPLATE)
    return tmp_path


def data(overlay: Path, fields: str, top: str = "", **options: Any) -> dict[str, Any]:
    (overlay / "kustomization.yaml").write_text(f"{top}helmCharts:\n- name: app\n  releaseName: web\n{fields}")
    found = build(str(overlay), options=Options(helm=Helm(command=HELM or "helm", **options)))
    assert [resource.name for resource in found] == ["web-config"]
    values: dict[str, Any] = {**found[0].object["data"], "namespace": found[0].namespace}
    return values


@needs_helm
def test_a_chart_of_the_directory(overlay: Path) -> None:
    found = data(overlay, "  namespace: shop\n  kubeVersion: 1.29.0\n")
    assert found == {"colour": "red", "size": "1", "version": "v1.29.0", "namespace": "shop"}


@needs_helm
def test_the_namespace_is_the_kustomizations(overlay: Path) -> None:
    assert data(overlay, "", top="namespace: team\n")["namespace"] == "team"


@needs_helm
@pytest.mark.parametrize(
    ("merge", "colour", "size"), [("override", "blue", "5"), ("merge", "green", "5"), ("replace", "blue", "1")]
)
def test_values_inline(overlay: Path, merge: str, colour: str, size: str) -> None:
    (overlay / "mine.yaml").write_text("colour: green\nsize: 5\n")
    found = data(overlay, f"  valuesFile: mine.yaml\n  valuesMerge: {merge}\n  valuesInline: {{colour: blue}}\n")
    assert (found["colour"], found["size"]) == (colour, size)


@needs_helm
def test_values_of_files(overlay: Path) -> None:
    (overlay / "mine.yaml").write_text("colour: green\nsize: 2\n")
    (overlay / "more.yaml").write_text("size: 3\n")
    found = data(overlay, "  valuesFile: mine.yaml\n  additionalValuesFiles: [more.yaml]\n")
    assert (found["colour"], found["size"]) == ("green", "3")


@needs_helm
def test_what_the_caller_says_goes_first(overlay: Path) -> None:
    assert data(overlay, "  kubeVersion: 1.29.0\n", kube_version="1.30.0")["version"] == "v1.30.0"


@needs_helm
def test_the_older_spelling_and_the_generator(overlay: Path) -> None:
    options = Options(helm=Helm(command=HELM or "helm"))
    old = "helmChartInflationGenerator:\n- chartName: app\n  releaseName: web\n"
    (overlay / "kustomization.yaml").write_text(old)
    by_field = build(str(overlay), options=options).to_yaml()
    generator = (
        "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: g}\nname: app\nreleaseName: web\n"
    )
    (overlay / "g.yaml").write_text(generator)
    (overlay / "kustomization.yaml").write_text("generators: [g.yaml]\n")
    assert build(str(overlay), options=options).to_yaml() == by_field


@needs_helm
@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("  valuesMerge: sideways\n", "valuesMerge must be one of"),
        ("  valuesFile: ../secret.yaml\n", "secret.yaml"),
        ("  additionalValuesFiles: [absent.yaml]\n", "absent.yaml"),
        ("  valuesfiel: x\n", 'unknown field "valuesfiel"'),
        ("  kubeVersion: nonsense\n", "helm template failed"),
    ],
)
def test_mistakes(overlay: Path, fields: str, problem: str) -> None:
    with pytest.raises(KustomizeError, match=problem):
        data(overlay, fields)


def fake_helm(tmp_path: Path, text: str) -> str:
    program = tmp_path / "fake-helm"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("echo v2.16.1", "need helm v3 or v4"),
        ("echo sorry >&2; exit 3", "helm version failed: sorry"),
    ],
)
def test_a_helm_that_does_not_do(overlay: Path, program: str, problem: str) -> None:
    (overlay / "kustomization.yaml").write_text("helmCharts: [{name: app}]\n")
    with pytest.raises(KustomizeError, match=problem):
        build(str(overlay), options=Options(helm=Helm(command=fake_helm(overlay, program))))


def test_no_helm(overlay: Path) -> None:
    (overlay / "kustomization.yaml").write_text("helmCharts: [{name: app}]\n")
    with pytest.raises(KustomizeError, match="is helm installed"):
        build(str(overlay), options=Options(helm=Helm(command=str(overlay / "absent"))))


def test_a_chart_is_pulled_with_the_arguments_of_kustomize(overlay: Path) -> None:
    fetched = 'mkdir -p "$4/app"; echo a: 1 > "$4/app/values.yaml"'
    program = fake_helm(overlay, f'echo "$@" >> "$0.log"; case $1 in version) echo v3.14.0;; pull) {fetched};; esac')
    fields = "name: app, repo: 'https://charts.example.com', version: 1.2.3, includeCRDs: true, skipTests: true"
    (overlay / "kustomization.yaml").write_text(f"helmCharts: [{{{fields}}}]\nhelmGlobals: {{chartHome: deps}}\n")
    assert len(build(str(overlay), options=Options(helm=Helm(command=program)))) == 0
    _, pull, template = (Path(f"{program}.log")).read_text().splitlines()
    home = overlay / "deps" / "app-1.2.3"
    assert pull == f"pull --untar --untardir {home} --repo https://charts.example.com app --version 1.2.3"
    assert template.startswith(f"template --generate-name {home}/app -f ")
    assert template.endswith("values.yaml --include-crds --skip-tests")
