"""Two readings of the data plane's counters become a rate and a ratio."""

from __future__ import annotations

import pytest

from alongside.server import traffic

NODE = """\
# TYPE alongside_cache_requests counter
alongside_cache_requests_total{cache="photos",outcome="uri-miss"} 30
alongside_cache_requests_total{cache="photos",outcome="hit"} 90
alongside_cache_origin_requests_total{cache="photos"} 30
alongside_http_requests_total{listener="admin",status="2xx"} 7
"""
ROUTER = """\
alongside_route_requests_total{route="photos",shard="hit"} 5
alongside_route_requests_total{route="photos",shard="photos-1"} 7
"""


def test_a_node_has_requests_and_hits() -> None:
    assert traffic.reading(NODE, at_s=1.0) == traffic.Reading(1.0, 120.0, 90.0)


def test_a_router_has_no_hits() -> None:
    assert traffic.reading(ROUTER, at_s=1.0) == traffic.Reading(1.0, 12.0, None)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (None, traffic.Rate(0.0, 0.75)),
        (traffic.Reading(-1.0, 20.0, 10.0), traffic.Rate(50.0, 0.75)),
        (traffic.Reading(0.0, 1000.0, 900.0), traffic.Rate(0.0, 0.75)),
    ],
)
def test_a_rate_never_goes_below_zero(
    before: traffic.Reading | None, expected: traffic.Rate
) -> None:
    assert traffic.rate(before, traffic.reading(NODE, at_s=1.0)) == expected
