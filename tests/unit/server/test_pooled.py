"""A cache of memcache or Redis is told of as its routers see it."""

from __future__ import annotations

import pytest

from alongside.plan import shape
from alongside.server import pooled, traffic

POOL = shape.Pool(
    *("sessions", "memcache", "service", ("sessions-router-0",), ("sessions-0", "sessions-1")),
    *("ketama", "fnv1a_64", None),
    timeout_ms=1000,
    eject_failures=None,
    servers_percent_min=50,
    memory_bytes=64 * 2**20,
    drain_timeout_ms=10_000,
)
METRICS = """\
alongside_ambassador_commands_total{pool="sessions"} 7
alongside_ambassador_open_clients{pool="sessions"} 3
alongside_ambassador_server_left{pool="sessions",server="sessions-0",standing="down"} 1
alongside_ambassador_server_left{pool="sessions",server="sessions-0",standing="ejected"} 0
alongside_ambassador_server_left{pool="sessions",server="sessions-1",standing="down"} 0
alongside_ambassador_unanswered_now{pool="sessions",server="sessions-0"} 0
alongside_ambassador_unanswered_now{pool="sessions",server="sessions-1"} 2
"""
PLACED = "ketama of fnv1a_64 gives the key to sessions-0, one of 2 servers"


def server(at: int, standing: str) -> dict[str, object]:
    return {"name": f"sessions-{at}", "standing": standing}


@pytest.mark.parametrize(
    ("home", "now", "expected"),
    [
        (server(0, "good"), server(0, "good"), PLACED),
        (
            server(0, "ejected"),
            server(1, "good"),
            f"{PLACED}, which is ejected, so that sessions-1 has it now",
        ),
        (
            server(0, "down"),
            server(0, "down"),
            f"{PLACED}, which cannot be used, so that the client would get an error now",
        ),
        (
            server(0, "ejected"),
            {},
            f"{PLACED}, which cannot be used, so that the client would get an error now",
        ),
    ],
)
def test_says_why_a_key_is_where_it_is(
    home: dict[str, object], now: dict[str, object], expected: str
) -> None:
    assert pooled._reason(POOL, home, now) == expected


def test_names_the_server_whose_standing_it_tells() -> None:
    found = pooled.placed({"home": server(0, "ejected"), "server": server(1, "good")})
    assert (found["server"], found["home"], found["standing"]) == (
        *("sessions-1", "sessions-0"),
        "ejected",
    )
    by_chance = pooled.placed({"home": None, "server": server(1, "good")})
    assert (by_chance["home"], by_chance["standing"]) == (None, "good")


def test_says_where_a_server_is_on_this_machine_whoever_is_asked() -> None:
    def address_of(name: str) -> str:
        return f"unix:/project/{name}.sock"

    now = {**server(1, "good"), "address": "unix:/alongside/servers/0/sessions-1.sock"}
    found = pooled.here(pooled.placed({"home": now, "server": now}), address_of)
    assert (found["server"], found["address"]) == ("sessions-1", "unix:/project/sessions-1.sock")
    nobody = pooled.here(pooled.placed({"home": now, "server": None}), address_of)
    assert (nobody["server"], nobody["address"]) == (None, None)


def test_reads_what_a_router_says_of_its_servers() -> None:
    found = traffic.reading(METRICS, at_s=1.0)
    assert (found.requests, found.hits, found.sight) == (7, None, None)
    assert found.pools == {
        "sessions": traffic.PoolSight(
            left={"sessions-0": "down"},
            in_flight={"sessions-0": 0, "sessions-1": 2},
            clients=3,
            commands=7,
        )
    }
