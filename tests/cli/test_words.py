"""What people call the kinds."""

from __future__ import annotations

import click
import pytest

from fluxtui.api.kinds import KINDS, Category
from fluxtui.cli.words import wanted


@pytest.mark.parametrize(
    ("words", "kinds", "names"),
    [
        ("ks", "Kustomization", ""),
        ("kustomization apps", "Kustomization", "apps"),
        ("kustomizations apps infra", "Kustomization", "apps infra"),
        ("kustomizations.kustomize.toolkit.fluxcd.io apps", "Kustomization", "apps"),
        ("HR podinfo", "HelmRelease", "podinfo"),
        ("gitrepo", "GitRepository", ""),
        ("git fleet", "GitRepository", "fleet"),
        ("source git fleet", "GitRepository", "fleet"),
        ("sources git", "GitRepository", ""),
        ("source chart", "HelmChart", ""),
        ("source helm x", "HelmRepository", "x"),
        ("source oci", "OCIRepository", ""),
        ("source external", "ExternalArtifact", ""),
        ("image repository", "ImageRepository", ""),
        ("images policy x", "ImagePolicy", "x"),
        ("image update", "ImageUpdateAutomation", ""),
        ("artifact generators", "ArtifactGenerator", ""),
        ("alert-provider slack", "Provider", "slack"),
        ("alert-providers", "Provider", ""),
        ("alerts", "Alert", ""),
        ("receivers", "Receiver", ""),
        ("hr,ks", "HelmRelease Kustomization", ""),
        ("ks/apps ks/infra", "Kustomization", "apps infra"),
        ("ks/flux-system/apps", "Kustomization", "flux-system/apps"),
        ("all", " ".join(kind.kind for kind in KINDS), ""),
        ("images all", "ImageRepository ImagePolicy ImageUpdateAutomation", ""),
    ],
)
def test_words(words: str, kinds: str, names: str) -> None:
    found = wanted(words.split())
    assert [kind.kind for kind in found.kinds] == kinds.split()
    assert list(found.names) == names.split()


def test_all_sources() -> None:
    assert all(kind.category == Category.SOURCES for kind in wanted(["sources", "all"]).kinds)
    assert len(wanted(["sources", "all"]).kinds) >= 6


def test_a_word_of_no_kind_of_ours_is_left_to_the_clusters() -> None:
    assert wanted(["metrictemplates", "x"]).words == ("metrictemplates",)


@pytest.mark.parametrize(
    ("words", "named", "message"),
    [
        ("", False, "a kind is missing"),
        ("source", False, r"source what\? git, oci"),
        ("source ks", False, "there is no source ks"),
        ("ks", True, "the name of a Kustomization is missing"),
        ("ks/a hr/b", False, "all KIND/NAME must be of one kind"),
    ],
)
def test_mistakes(words: str, named: bool, message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        wanted(words.split(), named=named)
