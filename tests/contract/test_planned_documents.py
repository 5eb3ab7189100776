"""What a plan makes of a file is, to the letter, what is kept as golden documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alongside.plan import building, documents
from alongside.resources import reading, texts

VALID = Path(__file__).parent / "documents" / "valid"
FILE = """\
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: photos}
spec:
  protocol: http
  origin: {url: "http://photos.internal:8000"}
  port: 8080
  expose: public
  routers: 2
  shards: 2
  replicas: 2
  key: request.path
  function: modulo
  memory: 64Mi
  buffer: 128Ki
  fallback: next-shard
  limits: {requests: 2000, perNode: 500, queue: 100, queueTimeout: 250ms}
  retries: {percent: 10, attempts: 2}
  accessLog: {oneIn: 100}
  warmup: {bandwidth: 8Mi}
  drainTimeout: 3s
"""

POOL = """\
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: sessions}
spec:
  protocol: redis
  port: 6379
  routers: 2
  shards: 2
  function: modulo
  hash: crc32
  hashTag: "{}"
  timeout: 250ms
  eject: {failures: 3, minPercent: 25}
  memory: 8Mi
  drainTimeout: 3s
"""


def rendered() -> dict[str, documents.Wanted]:
    planned = building.plan(reading.read([texts.Source("photos.yaml", "/data", FILE)]))
    (cache,) = planned.caches
    addresses = {name: f"127.0.0.1:{9001 + at}" for at, name in enumerate(cache.nodes)}
    addresses |= dict.fromkeys(cache.routers, "0.0.0.0:8080")
    return documents.render(planned, addresses, lambda name: f"/run/{name}.sock")


@pytest.mark.parametrize(
    ("process", "golden"),
    [("photos-router-0", "planned_router.json"), ("photos-1-0", "planned_node.json")],
)
def test_a_plan_makes_the_golden_document(process: str, golden: str) -> None:
    made = json.loads(documents.numbered(rendered()[process].body, epoch=1, generation=1))
    # What it says of itself changes with the contracts.
    assert made.pop("about") is not None
    assert made == json.loads((VALID / golden).read_text())


def test_a_plan_makes_the_golden_document_of_a_pool() -> None:
    planned = building.plan(reading.read([texts.Source("sessions.yaml", "/data", POOL)]))
    (pool,) = planned.pools
    addresses = {name: f"unix:/run/{name}.sock" for name in pool.servers}
    addresses |= dict.fromkeys(pool.routers, "127.0.0.1:6379")
    wanted = documents.render(planned, addresses, lambda name: f"/run/{name}.sock")
    made = documents.numbered(wanted["sessions-router-0"].body, epoch=1, generation=1)
    golden = VALID / "planned_pool_router.json"
    whole = json.loads(made)
    assert whole.pop("about") is not None
    assert whole == json.loads(golden.read_text())
