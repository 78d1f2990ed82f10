"""Texts of clusters: harmless, short, and not shorter than they may be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxtui.fleet.text import brief, counted, lines, one_line, pattern_of, short_revision, span, without_credentials

SHA1 = "7148a354c0ffee5d0d8b1f2a3c4d5e6f70819203"
SHA256 = "c52b7e0d1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("a\x00b\x08c\x7f", "abc"),
        ("safe\u202egnp.exe", "safegnp.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("[bold]not markup[/]", "[bold]not markup[/]"),
        ("one\ntwo\r\n\tthree", "one two three"),
        ("\ud800lone", "lone"),
        ("grüße ✓ 你好", "grüße ✓ 你好"),
        ("\x1b", ""),
    ],
)
def test_one_line(text: str, clean: str) -> None:
    assert one_line(text) == clean


@settings(deadline=None)
@given(st.text())
def test_nothing_that_a_terminal_obeys_survives(text: str) -> None:
    for character in lines(text):
        assert character == "\n" or (ord(character) >= 0x20 and not 0x7F <= ord(character) <= 0x9F)
        assert character not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    assert one_line(one_line(text)) == one_line(text)


@pytest.mark.parametrize(
    ("revision", "short"),
    [
        (f"main@sha1:{SHA1}", "main@7148a354"),
        (f"refs/heads/main@sha1:{SHA1}", "main@7148a354"),
        (f"feature/x@sha1:{SHA1}", "feature/x@7148a354"),
        (f"v1.0.0@sha1:{SHA1}", "v1.0.0@7148a354"),
        (f"main/{SHA1}", "main@7148a354"),
        (f"sha1:{SHA1}", "7148a354"),
        (f"6.9.1@sha256:{SHA256}", "6.9.1@sha256:c52b"),
        (f"sha256:{SHA256}", "sha256:c52b"),
        ("0.2.0+31820d16ccd7", "0.2.0+31820d16ccd7"),
        ("", ""),
    ],
)
def test_short_revision(revision: str, short: str) -> None:
    assert short_revision(revision) == short


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (f"Applied revision: main@sha1:{SHA1}", ""),
        (f"stored artifact for revision 'main@sha1:{SHA1}'", ""),
        ("dependency 'flux-system/apps' is not ready", "waits for flux-system/apps"),
        (
            "health check failed after 30.008440786s: timeout waiting for: [Deployment/web/api status: 'InProgress']",
            "Deployment/web/api status: 'InProgress'",
        ),
        (
            "Helm install failed for release apps/broken with chart demo@0.2.0+31820d16ccd7: execution error at (x)",
            "install failed: execution error at (x)",
        ),
        (
            "kustomization path not found: stat /tmp/kustomization-2030582082/nowhere: no such file or directory",
            "kustomization path not found: stat nowhere: no such file or directory",
        ),
        (f"failed to checkout and determine revision: commit {SHA1} not found", "commit 7148a354 not found"),
        ("unable to clone 'https://ada:secret@git.example.com/x'", "unable to clone 'https://git.example.com/x'"),
        ("x" * 500, "x" * 500),
        ("Reconciliation finished in 146.400703ms, next run in 5m0s", "next run in 5m0s"),
        (
            "Back-off restarting failed container api in pod api-bd6b-gd29d_shop(d1d97bf3-9a4d-44a4-a736-6cd5853d70bc)",
            "Back-off restarting failed container api",
        ),
    ],
)
def test_brief(message: str, shown: str) -> None:
    assert brief(message) == shown


def test_the_same_failure_has_the_same_pattern() -> None:
    one = brief(f"timeout after 30.1s at main@sha1:{SHA1}: pod api-6d9f7c8b9-x2kqp")
    other = brief("timeout after 12.9s at main@sha1:31c09ab2d3a1b0c9f8e7d6c5b4a3928170615243: pod api-6d9f7c8b9-x2kqp")
    assert pattern_of(one) == pattern_of(other) != pattern_of("another failure")


def test_credentials_in_urls_are_cut() -> None:
    assert without_credentials("https://user:pa:ss@host/x?a=b@c") == "https://host/x?a=b@c"
    assert without_credentials("https://token@host/x") == "https://host/x"
    assert without_credentials("ssh://git@host/x") == "ssh://git@host/x"
    assert without_credentials("ssh://git:secret@host/x") == "ssh://host/x"


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0s"), (59.9, "59s"), (60, "1m"), (7200, "2h"), (9 * 86400, "9d"), (4000 * 86400, "10y")]
)
def test_span(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(("number", "words"), [(0, "0 objects"), (1, "1 object"), (12, "12 objects")])
def test_counted(number: int, words: str) -> None:
    assert counted(number, "object") == words
