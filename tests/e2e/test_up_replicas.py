"""Replicas and routers of a cache: the real command, real processes, kills and freezes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import ports
from tests.e2e import fleets

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(180)]
WORKERS = 3
NODES = ["photos-0-0", "photos-0-1", "photos-1-0", "photos-1-1"]


@pytest.fixture
def fleet() -> Iterator[fleets.Fleet]:
    with fleets.project() as made:
        yield made


@contextlib.contextmanager
def load(address: str, *, is_kept: bool) -> Iterator[list[str]]:
    """Ask all the time, on kept or new connections; give what failed."""
    is_over, failed = threading.Event(), []
    counts = [0] * WORKERS

    def ask(worker: int) -> None:
        connection = http.client.HTTPConnection(address, timeout=20)
        while not is_over.is_set():
            target = f"/{worker}/{counts[worker] % 300}"
            try:
                connection.request("GET", target)
                answer = connection.getresponse()
                body = answer.read()
                if (answer.status, body[-len(target) :]) != (200, target.encode()):
                    failed.append(f"{target}: {answer.status} {body[:80]!r}")
            except (OSError, http.client.HTTPException) as error:
                failed.append(f"{target}: {error!r}")
                connection.close()
            if not is_kept:
                connection.close()
            counts[worker] += 1
        connection.close()

    def more() -> None:
        before = sum(counts)
        fleets.until("more load", lambda: sum(counts) > before + 20)

    workers = [threading.Thread(target=ask, args=(at,)) for at in range(WORKERS)]
    for worker in workers:
        worker.start()
    try:
        more()
        yield failed
        more()
    finally:
        is_over.set()
        for worker in workers:
            worker.join()


def change(fleet: fleets.Fleet, more: str, *, shards: int = 2) -> None:
    """Bring up the good file with more fields of its cache."""
    fleet.up(fleet.write(shards=shards, more=more))


def cache_of(fleet: fleets.Fleet) -> dict[str, object]:
    caches = fleet.status()["caches"]
    assert isinstance(caches, list)
    assert isinstance(caches[0], dict)
    return caches[0]


def replicas_of(fleet: fleets.Fleet) -> dict[str, dict[str, object]]:
    """Return what `status` says of each node."""
    shards = cache_of(fleet)["shards"]
    assert isinstance(shards, list)
    return {node["name"]: node for shard in shards for node in shard["replicas"]}


def explained(fleet: fleets.Fleet, target: str) -> dict[str, object]:
    code, out, err = fleet.run("explain", "photos", f"http://x{target}", "--json")
    assert code == 0, err
    value = json.loads(out)
    assert isinstance(value, dict)
    return value


def test_replicas_routers_and_terms_change_live_under_load(fleet: fleets.Fleet) -> None:
    change(fleet, "replicas: 1")
    address, first = fleet.address(), fleet.pids()
    with load(address, is_kept=True) as failed:
        for more in (
            "replicas: 2",
            "replicas: 3\n  limits: {requests: 500}",
            "replicas: 3\n  fallback: next-shard",
            "replicas: 1",
        ):
            change(fleet, more)
            assert fleet.address() == address
    assert failed == []
    after = fleet.pids()
    assert {name: after[name] for name in first} == first
    assert set(after) == set(first)


def test_shards_memory_key_and_function_change_live_with_replicas(fleet: fleets.Fleet) -> None:
    change(fleet, "replicas: 2")
    address, first = fleet.address(), fleet.pids()
    with load(address, is_kept=False) as failed:
        change(fleet, "replicas: 2", shards=3)
        change(fleet, "replicas: 2\n  key: request.path", shards=3)
        change(fleet, "replicas: 2\n  function: modulo", shards=1)
    assert failed == []
    after = fleet.pids()
    assert set(after) == {"app", "photos-0-0", "photos-0-1", "photos-router-0"}
    assert {name: first[name] for name in after} == after


def test_an_origin_changes_under_load_and_the_old_one_ends(fleet: fleets.Fleet) -> None:
    path = fleet.write(shards=1, more="replicas: 2")
    slow = fleets.ORIGIN.replace("max-age=600", "no-store").replace(
        "        self.send_response",
        "        import time; time.sleep(0.2)\n        self.send_response",
    )
    (path.parent / "origin.py").write_text(slow)
    fleet.up(path)
    old = path.read_text()
    port = ports.free_port()
    new = old.replace("name: app", "name: next").replace(str(fleet.port), str(port))
    with load(fleet.address(), is_kept=False) as failed:
        path.write_text(new.replace("service: app", "service: next").replace('""', '"new"'))
        fleet.up(path)
    assert failed == []
    assert fleets.get(fleet.address(), "/x") == (200, b"new/x")
    assert "app" not in fleet.pids()


def test_no_answer_of_an_old_origin_is_given_when_the_new_one_is_in_force(
    fleet: fleets.Fleet,
) -> None:
    path = fleet.write(shards=2, more="replicas: 3\n  routers: 2")
    port = ports.free_port()
    both = path.read_text() + fleets.pod("next", port, word="new")
    path.write_text(both)
    fleet.up(path)
    address, targets = fleet.address(), [f"/{number}" for number in range(50)]
    with load(address, is_kept=True) as failed:
        for target in targets * 4:
            assert fleets.get(address, target) == (200, target.encode())
        path.write_text(
            both.replace(f"service: app, port: {fleet.port}", f"service: next, port: {port}")
        )
        fleet.up(path)
        bodies = [fleets.get(address, target)[1] for target in targets]
    assert bodies == [f"new{target}".encode() for target in targets]
    assert failed == []


def test_routers_share_one_address_and_one_that_is_killed_refuses_nobody(
    fleet: fleets.Fleet,
) -> None:
    change(fleet, "routers: 1")
    address, first = fleet.address(), fleet.pids()
    change(fleet, "routers: 2")
    both = fleet.processes()
    assert {both[f"photos-router-{at}"]["address"] for at in range(2)} == {address}
    assert fleet.pids()["photos-router-0"] == first["photos-router-0"]
    for at in range(20):
        victim = fleet.pids()["photos-router-1"] if at == 0 else None
        if victim is not None:
            os.kill(victim, signal.SIGKILL)
        assert fleets.get(address, f"/{at}") == (200, f"/{at}".encode())
    fleets.until("the router again", lambda: fleet.status()["ready"] is True)
    assert fleet.processes()["photos-router-1"]["restarts"] == 1
    with load(address, is_kept=False) as failed:
        change(fleet, "routers: 1")
        change(fleet, "routers: 3")
        change(fleet, "routers: 1")
    assert failed == []
    assert (fleet.address(), fleet.pids()) == (address, first)


def test_a_killed_replica_fails_nothing_and_explain_says_who_answers(fleet: fleets.Fleet) -> None:
    change(fleet, "replicas: 2")
    address = fleet.address()
    assert fleets.get(address, "/a") == (200, b"/a")
    answer = explained(fleet, "/a")
    listed = answer["replicas"]
    assert isinstance(listed, list)
    names = [replica["id"] for replica in listed]
    assert names == [f"{answer['shard']}-0", f"{answer['shard']}-1"]
    with load(address, is_kept=True) as failed:
        pid = fleet.pids()[names[0]]
        os.kill(pid, signal.SIGKILL)
        fleets.until("the node again", lambda: fleet.status()["ready"] is True)
    assert failed == []
    assert fleet.pids()[names[0]] != pid


def test_a_frozen_replica_is_left_and_owed_a_purge_until_it_wakes(fleet: fleets.Fleet) -> None:
    change(fleet, "replicas: 2\n  routers: 2")
    address, url = fleet.address(), f"http://{fleet.address()}/a"
    shard = explained(fleet, "/a")["shard"]
    frozen, awake = f"{shard}-0", f"{shard}-1"
    os.kill(fleet.pids()[frozen], signal.SIGSTOP)
    try:
        fleets.until("it is left", lambda: 0.0 in _shares(fleet, frozen))
        assert fleets.get(address, "/a") == (200, b"/a")
        code, out, _ = fleet.run("explain", "photos", url)
        assert code == 0
        assert f"{frozen}  {fleet.processes()[frozen]['address']}  not used: probe_failed" in out
        assert explained(fleet, "/a")["now"] == awake
        code, out, _ = fleet.run("purge", "photos", url)
        assert code == 0
        assert out.endswith(
            f"; 3 of 4 nodes have forgotten, {frozen} did not answer: "
            "it is told again until it has\n"
        )
        assert replicas_of(fleet)[frozen]["purges_owed"] == 1
        warning = f"{frozen} does not answer and may serve what 1 purge should have removed"
        assert warning in str(fleet.status()["warnings"])
        code, out, _ = fleet.run("purge", "photos", url, "--json")
        assert (json.loads(out)["owed"], json.loads(out)["forgotten"]) == ([frozen], 3)
    finally:
        os.kill(fleet.pids()[frozen], signal.SIGCONT)
    fleets.until("nothing is owed", lambda: replicas_of(fleet)[frozen]["purges_owed"] == 0)
    fleets.until("no warning", lambda: fleet.status()["warnings"] == [])
    log = (Path(fleet.home) / "supervisor.log").read_text()
    assert "purge_taken_late" in log
    fleets.until("it is used again", lambda: 0.0 not in _shares(fleet, frozen))


def _shares(fleet: fleets.Fleet, node: str) -> list[float]:
    shares = replicas_of(fleet)[node]["shares"]
    assert isinstance(shares, dict)
    assert set(shares) == {"photos-router-0", "photos-router-1"}
    return list(shares.values())


def test_a_frozen_router_breaks_no_status_and_no_explain(fleet: fleets.Fleet) -> None:
    change(fleet, "replicas: 2\n  routers: 2")
    os.kill(fleet.pids()["photos-router-0"], signal.SIGSTOP)
    try:
        assert explained(fleet, "/a")["router"] == "photos-router-1"
        state = fleet.status()
        assert "photos-router-0 runs and does not answer" in str(state["warnings"])
        assert cache_of(fleet)["requests_per_s"] is not None
        _, out, _ = fleet.run("status")
        assert [line.split()[0] for line in out.splitlines() if "photos-" in line][:4] == NODES
    finally:
        os.kill(fleet.pids()["photos-router-0"], signal.SIGCONT)
    fleets.until("no warning", lambda: fleet.status()["warnings"] == [])


def test_a_shard_without_nodes_falls_back_and_status_counts_it(fleet: fleets.Fleet) -> None:
    change(fleet, "replicas: 2")
    answer = explained(fleet, "/a")
    frozen = [fleet.pids()[f"{answer['shard']}-{at}"] for at in range(2)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        fleets.until("the origin answers", lambda: explained(fleet, "/a")["now"] == "origin")
        last = explained(fleet, "/a")
        assert last["address"] == f"127.0.0.1:{fleet.port}"
        assert str(last["reason"]).endswith("can be used, so the origin would answer now")
        assert fleets.get(fleet.address(), "/a") == (200, b"/a")
        fleets.until("it is counted", lambda: cache_of(fleet)["fallbacks"] == {"origin": 1})
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)


def test_bounds_of_replicas_are_a_warning(fleet: fleets.Fleet) -> None:
    change(fleet, "replicas: {min: 1, max: 2}")
    assert "each shard has min, 1; nothing scales it up to 2 yet" in str(fleet.status()["warnings"])
