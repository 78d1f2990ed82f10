"""Tokens exchanged with clouds, and what says why there are none."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from fluxtui.engine.adapters.clouds import aws, azure, federation, gcp, sigv4
from fluxtui.engine.adapters.clouds.clusters import canonical, endpoint_of
from fluxtui.engine.adapters.clouds.sigv4 import Credentials
from fluxtui.engine.adapters.clouds.tokens import CloudError, Token, TokenCache
from tests.engine.clouds.provider import AWS, AZURE, GOOGLE, ROLE, Account, clouds
from tests.engine.kustomize.test_target import kubeconfig

MOMENT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
EKS = "arn:aws:eks:eu-central-1:123456789012:cluster/mine"
AKS = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/g"
    "/providers/Microsoft.ContainerService/managedClusters/mine"
)
GKE = "projects/p/locations/l/clusters/mine"


def test_signatures_are_those_of_the_reference() -> None:
    """Numbers of botocore for the same requests."""
    owner = Credentials("AKIDEXAMPLE", SECRET, "token", math.inf)
    url = "https://eks.eu-central-1.amazonaws.com/clusters/my-cluster"
    headers = sigv4.signed_headers("GET", url, owner, "eu-central-1", "eks", MOMENT)
    signature = "5738d978847fe0e2c03a5302a1b040ce0656864b92fbec3fcc25181b272f56d1"
    assert headers["authorization"].endswith(
        f"SignedHeaders=host;x-amz-date;x-amz-security-token, Signature={signature}"
    )
    assert headers["x-amz-date"] == "20150830T123600Z"
    owner = Credentials("AKIDEXAMPLE", SECRET, "tok/en=", math.inf)
    url = "https://sts.eu-central-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"
    found = sigv4.presigned(
        url, owner, "eu-central-1", "sts", MOMENT, headers={"x-k8s-aws-id": "my-cluster"}, seconds=900
    )
    query = {name: values[0] for name, values in parse_qs(urlsplit(found).query).items()}
    assert query["X-Amz-Signature"] == "1c1b4b55a9cdbc0693ba8fac6e88a856011f298ed82f2f4b60f394f51c398a8a"
    assert (query["X-Amz-Expires"], query["X-Amz-Security-Token"]) == ("900", "tok/en=")
    assert SECRET not in repr(owner)


def test_a_password_of_a_repository() -> None:
    url = "https://git-codecommit.eu-central-1.amazonaws.com/v1/repos/fleet"
    owner = Credentials("AKIDEXAMPLE", SECRET, "session", math.inf)
    signature = "ec6fb85b70bef2a931c66e7c6b89f5152699f42b00011be15bde3e1fe3bae726"
    assert sigv4.git_password(url, owner, "eu-central-1", MOMENT) == f"20150830T123600Z{signature}"
    assert aws.repository_password(url, owner)[0] == "AKIDEXAMPLE%session"
    assert aws.region_of_repository(url) == "eu-central-1"
    for wrong in (url.replace("https", "http"), "https://git-codecommit.eu-central-1.example.com/x"):
        with pytest.raises(CloudError):
            aws.region_of_repository(wrong)


async def test_azure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with clouds(monkeypatch, tmp_path) as provider:
        assert (await azure.access_token(Account(AZURE), azure.DEVOPS)).text == "provided"
        monkeypatch.setenv("AZURE_TENANT_ID", "tenant")
        monkeypatch.setenv("AZURE_CLIENT_ID", "client")
        file = tmp_path / "token"
        file.write_text("jwt for api://AzureADTokenExchange\n")
        monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(file))
        assert (await azure.access_token(None, azure.DEVOPS)).text == "provided"
        monkeypatch.setenv("AZURE_CLIENT_SECRET", "c1ient")
        assert (await azure.access_token(None, azure.DEVOPS)).text == "provided"
        assert provider.asked == [f"azure {azure.DEVOPS}"] * 3
        with pytest.raises(CloudError, match="answered 401: AADSTS700016: unknown application"):
            await azure.access_token(Account({**AZURE, azure.CLIENT: "other"}), azure.DEVOPS)
        with pytest.raises(CloudError, match="azure client ID is not set in the service account annotation"):
            await azure.access_token(Account({azure.TENANT: "tenant"}), azure.DEVOPS)
        monkeypatch.delenv("AZURE_CLIENT_ID")
        with pytest.raises(CloudError, match="the engine has no identity in Azure"):
            await azure.access_token(None, azure.DEVOPS)


async def test_amazon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with clouds(monkeypatch, tmp_path) as provider:
        found = await aws.credentials(Account(AWS), "eu-central-1")
        assert (found.key, found.secret, found.token) == ("ASIATEMPORARY", "s3cret", "session")
        assert provider.asked == ["aws AssumeRoleWithWebIdentity tenant.apps.eu-central-1.fluxcd.io"]
        with pytest.raises(CloudError, match="answered 403: AccessDenied Not authorized to assume"):
            await aws.credentials(Account({aws.ROLE: ROLE.replace("fleet", "other")}), "eu-central-1")
        with pytest.raises(CloudError, match=r"invalid eks\.amazonaws\.com/role-arn annotation: 'x'"):
            await aws.credentials(Account({aws.ROLE: "x"}), "eu-central-1")
        with pytest.raises(CloudError, match="the engine has no identity in AWS"):
            await aws.credentials(None, "eu-central-1")
        monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        with pytest.raises(CloudError, match="can't be read"):
            await aws.credentials(None, "eu-central-1")
        (tmp_path / "token").write_text("jwt for sts.amazonaws.com")
        assert (await aws.credentials(None, "eu-central-1")).key == "ASIATEMPORARY"


async def test_google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with clouds(monkeypatch, tmp_path) as provider:
        assert (await gcp.access_token(Account(GOOGLE))).text == "provided"
        email = {gcp.EMAIL: "fleet@project.iam.gserviceaccount.com"}
        assert (await gcp.access_token(Account({**GOOGLE, **email}))).text == "impersonated"
        assert provider.asked[-1] == f"google as {email[gcp.EMAIL]}"
        with pytest.raises(CloudError, match="this is no pod of GKE"):
            await gcp.access_token(Account({}))
        with pytest.raises(CloudError, match="the engine has no identity in Google Cloud"):
            await gcp.access_token(None)


async def test_clusters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with clouds(monkeypatch, tmp_path) as provider:
        provider.kubeconfig = kubeconfig({"server": "https://AKS.example.com", "certificate-authority-data": "YWtz"})
        found = await endpoint_of({"provider": "azure", "cluster": AKS}, Account(AZURE))
        assert (found.server, found.authority, found.token.text) == ("https://AKS.example.com", "YWtz", "provided")
        found = await endpoint_of({"provider": "gcp", "cluster": GKE}, Account(GOOGLE))
        assert (found.server, found.authority, found.token.text) == ("https://10.0.0.1", "Z2tl", "provided")
        found = await endpoint_of({"provider": "aws", "cluster": EKS}, Account(AWS))
        assert (found.server, found.authority) == ("https://ABC.eks.amazonaws.com", "ZWtz")
        encoded = found.token.text.removeprefix("k8s-aws-v1.")
        question = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        assert question.startswith(f"{provider.url}/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=")
        assert "x-k8s-aws-id" in question
        own = {"provider": "aws", "cluster": EKS, "address": "https://10.0.0.9", "ca.crt": "mine"}
        found = await endpoint_of(own, Account(AWS))
        assert (found.server, base64.b64decode(found.authority)) == ("https://10.0.0.9", b"mine")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"provider": "aws"}, "invalid EKS cluster ARN: ''"),
        ({"provider": "aws", "cluster": EKS.replace("mine", "other")}, "answered 404: No cluster found for name"),
        ({"provider": "azure"}, "cluster is required"),
        ({"provider": "azure", "cluster": "/subscriptions/1"}, "invalid AKS cluster ID"),
        ({"provider": "azure", "cluster": AKS.replace("mine", "plain")}, "does not have Microsoft Entra ID"),
        ({"provider": "azure", "cluster": AKS, "address": "https://b"}, "matching the specified address 'https://b'"),
        ({"provider": "gcp", "cluster": "x"}, "invalid GKE cluster ID: 'x'"),
    ],
)
async def test_clusters_that_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: dict[str, str], reason: str
) -> None:
    async with clouds(monkeypatch, tmp_path) as provider:
        provider.kubeconfig = kubeconfig({"server": "https://a"})
        with pytest.raises(CloudError) as caught:
            await endpoint_of(data, Account({**AZURE, **AWS, **GOOGLE}))
    assert reason in str(caught.value)


def test_addresses() -> None:
    assert canonical("Host") == "https://host:443"
    assert canonical("https://[::1]:6443/x") == "https://[::1]:6443"
    for wrong in ("", "http://a", "https://a:b"):
        with pytest.raises(CloudError):
            canonical(wrong)


def contents(directory: Path) -> dict[str, str]:
    """Path → text of the files, all of which are private."""
    assert not [file for file in directory.iterdir() if file.stat().st_mode & 0o077]
    return {str(file): file.read_text() for file in directory.iterdir()}


async def test_what_a_program_is_told(tmp_path: Path) -> None:
    email = {gcp.EMAIL: "fleet@project.iam.gserviceaccount.com"}
    found = await federation.environment(Account({**AZURE, **AWS, **GOOGLE, **email}), tmp_path)
    written = await asyncio.to_thread(contents, tmp_path)
    assert written[found["AWS_"]["AWS_WEB_IDENTITY_TOKEN_FILE"]] == "jwt for sts.amazonaws.com"
    assert written[found["AZURE_"]["AZURE_FEDERATED_TOKEN_FILE"]] == "jwt for api://AzureADTokenExchange"
    document = json.loads(written[found["GOOGLE_"]["GOOGLE_APPLICATION_CREDENTIALS"]])
    assert document["audience"] == f"//iam.googleapis.com/{GOOGLE[gcp.PROVIDER]}"
    assert document["service_account_impersonation_url"].endswith(f"{email[gcp.EMAIL]}:generateAccessToken")
    assert await federation.environment(Account({}), tmp_path) == {}


async def test_tokens_are_used_for_most_of_their_life() -> None:
    clock, made = [0.0], list[float]()

    async def make() -> Token:
        made.append(clock[0])
        return Token("t", clock[0] + 100)

    cache: TokenCache[Token] = TokenCache(lambda: clock[0])
    for clock[0] in (0.0, 79.0, 81.0, 120.0, 170.0):
        await cache.get(("a",), make)
    await cache.get(("b",), make)
    assert made == [0.0, 81.0, 170.0, 170.0]
