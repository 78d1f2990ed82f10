"""Exponential back-off."""

from __future__ import annotations

import pytest

from fluxtui.engine.runtime.backoff import Backoff, jittered


def test_delays_double_up_to_the_cap_and_start_again_when_forgotten() -> None:
    backoff: Backoff[str] = Backoff(0.75, 900, jitter=0)
    assert [backoff.next("a") for _ in range(12)] == [0.75, 1.5, 3, 6, 12, 24, 48, 96, 192, 384, 768, 900]
    assert backoff.next("b") == 0.75
    backoff.forget("a")
    assert backoff.next("a") == 0.75


def test_a_key_that_fails_for_months_has_a_delay_still() -> None:
    backoff: Backoff[str] = Backoff(jitter=0)
    assert [backoff.next("a") for _ in range(3000)][-1] == 900


def test_jitter_stays_within_its_fraction() -> None:
    delays = [jittered(100, 0.05) for _ in range(500)]
    assert 95 <= min(delays) < 98
    assert 102 < max(delays) <= 105
    assert jittered(100, 0) == pytest.approx(100)
