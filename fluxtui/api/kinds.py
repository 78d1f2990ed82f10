"""The Flux kinds: groups, served versions (newest first), plurals, and the words people use for them.

Source of versions: the API documents `docs/spec/v1*/` of the Flux controllers; of the words: the flux CLI.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

SOURCE_GROUP = "source.toolkit.fluxcd.io"
KUSTOMIZE_GROUP = "kustomize.toolkit.fluxcd.io"
HELM_GROUP = "helm.toolkit.fluxcd.io"
NOTIFICATION_GROUP = "notification.toolkit.fluxcd.io"
IMAGE_GROUP = "image.toolkit.fluxcd.io"
SWARM_GROUP = "source.extensions.fluxcd.io"
OPERATOR_GROUP = "fluxcd.controlplane.io"
FLAGGER_GROUP = "flagger.app"


class Category(enum.StrEnum):
    """The groups of the tree's view by kind, in the order they are shown."""

    SOURCES = "sources"
    KUSTOMIZATIONS = "kustomizations"
    RELEASES = "releases"
    IMAGES = "images"
    NOTIFICATIONS = "notifications"
    DELIVERY = "delivery"
    OTHER = "other"


class Kind(msgspec.Struct, frozen=True):
    """A Flux kind: where the API serves it and what people call it."""

    group: str
    versions: tuple[str, ...]
    """Served versions we can read, preferred first."""
    kind: str
    plural: str
    short: str
    """The word shown in the tree, at most five cells: `ks`, `hr`, `git`."""
    category: Category
    aliases: tuple[str, ...] = ()
    """Further words the command line accepts (singular, plural and `short` are always accepted)."""
    controller: str = ""
    """The upstream controller, which is also the name of its Deployment and the prefix of its Lease."""
    suspendable: bool = True
    reconcilable: bool = True
    """Whether the controller handles `reconcile.fluxcd.io/requestedAt`."""

    @property
    def resource(self) -> str:
        """Plural and group, as kubectl names a resource: `kustomizations.kustomize.toolkit.fluxcd.io`."""
        return f"{self.plural}.{self.group}"

    @property
    def lease(self) -> str:
        """Name of the controller's leader-election Lease in flux-system."""
        return f"{self.controller}-leader-election"


_SOURCE = "source-controller"
_NOTIFICATION = "notification-controller"
_REFLECTOR = "image-reflector-controller"
_OPERATOR = "flux-operator"

GIT_REPOSITORY = Kind(
    SOURCE_GROUP,
    ("v1", "v1beta2"),
    "GitRepository",
    "gitrepositories",
    "git",
    Category.SOURCES,
    ("gitrepo", "git"),
    _SOURCE,
)
OCI_REPOSITORY = Kind(
    SOURCE_GROUP, ("v1", "v1beta2"), "OCIRepository", "ocirepositories", "oci", Category.SOURCES, ("ocirepo",), _SOURCE
)
HELM_REPOSITORY = Kind(
    SOURCE_GROUP,
    ("v1", "v1beta2"),
    "HelmRepository",
    "helmrepositories",
    "helm",
    Category.SOURCES,
    ("helmrepo",),
    _SOURCE,
)
HELM_CHART = Kind(
    SOURCE_GROUP, ("v1", "v1beta2"), "HelmChart", "helmcharts", "chart", Category.SOURCES, ("hc",), _SOURCE
)
BUCKET = Kind(SOURCE_GROUP, ("v1", "v1beta2"), "Bucket", "buckets", "buck", Category.SOURCES, (), _SOURCE)
EXTERNAL_ARTIFACT = Kind(
    SOURCE_GROUP, ("v1",), "ExternalArtifact", "externalartifacts", "ext", Category.SOURCES, ("ea",), "", False, False
)
ARTIFACT_GENERATOR = Kind(
    SWARM_GROUP,
    ("v1beta1",),
    "ArtifactGenerator",
    "artifactgenerators",
    "ag",
    Category.SOURCES,
    (),
    "source-watcher",
    False,
)
KUSTOMIZATION = Kind(
    KUSTOMIZE_GROUP,
    ("v1", "v1beta2"),
    "Kustomization",
    "kustomizations",
    "ks",
    Category.KUSTOMIZATIONS,
    (),
    "kustomize-controller",
)
HELM_RELEASE = Kind(
    HELM_GROUP, ("v2", "v2beta2"), "HelmRelease", "helmreleases", "hr", Category.RELEASES, (), "helm-controller"
)
IMAGE_REPOSITORY = Kind(
    IMAGE_GROUP,
    ("v1", "v1beta2"),
    "ImageRepository",
    "imagerepositories",
    "imgr",
    Category.IMAGES,
    ("imagerepo",),
    _REFLECTOR,
)
IMAGE_POLICY = Kind(
    IMAGE_GROUP, ("v1", "v1beta2"), "ImagePolicy", "imagepolicies", "imgp", Category.IMAGES, (), _REFLECTOR
)
IMAGE_UPDATE = Kind(
    IMAGE_GROUP,
    ("v1", "v1beta2", "v1beta1"),
    "ImageUpdateAutomation",
    "imageupdateautomations",
    "imgu",
    Category.IMAGES,
    ("imageupdate", "iua"),
    "image-automation-controller",
)
ALERT = Kind(
    NOTIFICATION_GROUP,
    ("v1beta3", "v1beta2"),
    "Alert",
    "alerts",
    "alert",
    Category.NOTIFICATIONS,
    (),
    _NOTIFICATION,
    True,
    False,
)
PROVIDER = Kind(
    NOTIFICATION_GROUP,
    ("v1beta3", "v1beta2"),
    "Provider",
    "providers",
    "prov",
    Category.NOTIFICATIONS,
    (),
    _NOTIFICATION,
    True,
    False,
)
RECEIVER = Kind(NOTIFICATION_GROUP, ("v1",), "Receiver", "receivers", "recv", Category.NOTIFICATIONS, (), _NOTIFICATION)
CANARY = Kind(FLAGGER_GROUP, ("v1beta1",), "Canary", "canaries", "can", Category.DELIVERY, (), "flagger", True, False)
FLUX_INSTANCE = Kind(
    OPERATOR_GROUP, ("v1",), "FluxInstance", "fluxinstances", "fi", Category.OTHER, (), _OPERATOR, False, True
)
RESOURCE_SET = Kind(
    OPERATOR_GROUP, ("v1",), "ResourceSet", "resourcesets", "rset", Category.OTHER, (), _OPERATOR, False, True
)

KINDS: tuple[Kind, ...] = (
    GIT_REPOSITORY,
    OCI_REPOSITORY,
    HELM_REPOSITORY,
    HELM_CHART,
    BUCKET,
    EXTERNAL_ARTIFACT,
    ARTIFACT_GENERATOR,
    KUSTOMIZATION,
    HELM_RELEASE,
    IMAGE_REPOSITORY,
    IMAGE_POLICY,
    IMAGE_UPDATE,
    ALERT,
    PROVIDER,
    RECEIVER,
    CANARY,
    FLUX_INSTANCE,
    RESOURCE_SET,
)
"""All kinds with knowledge of their own, in the order of the tree."""

FLUX_GROUP_SUFFIXES = (".fluxcd.io", "fluxcd.controlplane.io", "flagger.app")
"""Other kinds of these groups appear as generic rows."""

BY_RESOURCE: Mapping[str, Kind] = {kind.resource: kind for kind in KINDS}
BY_KIND: Mapping[tuple[str, str], Kind] = {(kind.group, kind.kind): kind for kind in KINDS}
"""(group, kind) → Kind."""


def _words() -> dict[str, Kind]:
    words: dict[str, Kind] = {}
    for kind in KINDS:
        for word in (kind.kind.lower(), kind.plural, kind.short, *kind.aliases):
            words.setdefault(word, kind)
    return words


BY_WORD: Mapping[str, Kind] = _words()
"""Every word the command line and the filter accept for a kind, lower case → Kind."""


def is_flux_group(group: str) -> bool:
    """Whether an API group belongs to Flux or its family, so that its kinds are shown."""
    return group.endswith(FLUX_GROUP_SUFFIXES)
