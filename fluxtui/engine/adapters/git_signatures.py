"""Signatures of commits and tags, checked against the public keys of a Secret.

    SignatureError    `str()` is the reason, worded as upstream's

What is signed is the object as Git stores it, without the signature: a commit has it in a header, a tag at the end of
its message. OpenPGP is left to `gpg` with a home of its own that holds nothing but the keys given, ssh signatures to
`ssh-keygen`; neither sees an agent, a key server or the user's keys. Kinds of signatures, the order of keys and what is
reported follow fluxcd/pkg `git/signature`: the id of the OpenPGP primary key, the SHA256 fingerprint of the ssh key.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from fluxtui.kube.programs import Finished, ProgramError, execute

_PGP = "-----BEGIN PGP SIGNATURE-----"
_SSH = "-----BEGIN SSH SIGNATURE-----"
_X509 = "-----BEGIN SIGNED MESSAGE-----"
_ARMORS = ((_PGP, "openpgp"), (_SSH, "ssh"), (_X509, "x509"))
_HEADERS = (b"gpgsig ", b"gpgsig-sha256 ")
_KEY = re.compile(r"(?:^|\s)((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+\s+[A-Za-z0-9+/]+=*)(?:\s|$)")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_PRINCIPAL = "author"


class SignatureError(Exception):
    """An object has no signature that one of the keys accounts for."""


class Signed(msgspec.Struct, frozen=True):
    """A Git object taken apart."""

    payload: bytes
    """What was signed."""
    signature: str
    """The armored signature, empty for none."""

    @property
    def type(self) -> str:
        """ "openpgp", "ssh", "x509", "empty" or "unknown"."""
        text = self.signature.strip()
        if not text:
            return "empty"
        return next((name for armor, name in _ARMORS if text.startswith(armor)), "unknown")


class PublicKeys(msgspec.Struct, frozen=True):
    """The keys of a Secret."""

    keyrings: tuple[bytes, ...]
    """Armored OpenPGP key rings."""
    authorized: tuple[str, ...]
    """ssh keys in the form of `authorized_keys`."""

    @classmethod
    def of(cls, data: dict[str, bytes]) -> PublicKeys:
        """Keys named `*.sshpub` are ssh keys, all others OpenPGP key rings."""
        ssh = [name for name in sorted(data) if name.endswith(".sshpub")]
        return cls(
            tuple(data[name] for name in sorted(data) if name not in ssh),
            tuple(data[name].decode("utf-8", "replace") for name in ssh),
        )


def signed_commit(raw: bytes) -> Signed:
    """A commit object taken apart."""
    head, separator, message = raw.partition(b"\n\n")
    kept: list[bytes] = []
    signature: list[bytes] = []
    target = kept
    for line in head.split(b"\n"):
        if line.startswith(b" ") and target is not kept:
            target.append(line[1:])
            continue
        header = next((name for name in _HEADERS if line.startswith(name)), None)
        target = kept if header is None else signature
        if header is None:
            kept.append(line)
        elif not signature:
            signature.append(line[len(header) :])
        else:
            # A second signature, of the other hash algorithm, is not the one of this object.
            target = []
    return Signed(b"\n".join(kept) + separator + message, b"\n".join(signature).decode("utf-8", "replace"))


def signed_tag(raw: bytes) -> Signed:
    """A tag object taken apart."""
    starts = [match.start() for armor, _ in _ARMORS for match in re.finditer(rb"^" + armor.encode(), raw, re.MULTILINE)]
    if not starts:
        return Signed(raw, "")
    return Signed(raw[: max(starts)], raw[max(starts) :].decode("utf-8", "replace"))


async def verify(signed: Signed, keys: PublicKeys, home: Path, kind: str) -> str:
    """The key that made the signature of a `kind` ("commit" or "tag"). `home` is a new private directory.

    Raises SignatureError.
    """
    if signed.type == "openpgp":
        if not keys.keyrings:
            raise SignatureError(
                "PGP signature detected but no PGP public keys found in secret (keys with .asc suffix)"
            )
        check, label = _verify_pgp, f"unable to verify Git {kind}"
    elif signed.type == "ssh":
        if not keys.authorized:
            raise SignatureError(
                "SSH signature detected but no SSH public keys found in secret (keys with .sshpub suffix)"
            )
        check, label = _verify_ssh, f"unable to verify Git {kind} SSH signature"
    else:
        raise SignatureError(f"unsupported signature type: {signed.type}")
    try:
        await asyncio.to_thread(_prepare, home, signed)
        return await check(keys, home)
    except (SignatureError, ProgramError, OSError) as error:
        raise SignatureError(f"{label}: {error}") from error


async def _verify_pgp(keys: PublicKeys, home: Path) -> str:
    readable = False
    for number, ring in enumerate(keys.keyrings):
        directory = home / f"gpg{number}"
        await asyncio.to_thread(directory.mkdir, 0o700)
        await asyncio.to_thread((directory / "ring").write_bytes, ring)
        imported = await _gpg(directory, "--import", str(directory / "ring"))
        if not re.search(r"^\[GNUPG:\] IMPORT_OK ", imported.output, re.MULTILINE):
            continue
        readable = True
        done = await _gpg(directory, "--verify", str(home / "signature"), str(home / "payload"))
        # GOODSIG alone: expired and revoked keys and signatures have words of their own.
        valid = re.search(r"^\[GNUPG:\] VALIDSIG (?:\S+ ){9}([0-9A-F]+)$", done.output, re.MULTILINE)
        good = re.search(r"^\[GNUPG:\] GOODSIG ", done.output, re.MULTILINE)
        if done.code == 0 and valid and good:
            return valid[1][-16:]
    if not readable:
        raise SignatureError("unable to read armored key ring: it holds no OpenPGP public key")
    raise SignatureError("unable to verify payload with any of the given key rings: no matching key")


async def _verify_ssh(keys: PublicKeys, home: Path) -> str:
    allowed = [
        f'{_PRINCIPAL} namespaces="git" {found[1]}'
        for text in keys.authorized
        for line in text.splitlines()
        if not line.lstrip().startswith("#") and (found := _KEY.search(line.strip()))
    ]
    if not allowed:
        raise SignatureError("unable to parse authorized keys: ssh: no key found")
    await asyncio.to_thread((home / "allowed").write_text, "\n".join(allowed) + "\n")
    arguments = ("-Y", "verify", "-f", str(home / "allowed"), "-I", _PRINCIPAL, "-n", "git")
    done = await _run("ssh-keygen", home, (*arguments, "-s", str(home / "signature")), stdin=home / "payload")
    fingerprint = _FINGERPRINT.search(done.output)
    if done.code != 0 or fingerprint is None:
        raise SignatureError("unable to verify payload with any of the given authorized keys: no matching key")
    return fingerprint[0]


async def _gpg(directory: Path, *arguments: str) -> Finished:
    options = (
        "--batch",
        "--no-tty",
        "--no-options",
        "--no-autostart",
        "--no-auto-key-retrieve",
        "--no-auto-key-locate",
    )
    trust = ("--trust-model", "always", "--status-fd", "1", "--homedir", str(directory))
    return await _run("gpg", directory, (*options, *trust, *arguments))


async def _run(name: str, home: Path, arguments: Sequence[str], stdin: Path | None = None) -> Finished:
    program = shutil.which(name)
    if program is None:
        raise SignatureError(f"there is no {name} on PATH; the engine needs it to verify signatures")
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "GNUPGHOME": str(home), "LC_ALL": "C"}
    return await execute(program, arguments, env, home, stdin)


def _prepare(home: Path, signed: Signed) -> None:
    home.mkdir(mode=0o700)
    (home / "payload").write_bytes(signed.payload)
    (home / "signature").write_text(signed.signature.strip() + "\n")
