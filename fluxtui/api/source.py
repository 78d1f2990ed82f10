"""source.toolkit.fluxcd.io/v1: GitRepository and ExternalArtifact.

Source: docs/spec/v1/gitrepositories.md and externalartifacts.md of fluxcd/source-controller. Beyond upstream, a
GitRepository may have a `file://` URL, for repositories on the machine of the engine.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from fluxtui.api.fields import Duration, LocalObjectReference, ShortDuration, Spec, Status, Timestamp, doc
from fluxtui.api.meta import Condition, ObjectMeta


class Artifact(Status):
    """What a source produced: a tar.gz, its digest and where to get it."""

    path: str
    """Path in the storage: `gitrepository/<namespace>/<name>/<file>.tar.gz`."""
    url: str
    revision: str
    digest: Annotated[str, Meta(pattern=r"^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$")]
    """`sha256:<hex>` of the tar.gz."""
    last_update_time: Timestamp
    size: int | None = None
    """Bytes."""
    metadata: dict[str, str] = msgspec.field(default_factory=dict)


class GitRepositoryRef(Spec):
    """The Git reference to follow: name over semver over tag over branch; commit over all."""

    branch: Annotated[str, doc("Branch to check out, 'master' when nothing else is given.")] = ""
    tag: Annotated[str, doc("Tag to check out, takes precedence over branch.")] = ""
    semver: Annotated[
        str, doc("Range of versions of which the newest tag is checked out, takes precedence over tag.")
    ] = ""
    name: Annotated[str, doc("Name of a reference such as refs/pull/420/head, takes precedence over semver.")] = ""
    commit: Annotated[str, doc("Commit to check out, takes precedence over all others.")] = ""


class GitRepositoryVerification(Spec):
    """How signatures are verified."""

    secret_ref: Annotated[LocalObjectReference, doc("Secret with the public keys of trusted authors.")]
    mode: Annotated[Literal["head", "HEAD", "Tag", "TagAndHEAD"], doc("Objects to verify.", default="HEAD")] = "HEAD"


class GitRepositoryInclude(Spec):
    """Another GitRepository whose artifact is copied into this one's."""

    repository: Annotated[LocalObjectReference, doc("GitRepository of the same namespace.")]
    from_path: Annotated[str, doc("Path to copy from, by default the root of the artifact.")] = ""
    to_path: Annotated[str, doc("Path to copy to, by default the name of the GitRepository.")] = ""


class GitRepositorySpec(Spec):
    """A Git repository to fetch and what of it becomes the artifact."""

    RULES: ClassVar = (
        (
            "!has(self.serviceAccountName) || "
            "(has(self.provider) && (self.provider == 'azure' || self.provider == 'aws'))",
            "serviceAccountName can only be set when provider is 'azure' or 'aws'",
        ),
    )
    url: Annotated[
        str,
        Meta(pattern="^(http|https|ssh|file)://.*$", description="Address of the repository: http(s), ssh, or file."),
    ]
    interval: Annotated[Duration, doc("How often the repository is checked for updates.")]
    timeout: Annotated[ShortDuration, doc("Limit of a Git operation.", default="60s")] = "60s"
    ref: Annotated[GitRepositoryRef | None, doc("Git reference to follow, by default the branch 'master'.")] = None
    secret_ref: Annotated[
        LocalObjectReference | None,
        doc("Secret with username and password, bearerToken, or identity and known_hosts; optionally ca.crt."),
    ] = None
    provider: Annotated[
        Literal["", "generic", "aws", "azure", "github"], doc("Kind of authentication, by default 'generic'.")
    ] = ""
    service_account_name: Annotated[str, doc("ServiceAccount used by the providers 'azure' and 'aws'.")] = ""
    verify: Annotated[GitRepositoryVerification | None, doc("Verification of signatures.")] = None
    proxy_secret_ref: Annotated[LocalObjectReference | None, doc("Secret with the address of a proxy.")] = None
    ignore: Annotated[str | None, doc("Exclusions in .gitignore syntax; replaces the default exclusions.")] = None
    suspend: Annotated[bool, doc("Stops the reconciliation of this object.")] = False
    recurse_submodules: Annotated[bool, doc("Fetch submodules too.")] = False
    include: Annotated[list[GitRepositoryInclude], doc("Artifacts of other GitRepositories to be included.")] = (
        msgspec.field(default_factory=list)
    )
    sparse_checkout: Annotated[list[str], doc("Directories to check out; all others are left out.")] = msgspec.field(
        default_factory=list
    )


class GitRepositoryStatus(Status):
    """What was fetched last."""

    observed_generation: int = 0
    conditions: list[Condition] = msgspec.field(default_factory=list)
    artifact: Artifact | None = None
    included_artifacts: list[Artifact] = msgspec.field(default_factory=list)
    observed_ignore: str | None = None
    observed_recurse_submodules: bool = False
    observed_include: list[GitRepositoryInclude] = msgspec.field(default_factory=list)
    observed_sparse_checkout: list[str] = msgspec.field(default_factory=list)
    source_verification_mode: str = ""
    last_handled_reconcile_at: str = ""


class GitRepository(msgspec.Struct, kw_only=True, rename="camel"):
    """A Git repository and the artifact made of it."""

    metadata: ObjectMeta
    spec: GitRepositorySpec
    status: GitRepositoryStatus = msgspec.field(default_factory=GitRepositoryStatus)


class ExternalReference(Spec):
    """The object that produces an external artifact."""

    kind: Annotated[str, doc("Kind of the referent.")]
    name: Annotated[str, doc("Name of the referent.")]
    api_version: Annotated[str, doc("API version of the referent.")] = ""
    namespace: Annotated[str, doc("Namespace of the referent, by default the object's own.")] = ""


class ExternalArtifactSpec(Spec):
    """Who produces the artifact."""

    source_ref: Annotated[ExternalReference | None, doc("The object the artifact is made from.")] = None


class ExternalArtifactStatus(Status):
    """The artifact, written by a third party."""

    conditions: list[Condition] = msgspec.field(default_factory=list)
    artifact: Artifact | None = None


class ExternalArtifact(msgspec.Struct, kw_only=True, rename="camel"):
    """An artifact produced by a controller outside of Flux."""

    metadata: ObjectMeta
    spec: ExternalArtifactSpec = msgspec.field(default_factory=ExternalArtifactSpec)
    status: ExternalArtifactStatus = msgspec.field(default_factory=ExternalArtifactStatus)
