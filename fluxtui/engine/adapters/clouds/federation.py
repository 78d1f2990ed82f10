"""A ServiceAccount's identity in the clouds as the environment of a program that knows their tools' variables.

The program exchanges the account's token itself, when it meets a key of that cloud. Source: workload identity
federation in the documents of each cloud's SDK.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from fluxtui.engine.adapters.clouds import aws, azure, gcp
from fluxtui.engine.adapters.clouds.tokens import Account

CLOUDS = ("AWS_", "AZURE_", "GOOGLE_")
"""What the names of each cloud's variables begin with."""
PLACES = ("AWS_ENDPOINT_URL", "AZURE_AUTHORITY_HOST")
"""Variables that say where a cloud is, not who asks."""
ANNOTATIONS = (aws.ROLE, azure.CLIENT, gcp.PROVIDER, gcp.EMAIL)
"""Those of which an account needs one."""


async def environment(account: Account, directory: Path) -> dict[str, dict[str, str]]:
    """Cloud → variables, for each in which the account stands for somebody; tokens are written into a private
    directory.

    Raises CloudError, and what the account raises.
    """
    found: dict[str, dict[str, str]] = {}
    if account.annotations.get(aws.ROLE):
        file = await _token(account, aws.AUDIENCE, directory / "aws.jwt")
        found["AWS_"] = {
            "AWS_ROLE_ARN": aws.role_of(account),
            "AWS_ROLE_SESSION_NAME": aws.session_of(account, "sops"),
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(file),
        }
    if account.annotations.get(azure.CLIENT):
        tenant, client = azure.identity_of(account)
        file = await _token(account, azure.AUDIENCE, directory / "azure.jwt")
        found["AZURE_"] = {
            "AZURE_TENANT_ID": tenant,
            "AZURE_CLIENT_ID": client,
            "AZURE_FEDERATED_TOKEN_FILE": str(file),
        }
    if account.annotations.get(gcp.PROVIDER) or account.annotations.get(gcp.EMAIL):
        audience, exchange = await gcp.audiences_of(account)
        token = await _token(account, audience, directory / "gcp.jwt")
        file = directory / "gcp-account.json"
        await asyncio.to_thread(_write, file, json.dumps(_external_account(account, exchange, token)))
        found["GOOGLE_"] = {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
    return found


def _external_account(account: Account, audience: str, token: Path) -> dict[str, object]:
    document: dict[str, object] = {
        "type": "external_account",
        "audience": audience,
        "subject_token_type": gcp.JWT,
        "token_url": f"{gcp.STS}/v1/token",
        "credential_source": {"file": str(token)},
    }
    email = gcp.email_of(account)
    if email:
        document["service_account_impersonation_url"] = gcp.impersonation_url(email)
    return document


async def _token(account: Account, audience: str, file: Path) -> Path:
    await asyncio.to_thread(_write, file, await account.token([audience]))
    return file


def _write(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
