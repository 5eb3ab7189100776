"""Who writes and then reads is never answered a version that is older than what was written.

Not while all nodes and routers are restarted, and over connections that are kept. One thing is
let be, as docs/decisions/0004-replicas.md promises no more: a node that did not do what its router
said for 100 ms, which a starved machine brings about, answers other routers from what it has.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import functools
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e import fleets, steady, upstream, wire

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(180)]
WRITERS = 3
PAGES = 4
READERS = 6
WATCHERS = 3
ROUTERS = ["photos-router-0", "photos-router-1"]


class Versions:
    """An origin that keeps the last number it was given for each page."""

    def __init__(self) -> None:
        self.now: dict[str, int] = {}
        """Each page has one writer."""

    def answer(self, request: wire.Message) -> bytes:
        """Take a PUT, answer a GET."""
        if request.method == "PUT":
            self.now[request.target] = int(request.body)
            return wire.answer()
        version = self.now.get(request.target, 0)
        return wire.answer(str(version).encode(), "Cache-Control: max-age=600")


class Kept:
    """A connection that is opened again only where it was closed in order."""

    def __init__(self, address: wire.Address) -> None:
        self.address = address
        self._wire: wire.Wire | None = None

    def ask(self, target: str, *, method: str = "GET", body: bytes = b"") -> wire.Message:
        """Send one request; return its answer."""
        if self._wire is None:
            self._wire = wire.Wire(self.address)
        self._wire.send(wire.request(target, method=method, body=body))
        got = self._wire.answer()
        if got.field("connection") == "close":
            self.close()
        return got

    def close(self) -> None:
        """Close it, where it is open."""
        if self._wire is not None:
            self._wire.close()
        self._wire = None


@dataclasses.dataclass(frozen=True, slots=True)
class Lag:
    """When a router knew of a node that it had yet to forget something; seconds since 1970."""

    node: str
    began_s: float
    ended_s: float = float("inf")


@dataclasses.dataclass(frozen=True, slots=True)
class Old:
    """An answer that is older than what was written before it was asked for."""

    said: str
    status: str
    asked_s: float
    answered_s: float

    def is_from(self, lag: Lag) -> bool:
        """Return whether a node may have given it that was known to lag."""
        is_meanwhile = lag.began_s <= self.answered_s and self.asked_s <= lag.ended_s
        return is_meanwhile and f"{lag.node};" in self.status


class Clients(steady.Crowd):
    """Writers that read what they wrote over many connections, and others that read all pages."""

    def __init__(self, address: wire.Address) -> None:
        super().__init__(
            *(functools.partial(self._run, at) for at in range(WRITERS)),
            *[self._watch] * WATCHERS,
        )
        self.address = address
        self.wrong: list[str] = []
        self.old: list[Old] = []
        self.written = {f"/{at}/{page}": 0 for at in range(WRITERS) for page in range(PAGES)}
        """What each page's writer was told that is done."""

    def _run(self, at: int) -> None:
        self._repeat(READERS + 1, lambda kept: self._write_and_read(at, *kept))

    def _watch(self) -> None:
        targets = itertools.cycle(self.written)
        self._repeat(1, lambda kept: self._read(next(targets), kept[0]))

    def _repeat(self, connections: int, turn: Callable[[list[Kept]], None]) -> None:
        """Take turns with some connections, which are closed at the end and after a failure."""
        kept = [Kept(self.address) for _ in range(connections)]
        while not self.is_over.is_set():
            try:
                turn(kept)
            except (OSError, wire.CutError) as error:
                self.wrong.append(f"after {self.counts}: {error!r}")
                for one in kept:
                    one.close()
        for one in kept:
            one.close()

    def _write_and_read(self, at: int, writer: Kept, *readers: Kept) -> None:
        version = self.counts[at] + 1
        target = f"/{at}/{version % PAGES}"
        got = writer.ask(target, method="PUT", body=str(version).encode())
        self.counts[at] = version
        if got.status == 200:
            self.written[target] = version
        else:
            self.wrong.append(f"PUT {target}: {got.status} {got.body[:80]!r}")
        for reader in readers:
            self._read(target, reader)

    def _read(self, target: str, reader: Kept) -> None:
        least, asked_s = self.written[target], time.time()
        got = reader.ask(target)
        status = got.field("cache-status") or ""
        said = f"GET {target}: {got.status} {got.body[:80]!r} where {least} was written; {status}"
        if got.status != 200:
            self.wrong.append(said)
        elif int(got.body) < least:
            self.old.append(Old(said, status, asked_s, time.time()))


@pytest.fixture
def fleet() -> Iterator[fleets.Fleet]:
    with (
        upstream.Upstream.answering(Versions().answer) as origin,
        fleets.project() as made,
    ):
        path = made.base / "photos" / "photos.yaml"
        path.parent.mkdir()
        url = f'{{url: "http://{origin.address}"}}'
        path.write_text(fleets.cache(origin=url, shards=2, replicas=2, routers=2, memory="16Mi"))
        made.up(path)
        yield made


def both_are_used(fleet: fleets.Fleet) -> bool:
    """Return whether each router answers some of the requests."""
    processes = fleet.processes()
    return all(processes[name]["requests_per_s"] for name in ROUTERS)


def lags(fleet: fleets.Fleet) -> list[Lag]:
    """Return what the routers' logs say of nodes that they could not tell in time."""
    found: list[Lag] = []
    for router in ROUTERS:
        lines = (Path(fleet.home) / "logs" / f"{router}.log").read_text().splitlines()
        # Of a router and its successor, who log to one file, either may know of it.
        is_open: dict[str, list[Lag]] = collections.defaultdict(list)
        for line in map(json.loads, lines):
            if line["event"] == "node_behind":
                node, at_s = line["node"], datetime.datetime.fromisoformat(line["time"]).timestamp()
                if line["is_behind"]:
                    is_open[node].append(Lag(node, at_s))
                elif is_open[node]:
                    found.append(dataclasses.replace(is_open[node].pop(0), ended_s=at_s))
        found.extend(itertools.chain.from_iterable(is_open.values()))
    return found


def check(fleet: fleets.Fleet, *, restarts: int) -> None:
    """Restart all under load; no reader goes back, and no request fails."""
    host, _, port = fleet.address().rpartition(":")
    before = fleet.pids()
    with Clients((host, int(port))) as clients:
        fleets.until("requests by both routers", lambda: both_are_used(fleet))
        for _ in range(restarts):
            code, out, err = fleet.run("restart", "photos")
            assert code == 0, out + err
        fleets.until("more writes", clients.more(20, of=WRITERS))
    after = fleet.pids()
    assert {name for name in before if before[name] == after[name]} == set()
    assert clients.wrong == []
    known = lags(fleet)
    assert [old.said for old in clients.old if not any(map(old.is_from, known))] == [], known


def test_a_reader_never_goes_back_during_a_rolling_restart(fleet: fleets.Fleet) -> None:
    check(fleet, restarts=1)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_reader_never_goes_back_during_two_hundred_rolling_restarts(fleet: fleets.Fleet) -> None:
    check(fleet, restarts=200)
