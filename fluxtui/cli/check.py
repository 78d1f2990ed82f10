"""`fluxtui check`: whether the clusters answer, who reconciles them, and whether that works."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

import click
import msgspec

from fluxtui.api.kinds import GIT_REPOSITORY, KINDS, KUSTOMIZATION
from fluxtui.cli import output
from fluxtui.cli.contact import ask_all, served_as
from fluxtui.cli.options import EXIT_CODES, Place, Selection, cluster_options, form_option
from fluxtui.fleet import probe
from fluxtui.fleet.clusters import Mode
from fluxtui.fleet.text import one_line
from fluxtui.kube.errors import ApiError, KubeError
from fluxtui.kube.resources import Resource

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

OLDEST = (1, 22)
"""Server-side apply is stable since this version of Kubernetes."""
NEEDED = (GIT_REPOSITORY, KUSTOMIZATION)
_DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments")

HELP = f"""Check the selected clusters: do they answer, which Flux kinds do they serve, who reconciles them, and does
that work; and what you may do there.

JSON and YAML: {{"items": [{{"cluster", "good", "checks": [{{"about", "good", "text"}}]}}], "errors": […]}}; "good" of a
check is null for what is worth knowing and no fault.

{EXIT_CODES}"""


class Finding(msgspec.Struct, frozen=True):
    """One line of a check."""

    about: str
    """prerequisites, controllers, kinds, permissions."""
    good: bool | None
    """None: worth knowing, no fault."""
    text: str


@click.command(help=HELP)
@form_option
@cluster_options("30s")
def command(form: str, place: Place) -> None:
    """Check clusters."""
    where = place.select()
    sys.exit(asyncio.run(_check(where, form)))


async def _check(where: Selection, form: str) -> int:
    answers = await ask_all(where.contexts, where.timeout, lambda client: findings(client, where.namespace))
    if form == "table":
        for cluster, found in answers.of.items():
            _print(cluster, found)
        answers.complain()
    else:
        items = [
            {"cluster": cluster, "good": is_good(found), "checks": [msgspec.to_builtins(each) for each in found]}
            for cluster, found in answers.of.items()
        ]
        document = {"items": items, "errors": output.errors_of(answers.troubles)}
        (output.print_json if form == "json" else output.print_yaml)(document)
    return 1 if answers.troubles or not all(map(is_good, answers.of.values())) else 0


def is_good(found: list[Finding]) -> bool:
    """Whether no check failed."""
    return all(finding.good is not False for finding in found)


def _print(cluster: str, found: list[Finding]) -> None:
    click.echo(cluster)
    about = ""
    for finding in found:
        if finding.about != about:
            about = finding.about
            click.echo(f"  {about}")
        sign = "-" if finding.good is None else output.sign(good=finding.good)
        click.echo(f"    {sign} {finding.text}")


async def findings(client: Client, namespace: str) -> list[Finding]:
    """All checks of one cluster. Raises KubeError when it does not answer."""
    version = one_line(str((await client.version()).get("gitVersion", ""))).removeprefix("v")
    found = [_kubernetes(version)]
    found += await _controllers(client, namespace)
    found += await _kinds(client)
    found += await _permissions(client, namespace)
    return found


def _kubernetes(version: str) -> Finding:
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0].rstrip("+")
    old = major.isdecimal() and minor.isdecimal() and (int(major), int(minor)) < OLDEST
    wish = ".".join(map(str, OLDEST))
    return Finding("prerequisites", not old, f"Kubernetes {version or 'of an unknown version'} (>= {wish})")


async def _controllers(client: Client, namespace: str) -> list[Finding]:
    """Who holds the Leases, and whether the Deployments are ready."""
    about = "controllers"
    leases = await probe.leases(client, 30.0)
    standing = probe.LeaseWatch().look(leases, time.time()) if leases else probe.Standing()
    flux = await probe.flux_version(client)
    found = [Finding(about, None, f"Flux {flux}")] if flux else []
    found.append(_standing(standing))
    found += [Finding(about, False, f"{name} does not renew its lease") for name in standing.stale]
    try:
        deployments = await client.list(_DEPLOYMENTS, namespace, label_selector="app.kubernetes.io/part-of=flux")
    except ApiError as error:
        return [*found, Finding(about, None, str(error))]
    for deployment in deployments.items:
        name, status = deployment["metadata"]["name"], deployment.get("status") or {}
        wanted = (deployment.get("spec") or {}).get("replicas", 1)
        ready = status.get("readyReplicas") or 0
        # An embedded engine stands in for controllers whose Deployments are scaled down.
        good = ready >= wanted if standing.mode is not Mode.EMBEDDED or wanted else None
        found.append(Finding(about, good, one_line(f"{name}: {ready} of {wanted} ready, {_image(deployment)}")))
    return found


def _standing(standing: probe.Standing) -> Finding:
    texts = {
        Mode.DELEGATED: f"reconciled by Flux's controllers ({standing.holder})",
        Mode.EMBEDDED: f"reconciled by an engine of fluxtui ({standing.holder})",
        Mode.NONE: "reconciled by nobody: no controller holds its lease",
        Mode.UNKNOWN: "the leases in flux-system may not be read: who reconciles is unknown",
    }
    good = {Mode.NONE: False, Mode.UNKNOWN: None}.get(standing.mode, True)
    return Finding("controllers", good, texts[standing.mode])


def _image(deployment: dict[str, Any]) -> str:
    containers = deployment["spec"]["template"]["spec"].get("containers") or [{}]
    return str(containers[0].get("image", ""))


async def _kinds(client: Client) -> list[Finding]:
    served = await client.resources()
    found = []
    for kind in KINDS:
        resource = served_as(kind, served.find)
        if resource:
            known = resource.version in kind.versions
            found.append(Finding("kinds", known or None, f"{resource.name}/{resource.version}"))
        elif kind in NEEDED:
            found.append(Finding("kinds", False, f"{kind.resource} is not served"))
    found += [Finding("kinds", False, f"{name}: {why}") for name, why in served.failures.items() if "fluxcd" in name]
    return found


async def _permissions(client: Client, namespace: str) -> list[Finding]:
    """What we may do to Kustomizations, which stand for all kinds here."""
    resource = Resource(KUSTOMIZATION.group, KUSTOMIZATION.versions[0], KUSTOMIZATION.kind, KUSTOMIZATION.plural)
    found = []
    for verb, meaning in (("list", "see"), ("watch", "follow"), ("patch", "reconcile, suspend and resume")):
        try:
            allowed = await client.allowed(verb, resource, namespace)
        except KubeError as error:
            return [Finding("permissions", None, f"not known: {error}")]
        words = f"you may {meaning} objects" if allowed else f"you may not {meaning} objects ({verb})"
        found.append(Finding("permissions", True if allowed else None, words))
    return found
