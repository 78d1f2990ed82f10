"""Fields of a GitRepository this engine refuses by name."""

from __future__ import annotations

from fluxtui.api.source import GitRepositorySpec


def reason(spec: GitRepositorySpec) -> str:
    """Why a spec can't be reconciled by this engine, a sentence for users; empty when it can."""
    if spec.verify is not None:
        return "spec.verify is not supported by this engine: signatures would go unchecked"
    if spec.provider not in ("", "generic"):
        return f"spec.provider '{spec.provider}' is not supported by this engine; use 'generic' with spec.secretRef"
    if spec.service_account_name:
        return "spec.serviceAccountName is not supported by this engine; use spec.secretRef"
    return ""
