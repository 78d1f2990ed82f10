"""AWS: credentials by the Security Token Service, passwords of CodeCommit, tokens and addresses of EKS clusters.

Source: fluxcd/pkg `auth/aws`; the API references of STS, EKS and EKS Pod Identity. Identities of virtual machines (the
metadata service) are not used.
"""

from __future__ import annotations

import asyncio
import base64
import math
import os
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from fluxtui.engine.adapters.clouds import sigv4
from fluxtui.engine.adapters.clouds.sigv4 import Credentials
from fluxtui.engine.adapters.clouds.tokens import Account, CloudError, Token, refused
from fluxtui.engine.adapters.web import Answer, WebError, ask

AUDIENCE = "sts.amazonaws.com"
ROLE = "eks.amazonaws.com/role-arn"
_ROLE = re.compile(r"arn:aws[\w-]*:iam::[0-9]{1,30}:role/.{1,200}")
_CLUSTER = re.compile(r"arn:aws[\w-]*:eks:([^:]{1,100}):[0-9]{1,30}:cluster/(.{1,200})")
_CODE_COMMIT = re.compile(r"git-codecommit(?:-fips)?\.([^.]+)\.amazonaws\.com(?:\.cn)?", re.IGNORECASE)
_EKS_TOKEN, _GIT_PASSWORD = 900, 900
"""Seconds for which they are good."""


def role_of(account: Account) -> str:
    """The role that a ServiceAccount stands for. Raises CloudError."""
    role = account.annotations.get(ROLE, "")
    if not _ROLE.fullmatch(role):
        raise CloudError(f"invalid {ROLE} annotation: '{role}'. must match ^{_ROLE.pattern}$")
    return role


def session_of(account: Account, region: str) -> str:
    """What AWS logs the sessions of a ServiceAccount as."""
    return f"{account.name}.{account.namespace}.{region}.fluxcd.io"


async def credentials(account: Account | None, region: str, proxy: str = "") -> Credentials:
    """Credentials of the role of a ServiceAccount, else those of the environment. Raises CloudError."""
    if account is not None:
        role, session = role_of(account), session_of(account, region)
        return await _assumed(role, session, await account.token([AUDIENCE]), region, proxy)
    environment = os.environ
    if environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        key, secret = environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
        return Credentials(key, secret, environment.get("AWS_SESSION_TOKEN", ""), math.inf)
    role, file = environment.get("AWS_ROLE_ARN", ""), environment.get("AWS_WEB_IDENTITY_TOKEN_FILE", "")
    if role and file:
        session = environment.get("AWS_ROLE_SESSION_NAME", "fluxtui")
        return await _assumed(role, session, await _read(file), region, proxy)
    if environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return await _of_the_pod(environment)
    raise CloudError(
        "the engine has no identity in AWS: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_ROLE_ARN and "
        "AWS_WEB_IDENTITY_TOKEN_FILE, or EKS Pod Identity are needed (profiles and roles of virtual machines are not "
        "used), or a serviceAccountName"
    )


def region_of_repository(url: str) -> str:
    """The region of a CodeCommit repository. Raises CloudError."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        raise CloudError("AWS CodeCommit authentication requires an HTTPS Git URL")
    found = _CODE_COMMIT.fullmatch(parts.hostname or "")
    if found is None:
        raise CloudError(f"invalid AWS CodeCommit Git URL: {parts.hostname}")
    return found[1]


def repository_password(url: str, owner: Credentials) -> tuple[str, str]:
    """(user, password) for a CodeCommit repository. Raises CloudError."""
    user = f"{owner.key}%{owner.token}" if owner.token else owner.key
    return user, sigv4.git_password(url, owner, region_of_repository(url), datetime.now(UTC))


def parse_cluster(cluster: str) -> tuple[str, str]:
    """(region, name) of an EKS cluster. Raises CloudError."""
    found = _CLUSTER.fullmatch(cluster)
    if found is None:
        raise CloudError(f"invalid EKS cluster ARN: '{cluster}'. must match ^{_CLUSTER.pattern}$")
    return found[1], found[2]


async def describe_cluster(cluster: str, owner: Credentials) -> tuple[str, str]:
    """(address, authority in base64) of an EKS cluster. Raises CloudError."""
    region, name = parse_cluster(cluster)
    url = f"{_endpoint('eks', region)}/clusters/{quote(name, safe='')}"
    headers = sigv4.signed_headers("GET", url, owner, region, "eks", datetime.now(UTC))
    try:
        answer = await ask("GET", url, headers=headers)
    except WebError as error:
        raise CloudError(f"failed to describe EKS cluster '{cluster}': {error}") from error
    if answer.status != 200:
        raise refused(answer, "message", "Message")
    found = answer.object().get("cluster") or {}
    try:
        return str(found["endpoint"]), str(found["certificateAuthority"]["data"])
    except (LookupError, TypeError) as error:
        raise CloudError(f"{answer.url}: the answer holds no endpoint and certificate authority") from error


def cluster_token(cluster: str, owner: Credentials) -> Token:
    """The token of an EKS cluster: a signed question to STS of who one is, which the cluster asks for itself.

    Raises CloudError.
    """
    region, name = parse_cluster(cluster)
    question = f"{_endpoint('sts', region)}/?Action=GetCallerIdentity&Version=2011-06-15"
    headers = {"x-k8s-aws-id": name}
    url = sigv4.presigned(question, owner, region, "sts", datetime.now(UTC), headers=headers, seconds=_EKS_TOKEN)
    text = base64.urlsafe_b64encode(url.encode()).rstrip(b"=").decode()
    return Token(f"k8s-aws-v1.{text}", min(time.time() + _EKS_TOKEN, owner.expires))


def password_expires(owner: Credentials) -> float:
    """When a password of a repository that is made now ends."""
    return min(time.time() + _GIT_PASSWORD, owner.expires)


async def _assumed(role: str, session: str, token: str, region: str, proxy: str) -> Credentials:
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": role,
        "RoleSessionName": session,
        "WebIdentityToken": token,
    }
    try:
        answer = await ask("POST", f"{_endpoint('sts', region)}/", form=form, proxy=proxy)
    except WebError as error:
        raise CloudError(str(error)) from error
    found = _fields(answer)
    if answer.status != 200:
        raise CloudError(f"{answer.url} answered {answer.status}: {found.get('Code', '')} {found.get('Message', '')}")
    return _credentials(found, "SessionToken", answer.url)


async def _of_the_pod(environment: Mapping[str, str]) -> Credentials:
    """EKS Pod Identity: the agent on the node answers."""
    url, token = (
        environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
        environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", ""),
    )
    if environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        token = await _read(environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"])
    try:
        answer = await ask("GET", url, headers={"Authorization": token} if token else None)
    except WebError as error:
        raise CloudError(str(error)) from error
    if answer.status != 200:
        raise refused(answer, "message")
    return _credentials({name: str(value) for name, value in answer.object().items()}, "Token", answer.url)


def _credentials(found: Mapping[str, str], token: str, where: str) -> Credentials:
    try:
        end = datetime.fromisoformat(found["Expiration"].replace("Z", "+00:00")).timestamp()
        return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found[token], end)
    except (LookupError, ValueError) as error:
        raise CloudError(f"{where}: the answer holds no credentials") from error


def _fields(answer: Answer) -> dict[str, str]:
    """The fields of an answer in XML, by name alone."""
    # The parser would expand entities; answers of AWS declare none.
    if b"<!" in answer.content:
        raise CloudError(f"{answer.url}: the answer is no plain XML")
    try:
        root = ElementTree.fromstring(answer.content)
    except ElementTree.ParseError:
        return {}
    return {entry.tag.rpartition("}")[2]: (entry.text or "").strip() for entry in root.iter()}


def _endpoint(service: str, region: str) -> str:
    """Where a service is asked: what the environment says for it, as AWS's own tools read it, else its public host."""
    found = os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL")
    if found:
        return found.rstrip("/")
    return f"https://{service}.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


async def _read(file: str) -> str:
    try:
        return (await asyncio.to_thread(Path(file).read_text)).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CloudError(f"the token file {file} can't be read") from error
