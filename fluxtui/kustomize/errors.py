"""Why a build is refused.

KustomizeError
├── LoadError     a file is missing, unreadable, or outside of what may be read
├── FieldError    a kustomization has a mistake; names the file and the field
├── BuildError    resources and what is done to them do not fit; names the resource
└── Unsupported   a feature of kustomize that this builder does not have; names it
    └── RemoteRefused   a remote file or base, and the build may read local files only
"""

from __future__ import annotations


class KustomizeError(Exception):
    """Base of all errors of a build; the text is a sentence for users."""


class LoadError(KustomizeError):
    """A file is missing, unreadable, not YAML, or outside of what may be read."""


class FieldError(KustomizeError):
    """A kustomization has a mistake; the text begins with the file and names the field."""


class BuildError(KustomizeError):
    """Resources and what is done to them do not fit; the text names the resource."""


class Unsupported(KustomizeError):
    """The kustomization uses what this builder does not have."""


class RemoteRefused(Unsupported):
    """The kustomization takes something from elsewhere, which this build may not."""
