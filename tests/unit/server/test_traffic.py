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
    assert traffic.reading(NODE, at_s=1.0) == traffic.Reading(
        1.0, 120.0, 90.0, origin_requests=30.0
    )


def test_a_router_has_no_hits() -> None:
    found = traffic.reading(ROUTER, at_s=1.0)
    assert (found.requests, found.hits) == (12.0, None)


SEEN = """\
# TYPE alongside_route_node_share_ratio gauge
alongside_route_requests_total{route="photos",shard="photos-0"} 5
alongside_route_node_share_ratio{route="photos",node="photos-0-0"} 0.5
alongside_route_node_share_ratio{route="photos",node="photos-0-1"} 0.0
alongside_route_node_warmth_ratio{route="photos",node="photos-0-0"} 0.25
alongside_route_node_in_flight{route="photos",node="photos-0-0"} 3
alongside_route_node_left_total{route="photos",node="photos-0-1",reason="unreachable"} 2
alongside_route_node_left_total{route="photos",node="photos-0-1",reason="probe_failed"} 1
alongside_route_retries_total{route="photos",reason="closed"} 4
alongside_route_fallbacks_total{route="photos",to="origin"} 6
alongside_route_fallbacks_total{route="photos",to="error"} 0
alongside_route_node_left_total{route="photos",node="photos-0-1",reason="slow"} 0
alongside_route_resumed_total{route="photos"} 7
alongside_document_epoch 2
alongside_document_generation 9
nonsense
alongside_route_node_in_flight{route="photos",node="photos-0-0"} many
# EOF
"""


def test_a_router_tells_of_its_nodes_and_of_what_it_did() -> None:
    found = traffic.reading(SEEN, at_s=1.0)
    assert (found.epoch, found.generation) == (2, 9)
    assert found.sight == traffic.Sight(
        shares={"photos-0-0": 0.5, "photos-0-1": 0.0},
        warmths={"photos-0-0": 0.25},
        in_flight={"photos-0-0": 3},
        left={"photos-0-1": {"unreachable": 2, "probe_failed": 1}},
        retries={"closed": 4},
        fallbacks={"origin": 6},
        resumed=7,
    )


def test_a_node_is_no_router() -> None:
    assert traffic.reading(NODE, at_s=1.0).sight is None


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


def test_rates_of_pools_are_told_apart() -> None:
    def counted(sessions: int, carts: int, at_s: float) -> traffic.Reading:
        text = "\n".join(
            f'alongside_ambassador_commands_total{{pool="{name}"}} {count}'
            for name, count in (("sessions", sessions), ("carts", carts))
        )
        return traffic.reading(text, at_s=at_s)

    found = traffic.rate(counted(10, 5, 0.0), counted(30, 6, 2.0))
    assert (found.requests_per_s, found.pools) == (10.5, {"sessions": 10.0, "carts": 0.5})
    assert traffic.rate(None, counted(1, 1, 0.0)).pools == {"sessions": 0.0, "carts": 0.0}
