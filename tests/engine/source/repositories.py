"""Real Git repositories in a temporary directory, and a real Git server over HTTP on loopback."""

from __future__ import annotations

import base64
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest


class Repository:
    """A work tree with a branch `main`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, **files: str) -> None:
        for name, content in files.items():
            self.put(name, content)

    def put(self, name: str, content: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def commit(self, message: str = "change", files: dict[str, str] | None = None) -> str:
        for name, content in (files or {}).items():
            self.put(name, content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")


class _Backend(BaseHTTPRequestHandler):
    """Runs `git http-backend` as CGI, behind basic or bearer authentication when the server wants it."""

    protocol_version = "HTTP/1.1"
    server: GitServer

    def log_message(self, format: str, *args: object) -> None:
        return

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _serve(self, body: bytes) -> None:
        self.server.requests.append((self.command, self.path, self.headers.get("Authorization", "")))
        self.close_connection = True
        if self.server.redirect_to:
            self._answer(302, {"Location": self.server.redirect_to + self.path})
        elif self.server.authorization and self.headers.get("Authorization") != self.server.authorization:
            self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'})
        else:
            self._cgi(body)

    def _cgi(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        if self.server.cut_packs and b"PACK" in content:
            self._cut(content)
            return
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        self._answer(status, headers, content)

    def _cut(self, content: bytes) -> None:
        """Promise everything, send half and hang up."""
        self.send_response(200)
        self.send_header("Content-Type", "application/x-git-upload-pack-result")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])

    def _answer(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)


class GitServer(ThreadingHTTPServer):
    """Serves the repositories below `root`; `requests` is what was asked: (method, path, Authorization)."""

    daemon_threads = True

    def __init__(self, root: Path, tls: tuple[Path, Path] | None = None, clients: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Backend)
        self.scheme = "https" if tls else "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            if clients:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(clients)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.root = root
        self.authorization = ""
        self.redirect_to = ""
        self.cut_packs = False
        self.requests: list[tuple[str, str, str]] = []

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up, as those do that refuse a certificate, are nothing to report."""

    def require_basic(self, username: str, password: str) -> None:
        token = base64.b64encode(f"{username}:{password}".encode()).decode()
        self.authorization = f"Basic {token}"

    @property
    def fetches(self) -> int:
        """How often content was sent (protocol v2 asks for refs by POST, too, but gets no pack)."""
        return sum(1 for method, path, _ in self.requests if method == "POST" and path.endswith("git-upload-pack"))


def need_http_backend() -> None:
    """Skip the test, or the module, where this git can't serve over HTTP."""
    git = shutil.which("git")
    found = subprocess.run([git, "--exec-path"], capture_output=True, text=True, check=False).stdout if git else ""
    if not found or not (Path(found.strip()) / "git-http-backend").exists():
        pytest.skip("there is no git with an http-backend", allow_module_level=True)


def self_signed(directory: Path) -> tuple[Path, Path]:
    """(key, certificate) for 127.0.0.1, by openssl."""
    key, certificate = directory / "key.pem", directory / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    options = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *options], check=True, capture_output=True)
    return key, certificate


@contextmanager
def serving(root: Path, tls: tuple[Path, Path] | None = None, clients: Path | None = None) -> Iterator[GitServer]:
    """A server in a thread; `tls` is (certificate, key), `clients` the authority of certificates it asks for."""
    server = GitServer(root, tls, clients)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
