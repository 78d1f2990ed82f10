"""Microsoft Entra: tokens for Azure DevOps and AKS, by workload identity or by a client secret of the environment.

Source: fluxcd/pkg `auth/azure`; "OAuth 2.0 client credentials flow" of the Microsoft identity platform. Identities of
virtual machines (the metadata service) are not used.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import re
import time
from pathlib import Path

import msgspec

from fluxtui.engine.adapters.clouds.tokens import Account, CloudError, Token, refused
from fluxtui.engine.adapters.web import WebError, ask

DEVOPS = "499b84ac-1321-427f-aa17-267ca6975798/.default"
AKS = "6dae42f8-4368-4678-94ff-3960e28e3630/.default"
AUDIENCE = "api://AzureADTokenExchange"
TENANT, CLIENT = "azure.workload.identity/tenant-id", "azure.workload.identity/client-id"
AUTHORITY = "https://login.microsoftonline.com"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MANAGERS = {
    "chinacloudapi.cn": "https://management.chinacloudapi.cn",
    "microsoftonline.us": "https://management.usgovcloudapi.net",
}
_MANAGER = "https://management.azure.com"
_VERSION = "2024-09-01"
_CLUSTER = re.compile(
    r"/subscriptions/[^/]{36}/resourceGroups/[^/]{1,200}"
    r"/providers/Microsoft\.ContainerService/managedClusters/[^/]{1,200}",
    re.IGNORECASE,
)


class Manager(msgspec.Struct, frozen=True):
    """Azure's resource manager."""

    endpoint: str
    audience: str


def identity_of(account: Account) -> tuple[str, str]:
    """(tenant, client) that a ServiceAccount stands for. Raises CloudError."""
    for what, name in (("tenant", TENANT), ("client", CLIENT)):
        if not account.annotations.get(name):
            raise CloudError(f"azure {what} ID is not set in the service account annotation {name}")
    return account.annotations[TENANT], account.annotations[CLIENT]


async def access_token(account: Account | None, scope: str, proxy: str = "") -> Token:
    """A token for a scope: as a ServiceAccount, else as the environment says. Raises CloudError."""
    if account is not None:
        tenant, client = identity_of(account)
        proof = {"client_assertion_type": _ASSERTION, "client_assertion": await account.token([AUDIENCE])}
    else:
        tenant, client, proof = await asyncio.to_thread(_of_the_environment)
    url = f"{authority()}/{tenant}/oauth2/v2.0/token"
    form = {"grant_type": "client_credentials", "client_id": client, "scope": scope, **proof}
    try:
        answer = await ask("POST", url, form=form, proxy=proxy)
    except WebError as error:
        raise CloudError(str(error)) from error
    said = answer.object()
    text, lifetime = said.get("access_token"), said.get("expires_in")
    if answer.status != 200 or not isinstance(text, str) or not isinstance(lifetime, int):
        raise refused(answer, "error_description", "error")
    return Token(text, time.time() + lifetime)


def authority() -> str:
    """Where tokens are asked for: AZURE_AUTHORITY_HOST, else that of the public cloud."""
    return (os.environ.get("AZURE_AUTHORITY_HOST") or AUTHORITY).rstrip("/")


def manager() -> Manager:
    """The resource manager of the cloud that the environment names. Raises CloudError."""
    path = os.environ.get("AZURE_ENVIRONMENT_FILEPATH")
    if path:
        try:
            found = json.loads(Path(path).read_bytes())
            return Manager(found["resourceManagerEndpoint"].rstrip("/"), found["tokenAudience"].rstrip("/"))
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            message = f"AZURE_ENVIRONMENT_FILEPATH: {path} has no resourceManagerEndpoint and tokenAudience"
            raise CloudError(message) from error
    endpoint = next((found for part, found in _MANAGERS.items() if part in authority()), _MANAGER)
    return Manager(endpoint, endpoint)


async def kubeconfigs(cluster: str, token: Token, endpoint: str) -> list[bytes]:
    """The kubeconfigs that Azure has for an AKS cluster. Raises CloudError."""
    headers, version = {"Authorization": f"Bearer {token.text}"}, f"api-version={_VERSION}"
    try:
        answer = await ask("GET", f"{endpoint}{cluster}?{version}", headers=headers)
        if answer.status != 200:
            raise refused(answer, "error.message")
        if not (answer.object().get("properties") or {}).get("aadProfile"):
            raise CloudError(f"AKS cluster {cluster} does not have Microsoft Entra ID integration enabled")
        answer = await ask("POST", f"{endpoint}{cluster}/listClusterUserCredential?{version}", headers=headers)
    except WebError as error:
        raise CloudError(f"failed to describe AKS cluster: {error}") from error
    if answer.status != 200:
        raise refused(answer, "error.message")
    try:
        return [base64.b64decode(entry["value"]) for entry in answer.object()["kubeconfigs"]]
    except (LookupError, TypeError, binascii.Error) as error:
        raise CloudError(f"{answer.url}: the answer holds no kubeconfigs") from error


def check_cluster(cluster: str) -> None:
    """Raises CloudError for what is no resource name of an AKS cluster."""
    if not _CLUSTER.fullmatch(cluster):
        raise CloudError(f"invalid AKS cluster ID: '{cluster}'. must match ^{_CLUSTER.pattern}$")


def _of_the_environment() -> tuple[str, str, dict[str, str]]:
    """(tenant, client, proof) as the workload identity webhook, or somebody with a secret, has set them."""
    tenant, client = os.environ.get("AZURE_TENANT_ID", ""), os.environ.get("AZURE_CLIENT_ID", "")
    secret, file = os.environ.get("AZURE_CLIENT_SECRET", ""), os.environ.get("AZURE_FEDERATED_TOKEN_FILE", "")
    if not tenant or not client or not (secret or file):
        raise CloudError(
            "the engine has no identity in Azure: AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE or "
            "AZURE_CLIENT_SECRET must be set (managed identities of virtual machines are not used), "
            "or a serviceAccountName given"
        )
    if secret:
        return tenant, client, {"client_secret": secret}
    try:
        assertion = Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CloudError(f"AZURE_FEDERATED_TOKEN_FILE: {file} can't be read") from error
    return tenant, client, {"client_assertion_type": _ASSERTION, "client_assertion": assertion}
