"""Builds through `fluxtui.kustomize` against the real `kustomize` as a process: time and memory, as ratios.

    python -m tests.bench.kustomize

`kustomize` is looked for in `KUBEBUILDER_ASSETS` and on PATH. Exits with 1 when a ratio is over its bound. Ordinary
overlays are built with the library warm, the large case and memory by a process of each.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fluxtui.kustomize import build

ROUNDS = 7
LARGE = 1000
"""Documents of the large case."""
ORDINARY_BOUND = 0.5
LARGE_BOUND = 3.0
MEMORY_BOUND = 2.0

_CHILD = "import sys; from fluxtui.kustomize import build; sys.stdout.write(build(sys.argv[1]).to_yaml())"

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: {{app: {name}}}
spec:
  replicas: 1
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      serviceAccountName: {name}
      containers:
      - name: main
        image: registry.example.com/{name}:1.0.0
        ports: [{{containerPort: 8080, name: http}}]
        envFrom: [{{configMapRef: {{name: settings}}}}]
        resources:
          requests: {{cpu: 100m, memory: 128Mi}}
          limits: {{memory: 256Mi}}
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  selector: {{app: {name}}}
  ports: [{{port: 80, targetPort: http}}]
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {name}
"""
FIELDS = {
    "plain": "",
    "renamed": "namePrefix: eu-\nnamespace: shop\n",
    "labelled": "labels:\n- pairs: {team: a}\n  includeSelectors: true\ncommonAnnotations: {owner: b}\n",
    "images": "images:\n- name: registry.example.com/app-0\n  newTag: 2.0.0\nreplicas:\n- {name: app-0, count: 3}\n",
    "patched": (
        "patches:\n- target: {kind: Deployment}\n  patch: |-\n    - {op: replace, path: /spec/replicas, value: 2}\n"
        "- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: app-0}\n"
        "    spec: {template: {spec: {containers: [{name: main, imagePullPolicy: Always}]}}}\n"
    ),
    "replaced": (
        "replacements:\n- source: {kind: Service, name: app-0, fieldPath: metadata.name}\n"
        "  targets:\n  - select: {kind: Deployment}\n    fieldPaths: [metadata.annotations.service]\n"
        "    options: {create: true}\n"
    ),
}


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def crd(number: int) -> str:
    """A CustomResourceDefinition with a schema of some 6 KB."""
    pad = " " * 14
    field = f"{pad}field{{n}}:\n{pad}  type: string\n{pad}  description: What it is, in a sentence.\n"
    fields = "".join(field.format(n=n) for n in range(60))
    return (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
        f"metadata:\n  name: kind{number}s.example.com\nspec:\n  group: example.com\n  scope: Namespaced\n"
        f"  names: {{kind: Kind{number}, plural: kind{number}s}}\n  versions:\n  - name: v1\n    served: true\n"
        "    storage: true\n    schema:\n      openAPIV3Schema:\n        type: object\n        properties:\n"
        f"          spec:\n            type: object\n            properties:\n{fields}"
    )


def overlay(root: Path, fields: str, applications: int, crds: int = 0) -> Path:
    """A base with applications and CRDs, and an overlay on it."""
    base, top = root / "base", root / "overlay"
    base.mkdir(parents=True)
    top.mkdir()
    parts = [DEPLOYMENT.format(name=f"app-{number}") for number in range(applications)]
    parts += [crd(number) for number in range(crds)]
    (base / "all.yaml").write_text("---\n".join(parts))
    generator = "configMapGenerator:\n- name: settings\n  literals: [mode=fast]\n"
    (base / "kustomization.yaml").write_text(f"resources: [all.yaml]\n{generator}")
    (top / "kustomization.yaml").write_text(f"resources: [../base]\n{fields}")
    return top


def seconds(act: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median time of some runs."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        act()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def peak(command: list[str]) -> int:
    """The largest resident size of a process, in KiB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} has failed")
    return usage.ru_maxrss


def run(command: list[str]) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> int:
    """Print all ratios; 1 when one is over its bound."""
    places = [os.environ.get("KUBEBUILDER_ASSETS", ""), os.environ.get("PATH", "")]
    binary = shutil.which("kustomize", path=os.pathsep.join(filter(None, places)))
    if binary is None:
        say("skipped: no kustomize in KUBEBUILDER_ASSETS or on PATH")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        ratios = [ordinary(binary, Path(scratch), name, fields) for name, fields in FIELDS.items()]
        results = {"ordinary, median": (statistics.median(ratios), ORDINARY_BOUND)}
        top = overlay(
            Path(scratch) / "large", "namePrefix: eu-\nnamespace: shop\n" + FIELDS["labelled"], LARGE // 3 - 16, 50
        )
        results.update(large(binary, str(top)))
    for name, (ratio, bound) in results.items():
        say(f"{name:24} {ratio:6.2f}  (at most {bound})")
    return int(any(ratio > bound for ratio, bound in results.values()))


def ordinary(binary: str, scratch: Path, name: str, fields: str) -> float:
    """The ratio of times for one overlay."""
    top = str(overlay(scratch / name, fields, 4))
    if build(top).to_yaml() != run([binary, "build", top]):
        raise RuntimeError(f"{name} is built otherwise")
    mine, theirs = seconds(lambda: build(top).to_yaml()), seconds(lambda: run([binary, "build", top]))
    say(f"{name:24} {mine * 1e3:7.1f} ms {theirs * 1e3:7.1f} ms {mine / theirs:6.2f}")
    return mine / theirs


def large(binary: str, top: str) -> dict[str, tuple[float, float]]:
    """The ratios of the large case."""
    command = [binary, "build", top]
    printed = run(command)
    if build(top).to_yaml() != printed:
        raise RuntimeError("the large case is built otherwise")
    mine, theirs = seconds(lambda: build(top).to_yaml(), 3), seconds(lambda: run(command), 1)
    say(f"{printed.count(chr(10) + '---' + chr(10)) + 1} documents     {mine * 1e3:7.1f} ms {theirs * 1e3:7.1f} ms")
    memory = peak([sys.executable, "-c", _CHILD, top]), peak(command)
    say(f"memory                   {memory[0]:7} KiB {memory[1]:6} KiB")
    return {"large": (mine / theirs, LARGE_BOUND), "large, memory": (memory[0] / memory[1], MEMORY_BOUND)}


if __name__ == "__main__":
    sys.exit(main())
