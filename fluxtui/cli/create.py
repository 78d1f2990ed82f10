"""`fluxtui create`: GitRepositories and Kustomizations, applied to the selected clusters or printed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from fluxtui.api.kinds import GIT_REPOSITORY, HELM_RELEASE, KUSTOMIZATION, Kind
from fluxtui.cli.creating import Making, commas, length, make, making_options, object_name
from fluxtui.cli.git_credentials import ALGORITHMS, CURVES, Credentials, check, secret
from fluxtui.cli.groups import KindGroup
from fluxtui.cli.options import EXIT_CODES, Option, Place, cluster_options, gathered

Object = dict[str, Any]

_SCHEMES = ("ssh", "http", "https", "file")
_SOURCES = ("GitRepository", "OCIRepository", "Bucket", "ExternalArtifact")
_CHECKED = ("Deployment", "DaemonSet", "StatefulSet", HELM_RELEASE.kind)
_APPLYING = f"""It is applied on the server's side to all selected clusters, and the outcome is waited for. Without
--context, and if there are several clusters, a terminal is asked first (--yes answers); clusters that the settings
protect want their name typed, or --yes. --export prints the YAML instead, and asks no cluster.

{EXIT_CODES}"""

GIT_HELP = f"""Make or change a GitRepository.

\b
  fluxtui create source git fleet --url https://git.example.com/fleet --branch main --context prod-eu
  fluxtui create source git fleet --url ssh://git@example.com/fleet --branch main --secret-ref fleet-key --export

Credentials are those of an existing Secret (--secret-ref), or a Secret of the same name is made: for http(s) of
--username, with the password asked for or read from the standard input (--password-stdin), and --ca-file; for ssh of
--private-key-file, or of a new key, with the host's keys as it shows them or from --known-hosts-file.

{_APPLYING}"""

KUSTOMIZATION_HELP = f"""Make or change a Kustomization.

\b
  fluxtui create ks apps --source GitRepository/fleet --path ./apps --prune --wait --context prod-eu
  fluxtui create ks infra --source OCIRepository/infra.flux-system -n team --depends-on apps --export

{_APPLYING}"""


class Git(msgspec.Struct, frozen=True):
    """Flags of a GitRepository."""

    url: str
    branch: str
    tag: str
    tag_semver: str
    ref_name: str
    commit: str
    secret_ref: str
    proxy_secret_ref: str
    provider: str | None
    recurse_submodules: bool
    ignore_paths: tuple[str, ...]
    sparse_checkout_paths: tuple[str, ...]
    fetch_timeout: str


class Kustomizing(msgspec.Struct, frozen=True):
    """Flags of a Kustomization."""

    source: Object
    path: str
    prune: bool
    wait: bool
    health_check: tuple[Object, ...]
    health_check_timeout: str
    depends_on: tuple[Object, ...]
    service_account: str
    decryption_provider: str | None
    decryption_secret: str
    target_namespace: str
    kubeconfig_secret_ref: str
    retry_interval: str


def _text(name: str, meaning: str, metavar: str = "NAME") -> Option:
    return click.option(name, default="", metavar=metavar, help=meaning)


def _duration(name: str, meaning: str, default: str = "") -> Option:
    shown = bool(default)
    return click.option(name, callback=length, default=default, show_default=shown, metavar="DURATION", help=meaning)


def _list(name: str, meaning: str) -> Option:
    return click.option(name, multiple=True, callback=commas, metavar="PATHS", help=f"{meaning}; commas.")


def _switch(name: str, meaning: str) -> Option:
    """A switch that may be written `--prune=true`, too, as Go's are."""
    return click.option(name, is_flag=False, flag_value="true", type=bool, default=False, metavar="", help=meaning)


git_options = gathered(
    "git",
    Git,
    (
        _text("--url", "Address, such as ssh://git@host/org/repository.", "URL"),
        _text("--branch", "Branch."),
        _text("--tag", "Tag."),
        _text("--tag-semver", "Range of versions of tags.", "RANGE"),
        _text("--ref-name", "Reference, such as refs/pull/420/head.", "REF"),
        _text("--commit", "Commit; with --branch, of that branch.", "SHA"),
        _text("--secret-ref", "Existing Secret with credentials."),
        _text("--proxy-secret-ref", "Existing Secret with a proxy's address."),
        click.option("--provider", type=click.Choice(("generic", "aws", "azure", "github")), help="Who logs in."),
        _switch("--recurse-submodules", "Submodules, too."),
        _list("--ignore-paths", "What stays out of the artifact, in .gitignore's language"),
        _list("--sparse-checkout-paths", "Directories that are checked out alone"),
        _duration("--fetch-timeout", "Limit of a fetch."),
    ),
)


_file = click.Path(path_type=Path, dir_okay=False)

credential_options = gathered(
    "given",
    Credentials,
    (
        click.option("-u", "--username", default="", metavar="NAME", help="Of basic authentication."),
        click.option("-p", "--password", default="", metavar="TEXT", help="Seen by others; rather none, or the next."),
        click.option("--password-stdin", is_flag=True, help="Read the password, or the key's passphrase."),
        click.option("--ca-file", type=_file, help="Certificate authority of the server."),
        click.option("--private-key-file", type=_file, help="SSH key; a new one is made without."),
        click.option("--known-hosts-file", type=_file, help="Keys of the SSH server; it is asked without."),
        click.option("--ssh-key-algorithm", type=click.Choice(ALGORITHMS), default="ecdsa", help="Of a new key."),
        click.option("--ssh-ecdsa-curve", type=click.Choice(list(CURVES)), default="p384", help="Of a new key."),
        click.option("--ssh-rsa-bits", type=click.IntRange(2048, 16384), default=2048, help="Of a new key."),
        click.option("-s", "--silent", is_flag=True, help="A new key is known to the server already."),
    ),
)


@click.group(cls=KindGroup)
def command() -> None:
    """Make or change Flux objects.

    Exit codes: 0 made, and ready; 1 a cluster did not answer, or refused, or it did not become ready; 2 wrong usage.
    """


@command.group("source", cls=KindGroup)
def source() -> None:
    """Make or change sources."""


@source.command("git", help=GIT_HELP)
@click.argument("name", callback=object_name)
@git_options
@credential_options
@making_options
@cluster_options("5m", namespaces=True)
def git_repository(name: str, git: Git, given: Credentials, making: Making, place: Place) -> None:
    """Make a GitRepository."""
    scheme = urlsplit(git.url).scheme
    if not git.url:
        raise click.UsageError("--url is needed")
    if scheme not in _SCHEMES:
        raise click.UsageError(f"--url: the scheme {scheme!r} is none of {', '.join(_SCHEMES)}")
    is_secret_made = check(git.url, given, git.secret_ref) and not making.export
    credentials = name if is_secret_made else git.secret_ref
    spec: Object = {"interval": making.interval, "url": git.url, "ref": _reference(git)}
    for field, value in (
        ("timeout", git.fetch_timeout),
        ("secretRef", {"name": credentials} if credentials else None),
        ("proxySecretRef", {"name": git.proxy_secret_ref} if git.proxy_secret_ref else None),
        ("provider", git.provider),
        ("recurseSubmodules", git.recurse_submodules),
        ("ignore", "\n".join(git.ignore_paths)),
        ("sparseCheckout", list(git.sparse_checkout_paths)),
    ):
        if value:
            spec[field] = value
    made = (lambda: [secret(name, git.url, given)]) if is_secret_made else tuple
    sys.exit(make(place, making, _object(GIT_REPOSITORY, name, spec), made))


def _reference(git: Git) -> Object:
    """What to follow; commit over name over semver over tag over branch."""
    if git.commit:
        return {"commit": git.commit, **({"branch": git.branch} if git.branch else {})}
    chosen = {"name": git.ref_name, "semver": git.tag_semver, "tag": git.tag, "branch": git.branch}
    for field, value in chosen.items():
        if value:
            return {field: value}
    raise click.UsageError("one of --branch, --tag, --tag-semver, --ref-name and --commit is needed")


def _source(ctx: click.Context, param: click.Parameter, value: str) -> Object:
    """`[KIND/]NAME[.NAMESPACE]`, a GitRepository when nothing else is said."""
    word, slash, path = value.partition("/")
    if not slash:
        word, path = "GitRepository", value
    kind = next((each for each in _SOURCES if each.lower() == word.lower()), "")
    name, _, namespace = path.rpartition(".") if "." in path else (path, "", "")
    if not kind or not name:
        raise click.BadParameter(f"{value!r} is not [KIND/]NAME[.NAMESPACE] of {', '.join(_SOURCES)}", ctx, param)
    return {"kind": kind, "name": name, **({"namespace": namespace} if namespace else {})}


def _checks(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[Object, ...]:
    found = []
    for text in commas(ctx, param, values):
        kind, _, path = text.partition("/")
        name, dot, namespace = path.rpartition(".")
        if kind not in _CHECKED or not (name and dot and namespace):
            raise click.BadParameter(f"{text!r} is not KIND/NAME.NAMESPACE of {', '.join(_CHECKED)}", ctx, param)
        versions = {HELM_RELEASE.kind: f"{HELM_RELEASE.group}/{HELM_RELEASE.versions[0]}"}
        version = {"apiVersion": versions[kind]} if kind in versions else {}
        found.append({**version, "kind": kind, "name": name, "namespace": namespace})
    return tuple(found)


def _dependencies(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[Object, ...]:
    found = []
    for text in commas(ctx, param, values):
        namespace, slash, name = text.rpartition("/")
        if not name or "/" in namespace or bool(slash) != bool(namespace):
            raise click.BadParameter(f"{text!r} is not NAME or NAMESPACE/NAME", ctx, param)
        found.append({"name": name, **({"namespace": namespace} if namespace else {})})
    return tuple(found)


kustomization_options = gathered(
    "flags",
    Kustomizing,
    (
        click.option(
            "--source", callback=_source, required=True, metavar="[KIND/]NAME[.NAMESPACE]", help="The source."
        ),
        click.option("--path", default="./", show_default=True, metavar="DIR", help="Directory in the source."),
        _switch("--prune", "Delete what leaves the source."),
        _switch("--wait", "Wait for the health of everything applied."),
        click.option(
            "--health-check", multiple=True, callback=_checks, metavar="KIND/NAME.NAMESPACE", help="Health to wait for."
        ),
        _duration("--health-check-timeout", "Limit of health checks.", "2m"),
        click.option(
            "--depends-on", multiple=True, callback=_dependencies, metavar="[NAMESPACE/]NAME", help="What comes first."
        ),
        _text("--service-account", "ServiceAccount to impersonate."),
        click.option("--decryption-provider", type=click.Choice(("sops",)), help="How encrypted manifests are read."),
        _text("--decryption-secret", "Existing Secret with the private keys."),
        _text("--target-namespace", "Namespace put on all objects."),
        _text("--kubeconfig-secret-ref", "Existing Secret with the kubeconfig of another cluster."),
        _duration("--retry-interval", "How soon a failure is retried."),
    ),
)


@command.command("kustomization", help=KUSTOMIZATION_HELP)
@click.argument("name", callback=object_name)
@kustomization_options
@making_options
@cluster_options("5m", namespaces=True)
def kustomization(name: str, flags: Kustomizing, making: Making, place: Place) -> None:
    """Make a Kustomization."""
    if flags.decryption_secret and not flags.decryption_provider:
        raise click.UsageError("--decryption-secret needs --decryption-provider")
    if not flags.path.startswith("./") or ".." in flags.path.split("/"):
        raise click.UsageError("--path begins with ./ and stays in the source")
    decryption: Object = {"provider": flags.decryption_provider}
    if flags.decryption_secret:
        decryption["secretRef"] = {"name": flags.decryption_secret}
    checks = () if flags.wait else flags.health_check
    spec: Object = {
        "interval": making.interval,
        "path": flags.path,
        "prune": flags.prune,
        "sourceRef": flags.source,
    }
    for field, value in (
        ("retryInterval", flags.retry_interval),
        ("targetNamespace", flags.target_namespace),
        ("dependsOn", list(flags.depends_on)),
        ("wait", flags.wait),
        ("healthChecks", list(checks)),
        ("timeout", flags.health_check_timeout if flags.wait or checks else ""),
        ("serviceAccountName", flags.service_account),
        ("decryption", decryption if flags.decryption_provider else None),
        ("kubeConfig", {"secretRef": {"name": flags.kubeconfig_secret_ref}} if flags.kubeconfig_secret_ref else None),
    ):
        if value:
            spec[field] = value
    sys.exit(make(place, making, _object(KUSTOMIZATION, name, spec)))


def _object(kind: Kind, name: str, spec: Object) -> Object:
    return {
        "apiVersion": f"{kind.group}/{kind.versions[0]}",
        "kind": kind.kind,
        "metadata": {"name": name},
        "spec": spec,
    }
