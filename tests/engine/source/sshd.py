"""A real OpenSSH server on loopback, for one user, one key and as long as a test lasts."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.engine.polling import eventually
from tests.engine.source.signing import make_key
from tests.ports import free_port

PLACES = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))


class SshServer:
    """Where it is and what it lets in."""

    def __init__(self, directory: Path) -> None:
        if os.geteuid() == 0:
            # Where the server's unit would have made it.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        directory.mkdir(mode=0o700)
        self.directory = directory
        self.port = free_port()
        self.user = getpass.getuser()
        make_key(directory / "host")
        make_key(directory / "client")
        self.authorize(directory / "client")

    @property
    def known_hosts(self) -> str:
        key = (self.directory / "host.pub").read_text().rsplit(" ", 1)[0]
        return f"[127.0.0.1]:{self.port} {key}\n"

    @property
    def identity(self) -> str:
        return (self.directory / "client").read_text()

    def url(self, path: Path) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{path}"

    def authorize(self, key: Path) -> None:
        (self.directory / "authorized").write_text(Path(f"{key}.pub").read_text())


@asynccontextmanager
async def ssh_server(directory: Path) -> AsyncIterator[SshServer]:
    """Skips the test, saying why, where there is no sshd."""
    program = shutil.which("sshd", path=PLACES)
    if program is None:
        pytest.skip("there is no sshd on this machine (Debian: openssh-server)")
    server = SshServer(directory)
    options = {
        "Port": server.port,
        "ListenAddress": "127.0.0.1",
        "HostKey": directory / "host",
        "AuthorizedKeysFile": directory / "authorized",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
    }
    config = directory / "sshd_config"
    config.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    log = directory / "log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(program, "-D", "-e", "-f", str(config), stderr=errors)
    try:

        async def listening() -> bool:
            assert process.returncode is None, log.read_text()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            except OSError:
                return False
            writer.close()
            await writer.wait_closed()
            return True

        await eventually(listening)
        yield server
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
