"""Options of `fluxtui engine` that say how it works, with the names they have at upstream's controllers.

Source: main.go of fluxcd/kustomize-controller and fluxcd/source-controller.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
import msgspec

from fluxtui.cli.options import duration, gathered

GATES = {
    "AdditiveCELDependencyCheck": ("additive_ready_expressions", True),
    "CancelHealthCheckOnNewRevision": ("cancel_health_checks", True),
    "DisableFailFastBehavior": ("fail_fast", False),
    "ExternalArtifact": ("external_artifacts", True),
    "StrictPostBuildSubstitutions": ("strict_substitution", True),
}
"""Feature gate of upstream → the field of EngineSettings, and its value when the gate is on."""
_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")


class Accounts(msgspec.Struct, frozen=True):
    """As whom the engine acts, and with what it decrypts, where objects do not say it."""

    default_service_account: str
    default_decryption_service_account: str
    default_kubeconfig_service_account: str
    sops_age_secret: str
    sops_vault_configmap: str


accounts_options = gathered(
    "accounts",
    Accounts,
    (
        click.option(
            "--default-service-account", default="", metavar="NAME", help="Impersonated when an object names none."
        ),
        click.option(
            "--default-decryption-service-account",
            default="",
            metavar="NAME",
            help="Asks key services when an object names none.",
        ),
        click.option(
            "--default-kubeconfig-service-account",
            default="",
            metavar="NAME",
            help="Known to other clusters when the ConfigMap of a spec.kubeConfig names none.",
        ),
        click.option(
            "--sops-age-secret",
            default="",
            metavar="NAME",
            help="Secret in flux-system with age keys, for objects without a Secret of their own.",
        ),
        click.option(
            "--sops-vault-configmap",
            default="",
            metavar="NAME",
            help="ConfigMap in flux-system with the OpenBao and Vault servers where ServiceAccounts log in.",
        ),
    ),
)


class Applying(msgspec.Struct, frozen=True):
    """How objects are applied."""

    concurrent_ssa: int
    override_managers: tuple[str, ...]
    custom_apply_stage_kinds: str

    def settings(self) -> dict[str, Any]:
        """Fields of EngineSettings."""
        return {
            "concurrent_ssa": self.concurrent_ssa,
            "override_managers": self.override_managers,
            "early_kinds": frozenset(_kinds(self.custom_apply_stage_kinds)),
        }


def _checked_kinds(ctx: click.Context, param: click.Parameter, value: str) -> str:
    for group, kind in _kinds(value):
        if not kind or "/" in kind:
            raise click.BadParameter(f"'{group}/{kind}' is no GROUP/KIND such as apps/Deployment", ctx, param)
    return value


def _kinds(text: str) -> Iterable[tuple[str, str]]:
    for word in text.split(",") if text else ():
        group, slash, kind = word.strip().partition("/")
        yield (group, kind) if slash else ("", group)


applying_options = gathered(
    "applying",
    Applying,
    (
        click.option(
            "--concurrent-ssa",
            default=8,
            show_default=True,
            type=click.IntRange(1, 64),
            help="Objects of one Kustomization applied at once.",
        ),
        click.option(
            "--override-manager",
            "override_managers",
            multiple=True,
            metavar="NAME",
            help="Field manager whose changes are undone, as kubectl's are; repeatable.",
        ),
        click.option(
            "--custom-apply-stage-kinds",
            default="",
            callback=_checked_kinds,
            metavar="GROUP/KIND,…",
            help="Applied after CRDs and the like, before all others.",
        ),
    ),
)


class Pace(msgspec.Struct, frozen=True):
    """When things are done again, and how long they are kept; seconds."""

    requeue_dependency: float
    min_retry_delay: float
    max_retry_delay: float
    interval_jitter_percentage: int
    artifact_retention_ttl: float
    artifact_retention_records: int

    def settings(self) -> dict[str, Any]:
        """Fields of EngineSettings. Raises click.UsageError."""
        if self.min_retry_delay > self.max_retry_delay:
            raise click.UsageError("--min-retry-delay is longer than --max-retry-delay")
        return {
            "dependency_requeue": self.requeue_dependency,
            "min_retry": self.min_retry_delay,
            "max_retry": self.max_retry_delay,
            "interval_jitter": self.interval_jitter_percentage / 100,
            "artifact_ttl": self.artifact_retention_ttl,
            "artifact_records": self.artifact_retention_records,
        }


def _time(name: str, default: str, help: str) -> Any:
    return click.option(name, default=default, show_default=True, callback=duration, metavar="DURATION", help=help)


pace_options = gathered(
    "pace",
    Pace,
    (
        _time("--requeue-dependency", "30s", "When an object that waits for another looks again."),
        _time("--min-retry-delay", "750ms", "First pause after a failure without a retry interval of its own."),
        _time("--max-retry-delay", "15m", "Longest such pause."),
        click.option(
            "--interval-jitter-percentage",
            default=5,
            show_default=True,
            type=click.IntRange(0, 99),
            help="By how much intervals vary.",
        ),
        _time("--artifact-retention-ttl", "60s", "How long superseded artifacts are kept."),
        click.option(
            "--artifact-retention-records",
            default=2,
            show_default=True,
            type=click.IntRange(1),
            help="How many artifacts of an object are kept.",
        ),
    ),
)


def gates(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The value of --feature-gates, checked."""
    for name, state in _gates(value):
        if name not in GATES:
            raise click.BadParameter(f"there is no '{name}' here, but {', '.join(GATES)}", ctx, param)
        if state.lower() not in _TRUE + _FALSE:
            raise click.BadParameter(f"{name} is neither true nor false, but '{state}'", ctx, param)
    return value


def gated(value: str) -> dict[str, Any]:
    """Fields of EngineSettings by a value of --feature-gates."""
    return {GATES[name][0]: (state.lower() in _TRUE) == GATES[name][1] for name, state in _gates(value)}


def _gates(text: str) -> Iterable[tuple[str, str]]:
    for word in text.split(",") if text else ():
        name, _, state = word.partition("=")
        yield name.strip(), state.strip()
