"""`helmCharts`: objects that the `helm` program renders of a chart."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Any

import msgspec

from fluxtui.kustomize import documents, resources, strategic
from fluxtui.kustomize.errors import BuildError, FieldError, KustomizeError, LoadError, Unsupported
from fluxtui.kustomize.kustomization import HelmChart, HelmGlobals
from fluxtui.kustomize.loader import Loader
from fluxtui.kustomize.namespaces import HELM_GENERATED
from fluxtui.kustomize.resources import Resource
from fluxtui.kustomize.scalars import finished
from fluxtui.kustomize.schema import Kinds

CHART_HOME = "charts"
TIMEOUT = 300
"""Seconds that Helm may take for one command."""

_MERGES = ("merge", "override", "replace")
_VERSION = re.compile(r"v?(\d+)(?:\.\d+)+")


class Helm(msgspec.Struct, frozen=True, kw_only=True):
    """How to run Helm; what is given here goes before what a kustomization says."""

    command: str = "helm"
    """The program, a name on PATH or a path."""
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()
    debug: bool = False


def generate(loader: Loader, globals_: HelmGlobals, chart: HelmChart) -> list[Resource]:
    """The objects of a chart. Raises Unsupported without leave to run Helm, FieldError, LoadError, BuildError."""
    helm = loader.session.helm
    if helm is None:
        raise Unsupported(f"helm chart '{chart.name}': must specify --enable-helm")
    if not chart.name:
        raise FieldError("helmCharts: chart name cannot be empty")
    if chart.values_merge not in ("", *_MERGES):
        raise FieldError(f"helmCharts: valuesMerge must be one of {', '.join(_MERGES)}")
    with tempfile.TemporaryDirectory(prefix="kustomize-helm-") as scratch:
        return _Inflation(loader, helm, globals_, chart, scratch).run()


class _Inflation:
    """One chart being rendered."""

    def __init__(self, loader: Loader, helm: Helm, globals_: HelmGlobals, chart: HelmChart, scratch: str) -> None:
        self._loader = loader
        self._helm = helm
        self._chart = chart
        self._scratch = scratch
        self._config = globals_.config_home or posixpath.join(scratch, "helm")
        home = loader.path(globals_.chart_home or CHART_HOME)
        if chart.version and chart.repo:
            home = posixpath.join(home, f"{chart.name}-{chart.version}")
        self._home = home

    def run(self) -> list[Resource]:
        """Fetch the chart where it is not there, render it, read what comes out."""
        version = _VERSION.search(self._run("version", "--short"))
        if version is None or version[1] not in ("3", "4"):
            raise BuildError(f"helm charts need helm v3 or v4, '{self._helm.command}' is {version and version[0]}")
        place = posixpath.join(self._home, self._chart.name)
        if not os.path.isdir(place):
            if not self._chart.repo:
                raise LoadError(f"no repo specified for pull, no chart found at '{place}'")
            self._run(*self._pull())
        printed = self._run(*self._template(place, self._values()))
        # Helm may print messages before the first document.
        try:
            found = resources.read(printed, f"chart '{self._chart.name}'", self._loader.session.kinds)
        except KustomizeError:
            _, separator, rest = printed.partition("\n---\n")
            if not separator:
                raise
            found = resources.read(rest, f"chart '{self._chart.name}'", self._loader.session.kinds)
        for resource in found:
            resource.annotate(HELM_GENERATED, "true")
        return found

    def _pull(self) -> list[str]:
        chart = self._chart
        arguments = ["pull", "--untar", "--untardir", self._home]
        if chart.repo.startswith("oci://"):
            arguments.append(f"{chart.repo.removesuffix('/')}/{chart.name}")
        else:
            arguments += ["--repo", chart.repo, chart.name]
        if chart.version:
            arguments += ["--version", chart.version]
        return arguments + ["--devel"] * chart.devel

    def _template(self, place: str, values: str) -> list[str]:
        chart, helm = self._chart, self._helm
        arguments = ["template", chart.release_name or "--generate-name", place]
        if chart.namespace:
            arguments += ["--namespace", chart.namespace]
        if chart.name_template:
            arguments += ["--name-template", chart.name_template]
        arguments += ["-f", values]
        for path in chart.additional_values_files:
            self._loader.load(path)
            arguments += ["-f", self._loader.path(path)]
        for version in helm.api_versions or chart.api_versions:
            arguments += ["--api-versions", version]
        if helm.kube_version or chart.kube_version:
            arguments += ["--kube-version", helm.kube_version or chart.kube_version]
        flags = {
            "--include-crds": chart.include_crds,
            "--skip-tests": chart.skip_tests,
            "--no-hooks": chart.skip_hooks,
            "--debug": helm.debug or chart.debug,
            "--devel": chart.devel,
        }
        return arguments + [flag for flag, wanted in flags.items() if wanted]

    def _values(self) -> str:
        """A file with the values of the kustomization over those of the chart, or the other way round."""
        chart = self._chart
        source = chart.values_file or posixpath.join(self._home, chart.name, "values.yaml")
        inline = chart.values_inline
        if not inline:
            content = self._loader.load(source)
        elif chart.values_merge == "replace":
            content = documents.write(inline).encode()
        else:
            found = documents.read_trees(self._loader.load(source), source)
            own: Any = found[0] if found else {}
            first, second = (inline, own) if chart.values_merge == "merge" else (own, inline)
            content = documents.write(finished(strategic.merge(first, second, Kinds()) or {})).encode()
        path = posixpath.join(self._scratch, "values.yaml")
        with open(path, "wb") as file:
            file.write(content)
        return path

    def _run(self, *arguments: str) -> str:
        """What Helm prints. Raises BuildError."""
        homes = {
            "HELM_CONFIG_HOME": self._config,
            "HELM_CACHE_HOME": f"{self._config}/.cache",
            "HELM_DATA_HOME": f"{self._config}/.data",
        }
        done = _run([self._helm.command, *arguments], {**os.environ, **homes})
        if done.returncode:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())
            raise BuildError(f"helm chart '{self._chart.name}': helm {arguments[0]} failed: {said}")
        return done.stdout.decode("utf-8", "replace")


def _run(command: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command, capture_output=True, timeout=TIMEOUT, check=False, env=environment, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise BuildError(f"unable to run '{command[0]}': is helm installed? {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"'{command[0]} {command[1]}' took more than {TIMEOUT} seconds") from error
