"""spec.verify with real keys: who signed what, in every mode, and what is wrong when it is wrong."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fluxtui.api.meta import REQUESTED_AT
from fluxtui.engine.adapters.git_signatures import PublicKeys, SignatureError, signed_commit, signed_tag, verify
from tests.engine.source.bench import NAMESPACE, Bench, conditions, status
from tests.engine.source.repositories import Repository
from tests.engine.source.signing import PgpAuthor, SshAuthor


@pytest.fixture
def authors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short path: gpg's agent listens on a socket in it."""
    return tmp_path_factory.mktemp("k")


@pytest.fixture
def alice(authors: Path) -> Iterator[PgpAuthor]:
    author = PgpAuthor(authors, "alice")
    yield author
    author.stop()


@pytest.fixture
def mallory(authors: Path) -> Iterator[PgpAuthor]:
    author = PgpAuthor(authors, "mallory")
    yield author
    author.stop()


@pytest.fixture
def sam(authors: Path) -> SshAuthor:
    return SshAuthor(authors, "sam")


def verification(mode: str) -> dict[str, Any]:
    return {"mode": mode, "secretRef": {"name": "keys"}}


def raw(repository: Repository, kind: str, name: str) -> bytes:
    return subprocess.run(["git", "cat-file", kind, name], cwd=repository.path, check=True, capture_output=True).stdout


async def test_a_signed_commit_is_verified_and_an_unsigned_one_changes_nothing(
    bench: Bench, repository: Repository, alice: PgpAuthor
) -> None:
    alice.sign_in(repository)
    repository.git("config", "commit.gpgsign", "true")
    head = await asyncio.to_thread(repository.commit, "signed", {"a.yaml": "a"})
    await bench.secret("keys", alice__asc=alice.public)
    await bench.create("fleet", repository.url, verify=verification("HEAD"))
    obj = await bench.ready("fleet", head)
    verified = conditions(obj)["SourceVerified"]
    assert (verified["status"], verified["reason"]) == ("True", "Succeeded")
    assert verified["message"] == f"verified signature of\n\t- commit '{head}' with key '{alice.id}'"
    assert obj["status"]["sourceVerificationMode"] == "HEAD"
    assert conditions(obj)["Ready"]["message"] == f"stored artifact for revision 'main@sha1:{head}'"
    repository.git("config", "commit.gpgsign", "false")
    bad = await asyncio.to_thread(repository.commit, "unsigned", {"a.yaml": "b"})
    obj = await bench.failed("fleet", "InvalidCommitSignature")
    message = f"signature verification of commit '{bad}' failed: unsupported signature type: empty"
    assert conditions(obj)["SourceVerified"]["message"] == conditions(obj)["Ready"]["message"] == message
    assert status(obj, "SourceVerified") == "False"
    assert obj["status"]["artifact"]["revision"] == f"main@sha1:{head}"
    assert (await bench.event("fleet", "InvalidCommitSignature"))["type"] == "Warning"
    await bench.patch("fleet", {"spec": {"verify": None}})
    obj = await bench.ready("fleet", bad)
    assert "SourceVerified" not in conditions(obj)
    assert "sourceVerificationMode" not in obj["status"]


async def test_a_key_that_is_not_in_the_secret_is_no_key(
    bench: Bench, repository: Repository, alice: PgpAuthor, mallory: PgpAuthor
) -> None:
    mallory.sign_in(repository)
    repository.git("config", "commit.gpgsign", "true")
    head = await asyncio.to_thread(repository.commit, "signed by another")
    await bench.create("fleet", repository.url, verify=verification("head"))
    obj = await bench.failed("fleet", "VerificationError")
    assert conditions(obj)["SourceVerified"]["message"].startswith("public keys secret error: ")
    await bench.secret("keys", alice__asc=alice.public)
    obj = await bench.failed("fleet", "InvalidCommitSignature")
    assert conditions(obj)["Ready"]["message"] == (
        f"signature verification of commit '{head}' failed: unable to verify Git commit: "
        "unable to verify payload with any of the given key rings: no matching key"
    )
    assert "artifact" not in obj["status"]


async def test_tags_are_verified_alone_and_with_their_commit(
    bench: Bench, repository: Repository, alice: PgpAuthor, sam: SshAuthor
) -> None:
    alice.sign_in(repository)
    head = await asyncio.to_thread(repository.commit, "not signed")
    await asyncio.to_thread(repository.git, "tag", "-s", "v1.0.0", "-m", "one")
    tag = repository.git("rev-parse", "v1.0.0")
    await bench.secret("keys", alice__asc=alice.public, sam__sshpub=sam.public)
    await bench.create("fleet", repository.url, ref={"semver": "1.x"}, verify=verification("Tag"))
    obj = await bench.ready("fleet", f"v1.0.0@sha1:{head}")
    assert conditions(obj)["SourceVerified"]["message"] == (
        f"verified signature of\n\t- tag 'v1.0.0@{tag}' with key '{alice.id}'"
    )
    await bench.patch("fleet", {"spec": {"verify": {"mode": "TagAndHEAD"}}})
    obj = await bench.failed("fleet", "InvalidCommitSignature")
    assert obj["status"]["sourceVerificationMode"] == "Tag"
    sam.sign_in(repository)
    repository.git("config", "commit.gpgsign", "true")
    head = await asyncio.to_thread(repository.commit, "signed with ssh")
    await asyncio.to_thread(repository.git, "tag", "-s", "v1.1.0", "-m", "two")
    tag = repository.git("rev-parse", "v1.1.0")
    obj = await bench.ready("fleet", f"v1.1.0@sha1:{head}")
    assert conditions(obj)["SourceVerified"]["message"] == (
        f"verified signature of\n\t- tag 'v1.1.0@{tag}' with key '{sam.fingerprint}'"
        f"\n\t- commit '{head}' with key '{sam.fingerprint}'"
    )
    assert obj["status"]["sourceVerificationMode"] == "TagAndHEAD"


async def test_a_tag_to_verify_has_to_be_asked_for_and_signed(
    bench: Bench, repository: Repository, alice: PgpAuthor
) -> None:
    await bench.secret("keys", alice__asc=alice.public)
    await bench.create("fleet", repository.url, verify=verification("Tag"))
    obj = await bench.failed("fleet", "InvalidVerificationMode")
    assert status(obj, "Stalled") == "True"
    assert status(obj, "SourceVerified") == "False"
    repository.git("tag", "light")
    await bench.patch("fleet", {"spec": {"ref": {"branch": None, "tag": "light"}}})
    obj = await bench.failed("fleet", "InvalidGitObject")
    message = "cannot verify signature of tag 'light' since it is not signed"
    assert conditions(obj)["Ready"]["message"] == message


async def test_verification_switched_on_later_verifies_what_is_there_and_keeps_it(
    bench: Bench, repository: Repository, alice: PgpAuthor
) -> None:
    alice.sign_in(repository)
    repository.git("config", "commit.gpgsign", "true")
    head = await asyncio.to_thread(repository.commit, "signed")
    await bench.create("fleet", repository.url)
    before = (await bench.ready("fleet", head))["status"]["artifact"]
    await bench.secret("keys", alice__asc=alice.public)
    await bench.patch("fleet", {"spec": {"verify": verification("HEAD")}})
    obj = await bench.until("fleet", lambda obj: status(obj, "SourceVerified") == "True")
    assert obj["status"]["artifact"] == before
    assert (await bench.event("fleet", "ArtifactUpToDate"))["type"] == "Normal"
    await bench.patch("fleet", {"metadata": {"annotations": {REQUESTED_AT: "1"}}})
    obj = await bench.until("fleet", lambda obj: obj["status"].get("lastHandledReconcileAt") == "1")
    assert conditions(obj)["Ready"]["status"] == "True"
    assert (await bench.event("fleet", "GitOperationSucceeded"))["involvedObject"]["namespace"] == NAMESPACE


async def test_revoked_keys_and_changed_objects_are_refused(
    repository: Repository, tmp_path: Path, alice: PgpAuthor, sam: SshAuthor
) -> None:
    alice.sign_in(repository)
    await asyncio.to_thread(repository.git, "commit", "-q", "--allow-empty", "-S", "-m", "signed")
    commit = raw(repository, "commit", "HEAD")
    signed = signed_commit(commit)
    keys = PublicKeys.of({"a.asc": alice.public.encode()})
    assert await verify(signed, keys, tmp_path / "good", "commit") == alice.id
    forged = signed_commit(commit.replace(b"signed", b"forged"))
    with pytest.raises(SignatureError, match="no matching key"):
        await verify(forged, keys, tmp_path / "forged", "commit")
    both = PublicKeys.of({"a": b"no key at all", "b": alice.public.encode()})
    assert await verify(signed, both, tmp_path / "both", "commit") == alice.id
    with pytest.raises(SignatureError, match="unable to read armored key ring"):
        await verify(signed, PublicKeys.of({"a": b"no key at all"}), tmp_path / "none", "commit")
    with pytest.raises(SignatureError, match=r"PGP signature detected but no PGP public keys found in secret"):
        await verify(signed, PublicKeys.of({"s.sshpub": sam.public.encode()}), tmp_path / "ssh", "commit")
    await asyncio.to_thread(alice.revoke)
    revoked = PublicKeys.of({"a.asc": alice.public.encode()})
    with pytest.raises(SignatureError, match="no matching key"):
        await verify(signed, revoked, tmp_path / "revoked", "commit")


async def test_ssh_signatures_count_for_git_only(repository: Repository, tmp_path: Path, sam: SshAuthor) -> None:
    sam.sign_in(repository)
    await asyncio.to_thread(repository.git, "tag", "-s", "v1", "-m", "one")
    signed = signed_tag(raw(repository, "tag", "v1"))
    options = PublicKeys.of({"s.sshpub": f"# sam\nno-pty {sam.public}\n".encode()})
    assert await verify(signed, options, tmp_path / "good", "tag") == sam.fingerprint
    with pytest.raises(SignatureError, match="unable to parse authorized keys"):
        await verify(signed, PublicKeys.of({"s.sshpub": b"nothing"}), tmp_path / "none", "tag")
    with pytest.raises(SignatureError, match=r"keys with \.sshpub suffix"):
        await verify(signed, PublicKeys.of({"a.asc": b"ring"}), tmp_path / "pgp", "tag")
    payload, signature = tmp_path / "payload", tmp_path / "payload.sig"
    payload.write_bytes(signed.payload)
    sign = ("ssh-keygen", "-q", "-Y", "sign", "-f", str(sam.key), "-n", "file", str(payload))
    process = await asyncio.create_subprocess_exec(*sign, stderr=asyncio.subprocess.DEVNULL)
    await process.wait()
    other = signed_tag(signed.payload + signature.read_bytes())
    assert other.type == "ssh"
    with pytest.raises(SignatureError, match="no matching key"):
        await verify(other, options, tmp_path / "namespace", "tag")


async def test_a_machine_without_gpg_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    signed = signed_commit(b"tree x\ngpgsig -----BEGIN PGP SIGNATURE-----\n x\n -----END PGP SIGNATURE-----\n\nm\n")
    assert signed.payload == b"tree x\n\nm\n"
    with pytest.raises(SignatureError, match="there is no gpg on PATH"):
        await verify(signed, PublicKeys.of({"a": b"ring"}), tmp_path / "home", "commit")


def test_both_hash_algorithms_signatures_are_left_out_of_what_was_signed() -> None:
    raw = b"tree x\ngpgsig -----BEGIN SSH SIGNATURE-----\n one\ngpgsig-sha256 -----BEGIN SSH SIGNATURE-----\n two\n\nm"
    assert signed_commit(raw).payload == b"tree x\n\nm"
    assert signed_commit(raw).signature == "-----BEGIN SSH SIGNATURE-----\none"
