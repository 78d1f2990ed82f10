"""Texts that many rows have are kept once."""

from __future__ import annotations

import msgspec
import pytest

from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Sharing
from fluxtui.fleet.wire import Wire
from tests.fleet.objects import flux, ready


def json(number: int) -> bytes:
    return b"%010d" % number


def test_equal_inventories_of_a_fleet_are_one_text() -> None:
    mirror = Mirror()
    rows = []
    for cluster in ("eu", "us"):
        entries = [{"id": f"web_app-{number}_apps_Deployment", "v": "v1"} for number in range(3)]
        (ref,) = mirror.upsert(cluster, [flux("ks", "apps", ready(), status={"inventory": {"entries": entries}})])
        rows.append(mirror.rows[ref])
    assert rows[0].inventory.count("\n") == 2
    assert rows[0].inventory is rows[1].inventory


@pytest.mark.parametrize("inventory", [b'{"entries":[{"id":"a\xff_b_c_D"}]}', b'{"entries":3}', b'"x"', b"null"])
def test_an_inventory_that_can_not_be_read_costs_nothing_else(inventory: bytes) -> None:
    mirror = Mirror()
    wire = b'{"apiVersion":"kustomize.toolkit.fluxcd.io/v1","kind":"Kustomization","metadata":{"name":"apps"},"status":'
    (ref,) = mirror.upsert("eu", [msgspec.json.decode(wire + b'{"inventory":' + inventory + b"}}", type=Wire)])
    assert mirror.rows[ref].inventory == ""


def test_what_comes_again_and_again_stays_shared_and_what_does_not_is_forgotten() -> None:
    sharing = Sharing(bytes.decode, most=100)
    often, once = sharing(json(0)), sharing(json(1))
    for number in range(2, 1000):
        sharing(json(number))
        assert sharing(json(0)) is often
    assert sharing(json(1)) is not once


def test_no_more_is_kept_than_allowed() -> None:
    sharing = Sharing(bytes.decode, most=100)
    for number in range(1000):
        sharing(json(number))
        assert len(sharing._young) + len(sharing._old) <= 20
    long = sharing(b"x" * 1000)
    assert sharing(b"x" * 1000) is long
