"""Condition types and reasons of sources, as docs/spec/v1 of fluxcd/source-controller has them."""

from __future__ import annotations

STORAGE_FAILED = "StorageOperationFailed"
FETCH_FAILED = "FetchFailed"
INCLUDE_UNAVAILABLE = "IncludeUnavailable"
OUTDATED = "ArtifactOutdated"
IN_STORAGE = "ArtifactInStorage"
VERIFIED = "SourceVerified"

SUCCEEDED = "Succeeded"
COLLECTED = "GarbageCollectionSucceeded"
GIT_FAILED = "GitOperationFailed"
AUTHENTICATION_FAILED = "AuthenticationFailed"
INVALID_PROVIDER = "InvalidProviderConfiguration"
