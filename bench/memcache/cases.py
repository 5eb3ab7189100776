"""Say what is measured, and the budgets it is held against."""

from __future__ import annotations

import dataclasses
from typing import Literal

Protocol = Literal["memcache", "redis"]
NUTCRACKER = "nutcracker"
SHARDS = 4
KEYS = 10_000
SMALL_BYTES = 100
LARGE_BYTES = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One kind of load: `depth` commands at once on each connection, gets of so many keys.

    `budget` is the greatest ratio to twemproxy's CPU a command that is allowed, None for any;
    `threads` are ours, twemproxy has one.
    """

    name: str
    what: str
    protocol: Protocol = "memcache"
    connections: int = 50
    depth: int = 1
    get_percent: int = 100
    value_bytes: int = SMALL_BYTES
    keys_per_get: int = 1
    threads: int = 1
    budget: float | None = None


# Of the whole machine's CPU a command, at depth 1.
MACHINE_BUDGET = 0.85
CASES = (
    Case("get-1", "get, 1 connection", connections=1),
    Case("get-50", "get, 50 connections", budget=0.70),
    Case("get-200", "get, 200 connections", connections=200, budget=0.60),
    Case("pipeline-16", "get, 16 at once on 50 connections", depth=16, budget=0.40),
    Case("multi-10", "get of 10 keys", keys_per_get=10),
    Case("multi-100", "get of 100 keys", keys_per_get=100, budget=0.30),
    Case("mixed", "80 gets to 20 sets", get_percent=80),
    Case("large", "get of 4 KiB", value_bytes=LARGE_BYTES),
    Case("large-16", "get of 4 KiB, 16 at once", value_bytes=LARGE_BYTES, depth=16),
    Case("redis-50", "GET, 50 connections", protocol="redis", budget=0.70),
    Case("redis-16", "GET, 16 at once on 50 connections", protocol="redis", depth=16, budget=0.40),
    Case("redis-100", "MGET of 100 keys", protocol="redis", keys_per_get=100, budget=0.30),
    Case("two-threads", "get, 200 connections, 2 threads of ours", connections=200, threads=2),
)
