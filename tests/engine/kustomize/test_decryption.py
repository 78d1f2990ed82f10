"""`spec.decryption` with the real sops program, age and OpenPGP. The keys here are for these tests alone."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fluxtui.engine.adapters import sops
from fluxtui.engine.runtime.service_accounts import ServiceAccount
from fluxtui.kube.client import PatchType
from tests.engine.clouds.provider import AWS, clouds
from tests.engine.kustomize.test_target import secret
from tests.engine.kustomize.world import World, condition_of, config_map

AGE = b"AGE-SECRET-KEY-1YRSNKJY55YZUG39GPE2ST3HL8KV3FNY0UVGSE0QAEQLXFWEV3UZQYT94W0\n"
RECIPIENT = "age13hu2dhwq92ecnua8ppe2lwzgu97lmhl5w9e52v0nud8e0h4ppywsrsmukp"
OTHER_AGE = b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n"

try:
    PROGRAM = sops.find()
except sops.SopsError as error:
    pytest.skip(str(error), allow_module_level=True)


def encrypted(text: str | bytes, kind: str, *arguments: str, recipient: str = RECIPIENT, **env: str) -> str:
    """What `sops encrypt` makes of a text."""
    data = text.encode() if isinstance(text, str) else text
    keys = arguments or ("--age", recipient)
    command = [PROGRAM, "encrypt", *keys, "--input-type", kind, "--output-type", kind, "/dev/stdin"]
    done = subprocess.run(command, input=data, capture_output=True, env={**os.environ, **env}, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def manifest(name: str, value: str) -> str:
    return (
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: default}}\nstringData: {{k: '{value}'}}\n"
    )


async def data_of(world: World, name: str) -> dict[str, bytes]:
    obj = await world.get("Secret", name)
    assert obj is not None, name
    return {key: base64.b64decode(value) for key, value in obj["data"].items()}


DECRYPTION = {"provider": "sops", "secretRef": {"name": "keys"}}
ONLY_DATA = ("--age", RECIPIENT, "--encrypted-regex", "^(data|stringData)$")


async def test_whole_manifests(world: World) -> None:
    files = {
        "a.yaml": encrypted(manifest("a", "hidden"), "yaml", *ONLY_DATA),
        "kept.yaml": encrypted(
            manifest("kept", "x").replace(
                "namespace: default", "namespace: default, annotations: {kustomize.toolkit.fluxcd.io/decrypt: Disabled}"
            ),
            "yaml",
            *ONLY_DATA,
        ),
        "plain.yaml": config_map("plain"),
    }
    assert "hidden" not in files["a.yaml"]
    await secret(world, "keys", **{"identity.agekey": AGE, "unrelated": b"x"})
    await world.publish(files)
    variables = {"substitute": {"colour": "blue"}}
    await world.kustomization("apps", decryption=DECRYPTION, commonMetadata={"labels": {"a": "b"}}, postBuild=variables)
    async with world.running():
        await world.ready("apps")
    assert (await data_of(world, "kept"))["k"].startswith(b"ENC[")
    assert await data_of(world, "a") == {"k": b"hidden"}
    obj = await world.get("Secret", "a")
    assert obj is not None
    assert "sops" not in obj


async def test_variables_are_replaced_in_what_was_decrypted(world: World) -> None:
    await secret(world, "keys", **{"identity.agekey": AGE})
    await world.publish({"a.yaml": encrypted(manifest("a", "${colour}"), "yaml", *ONLY_DATA)})
    await world.kustomization("apps", decryption=DECRYPTION, postBuild={"substitute": {"colour": "blue"}})
    async with world.running():
        await world.ready("apps")
    assert await data_of(world, "a") == {"k": b"blue"}


async def test_what_a_new_revision_leaves_as_it_was_is_not_decrypted_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    decrypt, decrypted = sops.Keys.decrypt, list[bytes]()

    async def counted(keys: sops.Keys, data: bytes, kind: str, output: str = "") -> bytes:
        decrypted.append(data)
        return await decrypt(keys, data, kind, output)

    monkeypatch.setattr(sops.Keys, "decrypt", counted)
    files = {f"{name}.yaml": encrypted(manifest(name, "hidden"), "yaml", *ONLY_DATA) for name in "abc"}
    await secret(world, "keys", **{"identity.agekey": AGE})
    await world.publish(files)
    await world.kustomization("apps", decryption=DECRYPTION)
    async with world.running():
        await world.ready("apps")
        assert len(decrypted) == 3
        files["b.yaml"] = encrypted(manifest("b", "changed"), "yaml", *ONLY_DATA)
        await world.ready("apps", await world.publish(files))
    assert len(decrypted) == 4
    assert [await data_of(world, name) for name in "abc"] == [{"k": b"hidden"}, {"k": b"changed"}, {"k": b"hidden"}]


async def test_sources_of_generators_and_patches(world: World) -> None:
    generator = (
        "namespace: default\nresources: [plain.yaml, ../base]\n"
        "generatorOptions: {disableNameSuffixHash: true}\n"
        "secretGenerator:\n"
        "  - {name: env, envs: [vars.env]}\n"
        "  - {name: files, files: [config.json, settings.ini, blob.bin, renamed.txt=blob.bin]}\n"
        "patches: [{path: patch.yaml}]\n"
    )
    patch = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\ndata: {k: patched}\n"
    blob = b"\x00\x01binary\xff"
    await world.publish(
        {
            "apps/kustomization.yaml": generator,
            "apps/plain.yaml": config_map("plain"),
            "apps/vars.env": encrypted("USER=me\nPASSWORD=hidden\n", "dotenv"),
            "apps/config.json": encrypted('{"password": "hidden", "n": 1}', "json"),
            "apps/settings.ini": encrypted("[login]\npassword = hidden\n", "ini"),
            "apps/blob.bin": encrypted(blob, "binary"),
            "apps/patch.yaml": encrypted(patch, "yaml", "--age", RECIPIENT, "--encrypted-regex", "^data$"),
            "base/kustomization.yaml": (
                "generatorOptions: {disableNameSuffixHash: true}\nsecretGenerator: [{name: base, envs: [base.env]}]\n"
            ),
            "base/base.env": encrypted("DEEP=hidden\n", "dotenv"),
        }
    )
    await secret(world, "keys", **{"identity.agekey": AGE})
    await world.kustomization("apps", path="apps", decryption=DECRYPTION)
    async with world.running():
        await world.ready("apps")
    assert await data_of(world, "env") == {"USER": b"me", "PASSWORD": b"hidden"}
    assert await data_of(world, "base") == {"DEEP": b"hidden"}
    found = await data_of(world, "files")
    assert b'"password": "hidden"' in found["config.json"]
    assert b"sops" not in found["config.json"]
    assert found["settings.ini"].split() == [b"[login]", b"password", b"=", b"hidden"]
    assert found["blob.bin"] == found["renamed.txt"] == blob
    plain = await world.get("ConfigMap", "plain")
    assert plain is not None
    assert plain["data"] == {"k": "patched"}


async def test_a_key_that_does_not_fit_is_said_and_a_right_one_heals(world: World) -> None:
    await world.publish({"a.yaml": encrypted(manifest("a", "hidden"), "yaml", *ONLY_DATA)})
    await world.kustomization("apps", decryption=DECRYPTION, retryInterval="1s")
    async with world.running():
        await world.settled("apps", "BuildFailed", "sops decryption Secret 'flux-system/keys' not found")
        await secret(world, "keys", **{"other.agekey": OTHER_AGE})
        status = await world.settled("apps", "BuildFailed", "Failed to get the data key required to decrypt")
        message = condition_of(status)["message"]
        assert "AGE-SECRET" not in message
        assert "/" + "root" not in message
        resource = await world.resource("Secret")
        await world.client.delete(resource, "keys", "flux-system")
        await secret(world, "keys", **{"identity.agekey": AGE})
        await world.ready("apps")
    assert await data_of(world, "a") == {"k": b"hidden"}


@pytest.fixture
def openpgp() -> Iterator[tuple[Path, str, bytes]]:
    """A GnuPG home with a fresh key, the key's fingerprint, and the private key in armour."""
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    # Its agent's socket needs a short path.
    with tempfile.TemporaryDirectory(prefix="fluxtui-gpg-") as directory:
        gpg = ["gpg", "--homedir", directory, "--batch", "--quiet"]

        def run(*arguments: str) -> bytes:
            return subprocess.run([*gpg, *arguments], check=True, capture_output=True).stdout

        try:
            run("--passphrase", "", "--quick-gen-key", "fleet@example.com", "default", "default", "never")
            listed = run("--with-colons", "--list-keys").decode()
            fingerprint = next(line for line in listed.splitlines() if line.startswith("fpr:")).split(":")[9]
            yield Path(directory), fingerprint, run("--armor", "--export-secret-keys")
        finally:
            subprocess.run(["gpgconf", "--homedir", directory, "--kill", "all"], check=False, capture_output=True)


async def test_openpgp(world: World, openpgp: tuple[Path, str, bytes]) -> None:
    home, fingerprint, exported = openpgp
    arguments = ("--pgp", fingerprint, "--encrypted-regex", "^(data|stringData)$")
    text = encrypted(manifest("a", "hidden"), "yaml", *arguments, GNUPGHOME=str(home))
    await world.publish({"a.yaml": text})
    await secret(world, "keys", **{"fleet.asc": exported})
    await world.kustomization("apps", decryption=DECRYPTION)
    async with world.running():
        await world.ready("apps")
    assert await data_of(world, "a") == {"k": b"hidden"}


async def test_a_key_service_that_knows_a_service_account(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def token(account: ServiceAccount, audiences: Sequence[str]) -> str:
        return f"jwt for {audiences[0]}"

    monkeypatch.setattr(ServiceAccount, "token", token)
    resource = await world.resource("ServiceAccount")
    key = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    async with clouds(monkeypatch, tmp_path) as provider:
        arguments = ("--kms", key, "--encrypted-regex", "^(data|stringData)$")
        me = {"AWS_ACCESS_KEY_ID": "AKIAAUTHOR", "AWS_SECRET_ACCESS_KEY": "x"}
        text = await asyncio.to_thread(encrypted, manifest("a", "hidden"), "yaml", *arguments, **me)
        # The engine's own identity is not the tenant's.
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENGINE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        await world.publish({"a.yaml": text})
        account = {"name": "tenant", "namespace": "flux-system"}
        await world.kustomization("apps", decryption={"provider": "sops", "serviceAccountName": "tenant"})
        async with world.running():
            await world.settled("apps", "BuildFailed", "failed to get service account 'flux-system/tenant': not found")
            obj = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}
            await world.client.create(resource, obj)
            await world.change("apps", {"spec": {"retryInterval": "1m"}})
            await world.settled("apps", "BuildFailed", "it has none of the annotations eks.amazonaws.com/role-arn")
            annotated = {"metadata": {"annotations": AWS}}
            await world.client.patch(resource, "tenant", "flux-system", annotated, type=PatchType.MERGE)
            await world.change("apps", {"spec": {"retryInterval": "2m"}})
            await world.ready("apps")
        assert await data_of(world, "a") == {"k": b"hidden"}
        assert "aws AssumeRoleWithWebIdentity tenant.flux-system.sops.fluxcd.io" in provider.asked
        assert [line for line in provider.asked if "Decrypt" in line] == ["kms Decrypt ASIATEMPORARY"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.yml", "yaml"),
        ("a.json", "json"),
        ("a.env", "dotenv"),
        ("a.ini", "ini"),
        ("a.txt", "binary"),
        ("config/.dockerconfigjson", "json"),
    ],
)
def test_formats_by_name(path: str, kind: str) -> None:
    assert sops.format_of(path) == kind
