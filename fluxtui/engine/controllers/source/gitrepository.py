"""GitRepository: from a Git reference to an artifact.

Fields, conditions, reasons, messages and events are those of docs/spec/v1/gitrepositories.md of
fluxcd/source-controller. Beyond upstream: `file://` URLs, whose refs are watched; and the remote is always asked first
(`git ls-remote`), for semver too, so that nothing is fetched while it is unchanged.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from fluxtui.api import durations
from fluxtui.api.kinds import GIT_REPOSITORY
from fluxtui.api.meta import READY, RECONCILING, STALLED
from fluxtui.api.source import Artifact, GitRepository, GitRepositorySpec
from fluxtui.engine.adapters.git import Commit, EmptyRepository, Git, GitError, Options
from fluxtui.engine.adapters.git_access import Remote
from fluxtui.engine.adapters.git_refs import (
    MissingDirectory,
    RangeMismatch,
    Reference,
    ReferenceError,
    Target,
    Unresolved,
)
from fluxtui.engine.adapters.git_watch import RefWatcher
from fluxtui.engine.controllers.source import includes
from fluxtui.engine.controllers.source.access import Access
from fluxtui.engine.controllers.source.ignore import IgnoreError, exclusions
from fluxtui.engine.controllers.source.verification import is_due, verify_source
from fluxtui.engine.controllers.source.vocabulary import (
    COLLECTED,
    FETCH_FAILED,
    GIT_FAILED,
    IN_STORAGE,
    INCLUDE_UNAVAILABLE,
    OUTDATED,
    STORAGE_FAILED,
    SUCCEEDED,
    VERIFIED,
)
from fluxtui.engine.runtime.artifacts import ArtifactError, ArtifactNotFound
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.conclusion import retried
from fluxtui.engine.runtime.conditions import Conditions
from fluxtui.engine.runtime.objects import Key
from fluxtui.engine.runtime.outcomes import Failed, Stalled, Unchanged, Waiting
from fluxtui.engine.runtime.reconciler import Reconciler
from fluxtui.engine.runtime.reconciliation import PROGRESSING, Reconciliation
from fluxtui.kube.errors import NotFound

Run = Reconciliation[GitRepository]


class _Before(msgspec.Struct):
    """The artifact the status named when the run began."""

    artifact: Artifact | None
    status: dict[str, Any]
    foreign: bool = False
    """Whether it is not in this storage: somebody else made it, or the storage is new."""


class _Includes(msgspec.Struct):
    artifacts: list[Artifact]


class _Source(msgspec.Struct):
    git: Git
    access: Remote
    target: Target
    workspace: Path


class _Checkout(msgspec.Struct):
    directory: Path
    commit: Commit


class GitRepositoryReconciler(Reconciler[GitRepository]):
    """Keeps the artifact of every GitRepository at the revision its reference stands for."""

    kind = GIT_REPOSITORY
    type = GitRepository
    manager = "source-controller"
    controller = "source-controller"
    owned = (STORAGE_FAILED, FETCH_FAILED, INCLUDE_UNAVAILABLE, OUTDATED, IN_STORAGE, VERIFIED)
    negative = (STORAGE_FAILED, FETCH_FAILED, INCLUDE_UNAVAILABLE, OUTDATED)

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._watcher: RefWatcher[Key] = RefWatcher()
        self._remotes = Access()

    async def refuse(self, run: Run) -> None:
        """Name what this engine can't do, rather than leave it out in silence."""
        if run.object.spec.url.startswith("file:") and not self._cluster.settings.file_sources:
            raise Stalled("URLInvalid", "file:// sources are switched off in this engine", condition=FETCH_FAILED)

    async def check_storage(self, run: Run) -> None:
        """Make status and storage agree: superseded artifacts go, one that is damaged or gone is made again."""
        run.conditions.delete(STORAGE_FAILED)
        artifact = _artifact(run.status)
        before = _Before(artifact, dict(run.raw.get("status") or {}))
        run.share(before)
        if artifact is None:
            run.conditions.delete(IN_STORAGE)
            run.conditions.mark(RECONCILING, "True", PROGRESSING, "building artifact")
            return
        store = run.cluster.artifacts
        try:
            removed = await store.collect(artifact)
            if removed:
                run.event("Trace", COLLECTED, f"garbage collected {len(removed)} artifacts")
            await store.verify(artifact)
        except ArtifactNotFound:
            before.foreign = True
            self._forget_artifact(run)
        except ArtifactError as error:
            run.event("Warning", "ArtifactVerificationFailed", f"failed to verify integrity of artifact: {error}")
            self._forget_artifact(run)
        else:
            run.status["artifact"]["url"] = store.url(artifact.path)

    async def resolve(self, run: Run) -> None:
        """Ask the remote what the reference stands for; end here if that is what the artifact holds."""
        spec = run.object.spec
        if run.conditions.is_false(VERIFIED):
            run.conditions.delete(VERIFIED)
        workspace = await run.resources.enter_async_context(run.cluster.artifacts.workspace())
        access = await self._remotes.remote(run, workspace)
        artifacts = await self._includes(run)
        if access.scheme == "file" and self._cluster.settings.watch_files:
            await asyncio.to_thread(self._watcher.add, run.key, access.path)
        else:
            self._watcher.remove(run.key)
        git = Git(access, workspace / "home")
        ref = spec.ref
        reference = Reference(ref.branch, ref.tag, ref.semver, ref.name, ref.commit) if ref else Reference()
        with _failures(access, spec.timeout):
            async with run.cluster.limits.remotes, asyncio.timeout(durations.parse(spec.timeout)):
                target = await git.resolve(reference)
        run.share(_Includes(artifacts))
        run.share(_Source(git, access, target, workspace))
        if self._is_current(run, target):
            self._unchanged(run, target)
        message = f"new upstream revision '{target.revision}'"
        artifact = _artifact(run.status)
        if artifact is not None and artifact.revision != target.revision:
            run.conditions.set(OUTDATED, "True", "NewRevision", message)
        await run.progress(f"building artifact: {message}")

    async def fetch(self, run: Run) -> None:
        """Check the target out."""
        spec, source = run.object.spec, run.shared(_Source)
        directory = source.workspace / "tree"
        options = Options(spec.recurse_submodules, tuple(spec.sparse_checkout))
        with _failures(source.access, spec.timeout):
            async with run.cluster.limits.tools, asyncio.timeout(durations.parse(spec.timeout)):
                commit = await source.git.checkout(source.target, directory, options)
        await asyncio.to_thread(shutil.rmtree, directory / ".git", ignore_errors=True)
        run.conditions.delete(FETCH_FAILED)
        run.share(_Checkout(directory, commit))

    async def verify(self, run: Run) -> None:
        """Check the signatures that `spec.verify` wants."""
        await verify_source(run, run.shared(_Checkout).commit)

    async def include(self, run: Run) -> None:
        """Copy the artifacts of other GitRepositories into the tree."""
        tree = run.shared(_Checkout).directory
        for include, artifact in zip(run.object.spec.include, run.shared(_Includes).artifacts, strict=True):
            name = include.repository.name
            origin, target = include.from_path, include.to_path or name
            try:
                async with run.cluster.artifacts.open(artifact) as directory:
                    await asyncio.to_thread(includes.copy, directory, origin, tree, target)
            except ArtifactNotFound as error:
                after = run.cluster.settings.dependency_requeue
                message = f"no artifact available for include '{name}'"
                raise Waiting("NoArtifact", message, after, condition=INCLUDE_UNAVAILABLE, event="Trace") from error
            except (ArtifactError, OSError) as error:
                message = f"failed to copy '{name}' include from {origin or '.'} to {target}: {error}"
                raise Failed("CopyFailure", message, condition=STORAGE_FAILED) from error

    async def archive(self, run: Run) -> None:
        """Store the tree as the new artifact and say so."""
        checkout, spec = run.shared(_Checkout), run.object.spec
        target = checkout.commit.target
        if self._is_current(run, target):
            self._up_to_date(run, target)
            return
        try:
            exclude = await asyncio.to_thread(exclusions, checkout.directory, spec.ignore)
        except IgnoreError as error:
            message = f"failed to load source ignore patterns from repository: {error}"
            raise Failed("SourceIgnoreError", message, condition=STORAGE_FAILED) from error
        try:
            artifact = await run.cluster.artifacts.add(
                self.kind.kind,
                run.key.namespace,
                run.key.name,
                checkout.directory,
                revision=target.revision,
                file=f"{target.commit}.tar.gz",
                exclude=exclude,
            )
        except ArtifactError as error:
            raise Failed("ArchiveOperationFailed", str(error), condition=STORAGE_FAILED) from error
        self._observe(run, artifact)
        run.annotations = {
            f"{self.kind.group}/revision": artifact.revision,
            f"{self.kind.group}/digest": artifact.digest,
        }
        message = f"stored artifact for commit '{checkout.commit.subject}'"
        if self._is_news(run, artifact):
            run.event("Normal", "NewArtifact", message)
        elif self._recovered(run):
            run.event("Normal", SUCCEEDED, message)

    steps = (refuse, check_storage, resolve, fetch, verify, include, archive)

    async def finalize(self, run: Run) -> None:
        """Remove all artifacts of the object."""
        self._watcher.remove(run.key)
        if await run.cluster.artifacts.remove_all(self.kind.kind, run.key.namespace, run.key.name):
            run.event("Trace", COLLECTED, "garbage collected artifacts for deleted resource")

    def hold(self, conditions: Conditions) -> bool:
        """As the base: what was said before counts for the generation that is suspended, too."""
        conditions.delete(STALLED)
        retried(conditions)
        conditions.renew(READY)
        return READY in conditions

    def interval(self, obj: GitRepository) -> float:
        return durations.parse(obj.spec.interval)

    async def background(self, wake: Callable[[Key], None]) -> None:
        """Reconcile a `file://` repository as soon as a ref of it changes."""
        await self._watcher.run(wake)

    async def _includes(self, run: Run) -> list[Artifact]:
        """The artifacts to be included; waits for those that are not there yet."""
        artifacts = []
        for include in run.object.spec.include:
            name, after = include.repository.name, run.cluster.settings.dependency_requeue
            try:
                found = await run.cluster.read(self.kind, Key(run.key.namespace, name))
            except NotFound as error:
                message = f"could not get resource for include '{name}': {error}"
                raise Waiting("NotFound", message, after, condition=INCLUDE_UNAVAILABLE, event="Trace") from error
            artifact = _artifact(found.get("status") or {})
            if artifact is None:
                message = f"no artifact available for include '{name}'"
                raise Waiting("NoArtifact", message, after, condition=INCLUDE_UNAVAILABLE, event="Trace")
            artifacts.append(artifact)
        run.conditions.delete(INCLUDE_UNAVAILABLE)
        return artifacts

    def _is_current(self, run: Run, target: Target) -> bool:
        """Whether the artifact in storage is what a new one would be."""
        artifact = _artifact(run.status)
        if artifact is None or artifact.revision != target.revision or not run.conditions.is_true(IN_STORAGE):
            return False
        if is_due(run.object.spec.verify, run.status) or not _made_alike(run.object.spec, run.status):
            return False
        included = [(item.get("revision"), item.get("digest")) for item in run.status.get("includedArtifacts") or []]
        return included == [(item.revision, item.digest) for item in run.shared(_Includes).artifacts]

    def _is_news(self, run: Run, artifact: Artifact) -> bool:
        """Whether an artifact has another content than the one of before.

        Another controller compresses the same content to other bytes: what it left is told by revision and settings.
        """
        before = run.shared(_Before)
        if before.artifact is None or before.artifact.digest == artifact.digest:
            return before.artifact is None
        if not before.foreign or before.artifact.revision != artifact.revision:
            return True
        included = [item.get("revision") for item in before.status.get("includedArtifacts") or []]
        same = included == [item.revision for item in run.shared(_Includes).artifacts]
        return not same or not _made_alike(run.object.spec, before.status)

    def _up_to_date(self, run: Run, target: Target) -> None:
        run.conditions.delete(OUTDATED)
        run.conditions.set(IN_STORAGE, "True", SUCCEEDED, f"stored artifact for revision '{target.revision}'")
        message = f"artifact up-to-date with remote revision: '{target.revision}'"
        run.event("Trace", "ArtifactUpToDate", message)

    def _unchanged(self, run: Run, target: Target) -> None:
        run.conditions.delete(FETCH_FAILED)
        run.conditions.delete(OUTDATED)
        if run.object.spec.verify is None:
            run.conditions.delete(VERIFIED)
            run.status.pop("sourceVerificationMode", None)
        run.conditions.set(IN_STORAGE, "True", SUCCEEDED, f"stored artifact for revision '{target.revision}'")
        if self._recovered(run):
            run.event("Normal", SUCCEEDED, f"stored artifact for commit '{target.revision}'")
        message = f"no changes since last reconciliation: observed revision '{target.revision}'"
        raise Unchanged("GitOperationSucceeded", message)

    def _recovered(self, run: Run) -> bool:
        return any(type in run.before for type in (FETCH_FAILED, INCLUDE_UNAVAILABLE, STORAGE_FAILED))

    def _observe(self, run: Run, artifact: Artifact) -> None:
        """Record the artifact and the configuration it was made with."""
        spec = run.object.spec
        observed: dict[str, Any] = {
            "artifact": msgspec.to_builtins(artifact),
            "includedArtifacts": msgspec.to_builtins(run.shared(_Includes).artifacts) or None,
            "observedIgnore": spec.ignore,
            "observedRecurseSubmodules": spec.recurse_submodules or None,
            "observedSparseCheckout": spec.sparse_checkout or None,
            "observedInclude": msgspec.to_builtins(spec.include) or None,
        }
        for name, value in observed.items():
            if value is None:
                run.status.pop(name, None)
            else:
                run.status[name] = value
        run.conditions.delete(OUTDATED)
        run.conditions.set(IN_STORAGE, "True", SUCCEEDED, f"stored artifact for revision '{artifact.revision}'")

    def _forget_artifact(self, run: Run) -> None:
        run.status.pop("artifact", None)
        run.conditions.delete(IN_STORAGE)
        run.conditions.mark(RECONCILING, "True", PROGRESSING, "building artifact: disappeared from storage")


class _failures:
    """Turns what Git says into the outcome of the run."""

    def __init__(self, access: Remote, limit: str) -> None:
        self._url = access.url
        self._limit = limit

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, EmptyRepository):
            raise Failed("EmptyGitRepository", str(error), condition=FETCH_FAILED) from error
        if isinstance(error, GitError | ReferenceError | TimeoutError):
            cause = f"timed out after {self._limit}" if isinstance(error, TimeoutError) else str(error)
            if not isinstance(error, RangeMismatch | Unresolved):
                cause = f"unable to clone '{self._url}': {cause}"
            message = f"failed to checkout and determine revision: {cause}"
            if isinstance(error, MissingDirectory):
                message = f"failed to sparse checkout directories: {error}"
            raise Failed(GIT_FAILED, message, condition=FETCH_FAILED) from error


def _artifact(status: dict[str, Any]) -> Artifact | None:
    """The artifact a status names; None for none, and for one that is not valid."""
    try:
        return msgspec.convert(status["artifact"], Artifact) if status.get("artifact") else None
    except msgspec.ValidationError:
        return None


def _made_alike(spec: GitRepositorySpec, status: dict[str, Any]) -> bool:
    """Whether the artifact a status tells of was made with the settings of a spec."""
    return (
        status.get("observedIgnore") == spec.ignore
        and bool(status.get("observedRecurseSubmodules")) == spec.recurse_submodules
        and (status.get("observedSparseCheckout") or []) == spec.sparse_checkout
        and (status.get("observedInclude") or []) == msgspec.to_builtins(spec.include)
    )
