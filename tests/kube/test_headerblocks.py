"""Headers as we pack them, read by a library."""

from __future__ import annotations

import pytest
from hpack import Decoder, NeverIndexedHeaderTuple

from fluxtui.kube.headerblocks import TABLE, Authorization, packed

REQUEST = [("accept", "application/json"), ("impersonate-user", "jané")]
TOKEN = "Bearer " + "s" * 2000


def read(decoder: Decoder, block: bytes) -> list[tuple[str, str]]:
    return [(bytes(name).decode(), bytes(value).decode()) for name, value in decoder.decode(block, raw=True)]


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 254, 255, 256, 16510, 16511, 300000])
def test_a_library_reads_what_we_pack(method: str, length: int) -> None:
    headers = [*REQUEST, ("x-long", "x" * length)]
    assert read(Decoder(max_header_list_size=1 << 20), packed(method, "host:1", "/é?a=b", headers)) == [
        (":method", method),
        (":scheme", "https"),
        (":authority", "host:1"),
        (":path", "/é?a=b"),
        *headers,
    ]


def test_the_authorization_is_sent_once_as_long_as_it_is_the_same() -> None:
    decoder, authorization, rest = Decoder(), Authorization(), packed("GET", "host", "/", REQUEST)
    plain = read(Decoder(), rest)
    sizes = []
    for token in (TOKEN, TOKEN, "", TOKEN, "Bearer other", "Bearer other", TOKEN, TOKEN):
        block = authorization.packed(token, rest)
        assert read(decoder, block) == [*plain, *([("authorization", token)] if token else [])]
        sizes.append(len(block) - len(rest))
    assert sizes[1] == sizes[3] == sizes[5] == sizes[7] == 1
    assert sizes[2] == 0
    assert min(sizes[0], sizes[6]) > len(TOKEN)
    assert authorization.packed("", b"") == b""


def test_a_server_with_a_small_table_is_told_each_time() -> None:
    decoder, authorization = Decoder(), Authorization()
    read(decoder, authorization.packed(TOKEN, b""))
    authorization.limit(TABLE)
    assert len(authorization.packed(TOKEN, b"")) == 1
    # As RFC 7541, 4.2 has it: what the server has forgotten is named no more, and we say that we know.
    decoder.max_allowed_table_size = 100
    authorization.limit(100)
    for _ in range(3):
        assert read(decoder, authorization.packed(TOKEN, b"")) == [("authorization", TOKEN)]
    assert not decoder.header_table.dynamic_entries


def test_what_fits_into_no_table_is_sent_each_time_and_kept_by_nobody() -> None:
    decoder, authorization = Decoder(), Authorization()
    for length in (TABLE - 52, TABLE - 51):
        token = "Bearer " + "s" * length
        for _ in range(2):
            (header,) = decoder.decode(authorization.packed(token, b""), raw=True)
            assert header == (b"authorization", token.encode())
            assert isinstance(header, NeverIndexedHeaderTuple) == (length > TABLE - 52)
