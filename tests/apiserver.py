"""A real kube-apiserver for tests, when `KUBEBUILDER_ASSETS` names a directory with etcd and kube-apiserver."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fluxtui.kube.kubeconfig import Context
from tests.ports import free_port

MISSING = "KUBEBUILDER_ASSETS is not set: no real kube-apiserver to test against"
_READY_WITHIN = 180.0


def assets() -> Path | None:
    """The directory of binaries, None when the environment names none."""
    found = os.environ.get("KUBEBUILDER_ASSETS", "")
    return Path(found) if found else None


@contextmanager
def running(binaries: Path, state: Path, *flags: str) -> Iterator[Context]:
    """Start etcd and kube-apiserver on free ports of loopback, with all data in `state`; ends both.

    `flags` are more of kube-apiserver's.
    """
    etcd, peer, port = free_port(), free_port(), free_port()
    token = secrets.token_hex(16)
    key = state / "sa.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    (state / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    etcd_command, server_command = _commands(binaries, state, (etcd, peer, port), key)
    processes = []
    try:
        for command in (etcd_command, [*server_command, *flags]):
            log = (state / f"{Path(command[0]).name}.log").open("wb")
            with log:
                processes.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        server = f"https://127.0.0.1:{port}"
        _wait(server, token, processes, state)
        yield Context(
            "real",
            "real",
            "/test/config",
            server,
            cluster={"server": server, "insecure-skip-tls-verify": True},
            user={"token": token},
        )
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _commands(binaries: Path, state: Path, ports: tuple[int, int, int], key: Path) -> tuple[list[str], list[str]]:
    """How etcd and kube-apiserver are started. `ports` are those of etcd, its peers, and the server."""
    etcd, peer, port = ports
    return (
        [
            str(binaries / "etcd"),
            "--unsafe-no-fsync",
            f"--data-dir={state / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
        ],
        [
            str(binaries / "kube-apiserver"),
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            f"--cert-dir={state / 'pki'}",
            f"--token-auth-file={state / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--endpoint-reconciler-type=none",
            "--disable-admission-plugins=ServiceAccount",
            "--profiling=false",
        ],
    )


def _wait(server: str, token: str, processes: list[subprocess.Popen[bytes]], state: Path) -> None:
    import ssl

    unverified = ssl._create_unverified_context()
    deadline = time.monotonic() + _READY_WITHIN
    request = urllib.request.Request(f"{server}/readyz", headers={"Authorization": f"Bearer {token}"})
    while time.monotonic() < deadline:
        for process in processes:
            assert process.poll() is None, f"{process.args!r} ended early; see {state}"
        try:
            with urllib.request.urlopen(request, timeout=2, context=unverified):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"kube-apiserver was not ready within {_READY_WITHIN:g}s; see {state}")
