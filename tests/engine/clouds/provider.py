"""The web services of three clouds, as far as tokens, keys and clusters need them, on loopback."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from fluxtui.engine.adapters.clouds import gcp
from fluxtui.serving import port_of, serving

CREDENTIALS = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Credentials>
    <AccessKeyId>ASIATEMPORARY</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey>
    <SessionToken>session</SessionToken><Expiration>{end}</Expiration>
  </Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""
DENIED = (
    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to assume</Message></Error></ErrorResponse>"
)
ROLE = "arn:aws:iam::123456789012:role/fleet"
AZURE = {"azure.workload.identity/tenant-id": "tenant", "azure.workload.identity/client-id": "client"}
AWS = {"eks.amazonaws.com/role-arn": ROLE}
GOOGLE = {
    "gcp.auth.fluxcd.io/workload-identity-provider": (
        "projects/1/locations/global/workloadIdentityPools/pool/providers/here"
    )
}


class Provider:
    """Answers who shows a token that begins with `jwt for <audience>`; what was asked is in `asked`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.url = ""
        self.token = "provided"
        """The token that Azure and Google give."""
        self.kubeconfig = b""
        self.accepts: Callable[[str], bool] = lambda shown: shown in ("jwt for api://AzureADTokenExchange", "c1ient")
        self.app = web.Application()
        add = self.app.router.add_route
        add("POST", "/tenant/oauth2/v2.0/token", self._azure)
        add("POST", "/", self._amazon)
        add("POST", "/v1/token", self._google)
        add("POST", "/v1/projects/-/serviceAccounts/{account}", self._impersonated)
        add("GET", "/v1/projects/{project}/locations/{location}/clusters/{name}", self._gke)
        add("GET", "/clusters/{name}", self._eks)
        add("GET", "/subscriptions/{rest:.*}", self._aks)
        add("POST", "/subscriptions/{rest:.*}/listClusterUserCredential", self._aks_credentials)

    async def _azure(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.asked.append(f"azure {form['scope']!s}")
        shown = str(form.get("client_assertion") or form.get("client_secret"))
        if form["client_id"] != "client" or not self.accepts(shown):
            return web.json_response({"error_description": "AADSTS700016: unknown application\r\nTrace"}, status=401)
        return web.json_response({"access_token": self.token, "expires_in": 3600, "token_type": "Bearer"})

    async def _amazon(self, request: web.Request) -> web.Response:
        if "X-Amz-Target" in request.headers:
            return await self._keys(request)
        form = await request.post()
        self.asked.append(f"aws {form['Action']!s} {form['RoleSessionName']!s}")
        if form["RoleArn"] != ROLE or form["WebIdentityToken"] != "jwt for sts.amazonaws.com":
            return web.Response(text=DENIED, status=403)
        end = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return web.Response(text=CREDENTIALS.format(end=end), content_type="text/xml")

    async def _keys(self, request: web.Request) -> web.Response:
        """A key service that turns bytes around."""
        operation = request.headers["X-Amz-Target"].rpartition(".")[2]
        self.asked.append(f"kms {operation} {request.headers['Authorization'].split('/')[0].partition('=')[2]}")
        body = json.loads(await request.read())
        source, target = ("Plaintext", "CiphertextBlob") if operation == "Encrypt" else ("CiphertextBlob", "Plaintext")
        turned = base64.b64encode(base64.b64decode(body[source])[::-1]).decode()
        return web.json_response({target: turned, "KeyId": "key"}, content_type="application/x-amz-json-1.1")

    async def _google(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        self.asked.append(f"google {body['audience']}")
        if body["subjectToken"] != f"jwt for {body['audience']}":
            return web.json_response({"error": "invalid_grant", "error_description": "bad token"}, status=400)
        return web.json_response({"access_token": self.token, "expires_in": 3600})

    async def _impersonated(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {self.token}"
        self.asked.append(f"google as {request.match_info['account'].partition(':')[0]}")
        return web.json_response({"accessToken": "impersonated", "expireTime": "2999-01-01T00:00:00Z"})

    async def _gke(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {self.token}"
        return web.json_response({"endpoint": "10.0.0.1", "masterAuth": {"clusterCaCertificate": "Z2tl"}})

    async def _eks(self, request: web.Request) -> web.Response:
        assert "Credential=ASIATEMPORARY/" in request.headers["Authorization"]
        if request.match_info["name"] != "mine":
            return web.json_response({"message": "No cluster found for name: other."}, status=404)
        cluster = {"endpoint": "https://ABC.eks.amazonaws.com", "certificateAuthority": {"data": "ZWtz"}}
        return web.json_response({"cluster": cluster})

    async def _aks(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {self.token}"
        profile = {} if request.path.endswith("/plain") else {"aadProfile": {"managed": True}}
        return web.json_response({"properties": profile})

    async def _aks_credentials(self, request: web.Request) -> web.Response:
        value = base64.b64encode(self.kubeconfig).decode()
        return web.json_response({"kubeconfigs": [{"name": "clusterUser", "value": value}]})


@asynccontextmanager
async def clouds(monkeypatch: pytest.MonkeyPatch, directory: Path) -> AsyncIterator[Provider]:
    """Services that the environment names as those of the clouds, and no identity of the engine in it."""
    found = Provider()
    runner = web.AppRunner(found.app)
    async with serving(runner) as listener:
        found.url = f"http://127.0.0.1:{port_of(listener)}"
        environment = {"resourceManagerEndpoint": found.url, "tokenAudience": "https://manager"}
        await asyncio.to_thread((directory / "azure.json").write_text, json.dumps(environment))
        for name in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", f"{found.url}/")
        monkeypatch.setenv("AZURE_ENVIRONMENT_FILEPATH", str(directory / "azure.json"))
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"):
            monkeypatch.setenv(name, found.url)
        monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:1")
        for name in ("STS", "IAM", "CONTAINER"):
            monkeypatch.setattr(gcp, name, found.url)
        yield found


class Account:
    """A ServiceAccount whose tokens say for whom they are."""

    def __init__(self, annotations: dict[str, str], name: str = "tenant") -> None:
        self.namespace = "apps"
        self.name = name
        self.annotations = annotations

    async def token(self, audiences: Sequence[str]) -> str:
        return f"jwt for {' '.join(audiences)}"
