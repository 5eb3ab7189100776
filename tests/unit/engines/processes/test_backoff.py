"""A process that keeps failing is started less and less often, within limits."""

from __future__ import annotations

from alongside.engines.processes import backoff


def test_waits_twice_as_long_each_time_up_to_the_limit() -> None:
    state, delays_s = backoff.Backoff(), []
    for _ in range(12):
        delay_s, state = state.after(0.5)
        delays_s.append(delay_s)
    assert delays_s[:4] == [0.1, 0.2, 0.4, 0.8]
    assert delays_s[-1] == backoff.DELAY_S_MAX


def test_a_long_calm_run_is_forgiven() -> None:
    assert backoff.Backoff(9).after(backoff.CALM_S) == (backoff.DELAY_S_MIN, backoff.Backoff(1))


def test_who_has_served_is_away_for_a_second_at_most() -> None:
    state, delays_s = backoff.Backoff(), []
    for _ in range(12):
        delay_s, state = state.after(0.5, has_served=True)
        delays_s.append(delay_s)
    assert delays_s[:5] == [0.1, 0.2, 0.4, 0.8, 1.0]
    assert delays_s[-1] == backoff.SERVED_DELAY_S_MAX
    assert state.after(0.5)[0] == 3.2
