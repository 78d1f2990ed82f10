"""Random directories to build: a base, perhaps components, and an overlay on them in `overlay`."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.conformance.kustomizations import Objects, transformations
from tests.conformance.overlays import Draw, Files, Written, rendered, stream
from tests.conformance.settings import additions

SUPPORT = {
    "data.txt": "one\ntwo\n",
    "raw.bin": "\0\x01",
    "cr.txt": "a\r\nb",
    "settings.env": "E=1\n# no\nF=a b\n\nG\n",
}
"""Files beside every kustomization, for generators."""
COMPONENT = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}


@st.composite
def overlays(draw: Draw) -> Files:
    """The files of a base, perhaps of components, and of an overlay on them in `overlay`."""
    base, base_text = draw(stream(frozenset()))
    taken = frozenset((item["kind"], item["metadata"]["name"]) for item in base)
    extra, extra_text = draw(stream(taken)) if draw(st.booleans()) else ([], "")
    places = ("base", "overlay", "part", "part/inner")
    files: Files = {f"{place}/{name}": text for place in places for name, text in SUPPORT.items()}
    files["base/all.yaml"] = base_text
    below = draw(transformations(base, {}))
    _add(draw, files, "base", {"resources": ["all.yaml"], **below}, base)
    fields: dict[str, Any] = {"resources": ["../base"]}
    if extra:
        files["overlay/extra.yaml"] = extra_text
        fields["resources"].insert(draw(st.integers(0, 1)), "extra.yaml")
    everything = base + extra
    if draw(st.integers(1, 3)) == 1:
        part = {**COMPONENT, **draw(transformations(everything, below, least=1))}
        if draw(st.integers(1, 3)) == 1:
            _add(draw, files, "part/inner", {**COMPONENT, **draw(transformations(everything, below, 1))}, everything)
            part["components"] = ["inner"]
        _add(draw, files, "part", part, everything)
        fields["components"] = ["../part"]
    fields.update(draw(transformations(everything, below)))
    _add(draw, files, "overlay", fields, everything)
    return files


def _add(draw: Any, files: Files, place: str, fields: dict[str, Any], found: Objects) -> None:
    """The kustomization of a directory, sometimes with fields that name more files."""
    if draw(st.booleans()):
        added, more = draw(additions(found, place))
        fields = {**fields, **added}
        files.update(more)
    files[f"{place}/kustomization.yaml"] = rendered(_readable(fields))


def _readable(value: Any) -> Any:
    """Values with all texts in quotes."""
    if isinstance(value, dict):
        return {key: _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, str) and not isinstance(value, Written):
        return Written(json.dumps(value, ensure_ascii=False))
    return value
