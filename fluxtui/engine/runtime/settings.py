"""Flags of the engine that reconcilers and the runtime read; one struct for the whole process."""

from __future__ import annotations

import msgspec


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults are those of the Flux controllers; durations are seconds."""

    concurrent: int = 4
    """Objects of one kind reconciled at once, per cluster."""
    watch_namespace: str = ""
    """Only this namespace is reconciled; empty for all."""
    label_selector: str = ""
    """Only objects whose labels match, such as "sharding.fluxcd.io/key=a"."""
    configs_label_selector: str = "reconcile.fluxcd.io/watch=Enabled"
    """ConfigMaps and Secrets whose changes wake the objects that refer to them; empty for all."""
    namespace: str = "flux-system"
    """Where the Leases are."""
    interval_jitter: float = 0.05
    """Fraction by which intervals vary at random."""
    min_retry: float = 0.75
    max_retry: float = 900.0
    """Bounds of the exponential back-off."""
    dependency_requeue: float = 30.0
    """How often an object that waits for another looks again."""
    concurrent_ssa: int = 8
    """Objects of one Kustomization that are applied, or deleted, at once; upstream has 4."""
    override_managers: tuple[str, ...] = ()
    """Field managers, by the start of their names, whose fields are taken over besides kubectl's."""
    early_kinds: frozenset[tuple[str, str]] = frozenset()
    """(group, kind) of what is applied before all others, after definitions and classes."""
    fail_fast: bool = True
    """End a health check as soon as one object has failed."""
    additive_ready_expressions: bool = False
    """Want a dependency ready, besides what its `readyExpr` says."""
    external_artifacts: bool = True
    """Accept ExternalArtifacts as sources."""
    no_cross_namespace_refs: bool = False
    """Refuse references to objects of other namespaces."""
    remote_bases: bool = True
    """Allow kustomizations to build on what other servers have, as upstream does."""
    default_service_account: str = ""
    """ServiceAccount impersonated when an object names none."""
    default_decryption_service_account: str = ""
    """ServiceAccount that asks key services when `spec.decryption` names none."""
    default_kubeconfig_service_account: str = ""
    """ServiceAccount whose identity other clusters see when a ConfigMap of `spec.kubeConfig` names none."""
    sops_age_secret: str = ""
    """Secret of `namespace` with age keys for what has no `spec.decryption.secretRef`."""
    sops_vault_configmap: str = ""
    """ConfigMap of `namespace` with the OpenBao and Vault servers where ServiceAccounts log in; empty: nowhere."""
    events_addr: str = ""
    """URL of notification-controller, which gets all events but traces; empty for none."""
    strict: bool = True
    """Stop, each with a reason of its own, before applying text with unresolved variables, and before a prune of
    everything; False is upstream's behaviour."""
    strict_substitution: bool = True
    """Refuse variables that have neither a value nor a default, as upstream does; without it, they are empty."""
    drift_detection: bool = True
    """Watch what was applied, and correct a foreign change at once instead of at the interval."""
    drift_kinds: int = 40
    drift_objects: int = 20_000
    """How many kinds and objects are watched for that in one cluster."""
    cancel_health_checks: bool = True
    """Let something newer to apply end a running health check."""
    file_sources: bool = True
    """Allow `file://` repositories, which read what the engine's user may read."""
    watch_files: bool = True
    """Watch the refs of `file://` repositories instead of waiting for the interval."""
    lease_duration: float = 35.0
    renew_deadline: float = 30.0
    retry_period: float = 5.0
    """Leader election: how long a Lease lasts, when a leader gives up renewing, how often it tries."""
    drain_deadline: float = 20.0
    """How long runs in flight may go on after a request to stop."""
    release_deadline: float = 5.0
    """How long giving back the Leases, and posting the last events, may take."""
    artifact_ttl: float = 60.0
    artifact_records: int = 2
    """How long and how many superseded artifacts of one object are kept."""
    remotes: int = 32
    """Remotes that are asked at once, over all clusters."""
    tools: int = 4
    """Checkouts and the like that run at once, over all clusters."""
    build_workers: int = 2
    """Worker processes for builds, at most the number of CPUs."""
