"""Version ranges as Flux understands them."""

from __future__ import annotations

import pytest

from fluxtui.engine.adapters.git_versions import RangeError, VersionRange, newest

TAGS = ("v1.0.0", "1.2.3", "1.10.0", "2.0.0", "v2.1.0-rc.1", "3.0.0-alpha", "0.9.0", "nope", "1.2", "v")


@pytest.mark.parametrize(
    ("range", "tag"),
    [
        ("*", "2.0.0"),
        (">=1.0.0", "2.0.0"),
        (">= 1.0.0, < 2.0.0", "1.10.0"),
        (">=1.0.0 <2", "1.10.0"),
        ("1.x", "1.10.0"),
        ("1", "1.10.0"),
        ("1.2.x", "1.2.3"),
        ("~1.2", "1.2.3"),
        ("~1", "1.10.0"),
        ("~1.2.3", "1.2.3"),
        ("^1.0.0", "1.10.0"),
        ("^0.9", "0.9.0"),
        ("1.0 - 1.2", "1.2.3"),
        ("<1 || >=2", "2.0.0"),
        ("!=2.0.0", "1.10.0"),
        ("!=2.x", "1.10.0"),
        (">1", "2.0.0"),
        ("=1.2.3", "1.2.3"),
        ("v1.0.0", "v1.0.0"),
        ("<=1.2", "1.2.3"),
        ("=<1.0.0", "v1.0.0"),
        (">=1.0.0-0", "3.0.0-alpha"),
        (">=2.1.0-0 <2.2", "v2.1.0-rc.1"),
        ("^2.1.0-rc.0", "v2.1.0-rc.1"),
        (">=5", None),
        ("2.1.0", None),
    ],
)
def test_the_newest_tag_of_a_range(range: str, tag: str | None) -> None:
    assert newest(TAGS, range) == tag


@pytest.mark.parametrize("text", ["", "bogus", ">=", "1.2.3.4.5", ">=1 ||", "1.0.0 && 2"])
def test_what_is_no_range_says_so(text: str) -> None:
    with pytest.raises(RangeError, match="improper constraint"):
        VersionRange(text)


def test_tags_that_differ_in_build_metadata_have_an_order() -> None:
    assert newest(["1.0.0+20240102", "1.0.0+20240103", "1.0.0+20240101"], "1.x") == "1.0.0+20240103"
