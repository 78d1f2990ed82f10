"""Charts as the engine packages and renders them, with Helm's own SDK."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from fluxtui.engine.adapters import helm
from fluxtui.engine.adapters.helm import ChartError, RenderError, Rendering, ValuesError
from fluxtui.engine.controllers.helm.manifests import keeps, parse_stored, running_at, sort_out

pytest.importorskip("helm_python", reason="Helm's SDK is not installed (pip install 'fluxtui[helm]')")

WHAT = Rendering(name="shop", namespace="web", revision=1, upgrade=False)
CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  colour: {{ .Values.colour | quote }}
  mode: {{ .Values.mode | quote }}
"""


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    directory = tmp_path / "demo"
    (directory / "templates").mkdir(parents=True)
    (directory / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: 0.2.0\nappVersion: '1.10'\n")
    (directory / "values.yaml").write_text("colour: red\nmode: 0755\n")
    (directory / "templates" / "config.yaml").write_text(CONFIG)
    return directory


def colour(chart: Path, values: helm.Values, values_files: Sequence[Path] = ()) -> str:
    loaded = helm.load(chart, values_files=values_files)
    return str(helm.render(loaded, values, WHAT).objects[0][1]["data"]["colour"])


def test_values_override_the_charts(chart: Path) -> None:
    assert colour(chart, {}) == "red"
    assert colour(chart, {"colour": "blue"}) == "blue"


def test_the_version_suffix_is_what_templates_see(chart: Path) -> None:
    (chart / "templates" / "config.yaml").write_text(CONFIG + "  version: {{ .Chart.Version }}\n")
    loaded = helm.load(chart, version_suffix="31820d16ccd7")
    assert loaded.version == "0.2.0+31820d16ccd7"
    assert loaded.metadata["appVersion"] == "1.10"
    assert helm.render(loaded, {}, WHAT).objects[0][1]["data"]["version"] == "0.2.0+31820d16ccd7"
    assert "31820d16ccd7" not in (chart / "Chart.yaml").read_text()


def test_values_files_take_the_place_of_the_charts_values(chart: Path) -> None:
    first, second = chart / "first.yaml", chart / "second.yaml"
    first.write_text("colour: green\nmode: a\n")
    second.write_text("mode: b\n")
    assert colour(chart, {}, values_files=[first, second]) == "green"


def test_numbers_are_read_as_helm_reads_them(chart: Path) -> None:
    loaded = helm.load(chart)
    assert helm.render(loaded, {}, WHAT).objects[0][1]["data"]["mode"] == "493"


def test_the_clusters_version_and_apis_decide(chart: Path) -> None:
    template = CONFIG + '  has: {{ .Capabilities.APIVersions.Has "example.com/v1/Thing" | quote }}\n'
    template += "  kube: {{ .Capabilities.KubeVersion.Version | quote }}\n"
    (chart / "templates" / "config.yaml").write_text(template)
    what = Rendering(
        name="x",
        namespace="y",
        revision=1,
        upgrade=False,
        kube_version="v1.31.7",
        api_versions=["example.com/v1/Thing"],
    )
    data = helm.render(helm.load(chart), {}, what).objects[0][1]["data"]
    assert (data["has"], data["kube"]) == ("true", "v1.31.7")


def test_mistakes_are_named(chart: Path, tmp_path: Path) -> None:
    with pytest.raises(ChartError, match=r"no chart at 'empty': Chart\.yaml is missing"):
        helm.load(tmp_path / "empty")
    (chart / "templates" / "config.yaml").write_text('{{ fail "asked to fail" }}')
    with pytest.raises(RenderError, match=r"demo/templates/config\.yaml:1:3.*asked to fail"):
        helm.render(helm.load(chart), {}, WHAT)
    (chart / "templates" / "config.yaml").write_text("kind: [\n")
    with pytest.raises(RenderError, match=r"YAML parse error on demo/templates/config\.yaml"):
        helm.render(helm.load(chart), {}, WHAT)
    (chart / "values.schema.json").write_text('{"properties": {"colour": {"type": "integer"}}}')
    (chart / "templates" / "config.yaml").write_text(CONFIG)
    with pytest.raises(ValuesError, match="colour"):
        helm.render(helm.load(chart), {}, WHAT)


@pytest.mark.parametrize(
    ("path", "text", "literal", "expected"),
    [
        ("a.b", "x", False, {"a": {"b": "x", "c": 1}}),
        ("a.b", "3", False, {"a": {"b": 3, "c": 1}}),
        ("a.b", "'3'", False, {"a": {"b": "3", "c": 1}}),
        ("a.b", "{x,y}", False, {"a": {"b": ["x", "y"], "c": 1}}),
        ("a.b", "x,y=[", True, {"a": {"b": "x,y=[", "c": 1}}),
    ],
)
def test_target_paths_follow_set(path: str, text: str, literal: bool, expected: helm.Values) -> None:
    values: helm.Values = {"a": {"c": 1}}
    helm.set_path(values, path, text, literal=literal)
    assert values == expected


def test_what_set_can_not_do_is_refused_by_name() -> None:
    with pytest.raises(ValuesError, match=r"targetPath a\[0\]: positions in lists"):
        helm.set_path({}, "a[0]", "x", literal=False)


def test_hooks_run_by_weight_and_are_no_part_of_the_release(chart: Path) -> None:
    jobs = "".join(
        f"---\napiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations:\n"
        f"    helm.sh/hook: pre-install,pre-upgrade\n    helm.sh/hook-weight: '{weight}'\n"
        for name, weight in (("second", 5), ("first", -5))
    )
    (chart / "templates" / "jobs.yaml").write_text(jobs)
    (chart / "templates" / "ns.yaml").write_text(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: kept\n  annotations: {helm.sh/resource-policy: keep}\n"
    )
    rendered = helm.render(helm.load(chart), {}, WHAT)
    manifest = sort_out(rendered, name="shop", namespace="web", owner=("apps", "shop"))
    assert [obj["kind"] for obj in manifest.objects] == ["Namespace", "ConfigMap"]
    assert [hook.object["metadata"]["name"] for hook in running_at(manifest.hooks, "pre-upgrade")] == [
        "first",
        "second",
    ]
    assert not running_at(manifest.hooks, "post-install")
    assert keeps(manifest.objects[0])
    assert not keeps(manifest.objects[1])
    labels = manifest.objects[1]["metadata"]["labels"]
    assert labels["helm.toolkit.fluxcd.io/namespace"] == "apps"
    assert "# Source: demo/templates/config.yaml" in manifest.text
    assert "kind: Job" not in manifest.text


@pytest.mark.parametrize("text", ["1e3", "0658", "yes", "null", "2022-01-01", "0o17", "12:30:45"])
def test_text_stays_text_in_what_is_stored(chart: Path, text: str) -> None:
    rendered = helm.render(helm.load(chart), {"colour": text}, WHAT)
    manifest = sort_out(rendered, name="shop", namespace="web", owner=("apps", "shop"))
    assert manifest.objects[0]["data"]["colour"] == text
    assert f'colour: "{text}"\n' in manifest.text
    stored = {"name": "shop", "version": 1, "manifest": manifest.text}
    assert [obj["data"]["colour"] for obj in parse_stored(stored)] == [text]
