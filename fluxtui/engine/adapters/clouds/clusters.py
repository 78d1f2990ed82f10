"""Address, authority and token of a cluster that a ConfigMap names, for `spec.kubeConfig.configMapRef`.

Source: docs/spec/v1/kustomizations.md "Secret-less authentication"; fluxcd/pkg `auth`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from fluxtui.engine.adapters.clouds import aws, azure, gcp
from fluxtui.engine.adapters.clouds.tokens import Account, CloudError, Token
from fluxtui.kube.errors import ConfigError
from fluxtui.kube.remote import context_of

PROVIDERS = ("aws", "azure", "gcp", "generic")


class Endpoint(msgspec.Struct, frozen=True):
    """How to speak to a cluster."""

    server: str
    authority: str
    """Certificates in PEM, base64; empty for those of the system."""
    token: Token

    @property
    def expires(self) -> float:
        """Seconds since the epoch."""
        return self.token.expires


def canonical(address: str) -> str:
    """`https://host:port` of an address. Raises CloudError."""
    try:
        parts = urlsplit(address if address.startswith("http") else f"https://{address}")
        port = parts.port or 443
    except ValueError as error:
        raise CloudError(f"failed to parse Kubernetes API server address '{address}': {error}") from error
    if parts.scheme != "https" or not parts.hostname:
        raise CloudError(f"the Kubernetes API server address '{address}' must use https scheme")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"https://{host}:{port}"


async def endpoint_of(data: Mapping[str, str], account: Account | None) -> Endpoint:
    """How to speak to the cluster of a ConfigMap's data, as a ServiceAccount or as the engine. Raises CloudError."""
    provider, cluster = data.get("provider", ""), data.get("cluster", "")
    authority = base64.b64encode(data.get("ca.crt", "").encode()).decode()
    whole = bool(data.get("address") and authority)
    if provider in ("azure", "gcp") and not whole and not cluster:
        raise CloudError("cluster is required when address or ca.crt is not set")
    match provider:
        case "aws":
            region, _ = aws.parse_cluster(cluster)
            owner = await aws.credentials(account, region)
            described = ("", "") if whole else await aws.describe_cluster(cluster, owner)
            token = aws.cluster_token(cluster, owner)
        case "azure":
            token = await azure.access_token(account, azure.AKS)
            described = ("", "") if whole else await _of_azure(cluster, data.get("address", ""), account)
        case "gcp":
            token = await gcp.access_token(account)
            if whole:
                described = ("", "")
            else:
                gcp.check_cluster(cluster)
                described = await gcp.describe_cluster(cluster, token)
        case _:
            raise CloudError(f"provider {provider!r} is not one of {', '.join(PROVIDERS)}")
    return Endpoint(data.get("address") or described[0], authority or described[1], token)


async def _of_azure(cluster: str, address: str, account: Account | None) -> tuple[str, str]:
    """(address, authority) of the kubeconfig for an address, or of the first one."""
    azure.check_cluster(cluster)
    manager = azure.manager()
    token = await azure.access_token(account, f"{manager.audience}/.default")
    wanted, seen = canonical(address) if address else "", []
    for text in await azure.kubeconfigs(cluster, token, manager.endpoint):
        server, authority = _cluster(text, cluster)
        if not wanted or canonical(server) == wanted:
            return server, authority
        seen.append(f"'{server}'")
    if not wanted:
        raise CloudError(f"no kubeconfig found for AKS cluster {cluster}")
    raise CloudError(
        f"no kubeconfig found for AKS cluster {cluster} matching the specified address '{address}'. "
        f"cluster addresses: [{', '.join(seen)}]"
    )


def _cluster(text: bytes, name: str) -> tuple[str, str]:
    try:
        # Its user logs in with a program; the token takes that one's place.
        context = context_of(text, f"kubeconfig of {name}", cluster_only=True)
    except ConfigError as error:
        raise CloudError(str(error)) from error
    return context.server, str(context.cluster.get("certificate-authority-data", ""))
