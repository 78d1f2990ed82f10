"""`spec.decryption` with what is not a key in a Secret: OpenBao and Vault, clouds, and what the engine has for all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from fluxtui.engine.adapters import sops
from fluxtui.engine.adapters.vault import Instances, VaultError, addresses
from fluxtui.engine.runtime.service_accounts import ServiceAccount
from fluxtui.serving import port_of, serving
from tests.engine.kustomize.test_decryption import (
    AGE,
    DECRYPTION,
    ONLY_DATA,
    OTHER_AGE,
    data_of,
    encrypted,
    manifest,
)
from tests.engine.kustomize.test_target import secret
from tests.engine.kustomize.world import World

AUTHOR = "author"
CIPHER = "vault:v1:"


class Vault:
    """A server whose transit engine turns texts around, for who has a token for it."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.app = web.Application()
        self.app.router.add_route("*", "/v1/{path:.*}", self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        path, body = request.match_info["path"], await request.json()
        token = request.headers.get("X-Vault-Token", "")
        self.asked.append(f"{path} {body.get('role', token)}")
        if path == "ns/auth/kubernetes/login":
            if body != {"role": "flux-system_tenant", "jwt": f"jwt for {self.url}"}:
                return web.json_response({"errors": ["invalid role name"]}, status=400)
            return web.json_response({"auth": {"client_token": "lent"}})
        if token not in (AUTHOR, "lent"):
            return web.json_response({"errors": ["permission denied"]}, status=403)
        if path.startswith("transit/encrypt/"):
            return web.json_response({"data": {"ciphertext": CIPHER + body["plaintext"][::-1]}})
        return web.json_response({"data": {"plaintext": body["ciphertext"].removeprefix(CIPHER)[::-1]}})

    async def encrypted(self, text: str, kind: str = "yaml") -> str:
        """A manifest that its author has encrypted."""
        arguments = ("--hc-vault-transit", f"{self.url}/v1/transit/keys/fleet", *ONLY_DATA[2:])
        return await asyncio.to_thread(encrypted, text, kind, *arguments, VAULT_TOKEN=AUTHOR)


@asynccontextmanager
async def vault(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Vault]:
    """A server on loopback, and ServiceAccounts whose tokens say for whom they are."""

    async def token(account: ServiceAccount, audiences: Sequence[str]) -> str:
        return f"jwt for {' '.join(audiences)}"

    monkeypatch.setattr(ServiceAccount, "token", token)
    for name in ("VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_ADDR"):
        monkeypatch.delenv(name, raising=False)
    found = Vault()
    runner = web.AppRunner(found.app)
    async with serving(runner) as listener:
        found.url = f"http://127.0.0.1:{port_of(listener)}"
        yield found


async def account(world: World, name: str) -> None:
    metadata = {"name": name, "namespace": "flux-system"}
    obj = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    await world.client.create(await world.resource("ServiceAccount"), obj)


async def servers(world: World, *found: str) -> None:
    instances = [{"address": url, "loginPath": "ns/auth/kubernetes/login"} for url in found]
    metadata = {"name": "vaults", "namespace": "flux-system"}
    data = {"config.yaml": json.dumps({"instances": instances})}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    await world.client.create(await world.resource("ConfigMap"), obj)


TENANT = {"provider": "sops", "serviceAccountName": "tenant"}


async def test_a_service_account_logs_in_at_the_vault_of_a_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with vault(monkeypatch) as server:
        # What the engine itself has, is not the tenant's.
        monkeypatch.setenv("VAULT_TOKEN", "engine")
        files = {f"{name}.yaml": await server.encrypted(manifest(name, "hidden")) for name in "ab"}
        generator = "generatorOptions: {disableNameSuffixHash: true}\nsecretGenerator: [{name: c, envs: [c.env]}]\n"
        files |= {"c.env": await server.encrypted("PASSWORD=hidden\n", "dotenv")}
        files |= {"kustomization.yaml": f"namespace: default\nresources: [a.yaml, b.yaml]\n{generator}"}
        del server.asked[:]
        await account(world, "tenant")
        await servers(world, server.url)
        await world.publish(files)
        await world.kustomization("apps", decryption=TENANT)
        async with world.running(sops_vault_configmap="vaults"):
            await world.ready("apps")
        assert await data_of(world, "a") == await data_of(world, "b") == {"k": b"hidden"}
        assert await data_of(world, "c") == {"PASSWORD": b"hidden"}
        assert server.asked[0] == "ns/auth/kubernetes/login flux-system_tenant"
        assert server.asked[1:] == ["transit/decrypt/fleet lent"] * 3


async def test_what_keeps_from_logging_in_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with vault(monkeypatch) as server:
        monkeypatch.setenv("VAULT_TOKEN", "engine")
        await world.publish({"a.yaml": await server.encrypted(manifest("a", "hidden"))})
        await world.kustomization("apps", decryption=TENANT)
        reasons = [
            "failed to get Vault ConfigMap 'flux-system/vaults'",
            f"no Vault login path configured for address '{server.url}' in ConfigMap 'flux-system/vaults'",
            "failed to get service account 'flux-system/tenant': not found",
            "as role 'flux-system_other': it answered 400: invalid role name",
        ]
        async with world.running(sops_vault_configmap="vaults"):
            await world.settled("apps", "BuildFailed", reasons[0])
            await servers(world, "https://vault.example.com")
            await world.change("apps", {"spec": {"retryInterval": "1m"}})
            await world.settled("apps", "BuildFailed", reasons[1])
            await world.client.delete(await world.resource("ConfigMap"), "vaults", "flux-system")
            await servers(world, server.url)
            await world.change("apps", {"spec": {"retryInterval": "2m"}})
            await world.settled("apps", "BuildFailed", reasons[2])
            await account(world, "other")
            await world.change("apps", {"spec": {"decryption": {"serviceAccountName": "other"}}})
            await world.settled("apps", "BuildFailed", reasons[3])
        assert "engine" not in "".join(server.asked)


async def test_a_token_of_the_secret_comes_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with vault(monkeypatch) as server:
        await world.publish({"a.yaml": await server.encrypted(manifest("a", "hidden"))})
        await secret(world, "keys", **{"sops.vault-token": b"author\n"})
        await world.kustomization("apps", decryption=DECRYPTION)
        async with world.running(sops_vault_configmap="vaults"):
            await world.ready("apps")
        assert not [line for line in server.asked if "login" in line]


async def test_keys_of_the_engine_are_for_who_names_no_secret(world: World) -> None:
    await world.publish({"a.yaml": encrypted(manifest("a", "hidden"), "yaml", *ONLY_DATA)})
    await secret(world, "fallback", **{"identity.agekey": AGE, "sops.vault-token": b"x"})
    await secret(world, "keys", **{"other.agekey": OTHER_AGE})
    await world.kustomization("own", decryption=DECRYPTION)
    await world.kustomization("apps", decryption={"provider": "sops"})
    async with world.running(sops_age_secret="fallback"):
        await world.ready("apps")
        await world.settled("own", "BuildFailed", "Failed to get the data key required to decrypt")


async def test_an_account_that_no_key_service_is_asked_as_does_not_matter(world: World) -> None:
    await world.publish({"a.yaml": encrypted(manifest("a", "hidden"), "yaml", *ONLY_DATA)})
    await secret(world, "keys", **{"identity.agekey": AGE})
    await account(world, "plain")
    await world.kustomization("apps", decryption={**DECRYPTION, "serviceAccountName": "plain"})
    await world.kustomization("other", decryption={**DECRYPTION, "serviceAccountName": "missing"})
    async with world.running():
        await world.ready("apps")
        await world.ready("other")


def metadata(**more: Any) -> dict[str, Any]:
    keys = [{"vault_address": "https://a", "engine_path": "transit", "key_name": "k", "enc": "vault:v1:x"}]
    return {"k": "ENC[x]", "sops": {"hc_vault": keys, "mac": "ENC[y]", **more}}


def test_every_server_that_sops_may_ask_is_found() -> None:
    group = {"key_groups": [{"hc_vault": [{"vault_address": "https://b"}]}]}
    for kind in ("json", "yaml", "binary"):
        assert addresses(json.dumps(metadata()).encode(), kind) == {"https://a"}
        assert addresses(json.dumps(metadata(**group)).encode(), kind) == {"https://a", "https://b"}
        # Go would take the last of these.
        shouted = {"hc_vault": [{"vault_address": "https://a", "VAULT_ADDRESS": "https://evil"}]}
        assert "https://evil" in addresses(json.dumps(metadata(**shouted)).encode(), kind)
    assert addresses(b'k: 1\nsops: {hc_vault: [{"vault\\x5faddress": https://evil}]}\n', "yaml") == {"https://evil"}
    assert addresses(b"sops_age__list_0__map_enc=x\n", "dotenv") == set()
    lines = b"A=1\nsops_hc_vault__list_0__map_vault_address=https://a\nSOPS_hc_vault__list_1__map_VAULT_ADDRESS=evil\n"
    assert addresses(lines, "dotenv") == {"https://a", "evil"}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"sops": {"hc_vault": [{"vault_address": "https://a", "vault_address": "https://b"}]}}', "json"),
        (b"{", "yaml"),
        (b"[sops]\nhc_vault__list_0__map_vault_address = https://a\n", "ini"),
    ],
)
def test_a_file_that_leaves_it_open_gets_no_token(data: bytes, kind: str) -> None:
    with pytest.raises(VaultError):
        addresses(data, kind)


def test_aliases_upon_aliases_are_no_work() -> None:
    layers = "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    text = f"sops:\n  a0: &a0 [{{vault_address: https://a}}]\n{layers}"
    assert addresses(text.encode(), "yaml") == {"https://a"}


@pytest.mark.parametrize("text", ["instances: 1", "instances: [{address: x}]", "{", "[]"])
def test_a_list_of_servers_that_is_none(text: str) -> None:
    with pytest.raises(VaultError, match="ConfigMap 'a/b'"):
        Instances.parse(text, "ConfigMap 'a/b'")


CERTIFICATE = {"tenantId": "t", "clientId": "c", "clientCertificate": "PEM", "clientCertificateSendChain": True}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"tenantId": "t", "clientId": "c", "clientSecret": "s"}, ["CLIENT_ID=c", "CLIENT_SECRET=s", "TENANT_ID=t"]),
        (CERTIFICATE, ["CLIENT_CERTIFICATE_PATH=PEM", "CLIENT_ID=c", "CLIENT_SEND_CERTIFICATE_CHAIN=true",
                       "TENANT_ID=t"]),
        ({"appId": "c", "displayName": "n", "password": "s", "tenant": "t"},
         ["CLIENT_ID=c", "CLIENT_SECRET=s", "TENANT_ID=t"]),
        ({"clientId": "c", "authorityHost": "https://h"}, ["AUTHORITY_HOST=https://h", "CLIENT_ID=c"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_a_secret_may_say_of_azure(
    entry: dict[str, Any], expected: list[str], encoding: str, tmp_path: Path
) -> None:
    found = sops.credentials({"sops.azure-kv": json.dumps(entry).encode(encoding)}, tmp_path)["AZURE_"]
    path = found.get("AZURE_CLIENT_CERTIFICATE_PATH")
    if path:
        found["AZURE_CLIENT_CERTIFICATE_PATH"] = Path(path).read_text()
    assert sorted(f"{name.removeprefix('AZURE_')}={value}" for name, value in found.items()) == expected


@pytest.mark.parametrize("entry", ["{", "[]", "tenantId: x", "{tenant: t, appId: c}"])
def test_what_says_nothing_of_azure_is_refused(entry: str, tmp_path: Path) -> None:
    with pytest.raises(sops.SopsError, match=r"failed to import 'sops\.azure-kv'"):
        sops.credentials({"sops.azure-kv": entry.encode()}, tmp_path)


async def test_the_engines_own_identity_is_no_part_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the engine's")
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "https://kms.example.com")
    keys = sops.Keys(tmp_path)
    assert keys.environment()["AWS_SESSION_TOKEN"] == "the engine's"
    await keys.load({"sops.aws-kms": b"aws_access_key_id: a\naws_secret_access_key: b\nignored: c\n"})
    environment = {name: value for name, value in keys.environment().items() if name.startswith("AWS_")}
    assert environment == {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_ENDPOINT_URL_KMS": "https://kms.example.com",
    }


@pytest.mark.parametrize("text", ["garbage", "# a comment\nAGE-SECRET-KEY-1X\nAKIA", "\xff"])
async def test_what_is_no_age_key_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(sops.SopsError, match=r"failed to import 'x\.agekey'"):
        await sops.Keys(tmp_path).load({"x.agekey": text.encode()})
    await sops.Keys(tmp_path).load({"x.agekey": b"# created: today\r\n\r\n" + AGE, "y.agekey": b"AGE-SECRET-KEY-PQ-1X"})
