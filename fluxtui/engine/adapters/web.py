"""Questions to the web services of others: bounded answers, no redirects, through a proxy if there is one.

WebError    the service can't be asked; `str()` is a sentence for users, free of secrets
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from fluxtui.kube.errors import ConfigError
from fluxtui.kube.proxy import proxy_for

ANSWER_LIMIT = 1 << 20
"""Most bytes read of an answer."""
_TIMEOUT = 30.0
"""Seconds for one answer."""


class WebError(Exception):
    """There is no answer to be had."""


class Answer(msgspec.Struct, frozen=True):
    """What a service said."""

    url: str
    """What was asked, without its query."""
    status: int
    content: bytes

    def object(self) -> dict[str, Any]:
        """The JSON object it is; empty when it is none."""
        try:
            found = json.loads(self.content)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


async def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    body: Any = None,
    proxy: str = "",
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Ask once, with a form or with an object as JSON if one is given. Raises WebError."""
    shown = url.partition("?")[0]
    connector = aiohttp.TCPConnector(ssl=tls if tls is not None else True)
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
    try:
        through = proxy_for(url, proxy)
        auth = aiohttp.BasicAuth(through.user, through.password) if through and through.user else None
        async with (
            aiohttp.ClientSession(
                headers={"User-Agent": "fluxtui", **(headers or {})}, connector=connector, timeout=timeout
            ) as session,
            session.request(
                method,
                url,
                data=form,
                json=body,
                proxy=through.url if through else None,
                proxy_auth=auth,
                allow_redirects=False,
            ) as response,
        ):
            return Answer(shown, response.status, await _bounded(response, shown))
    except TimeoutError as error:
        raise WebError(f"{shown} gave no answer within {_TIMEOUT:.0f} s") from error
    except (aiohttp.ClientError, ConfigError, ValueError) as error:
        raise WebError(f"{shown} can't be asked: {str(error) or type(error).__name__}") from error


async def _bounded(response: aiohttp.ClientResponse, shown: str) -> bytes:
    content = bytearray()
    async for block in response.content.iter_chunked(1 << 16):
        content += block
        if len(content) > ANSWER_LIMIT:
            raise WebError(f"{shown} answered with more than {ANSWER_LIMIT >> 20} MiB")
    return bytes(content)
