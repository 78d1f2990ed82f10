"""`spec.verify`: whether commit and tag were signed by an author whose key is in a Secret.

Modes, reasons and messages: section "Verification" of docs/spec/v1/gitrepositories.md, and verifySignature of
source-controller.
"""

from __future__ import annotations

from typing import Any, NoReturn

from fluxtui.api.source import GitRepository, GitRepositoryVerification
from fluxtui.engine.adapters.git import Commit
from fluxtui.engine.adapters.git_signatures import (
    PublicKeys,
    SignatureError,
    Signed,
    signed_commit,
    signed_tag,
    verify,
)
from fluxtui.engine.controllers.source.secrets import SecretError, read_secret
from fluxtui.engine.controllers.source.vocabulary import SUCCEEDED, VERIFIED
from fluxtui.engine.runtime.outcomes import Failed, Outcome, Stalled
from fluxtui.engine.runtime.reconciliation import Reconciliation

HEAD, TAG, BOTH = "HEAD", "Tag", "TagAndHEAD"
_COVERED = {HEAD: {HEAD}, TAG: {TAG}, BOTH: {HEAD, TAG}}

Run = Reconciliation[GitRepository]


def mode_of(spec: GitRepositoryVerification) -> str:
    """The mode, without its older spellings."""
    return HEAD if spec.mode in ("", "head") else spec.mode


def is_due(spec: GitRepositoryVerification | None, status: dict[str, Any]) -> bool:
    """Whether something has to be verified that was not when the artifact was made."""
    if spec is None:
        return False
    return not _COVERED[mode_of(spec)] <= _COVERED.get(status.get("sourceVerificationMode", ""), set())


async def verify_source(run: Run, commit: Commit) -> None:
    """Set SourceVerified for what was checked out, or remove it when nothing has to be verified.

    Raises Failed and Stalled with SourceVerified=False.
    """
    spec = run.object.spec.verify
    if spec is None:
        run.conditions.delete(VERIFIED)
        run.status.pop("sourceVerificationMode", None)
        return
    mode = mode_of(spec)
    try:
        keys = PublicKeys.of(await read_secret(run, spec.secret_ref.name))
    except SecretError as error:
        _refuse(run, Failed("VerificationError", f"public keys secret error: {error}"), error)
    verified = []
    if TAG in _COVERED[mode]:
        verified.append(await _verify_tag(run, commit, keys))
    if HEAD in _COVERED[mode]:
        hash = commit.target.commit
        key = await _verify(run, signed_commit(commit.raw), keys, "commit", hash, "InvalidCommitSignature")
        verified.append(f"commit '{hash}' with key '{key}'")
    message = "verified signature of" + "".join(f"\n\t- {item}" for item in verified)
    run.status["sourceVerificationMode"] = mode
    run.conditions.set(VERIFIED, "True", SUCCEEDED, message)
    run.event("Trace", SUCCEEDED, message)


async def _verify_tag(run: Run, commit: Commit, keys: PublicKeys) -> str:
    tag = commit.tag
    if tag is None:
        message = "cannot verify tag object's signature if a tag reference is not specified"
        _refuse(run, Stalled("InvalidVerificationMode", message))
    signed = signed_tag(tag.raw)
    if not signed.signature:
        message = f"cannot verify signature of tag '{tag}' since it is not signed"
        _refuse(run, Failed("InvalidGitObject", message))
    key = await _verify(run, signed, keys, "tag", str(tag), "InvalidTagSignature")
    return f"tag '{tag}' with key '{key}'"


async def _verify(run: Run, signed: Signed, keys: PublicKeys, kind: str, name: str, reason: str) -> str:
    try:
        async with run.cluster.limits.tools, run.cluster.artifacts.workspace() as workspace:
            return await verify(signed, keys, workspace / "home", kind)
    except SignatureError as error:
        _refuse(run, Failed(reason, f"signature verification of {kind} '{name}' failed: {error}"), error)


def _refuse(run: Run, outcome: Outcome, cause: Exception | None = None) -> NoReturn:
    run.conditions.set(VERIFIED, "False", outcome.reason, outcome.message)
    raise outcome from cause
