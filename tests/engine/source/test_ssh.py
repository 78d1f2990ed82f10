"""Git over ssh: what the ssh child is told, and what git does with it."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from fluxtui.engine.adapters.git import Git
from fluxtui.engine.adapters.git_access import environment, remote
from fluxtui.engine.adapters.git_refs import Reference
from tests.engine.source.repositories import Repository

SECRET = {"identity": b"-----BEGIN KEY-----\nabc", "known_hosts": b"host ssh-ed25519 AAAA"}


def test_ssh_knows_one_key_and_one_list_of_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    home = tmp_path / "with space"
    env = environment(remote("ssh://host:2222/x.git", SECRET), home)
    command = shlex.split(env["GIT_SSH_COMMAND"])
    options = {command[i + 1] for i, word in enumerate(command) if word == "-o"}
    assert command[:3] == ["ssh", "-F", "/dev/null"]
    assert command[command.index("-i") + 1] == str(home / "identity")
    assert {
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "BatchMode=yes",
        f"UserKnownHostsFile={home / 'known_hosts'}",
        "GlobalKnownHostsFile=/dev/null",
    } <= options
    assert "SSH_AUTH_SOCK" not in env
    assert (home / "identity").read_bytes() == SECRET["identity"] + b"\n"
    assert (home / "identity").stat().st_mode & 0o777 == 0o600


def test_a_passphrase_is_asked_for_through_a_file(tmp_path: Path) -> None:
    env = environment(remote("ssh://host/x.git", {**SECRET, "password": b"open sesame"}), tmp_path / "home")
    assert "open sesame" not in " ".join(env.values())
    assert env["SSH_ASKPASS_REQUIRE"] == "force"
    done = subprocess.run([env["SSH_ASKPASS"]], capture_output=True, text=True, check=True)
    assert done.stdout == "open sesame\n"


def test_the_user_defaults_to_git() -> None:
    assert remote("ssh://host/x.git", SECRET).url == "ssh://git@host/x.git"
    assert remote("ssh://flux@host:22/x.git", SECRET).url == "ssh://flux@host:22/x.git"


async def test_git_speaks_through_that_ssh(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An `ssh` that stands for client and server: it checks its options and runs the command here."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "ssh").write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {tmp_path}/calls\n'
        "for last; do :; done\n"
        f'cd {repository.path.parent} && exec sh -c "$last"\n'
    )
    (tools / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    git = Git(remote(f"ssh://git@host{repository.path}", SECRET), tmp_path / "home")
    commit = await git.checkout(await git.resolve(Reference(branch="main")), tmp_path / "tree")
    assert commit.subject == "fleet: first"
    assert "git@host" in (tmp_path / "calls").read_text()
