"""Overlays as people write them, built in memory."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from fluxtui.kustomize import KustomizeError, Options, Resources, Unsupported, build
from fluxtui.kustomize.filesystem import MemoryFileSystem, OverlayFileSystem, RealFileSystem

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - name: main
          image: example.com/web:1.0.0
          envFrom:
            - configMapRef: {name: settings}
"""
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: team\n"
BASE = {
    "/base/kustomization.yaml": (
        "resources: [web.yaml]\nconfigMapGenerator:\n- name: settings\n  literals: [mode=fast]\n"
    ),
    "/base/web.yaml": DEPLOYMENT,
}


def built(files: dict[str, str], path: str = "/overlay", **options: Any) -> Resources:
    fs = MemoryFileSystem({name: text.encode() for name, text in files.items()})
    return build(path, fs=fs, options=Options(**{"reorder": "none", **options}))


def overlay(text: str, **files: str) -> Resources:
    more = {f"/overlay/{name.replace('__', '.')}": content for name, content in files.items()}
    return built({**BASE, "/overlay/kustomization.yaml": f"resources: [../base]\n{text}", **more})


def by_kind(resources: Resources, kind: str) -> dict[str, Any]:
    return next(resource.object for resource in resources if resource.kind == kind)


def test_generated_names_reach_what_refers_to_them() -> None:
    resources = overlay("namePrefix: eu-\nnameSuffix: -v2\n")
    name = by_kind(resources, "ConfigMap")["metadata"]["name"]
    assert name.startswith("eu-settings-v2-")
    assert len(name) == len("eu-settings-v2-") + 10
    container = by_kind(resources, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["envFrom"] == [{"configMapRef": {"name": name}}]


def test_the_hash_is_kustomizes() -> None:
    text = "configMapGenerator:\n- name: my-configmap\n  literals: [testValue=blue, otherValue=green, compValue=red]\n"
    resources = built({"/overlay/kustomization.yaml": text})
    assert resources[0].name == "my-configmap-97647ckcmg"


def test_a_namespace_is_set_everywhere() -> None:
    files = {
        **BASE,
        "/base/ns.yaml": NAMESPACE,
        "/base/kustomization.yaml": "resources: [web.yaml, ns.yaml]\nnamespace: shop\n",
    }
    resources = built(files, "/base")
    assert by_kind(resources, "Deployment")["metadata"]["namespace"] == "shop"
    assert by_kind(resources, "Namespace")["metadata"] == {"name": "shop"}


def test_images_replicas_labels_and_annotations() -> None:
    resources = overlay(
        "images:\n- {name: example.com/web, newName: mirror/web, newTag: 2.0.0}\n"
        "replicas:\n- {name: web, count: 4}\n"
        "labels:\n- pairs: {team: a}\n  includeSelectors: true\n"
        "commonAnnotations: {owner: b}\n"
    )
    deployment = by_kind(resources, "Deployment")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "mirror/web:2.0.0"
    assert deployment["spec"]["replicas"] == 4
    assert deployment["spec"]["selector"]["matchLabels"] == {"app": "web", "team": "a"}
    assert deployment["spec"]["template"]["metadata"]["labels"] == {"app": "web", "team": "a"}
    assert deployment["metadata"]["annotations"] == {"owner": "b"}


def test_patches_find_their_targets() -> None:
    resources = overlay(
        "patches:\n"
        "- path: side.yaml\n"
        "- target: {kind: Deployment, name: w.*}\n"
        "  patch: |-\n    - op: replace\n      path: /spec/replicas\n      value: 7\n"
        "- target: {kind: Service}\n  patch: '- {op: remove, path: /x}'\n",
        side__yaml="apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    spec:\n"
        "      containers:\n      - name: side\n        image: s:1\n      - name: main\n        envFrom: null\n",
    )
    deployment = by_kind(resources, "Deployment")
    assert deployment["spec"]["replicas"] == 7
    containers = deployment["spec"]["template"]["spec"]["containers"]
    assert [item["name"] for item in containers] == ["side", "main"]
    assert "envFrom" not in containers[1]


def test_a_patch_can_delete() -> None:
    patch = "    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: web}\n    $patch: delete\n"
    text = f"patches:\n- patch: |-\n{patch}"
    assert [resource.kind for resource in overlay(text)] == ["ConfigMap"]


def test_a_patch_of_the_whole_does_not_replace_it() -> None:
    patch = "    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: web}\n    $patch: replace\n    x: 1\n"
    assert overlay(f"patches:\n- patch: |-\n{patch}").to_yaml() == overlay("").to_yaml()


def test_generators_merge_and_replace() -> None:
    merged = overlay("configMapGenerator:\n- name: settings\n  behavior: merge\n  literals: [colour=red]\n")
    assert by_kind(merged, "ConfigMap")["data"] == {"mode": "fast", "colour": "red"}
    replaced = overlay("configMapGenerator:\n- name: settings\n  behavior: replace\n  literals: [colour=red]\n")
    assert by_kind(replaced, "ConfigMap")["data"] == {"colour": "red"}


def test_secrets_are_made_of_files_and_envs() -> None:
    resources = overlay(
        "secretGenerator:\n- name: s\n  files: [key=data.bin]\n  envs: [.env]\n"
        "  options: {disableNameSuffixHash: true}\n",
        data__bin="\x00secret",
        **{"__env": "# comment\nA=1\nB=two words\n"},
    )
    data = by_kind(resources, "Secret")["data"]
    assert {name: base64.b64decode(value) for name, value in data.items()} == {
        "key": b"\x00secret", "A": b"1", "B": b"two words",
    }  # fmt: skip
    assert by_kind(resources, "Secret")["metadata"]["name"] == "s"


def test_components_change_what_is_there() -> None:
    component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: c-\n"
    files = {
        **BASE,
        "/overlay/kustomization.yaml": "resources: [../base]\ncomponents: [../comp]\n",
        "/comp/kustomization.yaml": component,
    }
    assert by_kind(built(files), "Deployment")["metadata"]["name"] == "c-web"


def test_replacements_copy_values() -> None:
    resources = overlay(
        "replacements:\n- source: {kind: Deployment, name: web, fieldPath: spec.replicas}\n"
        "  targets:\n  - select: {kind: Deployment}\n    fieldPaths: ['metadata.annotations.example\\.com/count']\n"
        "    options: {create: true}\n"
    )
    assert by_kind(resources, "Deployment")["metadata"]["annotations"] == {"example.com/count": "1"}


def test_orders() -> None:
    files = {
        "/overlay/kustomization.yaml": "resources: [web.yaml, ns.yaml]\n",
        "/overlay/web.yaml": DEPLOYMENT,
        "/overlay/ns.yaml": NAMESPACE,
    }
    assert [item.kind for item in built(files)] == ["Deployment", "Namespace"]
    assert [item.kind for item in built(files, reorder="unspecified")] == ["Namespace", "Deployment"]


TOP = "/overlay/kustomization.yaml"


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({TOP: "resource: [a.yaml]\n"}, 'unknown field "resource" (did you mean "resources"?)'),
        ({TOP: ""}, "kustomization.yaml is empty"),
        ({TOP: "resources: [absent.yaml]\n"}, "absent.yaml: no such file or directory"),
        ({TOP: "resources: [../overlay]\n"}, "cycle detected"),
        ({TOP: "resources: [a.yaml]\n", "/overlay/a.yaml": "kind: X\n"}, "a.yaml: missing metadata.name in object X"),
        ({TOP: "resources: [../a.yaml]\n", "/a.yaml": NAMESPACE}, "is not in or below '/overlay'"),
        (
            {TOP: "resources: [a.yaml, b.yaml]\n", "/overlay/a.yaml": NAMESPACE, "/overlay/b.yaml": NAMESPACE},
            "may not add resource with an already registered id: Namespace.v1.[noGrp]/team.[noNs]",
        ),
        ({TOP: "images: [{name: a, tag: x}]\n"}, f'{TOP}: unknown field "tag" in images[0] (did you mean "newTag"?)'),
        ({TOP: "namePrefix: x\nsortOptions: {order: up}\n"}, f"{TOP}: the field 'sortOptions.order' must be one of"),
        (
            {TOP: "components: [../b]\n", "/b/kustomization.yaml": "namePrefix: x\n"},
            f"{TOP}: expected kind 'Component'",
        ),
        (
            {TOP: "bases: [../b]\n", "/b/kustomization.yaml": "resource: x\n"},
            '/b/kustomization.yaml: unknown field "res',
        ),
        ({TOP: "namePrefix: [a]\n"}, "namePrefix: expected `str`, got `array`"),
        (
            {TOP: "patches:\n- patch: |-\n    kind: X\n    metadata: {name: y}\n"},
            "no resource matches strategic merge patch",
        ),
    ],
)
def test_mistakes_are_named(files: dict[str, str], problem: str) -> None:
    with pytest.raises(KustomizeError) as caught:
        built(files)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ("helmCharts: [{name: x}]", "helm chart 'x': must specify --enable-helm"),
        ("resources: ['https://example.com/x']", "'https://example.com/x' is remote"),
        ("resources: ['git@example.com:org/repo']", "'git@example.com:org/repo' is remote"),
    ],
)
def test_what_needs_leave_is_refused_by_name(field: str, problem: str) -> None:
    with pytest.raises(Unsupported, match=problem):
        built({"/overlay/kustomization.yaml": field})


PLUGIN = "apiVersion: {}\nkind: Sed\nmetadata:\n  name: x\n{}"


@pytest.mark.parametrize("field", ["generators", "transformers", "validators"])
@pytest.mark.parametrize(
    ("version", "annotation", "problem"),
    [
        ("someteam.example.com/v1", "", "unable to load external plugin 'Sed'"),
        ("builtin", "", "unable to load builtin Sed"),
        ("example.com/v1", "  annotations:\n    config.kubernetes.io/function: 'container: {image: a}'\n", "Sed"),
        ("example.com/v1", "  annotations:\n    config.kubernetes.io/function: 'exec: {path: ./a}'\n", "Sed"),
    ],
)
def test_programs_are_refused_by_name(field: str, version: str, annotation: str, problem: str) -> None:
    files = {TOP: f"resources: [n.yaml]\n{field}: [p.yaml]\n", "/overlay/n.yaml": NAMESPACE}
    with pytest.raises(KustomizeError, match=problem):
        built({**files, "/overlay/p.yaml": PLUGIN.format(version, annotation)})


def test_links_out_of_the_root_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(NAMESPACE)
    root = tmp_path / "root"
    root.mkdir()
    (root / "kustomization.yaml").write_text("resources: [link.yaml]\n")
    (root / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    with pytest.raises(KustomizeError):
        build(str(root), fs=RealFileSystem(root), options=Options(restrict_root=False))


def test_files_in_memory_lie_over_a_directory(tmp_path: Path) -> None:
    (tmp_path / "ns.yaml").write_text(NAMESPACE)
    generated = {f"{tmp_path}/kustomization.yaml": b"resources: [ns.yaml]\nnamePrefix: a-\n"}
    fs = OverlayFileSystem(RealFileSystem(tmp_path), generated)
    assert [item.kind for item in build(str(tmp_path), fs=fs)] == ["Namespace"]
    assert not (tmp_path / "kustomization.yaml").exists()
