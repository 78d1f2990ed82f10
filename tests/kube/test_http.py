"""aiohttp's own trust stores are filled when somebody uses them, and hold what they always held."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import ClientConnectorCertificateError, ClientSession, web

from fluxtui.kube.http import LateContext, late_authorities
from tests.kube.support import Authority, serve

IMPORTED = """
import ssl
import fluxtui.kube.http1
from aiohttp import connector
contexts = [each for each in vars(connector).values() if isinstance(each, ssl.SSLContext)]
assert contexts
assert not any(each.cert_store_stats()["x509"] for each in contexts), contexts
assert "set_default_verify_paths" not in vars(ssl.SSLContext)
"""


async def hello(request: web.Request) -> web.StreamResponse:
    """Any answer."""
    return web.Response(text="hello")


def test_importing_it_reads_no_authorities() -> None:
    subprocess.run([sys.executable, "-c", IMPORTED], check=True, timeout=120)


async def test_a_late_context_trusts_the_system_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ours", "other"):
        (tmp_path / name).mkdir()
    ours, other = (Authority(tmp_path / name, name) for name in ("ours", "other"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    for authority, is_trusted in ((ours, True), (other, False)):
        with late_authorities():
            late = ssl.create_default_context()
        assert isinstance(late, LateContext)
        assert late.verify_mode is ssl.CERT_REQUIRED
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.directory / "ca.crt"))
        async with serve(hello, ours.server_context("server", "IP:127.0.0.1")) as url, ClientSession() as session:
            if is_trusted:
                async with session.get(url, ssl=late) as answer:
                    assert await answer.text() == "hello"
            else:
                with pytest.raises(ClientConnectorCertificateError):
                    await session.get(url, ssl=late)


def test_afterwards_contexts_are_made_as_ever() -> None:
    with late_authorities():
        own = type("Own", (ssl.SSLContext,), {})(ssl.PROTOCOL_TLS_CLIENT)
        own.load_default_certs()
        assert type(own) is not LateContext, "a class of its own knows what it wants"
    assert type(ssl.create_default_context()) is ssl.SSLContext
