"""Where a Kustomization's manifests come from: the source it names, and the artifact of that source.

Source: docs/spec/v1/kustomizations.md "Source reference".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fluxtui.api.kinds import BUCKET, EXTERNAL_ARTIFACT, GIT_REPOSITORY, OCI_REPOSITORY, Kind
from fluxtui.api.kustomize import KustomizationSpec
from fluxtui.api.source import Artifact
from fluxtui.engine.runtime.objects import Key, Object

KINDS: Mapping[str, Kind] = {kind.kind: kind for kind in (GIT_REPOSITORY, OCI_REPOSITORY, BUCKET, EXTERNAL_ARTIFACT)}
_ORIGIN_REVISION = "org.opencontainers.image.revision"


class Source(msgspec.Struct, frozen=True):
    """A source that has an artifact."""

    kind: Kind
    key: Key
    artifact: Artifact

    @property
    def revision(self) -> str:
        """The artifact's revision: `main@sha1:…`."""
        return self.artifact.revision

    @property
    def origin_revision(self) -> str:
        """The revision of what an OCI artifact was made of, empty when it says nothing."""
        return self.artifact.metadata.get(_ORIGIN_REVISION, "")


def reference(spec: KustomizationSpec, namespace: str) -> tuple[Kind, Key]:
    """Kind and key of the source that a Kustomization of a namespace names."""
    ref = spec.source_ref
    return KINDS[ref.kind], Key(ref.namespace or namespace, ref.name)


def artifact_of(obj: Object | None) -> Artifact | None:
    """The artifact of a source object; None when there is none that can be read."""
    found: Any = ((obj or {}).get("status") or {}).get("artifact")
    try:
        return msgspec.convert(found, Artifact) if found else None
    except msgspec.ValidationError:
        return None
