"""A replicated fleet under load: nothing that dies, freezes, restarts or changes is noticed.

The real command, real nodes and routers, a strict client that never retries. The thousands of
repetitions are marked `soak`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Awaitable, Callable, Iterator

import pytest
from tests import ports
from tests.e2e import dips, fleets

from alongside.base import clock, errors
from alongside.engines.local import folders
from alongside.engines.processes import admin
from alongside.lab import figures, load, popularity, trial

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(300)]

OBJECTS = 400
OBJECTS_OF_CHANGES = 2000
"""More than are asked for in a moment, so that a dip is seen."""
POINTS_MAX = 0.03
KILLS_OF_SOAK = 1000
FIRST = {
    "origin": "app",
    "shards": 2,
    "replicas": 2,
    "routers": 2,
    "key": "request.uri",
    "function": "ketama",
    "memory": "16Mi",
}
CHANGES: list[dict[str, object]] = [
    {"shards": 3},
    {"replicas": 3},
    {"replicas": 2},
    {"routers": 3},
    {"routers": 1},
    {"memory": "24Mi"},
    {"key": 'request.path + "x"'},
    {"function": "modulo"},
    {"origin": "other"},
    {"fallback": "next-shard", "buffer": "32Ki"},
]


NONE_MOVES = {"replicas", "routers", "memory", "fallback", "buffer"}
ALL_ARE_NEW = {"key", "origin"}
"""Fields after whose change nothing that is stored may be used: the key is part of it."""


class System:
    """A fleet with its file, which one field after the other is changed in."""

    def __init__(self, fleet: fleets.Fleet, objects: int = OBJECTS) -> None:
        self.fleet = fleet
        self.objects = objects
        self.ports = {"app": fleet.port, "other": ports.free_port()}
        self.fields = dict(FIRST)
        self.ledger = load.Ledger()
        law = popularity.Zipf(objects=objects, exponent=1.0)
        self.paths = [f"/objects/{number}" for number in law.trace(seed=7, requests=20_000)]

    def apply(self, **fields: object) -> None:
        """Change fields in the file and bring the difference up."""
        self.fields |= fields
        folder = self.fleet.base / "photos"
        folder.mkdir(exist_ok=True)
        (folder / "origin.py").write_text(fleets.ORIGIN)
        name = str(self.fields["origin"])
        text = fleets.cache(**self.fields | {"origin": fleets.service(name, self.ports[name])})
        path = folder / "photos.yaml"
        path.write_text(text + "".join(fleets.pod(name, at) for name, at in self.ports.items()))
        self.fleet.up(path)

    def plan(self, connections: int = 8) -> load.Plan:
        """Return the endless traffic of a popularity law."""
        host, _, port = self.fleet.address().rpartition(":")
        return load.Plan(host, int(port), self.paths, connections=connections, timeout_s=20.0)

    def warm(self, times: int = 3) -> None:
        """Send every object's first requests."""
        paths = [f"/objects/{number}" for number in range(self.objects)] * times
        plan = load.Plan(self.plan().host, self.plan().port, paths, connections=8, timeout_s=20.0)
        records = asyncio.run(load.run(plan, ledger=self.ledger, time=clock.SystemClock()))
        assert figures.summary(records).failures == {}

    def tried(
        self,
        act: Callable[[], Awaitable[None]],
        *,
        before_s: float = 2.0,
        after_s: float = 10.0,
    ) -> trial.Trial:
        """Return what clients saw of an act."""
        return asyncio.run(
            trial.run(
                "act",
                act,
                plan=self.plan(),
                ledger=self.ledger,
                time=clock.SystemClock(),
                windows=trial.Windows(before_s=before_s, after_s=after_s),
            )
        )

    def changed(self, fields: dict[str, object]) -> dips.Dip:
        """Return what clients saw of fields that are changed."""
        places = folders.of_project("photos", self.fleet.variables())
        names = [name for name in self.fleet.pids() if name.startswith("photos-")]
        doors = [admin.Admin(places.admin(name)) for name in names]

        async def generations() -> list[object]:
            found: list[object] = []
            for door in doors:
                with contextlib.suppress(errors.AlongsideError):
                    found.append((await door.snapshot())["generation"])
            return found

        before = asyncio.run(generations())

        async def is_in_force() -> bool:
            return await generations() != before

        change = dips.Change(lambda: self.apply(**fields), is_in_force, self.asked)
        return asyncio.run(
            dips.measured(change, plan=self.plan(), ledger=self.ledger, time=clock.SystemClock())
        )

    def asked(self) -> int:
        """Return how many requests both origins have had."""
        addresses = [f"127.0.0.1:{port}" for port in self.ports.values()]
        return sum(int(fleets.get(address, "/asked")[1]) for address in addresses)

    async def command(self, *words: str) -> None:
        """Run a command beside the load."""
        code, out, err = await asyncio.to_thread(self.fleet.run, *words)
        assert code == 0, out + err

    def pid(self, name: str) -> int:
        """Return the id of a process now."""
        return self.fleet.pids()[name]


@pytest.fixture
def system() -> Iterator[System]:
    with fleets.project() as fleet:
        made = System(fleet)
        made.apply()
        made.warm()
        yield made


def unnoticed(found: trial.Trial, *, points_max: float | None = POINTS_MAX) -> None:
    """Check that no request failed, and that the hit ratio stayed."""
    assert found.failures == {}, found
    assert found.after.requests > 100
    if points_max is not None:
        assert found.hits_lost <= points_max, (found.before.hit_ratio, found.after.hit_ratio)


async def kill(system: System, name: str) -> None:
    pids = await asyncio.to_thread(system.fleet.pids)
    os.kill(pids[name], signal.SIGKILL)


async def kill_one_of(system: System, names: list[str], chosen: random.Random) -> None:
    """Kill one that runs: who was killed often is away for a second."""
    async with asyncio.timeout(10.0):
        while True:
            pids = await asyncio.to_thread(system.fleet.pids)
            running = sorted(name for name in names if name in pids)
            if running:
                os.kill(pids[chosen.choice(running)], signal.SIGKILL)
                return
            await asyncio.sleep(0.05)


def test_a_killed_node_is_not_noticed_ten_times(system: System) -> None:
    names = [f"photos-{shard}-{replica}" for shard in range(2) for replica in range(2)]
    chosen = random.Random(3)  # noqa: S311 - which one dies is no secret

    async def act() -> None:
        for _ in range(10):
            await kill(system, chosen.choice(names))
            await asyncio.sleep(1.0)

    unnoticed(system.tried(act, after_s=15.0))


def test_a_node_that_freezes_for_ten_seconds_is_not_noticed(system: System) -> None:
    pid = system.pid("photos-0-0")

    async def act() -> None:
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(10.0)
        finally:
            os.kill(pid, signal.SIGCONT)

    found = system.tried(act)
    unnoticed(found)
    # Nobody waited for it: the client's patience would have been twice that.
    assert found.latency_max_s < 10.0


def test_a_rolling_restart_of_everything_is_not_noticed(system: System) -> None:
    before = system.fleet.pids()
    unnoticed(system.tried(lambda: system.command("restart", "photos")))
    after = system.fleet.pids()
    restarted = [name for name in before if name.startswith("photos-")]
    assert len(restarted) == 6
    assert all(after[name] != before[name] for name in restarted)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: ",".join(map(str, change)))
def test_a_changed_field_is_not_noticed(
    change: dict[str, object], changing: System, costs: list[tuple[str, ...]]
) -> None:
    changing.warm(times=1)
    found = changing.changed(change)
    costs.append(found.row(", ".join(f"{field}: {value}" for field, value in change.items())))
    assert found.failures == {}, found
    assert found.back_s is not None, found
    if set(change) <= NONE_MOVES:
        assert found.before - found.after <= POINTS_MAX, found
    if set(change) <= ALL_ARE_NEW:
        assert found.paths_after > 100
        assert found.origin_requests >= found.paths_after, found


@pytest.fixture(scope="module")
def costs() -> Iterator[list[tuple[str, ...]]]:
    """Rows of what changes cost, shown when all were made: `pytest -rP` shows the last's output."""
    rows: list[tuple[str, ...]] = []
    yield rows
    print(dips.table(rows))  # noqa: T201 - docs/sharded-cache.md is written from it


@pytest.fixture(scope="module")
def changing() -> Iterator[System]:
    """One system that goes through all changes, each from where the one before led."""
    with fleets.project() as fleet:
        made = System(fleet, OBJECTS_OF_CHANGES)
        made.apply()
        made.warm()
        yield made


def test_a_killed_router_fails_only_what_it_had_in_hand(system: System) -> None:
    connections = system.plan().connections

    async def act() -> None:
        await kill(system, "photos-router-0")

    found = system.tried(act, before_s=1.0, after_s=5.0)
    # A strict client fails once for each connection that the router had; none is refused.
    assert set(found.failures) <= {"reset", "short"}
    assert found.failed <= connections
    assert found.after.hit_ratio >= found.before.hit_ratio - POINTS_MAX


def test_with_one_replica_a_kill_costs_hits(system: System) -> None:
    """The reason for two."""
    system.apply(replicas=1)
    system.warm()
    pid = system.pid("photos-0-0")  # asked for first: the window opens when the act begins

    async def act() -> None:
        os.kill(pid, signal.SIGKILL)

    found = system.tried(act, before_s=1.0, after_s=2.0)
    assert found.failures == {}
    assert found.hits_lost > 0.0


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_kills_a_second_apart_are_not_noticed(system: System) -> None:
    names = [f"photos-{shard}-{replica}" for shard in range(2) for replica in range(2)]
    chosen = random.Random(11)  # noqa: S311 - which one dies is no secret

    async def act() -> None:
        for _ in range(KILLS_OF_SOAK):
            await kill_one_of(system, names, chosen)
            await asyncio.sleep(1.0)

    found = system.tried(act)
    assert found.failures == {}, found
