"""Google Cloud: access tokens by workload identity federation or from GKE's metadata server, and GKE clusters.

Source: fluxcd/pkg `auth/gcp`; the references of the Security Token Service and of IAM Service Account Credentials.
"""

from __future__ import annotations

import os
import re
import time
from datetime import datetime
from typing import Any

from fluxtui.engine.adapters.clouds.tokens import Account, CloudError, Token, refused
from fluxtui.engine.adapters.web import WebError, ask

EMAIL, PROVIDER = "iam.gke.io/gcp-service-account", "gcp.auth.fluxcd.io/workload-identity-provider"
STS = "https://sts.googleapis.com"
IAM = "https://iamcredentials.googleapis.com"
CONTAINER = "https://container.googleapis.com"
SCOPES = ("https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/userinfo.email")
JWT = "urn:ietf:params:oauth:token-type:jwt"
_EMAIL = re.compile(r"[a-zA-Z0-9-]{1,100}@[a-zA-Z0-9-]{1,100}\.iam\.gserviceaccount\.com")
_PROVIDER = re.compile(r"projects/\d{1,30}/locations/global/workloadIdentityPools/[^/]{1,100}/providers/[^/]{1,100}")
_CLUSTER = re.compile(r"projects/[^/]{1,200}/locations/[^/]{1,200}/clusters/[^/]{1,200}")


def email_of(account: Account) -> str:
    """The service account of Google that a ServiceAccount acts as; empty for none. Raises CloudError."""
    return _annotation(account, EMAIL, _EMAIL)


async def audiences_of(account: Account) -> tuple[str, str]:
    """(audience of the account's token, audience of the exchange). Raises CloudError."""
    provider = _annotation(account, PROVIDER, _PROVIDER)
    if provider:
        audience = f"//iam.googleapis.com/{provider}"
        return audience, audience
    project, location, name = [
        await _metadata(path)
        for path in ("project/project-id", "instance/attributes/cluster-location", "instance/attributes/cluster-name")
    ]
    pool = f"{project}.svc.id.goog"
    cluster = f"https://container.googleapis.com/v1/projects/{project}/locations/{location}/clusters/{name}"
    return pool, f"identitynamespace:{pool}:{cluster}"


async def access_token(account: Account | None, proxy: str = "") -> Token:
    """A token of a ServiceAccount, else that of the pod the engine runs in. Raises CloudError."""
    if account is None:
        return await _of_the_pod()
    audience, exchange = await audiences_of(account)
    body = {
        "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": exchange,
        "scope": " ".join(SCOPES),
        "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
        "subjectTokenType": JWT,
        "subjectToken": await account.token([audience]),
    }
    found = await _asked("POST", f"{STS}/v1/token", body=body, proxy=proxy)
    token = _token(found.get("access_token"), found.get("expires_in"))
    email = email_of(account)
    if not email:
        return token
    url = impersonation_url(email)
    headers = {"Authorization": f"Bearer {token.text}"}
    found = await _asked("POST", url, headers=headers, body={"scope": list(SCOPES), "lifetime": "3600s"}, proxy=proxy)
    try:
        end = datetime.fromisoformat(str(found["expireTime"]).replace("Z", "+00:00")).timestamp()
        return Token(str(found["accessToken"]), end)
    except (LookupError, ValueError) as error:
        raise CloudError(f"{url}: the answer holds no token") from error


def impersonation_url(email: str) -> str:
    """Where a token of a service account of Google is asked for."""
    return f"{IAM}/v1/projects/-/serviceAccounts/{email}:generateAccessToken"


async def describe_cluster(cluster: str, token: Token) -> tuple[str, str]:
    """(address, authority in base64) of a GKE cluster. Raises CloudError."""
    found = await _asked("GET", f"{CONTAINER}/v1/{cluster}", headers={"Authorization": f"Bearer {token.text}"})
    try:
        return f"https://{found['endpoint']}", str(found["masterAuth"]["clusterCaCertificate"])
    except (LookupError, TypeError) as error:
        raise CloudError(f"GKE cluster '{cluster}': the answer holds no endpoint and certificate authority") from error


def check_cluster(cluster: str) -> None:
    """Raises CloudError for what is no resource name of a GKE cluster."""
    if not _CLUSTER.fullmatch(cluster):
        raise CloudError(f"invalid GKE cluster ID: '{cluster}'. must match ^{_CLUSTER.pattern}$")


async def _of_the_pod() -> Token:
    try:
        answer = await ask("GET", _address("instance/service-accounts/default/token"), headers=_FLAVOR)
    except WebError as error:
        message = "the engine has no identity in Google Cloud: it runs in no pod of GKE (keys in files are not used)"
        raise CloudError(f"{message}; give a serviceAccountName") from error
    if answer.status != 200:
        raise refused(answer, "error_description", "error")
    found = answer.object()
    return _token(found.get("access_token"), found.get("expires_in"))


async def _metadata(path: str) -> str:
    try:
        answer = await ask("GET", _address(path), headers=_FLAVOR)
    except WebError as error:
        message = f"the service account has no annotation {PROVIDER}, and this is no pod of GKE, whose pool would count"
        raise CloudError(message) from error
    text = answer.content.decode("utf-8", "replace").strip()
    if answer.status != 200 or not text:
        raise refused(answer)
    return text


def _address(path: str) -> str:
    host = os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
    return f"http://{host}/computeMetadata/v1/{path}"


async def _asked(method: str, url: str, **options: Any) -> dict[str, Any]:
    try:
        answer = await ask(method, url, **options)
    except WebError as error:
        raise CloudError(str(error)) from error
    if answer.status != 200:
        raise refused(answer, "error_description", "error.message", "error")
    return answer.object()


def _token(text: object, lifetime: object) -> Token:
    if not isinstance(text, str) or not isinstance(lifetime, int):
        raise CloudError("Google's answer has no token")
    return Token(text, time.time() + lifetime)


def _annotation(account: Account, name: str, pattern: re.Pattern[str]) -> str:
    found = account.annotations.get(name, "")
    if found and not pattern.fullmatch(found):
        raise CloudError(f"invalid {name} annotation: '{found}'. must match ^{pattern.pattern}$")
    return found


_FLAVOR = {"Metadata-Flavor": "Google"}
