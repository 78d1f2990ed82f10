"""What clusters say, made harmless and short: escape sequences removed, revisions and boilerplate shortened.

Nothing from a cluster is trusted: every text on the way to a terminal passes `one_line` or `lines`.
"""

from __future__ import annotations

from functools import lru_cache

from fluxtui.api.patterns import lazily

MAX_MESSAGE = 2000
"""Characters of a message that a row keeps; the object itself holds the rest."""

_SEQUENCE = lazily(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|[ -/]*[0-~])?"
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|[\x90\x98\x9d-\x9f][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
)
"""CSI, OSC, DCS and the shorter sequences of ECMA-48, complete or cut off, in 7-bit and 8-bit form."""
_INVISIBLE = lazily(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters, and what changes the direction or presence of other text without being seen."""
_SPACES = lazily(r"\s+")


def counted(number: int, noun: str) -> str:
    """`1 object`, `9 objects`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def lines(text: str) -> str:
    """Text of several lines without terminal sequences, control and invisible characters; tabs are four spaces."""
    if text.isascii() and text.isprintable():
        return text
    text = _SEQUENCE().sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = text.replace("\x85", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return _INVISIBLE().sub("", text).replace("\t", "    ")


def one_line(text: str) -> str:
    """Text as `lines`, folded to one line."""
    return _SPACES().sub(" ", lines(text)).strip()


_GIT = lazily(r"(?:refs/(?:heads|tags)/)?([^\s'\"@:]*)@sha1:([0-9a-f]{8})[0-9a-f]{4,32}\b")
_SHA1 = lazily(r"\b(?:sha1:)?([0-9a-f]{8})[0-9a-f]{32}\b")
_DIGEST = lazily(r"\b(sha(?:256|384|512):[0-9a-f]{4})[0-9a-f]{4,124}\b")
_OLD_GIT = lazily(r"(?<![\w./-])([\w.-]+)/([0-9a-f]{8})[0-9a-f]{32}\b")
"""`main/7148a354…`, the form before Flux 2.0."""


@lru_cache(maxsize=4096)
def short_revision(text: str) -> str:
    """`main@sha1:7148a354…` → `main@7148a354`, `6.9.1@sha256:c52b…` → `6.9.1@sha256:c52b`; others as they are."""
    return shorten(one_line(text))


def shorten(text: str) -> str:
    """All revisions, commits and digests inside a text made short."""
    text = _GIT().sub(lambda match: f"{match[1]}@{match[2]}" if match[1] else match[2], text)
    text = _OLD_GIT().sub(r"\1@\2", text)
    text = _DIGEST().sub(r"\1", text)
    return _SHA1().sub(r"\1", text)


_TEMPORARY = lazily(r"/?(?:[^\s/'\":]+/)*(?:kustomization|gitrepository|helmchart|helmrelease)-[^\s/'\":]*\d+/")
"""Working directories of the controllers: `/tmp/kustomization-2030582082/`."""
_REWRITES = tuple(
    (lazily(pattern), text)
    for pattern, text in (
        (r"^Applied revision: \S+$", ""),
        (r"^stored artifact (?:for (?:revision|digest)|with revision)[^']*'[^']*'$", ""),
        (r"^stored artifact: revision '[^']*'$", ""),
        (r"^(?:Alert|Provider) is Ready$|^Receiver initialized for path: \S+$", ""),
        (r"^Helm (\w+) succeeded for release \S+?(?:\.v(\d+))?(?: with chart (\S+))?$", r"\1 of \3 succeeded"),
        (r"^Helm (\w+) failed for release \S+ with chart \S+?: ", r"\1 failed: "),
        (r"^dependency '([^']+)' is not ready\b.*$", r"waits for \1"),
        (r"^dependencies do not meet ready condition.*?: (.+)$", r"waits for \1"),
        (r"^health check failed after [\d.hmsµn]+: ", ""),
        (r"^failed early due to stalled resources: \[(.+)\]$", r"\1"),
        (r"^timeout waiting for: \[(.+)\]$", r"\1"),
        (r"^Running health checks for revision \S+ with a timeout of (\S+)$", r"health checks, at most \1"),
        (r"^kustomize build failed: (?:accumulating resources: )?", ""),
        (r"^accumulation err='?", ""),
        (r"^failed to checkout and determine revision: ", ""),
        (r"^reconciliation in progress$", ""),
        (r"^Reconciliation finished in \S+, next run in (\S+)$", r"next run in \1"),
        (r"^(Back-off restarting failed container \S+) in pod \S+$", r"\1"),
    )
)
"""Boilerplate of Flux's own messages (docs/spec of the controllers); each rewrite works on what the last one left."""


@lru_cache(maxsize=8192)
def brief(text: str) -> str:
    """A condition's message as a row shows it: one clean line, boilerplate cut, revisions short, never cut to a width.

    What only repeats the state and the revision becomes empty.
    """
    text = shorten(without_credentials(_TEMPORARY().sub("", one_line(text[: 2 * MAX_MESSAGE]))))
    for pattern, replacement in _REWRITES:
        text = pattern().sub(replacement, text)
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


_USERINFO = lazily(r"(?<=://)(?<!ssh://)[^/@\s'\"]+@|(?<=ssh://)[^/@:\s'\"]+:[^/@\s'\"]+@")


def without_credentials(text: str) -> str:
    """A text in which URLs have lost their `user:password@`; the user alone of an ssh URL stays."""
    return _USERINFO().sub("", text)


_VARYING = lazily(r"\b[0-9a-f]{7,}\b|\d+(?:\.\d+)*")


@lru_cache(maxsize=8192)
def pattern_of(text: str) -> str:
    """A brief message with hashes and numbers replaced by `#`: equal for the same failure in many clusters."""
    return _VARYING().sub("#", text)


def span(seconds: float) -> str:
    """A duration in at most four cells: `12s`, `4m`, `3h`, `9d`, `12y`."""
    whole = max(0, int(seconds))
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "m"), (86400, 3600, "h"), (1000 * 86400, 86400, "d")):
        if whole < limit:
            return f"{whole // size}{unit}"
    return f"{whole // (365 * 86400)}y"
