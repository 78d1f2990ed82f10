"""Which proxy leads to an API server: `proxy-url` of its cluster, else the environment's, never changing either.

Rules of the environment: Go's net/http ProxyFromEnvironment, as kubectl reads it.
"""

from __future__ import annotations

import base64
import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from fluxtui.kube.errors import ConfigError


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy; the repr keeps its password."""

    url: str
    """Without user and password."""
    user: str = ""
    password: str = ""

    @property
    def host(self) -> str:
        """Host name, without port."""
        return urlsplit(self.url).hostname or ""

    @property
    def authorization(self) -> str:
        """Value of the Proxy-Authorization header; "" for none."""
        if not self.user:
            return ""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    @property
    def secure(self) -> bool:
        """Whether the proxy itself is spoken to over TLS."""
        return self.url.startswith("https:")

    def __repr__(self) -> str:
        return f"Proxy({self.url!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("url", self.url)]


def proxy_for(
    server: str, proxy_url: str = "", env: Mapping[str, str] = os.environ, *, where: str = ""
) -> Proxy | None:
    """The proxy for the API server at URL `server`.

    `proxy_url` (from the kubeconfig) wins over HTTPS_PROXY/HTTP_PROXY and is not subject to NO_PROXY, as with kubectl.
    Raises ConfigError for a proxy of a kind we do not speak; `where` names what it is of.
    """
    parts = urlsplit(server)
    if proxy_url:
        return _proxy(proxy_url, f"{where}: proxy-url" if where else "proxy-url")
    name = f"{parts.scheme}_proxy"
    found = env.get(name.upper()) or env.get(name) or ""
    if not found or _excluded(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), env):
        return None
    return _proxy(found if "://" in found else f"http://{found}", name.upper())


def _proxy(url: str, where: str) -> Proxy:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(f"{where}: not a valid URL") from None
    if parts.scheme.startswith("socks"):
        raise ConfigError(f"{where}: SOCKS proxies are not supported; use an http:// or https:// proxy")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{where}: expected an http:// or https:// URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    netloc = host if port is None else f"{host}:{port}"
    return Proxy(
        urlunsplit((parts.scheme, netloc, "", "", "")), unquote(parts.username or ""), unquote(parts.password or "")
    )


def _excluded(host: str, port: int, env: Mapping[str, str]) -> bool:
    """Whether NO_PROXY, or being on this machine, keeps `host` away from the proxy."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    for entry in (env.get("NO_PROXY") or env.get("no_proxy") or "").split(","):
        rule = entry.strip().lower()
        if rule == "*":
            return True
        if rule and _matches(host.lower(), address, port, rule):
            return True
    return False


def _matches(host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int, rule: str) -> bool:
    if "/" in rule:
        try:
            return address is not None and address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    name, colon, number = rule.rpartition(":")
    if colon and number.isdigit() and (":" not in name or name.startswith("[")):
        if int(number) != port:
            return False
        rule = name
    rule = rule.strip("[]")
    if address is not None:
        try:
            return address == ipaddress.ip_address(rule)
        except ValueError:
            return False
    rule = rule.removeprefix("*")
    if rule.startswith("."):
        return host.endswith(rule)
    return host == rule or host.endswith(f".{rule}")
