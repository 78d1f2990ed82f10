"""Starting the fake fleet, and the files a console needs to find it."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class FakeFleet:
    """A running fake fleet; `order` tells it what to do."""

    def __init__(self, directory: Path, clusters: int, objects: int) -> None:
        self.directory = directory
        self.clusters = clusters
        self.objects = objects
        certificate, key = directory / "server.crt", directory / "server.key"
        if not certificate.exists():
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-days", "30", "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=fleet",
                 "-addext", "subjectAltName=IP:127.0.0.1"],
                check=True, capture_output=True,
            )  # fmt: skip
        self.authority = certificate
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.server", str(clusters), str(objects), str(certificate), str(key)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        self.ports: list[int] = json.loads(self._line())

    def _line(self) -> bytes:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the fake fleet ended early")
        return line

    def order(self, do: str, **what: Any) -> dict[str, Any]:
        """Have it do something; what it says of itself."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **what}).encode() + b"\n")
        self.process.stdin.flush()
        said: dict[str, Any] = json.loads(self._line())
        return said

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)

    def kubeconfig(self, name: str = "config", *, first: int | None = None) -> Path:
        """A kubeconfig of its clusters, or of the first ones: cluster-000, cluster-001, …"""
        authority = base64.b64encode(self.authority.read_bytes()).decode()
        servers = {f"cluster-{n:03}": f"https://127.0.0.1:{port}" for n, port in enumerate(self.ports[:first])}
        return write_kubeconfig(self.directory / name, servers, {"certificate-authority-data": authority})


def write_kubeconfig(path: Path, servers: Mapping[str, str], extra: Mapping[str, Any], token: str = "t") -> Path:
    """A kubeconfig with one context a server."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": next(iter(servers)),
        "contexts": [{"name": name, "context": {"cluster": name, "user": "bench"}} for name in servers],
        "clusters": [{"name": name, "cluster": {"server": url, **extra}} for name, url in servers.items()],
        "users": [{"name": "bench", "user": {"token": token}}],
    }
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    return path


@contextlib.contextmanager
def fake_fleet(directory: Path, clusters: int, objects: int) -> Iterator[FakeFleet]:
    """A fake fleet that ends with the block."""
    fleet = FakeFleet(directory, clusters, objects)
    try:
        yield fleet
    finally:
        fleet.close()


@contextlib.contextmanager
def dead_clusters(directory: Path, count: int) -> Iterator[Path]:
    """A kubeconfig of clusters that do not answer: half refuse, half accept and stay silent."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        servers = {}
        for number, one in enumerate(sockets):
            one.bind(("127.0.0.1", 0))
            if number % 2:
                one.listen(64)
            servers[f"cluster-{number:03}"] = f"https://127.0.0.1:{one.getsockname()[1]}"
        yield write_kubeconfig(directory / "dead", servers, {"insecure-skip-tls-verify": True})
    finally:
        for one in sockets:
            one.close()


def environment(directory: Path, **extra: str) -> dict[str, str]:
    """What the programs see: a home of their own, a terminal with all colours, no settings of the user's."""
    home = directory / "home"
    home.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
    return {**kept, "HOME": str(home), "TERM": "xterm-256color", "COLORTERM": "truecolor", **extra}


def program() -> str:
    """The installed `fluxtui`."""
    return str(Path(sys.executable).with_name("fluxtui"))
