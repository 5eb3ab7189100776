"""The example of a sharded memcache by its README, on each engine: ambassadors, shared routers."""

from __future__ import annotations

import asyncio
import json
import os
import re

import pytest
from tests.e2e import fleets, pooled, sharded

from alongside.engines.runtimes.namespaces import facts

pytestmark = [
    fleets.NEEDS_DATA_PLANE,
    pytest.mark.needs("memcached", "curl"),
    pytest.mark.timeout(600),
]
ENGINES = [
    "process",
    pytest.param("namespaces", marks=pytest.mark.needs("ip")),
    pytest.param(
        "docker",
        marks=[
            pytest.mark.needs("dockerd", "debootstrap"),
            pytest.mark.skipif(os.geteuid() != 0, reason="waits for root"),
        ],
    ),
]
OWN = ENGINES[1:]
"""Those in which each pod has a localhost of its own."""


@pytest.fixture(autouse=True)
def allowed(request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["engine"] == "namespaces":
        lack = facts.problem(asyncio.run(facts.facts(os.environ)))
        if lack:
            pytest.skip(f"this machine has no namespaces for us: {lack}")


def up(example: sharded.Example) -> str:
    """Bring the first form up, as the README says; return what that prints."""
    _, create, line, *_ = example.block(0)
    example.run(create)
    return example.run(line)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_example_runs_as_its_readme_says(engine: str) -> None:
    with sharded.example(engine) as example:
        assert "start sessions-router-0" in up(example)
        *_, visit, visits, explain = example.block(0)
        assert json.loads(example.run(visit)) == {"ada": 1}
        assert json.loads(example.run(visits)) == {"ada": 1}
        assert re.search(r"reason .* gives the key to sessions-\d, one of 3", example.run(explain))
        shared, kill, again, status, down = example.block(1)
        example.run(shared)
        if engine == "docker":
            example.kill(example.container("sessions-router-1", "router")["id"])
        else:
            example.run(kill)
        fleets.until(
            "the killed one is there again",
            lambda: (
                (now := example.process("sessions-router-1"))["restarts"] == 1
                and now["state"] == "ready"
            ),
        )
        assert json.loads(example.run(again)) == {"ada": 2}  # what the servers held is still there
        assert "3 servers by ketama(fnv1a_64), 16Mi each, 3 routers" in example.run(status)
        example.run(down)


@pytest.mark.parametrize("engine", OWN)
def test_a_pod_has_an_ambassador_at_its_own_localhost(engine: str) -> None:
    with sharded.example(engine) as example:
        up(example)
        assert example.ask("/visit/ada") == (200, {"ada": 1})
        pool, web = example.pool(), example.process("web")
        assert pool["pods"] == ["web"]
        # This machine's own leaves the number to others.
        assert not str(pool["address"]).endswith(f":{example.cache_port}")
        assert isinstance(web["generation"], int)
        fleets.until("its commands are told", lambda: _is_counted(example))
        before = example.container("web", "web")["id"]
        example.kill(example.container("web", "ambassador")["id"])
        fleets.until(
            "another one is there",
            lambda: (
                example.container("web", "ambassador")["restarts"] == 1
                and example.process("web")["state"] == "ready"
            ),
        )
        assert example.ask("/visit/ada") == (200, {"ada": 2})
        assert example.container("web", "web")["id"] == before


def _is_counted(example: sharded.Example) -> bool:
    example.ask("/visit/ed")
    said = example.status()
    assert isinstance(said["pools"], list)
    assert isinstance(said["processes"], list)
    rates = {one["name"]: one["requests_per_s"] for one in (*said["pools"], *said["processes"])}
    return bool(rates["sessions"] and rates["web"])


@pytest.mark.parametrize("engine", OWN)
def test_a_fourth_server_costs_no_request_of_a_pod_and_gets_its_keys(engine: str) -> None:
    with sharded.example(engine) as example:
        up(example)
        before = example.container("web", "web")["id"], example.container("web", "ambassador")["id"]
        with sharded.Load(example) as load:
            fleets.until("load", load.more(20))
            example.change("shards: 3", "shards: 4")
            up(example)
            fleets.until("load", load.more(sharded.USERS))
            example.change("shards: 4", "shards: 3")
            fourth = str(example.process("sessions-3")["address"])
            with pooled.connect(fourth) as server:
                users = [f"u{at}-{one}" for at in range(4) for one in range(sharded.USERS)]
                assert server.get(*(f"visits:{one}" for one in users))
            up(example)
            fleets.until("load", load.more(20))
        assert load.failed == []
        now = example.container("web", "web")["id"], example.container("web", "ambassador")["id"]
        assert now == before  # neither was restarted


@pytest.mark.parametrize("engine", OWN)
def test_pods_reach_shared_routers_by_name_while_one_is_restarted(engine: str) -> None:
    with sharded.example(engine) as example:
        example.change('"$(SESSIONS_SERVICE_HOST):', '"sessions:')
        create, line = example.block(0)[1], example.block(1)[0]
        example.run(create)
        example.run(line)
        with sharded.Load(example) as load:
            fleets.until("load", load.more(20))
            example.run("alongside restart sessions-router-0 sessions-router-1 sessions-router-2")
            fleets.until("load", load.more(20))
            example.change("routers: 3", "routers: 2")
            example.run(line)
            fleets.until("load", load.more(20))
        assert load.failed == []
        assert example.pool()["routers"] == ["sessions-router-0", "sessions-router-1"]
