"""Headers as we pack them, read by a library."""

from __future__ import annotations

import pytest
from hpack import Decoder, NeverIndexedHeaderTuple

from fluxtui.kube.headerblocks import NO_TABLE, packed

REQUEST = [("authorization", "Bearer secret"), ("accept", "application/json"), ("impersonate-user", "jané")]


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 254, 255, 256, 16510, 16511, 300000])
def test_a_library_reads_what_we_pack(method: str, length: int) -> None:
    decoder = Decoder(max_header_list_size=1 << 20)
    # What says that we keep no table holds for a server that allows none, too.
    decoder.max_allowed_table_size = 0
    headers = [*REQUEST, ("x-long", "x" * length)]
    for start in (NO_TABLE, b""):
        found = decoder.decode(start + packed(method, "host:1", "/é?a=b", headers), raw=True)
        assert [(bytes(name).decode(), bytes(value).decode()) for name, value in found] == [
            (":method", method),
            (":scheme", "https"),
            (":authority", "host:1"),
            (":path", "/é?a=b"),
            *headers,
        ]


def test_no_table_remembers_a_secret() -> None:
    decoder = Decoder()
    found = decoder.decode(NO_TABLE + packed("GET", "host", "/", REQUEST), raw=True)
    secret = next(each for each in found if each[0] == b"authorization")
    assert isinstance(secret, NeverIndexedHeaderTuple)
    assert not decoder.header_table.dynamic_entries
