"""Measure one case: set it up, see that all answer alike, then take samples in turn."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.http import cases, figures, load, machine, peers, servers

WARM_S = 1
WARM_TRIES_MAX = 10
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """How to measure: rounds wanted, seconds a run, cores, binaries, a folder in memory.

    `is_strict` discards rounds in which others were busy; where it is false they only count.
    """

    rounds: int
    seconds: int
    cores: tuple[int, int]
    folder: Path
    binary: Path
    prototype: Path | None
    is_strict: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a case gave: the rounds that count, and why others do not."""

    case: cases.Case
    rounds: list[figures.Round]
    discarded: list[str]


class BusyError(Exception):
    """Others used the machine in too many rounds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A contestant that runs; `roots` are the processes started for it."""

    port: int
    roots: list[int]


@dataclasses.dataclass(frozen=True, slots=True)
class Arena:
    """A case that is set up: who runs, the origin, the load."""

    case: cases.Case
    entries: dict[str, Entry]
    origin: Entry
    load: load.Load
    cores: tuple[int, int]

    def warm(self, name: str) -> None:
        """Run the load until a cached case asks the origin no more: replicas fill one by one.

        Raises:
            load.LoadError: a request failed.
        """
        for _ in range(WARM_TRIES_MAX):
            asked = load.asked_of_origin(self.origin.port)
            self.load.run(self.entries[name].port, WARM_S)
            asked = load.asked_of_origin(self.origin.port) - asked - 1
            if not self.case.is_cached or not asked:
                return

    def sample(self, name: str, seconds: int) -> figures.Sample:
        """Measure one run of the load against one contestant.

        Raises:
            load.LoadError: a request failed, or a cached case asked the origin.
        """
        entry = self.entries[name]
        measured = machine.family(entry.roots)
        origin = machine.family(self.origin.roots)
        asked = load.asked_of_origin(self.origin.port)
        began_s = time.monotonic()
        cores = [machine.core(number) for number in self.cores]
        own_s, origin_s = machine.cpu_s(measured), machine.cpu_s(origin)
        report, load_s = self.load.run(entry.port, seconds)
        own_s = machine.cpu_s(measured) - own_s
        origin_s = machine.cpu_s(origin) - origin_s
        ended = [machine.core(number) for number in self.cores]
        took_s = time.monotonic() - began_s
        asked = load.asked_of_origin(self.origin.port) - asked - 1
        if self.case.is_cached and asked:
            raise load.LoadError(f"{name} asked the origin {asked} times for what it holds")
        if not self.case.is_cached and asked < report.requests:
            raise load.LoadError(f"{name} asked the origin only {asked} of {report.requests} times")
        known_s = (own_s, origin_s + load_s)
        foreign_s = [
            max(
                0.0,
                took_s
                - (after.idle_s - before.idle_s)
                - (after.stolen_s - before.stolen_s)
                - known,
            )
            for before, after, known in zip(cores, ended, known_s, strict=True)
        ]
        return figures.Sample(
            requests=report.requests,
            seconds=report.seconds,
            cpu_s=own_s,
            p50_ms=report.p50_ms,
            p99_ms=report.p99_ms,
            foreign_s=(foreign_s[0], foreign_s[1]),
            stolen_s=sum(b.stolen_s - a.stolen_s for a, b in zip(cores, ended, strict=True)),
        )


def measure(case: cases.Case, plan: Plan, say: Say) -> Outcome:
    """Return what a case gave after as many good rounds as planned, of at most twice as many.

    Raises:
        BusyError: fewer than half of the rounds planned were undisturbed.
        load.LoadError: a request failed, or contestants answer differently.
    """
    rounds: list[figures.Round] = []
    discarded: list[str] = []
    with _set_up(case, plan) as arena:
        _check_answers(arena)
        for name in arena.entries:
            arena.warm(name)
        while len(rounds) < plan.rounds and len(rounds) + len(discarded) < 2 * plan.rounds:
            names = figures.order(list(arena.entries), len(rounds) + len(discarded))
            one = {name: arena.sample(name, plan.seconds) for name in names}
            reason = figures.disturbance(one)
            if reason and plan.is_strict:
                discarded.append(reason)
            else:
                rounds.append(one)
            verdict = (
                "" if not reason else f"  {'discarded' if plan.is_strict else 'kept'}: {reason}"
            )
            say(f"{case.name}: {_line(one)}{verdict}")
    if 2 * len(rounds) < plan.rounds:
        raise BusyError(
            f"{case.name}: the machine was busy in {len(discarded)} rounds, at last because "
            f"{discarded[-1]}; let it rest, or look at rough figures with --busy"
        )
    return Outcome(case, rounds, discarded)


def _line(one: figures.Round) -> str:
    return ", ".join(f"{name} {sample.cpu_us:.2f} us" for name, sample in sorted(one.items()))


@contextlib.contextmanager
def _set_up(case: cases.Case, plan: Plan) -> Iterator[Arena]:
    folder = plan.folder / case.name
    folder.mkdir()
    ports = servers.free_ports(cases.SHARDS)
    targets, headers = folder / "targets", folder / "headers"
    targets.write_text("".join(f"{target}\n" for target in load.targets()))
    headers.write_text("".join(f"{name}: {value}\n" for name, value in case.headers.items()))
    on, beside = plan.cores
    site = cases.Site(folder, plan.binary, plan.prototype, tuple(ports))
    with contextlib.ExitStack() as stack:
        origin = peers.origins(ports, case.body_bytes, folder)
        roots = stack.enter_context(servers.running([origin], beside, folder))
        entries = {
            one.name: Entry(
                one.port, stack.enter_context(servers.running(one.programs, on, folder))
            )
            for one in case.contestants(site)
        }
        yield Arena(
            case,
            entries,
            Entry(origin.port, roots),
            load.Load(targets, headers, case.connections, beside, is_tls=case.is_tls),
            plan.cores,
        )


def _check_answers(arena: Arena) -> None:
    """Ask everyone for everything once: all must send each target to the same origin.

    Raises:
        load.LoadError: answers differ between contestants, or not every shard was used.
    """
    found = {
        name: load.bodies(entry.port, is_tls=arena.case.is_tls)
        for name, entry in arena.entries.items()
    }
    expected = found[figures.OURS]
    for name, bodies in found.items():
        # The prototype's ring has points of its own.
        if name != cases.PROTOTYPE and bodies != expected:
            differing = sum(a != b for a, b in zip(bodies, expected, strict=True))
            raise load.LoadError(f"{name} answers {differing} targets differently")
    if arena.case.is_spread and len(set(expected)) != cases.SHARDS:
        raise load.LoadError(f"only {len(set(expected))} of {cases.SHARDS} shards were used")
