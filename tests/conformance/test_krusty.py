"""kustomize's own test vectors: `FLUXTUI_KRUSTY` names a directory with `krusty-visible.tar.gz`.

A vector is a directory of input files, the path to build, options, and either the expected output or an error.
"""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from fluxtui.kustomize import KustomizeError, Options, build, documents

ARCHIVE = "krusty-visible.tar.gz"


@pytest.fixture(scope="session")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    directory = os.environ.get("FLUXTUI_KRUSTY", "")
    if not directory:
        pytest.skip(f"FLUXTUI_KRUSTY names no directory with {ARCHIVE}")
    target = tmp_path_factory.mktemp("krusty")
    with tarfile.open(Path(directory) / ARCHIVE) as archive:
        archive.extractall(target, filter="data")
    found = sorted(path.parent for path in target.rglob("options.json"))
    assert found, f"{ARCHIVE} holds no vectors"
    return found


def typed(value: Any) -> Any:
    """A value in which == also tells a boolean from 1 and 1 from 1.0."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return (type(value).__name__, value)


def failure(vector: Path) -> str:
    """Why a vector fails; empty when it passes."""
    options = json.loads((vector / "options.json").read_text())
    asked = Options(
        reorder=options.get("reorder", "unspecified"), restrict_root=options.get("loadRestrictions") != "none"
    )
    expected = vector / "expected.yaml"
    try:
        built = build(str(vector / "input" / (vector / "build").read_text().strip()), options=asked).to_yaml()
    except KustomizeError as error:
        return f"refused: {error}" if expected.is_file() else ""
    if not expected.is_file():
        return "built, although kustomize refuses it"
    wanted = documents.read_all(expected.read_bytes(), "expected.yaml")
    return "" if typed(documents.read_all(built, "output")) == typed(wanted) else "the output differs"


def test_vectors(vectors: list[Path]) -> None:
    failures = {vector.name: why for vector in vectors if (why := failure(vector))}
    assert not failures, "\n".join(f"{name}: {why}" for name, why in sorted(failures.items()))
