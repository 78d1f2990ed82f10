"""Authors with keys of their own: OpenPGP keys in a home of theirs, and ssh keys."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.engine.source.repositories import Repository


class Author:
    """Somebody who signs commits and tags."""

    def __init__(self, directory: Path, name: str) -> None:
        self.home = directory / name
        self.home.mkdir(mode=0o700)
        self.name = name

    def configure(self, repository: Repository, **settings: str) -> None:
        for name, value in settings.items():
            repository.git("config", name.replace("__", "."), value)


class PgpAuthor(Author):
    """An author with an OpenPGP key."""

    def __init__(self, directory: Path, name: str) -> None:
        if shutil.which("gpg") is None:
            pytest.skip("there is no gpg on PATH")
        super().__init__(directory, name)
        self.gpg("--quick-generate-key", f"{name} <{name}@example.com>", "ed25519", "sign", "never")
        listing = self.gpg("--list-keys", "--with-colons").splitlines()
        self.fingerprint = next(line.split(":")[9] for line in listing if line.startswith("fpr"))
        self.id = self.fingerprint[-16:]

    def gpg(self, *arguments: str) -> str:
        options = ("--batch", "--homedir", str(self.home), "--pinentry-mode", "loopback", "--passphrase", "")
        return subprocess.run(["gpg", *options, *arguments], check=True, capture_output=True, text=True).stdout

    @property
    def public(self) -> str:
        return self.gpg("--armor", "--export", self.fingerprint)

    def revoke(self) -> None:
        certificate = self.home / "openpgp-revocs.d" / f"{self.fingerprint}.rev"
        text = certificate.read_text().replace(":-----BEGIN", "-----BEGIN")
        certificate.write_text(text)
        self.gpg("--import", str(certificate))

    def sign_in(self, repository: Repository) -> None:
        script = self.home / "gpg.sh"
        script.write_text(f'#!/bin/sh\nexec gpg --homedir {self.home} "$@"\n')
        script.chmod(0o755)
        self.configure(repository, gpg__format="openpgp", gpg__program=str(script), user__signingkey=self.fingerprint)

    def stop(self) -> None:
        """End the agent that gpg has started."""
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False, capture_output=True)


class SshAuthor(Author):
    """An author who signs with an ssh key."""

    def __init__(self, directory: Path, name: str) -> None:
        if shutil.which("ssh-keygen") is None:
            pytest.skip("there is no ssh-keygen on PATH")
        super().__init__(directory, name)
        self.key = self.home / "key"
        make_key(self.key)
        listing = subprocess.run(["ssh-keygen", "-lf", str(self.key)], check=True, capture_output=True, text=True)
        self.fingerprint = listing.stdout.split()[1]

    @property
    def public(self) -> str:
        return Path(f"{self.key}.pub").read_text()

    def sign_in(self, repository: Repository) -> None:
        self.configure(repository, gpg__format="ssh", gpg__ssh__program="ssh-keygen", user__signingkey=str(self.key))


def make_key(path: Path, passphrase: str = "") -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True, env={"PATH": os.environ["PATH"]})
