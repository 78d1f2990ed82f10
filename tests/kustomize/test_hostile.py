"""Input that means harm: it is refused in bounded time, with a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fluxtui.kustomize import KustomizeError, Options, build, filesystem
from fluxtui.kustomize.filesystem import MemoryFileSystem, RealFileSystem

TOP = "/top/kustomization.yaml"
OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"


def refused(files: dict[str, str]) -> str:
    fs = MemoryFileSystem({name: text.encode() for name, text in files.items()})
    with pytest.raises(KustomizeError) as caught:
        build("/top", fs=fs)
    return str(caught.value)


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("kustomization.yaml", bomb()),
        ("x.yaml", OBJECT + bomb()),
        ("patch.yaml", OBJECT + bomb()),
        ("x.yaml", OBJECT + "data: " + "{a: " * 5000 + "1" + "}" * 5000),
        ("kustomization.yaml", "resources: " + "[" * 5000 + "]" * 5000),
        ("patch.yaml", "[" * 100_000),
    ],
    ids=["kustomization", "resource", "patch", "deep resource", "deep kustomization", "deep patch"],
)
def test_bombs(name: str, text: str) -> None:
    files = {
        TOP: "resources: [x.yaml]\npatches: [{path: patch.yaml}]\n",
        "/top/x.yaml": OBJECT,
        "/top/patch.yaml": OBJECT,
    }
    assert refused({**files, f"/top/{name}": text})


def test_a_patch_that_copies_over_and_over() -> None:
    doubling = "".join(f"- {{op: copy, from: /data, path: /data/a{number}}}\n" for number in range(60))
    top = "resources: [x.yaml]\npatches:\n- target: {kind: ConfigMap}\n  path: patch.yaml\n"
    files = {TOP: top, "/top/x.yaml": OBJECT + "data: {b: c}\n", "/top/patch.yaml": doubling}
    assert "characters copied" in refused(files)


def test_a_patch_that_nests_over_and_over() -> None:
    nesting = "".join("- {op: copy, from: /data, path: /data/a}\n" for _ in range(1100))
    top = "resources: [x.yaml]\npatches:\n- target: {kind: ConfigMap}\n  path: patch.yaml\n"
    files = {TOP: top, "/top/x.yaml": OBJECT + "data: {b: c}\n", "/top/patch.yaml": nesting}
    assert "too deep" in refused(files)


def test_a_chain_of_kustomizations_is_bounded() -> None:
    files = {f"/{number}/kustomization.yaml": f"resources: [../{number + 1}]\n" for number in range(100)}
    files[TOP] = "resources: [../0]\n"
    assert "more kustomizations than one build may read" in refused(files)


def test_a_fan_of_kustomizations_is_bounded() -> None:
    twice = "resources: [../{0}, ../{0}]\n"
    files = {f"/{number}/kustomization.yaml": twice.format(number + 1) for number in range(12)}
    files["/12/kustomization.yaml"] = "namePrefix: x\n"
    files[TOP] = "resources: [../0]\n"
    assert "more kustomizations than one build may read" in refused(files)


def test_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "MAX_FILE_BYTES", 100)
    (tmp_path / "kustomization.yaml").write_text("resources: [x.yaml]\n")
    (tmp_path / "x.yaml").write_text(OBJECT + "#" * 200)
    with pytest.raises(KustomizeError, match=r"x\.yaml: larger than 100 bytes"):
        build(str(tmp_path))


@pytest.mark.parametrize("field", ["resources", "configurations", "crds", "transformers", "components"])
def test_links_out_of_the_root(tmp_path: Path, field: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kustomization.yaml").write_text(OBJECT)
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside)
    (root / "link.yaml").symlink_to(outside / "kustomization.yaml")
    target = "link" if field == "components" else "link.yaml"
    (root / "kustomization.yaml").write_text(f"{field}: [{target}]\n")
    with pytest.raises(KustomizeError, match=r"security|must build at directory"):
        build(str(root), fs=RealFileSystem(root))


def test_a_regular_expression_that_is_none() -> None:
    top = "resources: [x.yaml]\npatches:\n- target: {name: '['}\n  patch: '- {op: remove, path: /x}'\n"
    assert "no regular expression: missing ]" in refused({TOP: top, "/top/x.yaml": OBJECT})


def test_regular_expressions_are_those_of_go_and_take_no_time() -> None:
    """Tried out one by one, the first would have 2^63 ways to fail; only Go knows the class of the second."""
    name = "a" * 63
    patches = 'patch: \'[{"op": "add", "path": "/data", "value": {"k": "%s"}}]\''
    top = (
        "resources: [x.yaml]\npatches:\n"
        f"- target: {{name: '(a+)+b'}}\n  {patches % 'one'}\n"
        f"- target: {{name: '[[:lower:]]+'}}\n  {patches % 'two'}\n"
    )
    files = {TOP: top.encode(), "/top/x.yaml": OBJECT.replace("name: x", f"name: {name}").encode()}
    assert [resource.object["data"] for resource in build("/top", fs=MemoryFileSystem(files))] == [{"k": "two"}]


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("kind", ["pipe", "device", "directory"])
def test_what_is_no_file(tmp_path: Path, kind: str, restricted: bool) -> None:
    (tmp_path / "kustomization.yaml").write_text("configMapGenerator: [{name: a, files: [x]}]\n")
    place = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    else:
        place.mkdir()
    with pytest.raises(KustomizeError, match=r"not a regular file|must resolve to a file|is a directory"):
        build(str(tmp_path), options=Options(restrict_root=restricted))
