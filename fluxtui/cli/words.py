"""What people call the kinds on the command line: flux's words (`ks`, `source git`, `sources all`) and `KIND/NAME`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click
import msgspec

from fluxtui.api.kinds import (
    ALERT,
    ARTIFACT_GENERATOR,
    BUCKET,
    BY_WORD,
    EXTERNAL_ARTIFACT,
    GIT_REPOSITORY,
    HELM_CHART,
    HELM_REPOSITORY,
    IMAGE_POLICY,
    IMAGE_REPOSITORY,
    IMAGE_UPDATE,
    KINDS,
    OCI_REPOSITORY,
    PROVIDER,
    RECEIVER,
    Category,
    Kind,
)

_FAMILIES: dict[str, dict[str, Kind]] = {
    "source": {
        "git": GIT_REPOSITORY,
        "oci": OCI_REPOSITORY,
        "helm": HELM_REPOSITORY,
        "chart": HELM_CHART,
        "bucket": BUCKET,
        "external": EXTERNAL_ARTIFACT,
    },
    "image": {"repository": IMAGE_REPOSITORY, "policy": IMAGE_POLICY, "update": IMAGE_UPDATE},
    "artifact": {"generator": ARTIFACT_GENERATOR, "generators": ARTIFACT_GENERATOR},
}
"""flux's words of two parts."""
_CATEGORIES = {"source": Category.SOURCES, "image": Category.IMAGES, "artifact": Category.SOURCES}
_MORE = {"alert-provider": PROVIDER, "alert-providers": PROVIDER, "alerts": ALERT, "receivers": RECEIVER}


class Wanted(msgspec.Struct, frozen=True):
    """What a verb's words mean."""

    kinds: tuple[Kind, ...] = ()
    words: tuple[str, ...] = ()
    """Words that no kind of ours has: each cluster is asked whether it serves such a kind of Flux's family."""
    names: tuple[str, ...] = ()
    """Names, or `NAMESPACE/NAME`; empty for all objects."""
    every: bool = False
    """All kinds of Flux and its family that a cluster serves, those that we know nothing of too."""

    @property
    def title(self) -> str:
        """The kinds in words."""
        names = [kind.kind for kind in self.kinds] + list(self.words)
        return names[0] if len(names) == 1 else "Flux"


def wanted(words: Sequence[str], *, named: bool = False) -> Wanted:
    """The kinds and names in `ks apps infra`, `source git fleet`, `sources all`, `all`, `hr,ks` or `ks/apps hr/web`.

    `named`: at least one name must be there. Raises click.UsageError.
    """
    if not words:
        raise click.UsageError("a kind is missing, such as ks, hr, source git, or all")
    found = _pairs(words) if all("/" in word for word in words) else _kinds_then_names(words)
    if named and not found.names:
        raise click.UsageError(f"the name of a {found.title} is missing")
    return found


def _pairs(words: Sequence[str]) -> Wanted:
    kinds, names, unknown = [], [], []
    for word in words:
        kind_word, _, name = word.partition("/")
        kind = kind_of(kind_word)
        kinds += [kind] if kind else []
        unknown += [] if kind else [kind_word]
        names.append(name)
    if len({*kinds, *unknown}) > 1:
        raise click.UsageError("all KIND/NAME must be of one kind")
    return Wanted(tuple(dict.fromkeys(kinds)), tuple(dict.fromkeys(unknown)), tuple(names))


def _kinds_then_names(words: Sequence[str]) -> Wanted:
    first, *rest = words
    low = first.lower()
    if low == "all":
        return Wanted(KINDS, (), tuple(rest), every=True)
    family = low.removesuffix("s") if low.endswith("s") else low
    if family in _FAMILIES:
        return _of_family(family, first, rest)
    kinds, unknown = [], []
    for word in low.split(","):
        kind = kind_of(word)
        kinds += [kind] if kind else []
        unknown += [] if kind else [word]
    return Wanted(tuple(dict.fromkeys(kinds)), tuple(unknown), tuple(rest))


def _of_family(family: str, first: str, rest: Sequence[str]) -> Wanted:
    members = _FAMILIES[family]
    if not rest:
        raise click.UsageError(f"{first} what? {', '.join(dict.fromkeys(members))} or all")
    member = rest[0].lower()
    if member == "all":
        kinds = tuple(kind for kind in KINDS if kind.category == _CATEGORIES[family])
        return Wanted(kinds, (), tuple(rest[1:]))
    kind = members.get(member) or kind_of(member)
    if kind is None or kind.category != _CATEGORIES[family]:
        near = hint(member, [*members, "all"])
        known = f"; known are {', '.join(dict.fromkeys(members))} and all"
        raise click.UsageError(f"there is no {first} {rest[0]}{near or known}")
    return Wanted((kind,), (), tuple(rest[1:]))


def kind_of(word: str) -> Kind | None:
    """The kind of a word: singular, plural, short word, alias, or `plural.group`."""
    low = word.lower()
    return BY_WORD.get(low) or _MORE.get(low) or BY_WORD.get(low.partition(".")[0])


def hint(word: str, known: Iterable[str]) -> str:
    """`; did you mean apps?` if something known is near to a word, else nothing. `NAMESPACE/NAME` counts as NAME."""
    import difflib

    near = difflib.get_close_matches(word.rpartition("/")[2].lower(), {each.lower(): None for each in known}, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def kind_hint(word: str) -> str:
    """The same for the words of kinds."""
    plain = [each for each in (*BY_WORD, *_MORE, "all", *_FAMILIES) if len(each) > 2]
    return hint(word, plain) if len(word) > 2 else ""
