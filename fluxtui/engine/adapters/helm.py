"""Helm's own SDK, in process: loading charts, merging values, rendering templates.

    HelmError
    ├── HelmMissing   the extra is not installed
    ├── ChartError    no chart, or one that can't be loaded
    ├── ValuesError   values that can't be read or break the chart's schema
    └── RenderError   a template failed

What is rendered is applied and recorded by `fluxtui.engine.controllers.helm`. Every function blocks: call it in a
thread. The SDK is imported on first use; it is a shared library of some 200 MB.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import importlib.util
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

Object = dict[str, Any]
Values = dict[str, Any]

EXTRA = "HelmReleases need Helm's SDK, which is not installed: pip install 'fluxtui[helm]'"
MAX_CHART_BYTES = 64 << 20
"""A larger chart directory is refused."""
_DOCUMENT = re.compile(r"^---[ \t]*(?:#.*)?$", re.MULTILINE)


class HelmError(Exception):
    """Base of this module's errors; the text is a sentence for users."""


class HelmMissing(HelmError):
    """The extra `helm` is not installed."""


class ChartError(HelmError):
    """There is no chart at the path, or it can't be loaded."""


class ValuesError(HelmError):
    """Values can't be read, or break the chart's schema."""


class RenderError(HelmError):
    """A template failed; the text is Helm's, with file and line."""


class Chart(msgspec.Struct):
    """A loaded chart, as Helm's storage keeps it."""

    metadata: dict[str, Any]
    """Chart.yaml; the version is the one it was packaged with."""
    stored: dict[str, Any]
    """The `chart` of a release in Helm's storage."""
    crds: list[Object]
    """Objects of `crds/`, of subcharts too."""
    handle: Any
    """The SDK's chart."""

    @property
    def name(self) -> str:
        """The chart's name."""
        return str(self.metadata.get("name", ""))

    @property
    def version(self) -> str:
        """The chart's version."""
        return str(self.metadata.get("version", ""))


class Rendering(msgspec.Struct, kw_only=True):
    """What a chart is rendered for."""

    name: str
    namespace: str
    revision: int
    upgrade: bool
    kube_version: str = ""
    api_versions: Sequence[str] = ()
    """`group/version` and `group/version/Kind` that the cluster serves."""
    kubeconfig: str = ""
    """Kubeconfig for the function `lookup`; without it `lookup` finds nothing."""


class Rendered(msgspec.Struct):
    """The output of a chart: objects in the order of the templates, hooks among them, and the notes."""

    objects: list[tuple[str, Object]]
    """(path of the template, object)."""
    notes: str


def available() -> bool:
    """Whether the SDK can be imported, without importing it."""
    return importlib.util.find_spec("helm_python") is not None


def load(directory: Path, *, version_suffix: str = "", values_files: Sequence[Path] = ()) -> Chart:
    """Load an unpacked chart, as source-controller packages it.

    `version_suffix` is appended to the chart's version as build metadata (`+31820d16ccd7`); `values_files` are merged
    in order and take the place of values.yaml. Raises HelmMissing, ChartError, or ValuesError.
    """
    helm = _sdk()
    if not (directory / "Chart.yaml").is_file():
        raise ChartError(f"no chart at '{directory.name}': Chart.yaml is missing")
    with _copy(directory) as copy:
        if version_suffix:
            _set_version(copy / "Chart.yaml", version_suffix)
        if values_files:
            merged: Values = {}
            for file in values_files:
                merge(merged, values_from_yaml(file.read_text(), file.name))
            (copy / "values.yaml").write_text(json.dumps(merged))
        try:
            handle = helm.Chart.load(copy)
            metadata = handle.metadata
            crds = [obj for crd in handle.crds for obj in documents(crd["data"], crd["filename"])]
        except helm.HelmError as error:
            raise ChartError(_text(error)) from error
        return Chart(metadata, _stored(handle, metadata), crds, handle)


def render(chart: Chart, values: Values, what: Rendering) -> Rendered:
    """Render a chart's templates. Raises ValuesError when the values break the chart's schema, else RenderError."""
    helm = _sdk()
    options = {
        "name": what.name,
        "namespace": what.namespace,
        "revision": what.revision,
        "is_install": not what.upgrade,
        "is_upgrade": what.upgrade,
        "kube_version": what.kube_version,
        "api_versions": list(what.api_versions),
    }
    arguments = (chart.handle._raw(), json.dumps(values), json.dumps({k: v for k, v in options.items() if v != ""}))
    # The typed methods of the SDK leave out the cluster's version and APIs, on which charts decide what to render.
    native = helm.chart._native
    try:
        chart.handle.validate_schema(chart.handle.merge_values(values))
        if what.kubeconfig:
            with helm.Config(kubeconfig_content=what.kubeconfig, namespace=what.namespace) as config:
                files = json.loads(native.call_string("helm_render_with_config", config._raw(), *arguments))
        else:
            files = json.loads(native.call_string("helm_render", *arguments))
    except helm.HelmValuesError as error:
        raise ValuesError(_text(error)) from error
    except helm.HelmError as error:
        raise RenderError(_text(error)) from error
    objects, notes = [], ""
    for path, text in sorted(files.items()):
        if path.endswith("NOTES.txt"):
            notes = notes or text
        elif not path.rsplit("/", 1)[-1].startswith("_"):
            objects += [(path, obj) for obj in documents(text, path)]
    return Rendered(objects, notes)


def uses_lookup(chart: Chart) -> bool:
    """Whether a template of the chart may ask the cluster for objects."""
    return any("lookup" in template["data"] for template in chart.handle.templates)


def values_from_yaml(text: str, source: str) -> Values:
    """Values of a YAML document as Helm reads it. Raises ValuesError that begins with `source`."""
    helm = _sdk()
    try:
        values: Values = helm.values_from_yaml(text)
    except helm.HelmError as error:
        raise ValuesError(f"{source}: {_text(error)}") from error
    return values


def set_path(values: Values, path: str, text: str, *, literal: bool) -> None:
    """Set one value as `helm --set path=text` (or `--set-literal`) does. Raises ValuesError that names the path."""
    helm = _sdk()
    if "[" in path:
        raise ValuesError(f"targetPath {path}: positions in lists are not supported yet")
    parse = helm.parse_set_string
    if literal:
        parse = helm.parse_set_literal
    elif len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        parse, text = helm.parse_set_string_values, text[1:-1]
    try:
        merge(values, parse(f"{path}={text}"))
    except helm.HelmError as error:
        raise ValuesError(f"targetPath {path}: {_text(error)}") from error


def merge(into: Values, other: Values) -> None:
    """Merge maps deeply, `other` over `into`; anything else replaces."""
    for name, value in other.items():
        old = into.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            merge(old, value)
        else:
            into[name] = value


def _sdk() -> Any:
    try:
        return importlib.import_module("helm_python")
    except ImportError as error:
        raise HelmMissing(EXTRA) from error


def _text(error: Exception) -> str:
    return " ".join(str(error).split())


@contextlib.contextmanager
def _copy(directory: Path) -> Iterator[Path]:
    """A private copy of a chart, to be changed before it is loaded. Raises ChartError when it is too large."""
    size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    if size > MAX_CHART_BYTES:
        raise ChartError(f"chart '{directory.name}' has {size} bytes, more than {MAX_CHART_BYTES}")
    with tempfile.TemporaryDirectory(prefix="fluxtui-chart-") as folder:
        copy = Path(folder) / directory.name
        shutil.copytree(directory, copy, symlinks=True)
        for path in (copy, *copy.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() else 0o644)
        yield copy


def _set_version(file: Path, suffix: str) -> None:
    try:
        chart = yaml.load(file.read_bytes(), yaml.CBaseLoader)
        chart["version"] = f"{str(chart['version']).partition('+')[0]}+{suffix}"
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ChartError(f"Chart.yaml of '{file.parent.name}' can't be read: {error!r}") from error
    # Scalars were read as text, which is what every field of Chart.yaml but the flag `deprecated` is.
    if "deprecated" in chart:
        chart["deprecated"] = chart["deprecated"] == "true"
    file.write_text(json.dumps(chart))


def documents(text: str, path: str) -> list[Object]:
    """The objects of a YAML stream. Raises RenderError that names the file."""
    helm = _sdk()
    found = []
    for document in _DOCUMENT.split(text):
        if not document.strip():
            continue
        try:
            obj = helm.values_from_yaml(document)
        except helm.HelmError as error:
            raise RenderError(f"YAML parse error on {path}: {_text(error)}") from error
        if obj:
            found.append(obj)
    return found


def _stored(handle: Any, metadata: dict[str, Any]) -> dict[str, Any]:
    def files(items: list[dict[str, str]]) -> list[dict[str, str]]:
        return [{"name": item["name"], "data": base64.b64encode(item["data"].encode()).decode()} for item in items]

    schema = handle.schema
    return {
        "metadata": metadata,
        "lock": None,
        "templates": files(handle.templates),
        "values": handle.values,
        "schema": None if schema is None else base64.b64encode(json.dumps(schema).encode()).decode(),
        "files": files(handle.files),
    }
