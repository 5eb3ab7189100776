"""Start who does the work: a proxy before four memcacheds or Redis servers."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.http import figures, machine, ours, peers, servers
from bench.memcache import cases

MEMORY_MIB = 256


@dataclasses.dataclass(frozen=True, slots=True)
class Fresh:
    """A proxy and its shards that were just started: where to ask, and their process ids."""

    port: int
    proxy: list[int]
    shards: list[int]


@dataclasses.dataclass(frozen=True, slots=True)
class Cores:
    """Lists of cores, as of `taskset`, for the proxy and for all the rest."""

    proxy: str
    rest: str

    @classmethod
    def all(cls) -> Cores:
        """Return every core for everybody: the kernel decides."""
        every = ",".join(str(number) for number in sorted(os.sched_getaffinity(0)))
        return cls(every, every)

    @classmethod
    def pinned(cls) -> Cores:
        """Return one core for the proxy and another for the rest."""
        on, beside = machine.pair()
        return cls(str(on), str(beside))


def who(binary: Path, folder: Path) -> list[str]:
    """Return who takes part: ours only where the build serves pools, as one start shows."""
    try:
        with running(figures.OURS, cases.CASES[0], Cores.all(), folder, binary):
            return [figures.OURS, cases.NUTCRACKER]
    except servers.ServerError:
        return [cases.NUTCRACKER]


def version() -> str:
    """Return twemproxy's version."""
    said = subprocess.run(
        [peers.found("nutcracker"), "-V"], capture_output=True, text=True, check=False
    )
    found = re.search(r"nutcracker-([\d.]+)", said.stdout + said.stderr)
    return found[1] if found else "unknown"


@contextlib.contextmanager
def running(
    name: str, case: cases.Case, cores: Cores, folder: Path, binary: Path
) -> Iterator[Fresh]:
    """Run one contestant with shards of its own until the block ends.

    Raises:
        servers.ServerError: one of them does not serve.
    """
    port, stats, *ports = servers.free_ports(2 + cases.SHARDS)
    shards = [_shard(case.protocol, index, one) for index, one in enumerate(ports)]
    if name == figures.OURS:
        document = ours_document(port, ports, case)
        proxy = ours.program(name, binary, document, port, folder)
    else:
        proxy = _nutcracker(port, stats, ports, case, folder)
    with (
        servers.running(shards, cores.rest, folder) as roots,
        servers.running([proxy], cores.proxy, folder) as own,
    ):
        yield Fresh(port, own, roots)


def _shard(protocol: cases.Protocol, index: int, port: int) -> servers.Program:
    redis = (
        *(peers.found("redis-server"), "--bind", servers.HOST, "--port", str(port)),
        *("--save", "", "--appendonly", "no"),
    )
    memcached = (
        *(peers.found("memcached"), "-u", "root", "-l", servers.HOST, "-p", str(port)),
        *("-t", "1", "-m", str(MEMORY_MIB), "-c", "4096"),
    )
    command = redis if protocol == "redis" else memcached
    return servers.Program(f"shard-{index}", command, port)


def _nutcracker(
    port: int, stats: int, ports: Sequence[int], case: cases.Case, folder: Path
) -> servers.Program:
    lines = [
        "main:",
        f"  listen: {servers.HOST}:{port}",
        "  hash: fnv1a_64",
        "  distribution: ketama",
        "  timeout: 1000",
        f"  redis: {str(case.protocol == 'redis').lower()}",
        "  servers:",
        *(f"   - {servers.HOST}:{one}:1 shard-{index}" for index, one in enumerate(ports)),
    ]
    file = folder / "nutcracker.yml"
    file.write_text("\n".join(lines) + "\n")
    command = (
        *(peers.found("nutcracker"), "-c", str(file), "-p", str(folder / "pid")),
        *("-a", servers.HOST, "-s", str(stats), "-o", str(folder / "nutcracker.said")),
    )
    return servers.Program(cases.NUTCRACKER, command, port)


def ours_document(port: int, ports: Sequence[int], case: cases.Case) -> ours.Document:
    """Return a document of one pool, whose keys are where twemproxy's are."""
    shards = [
        {"name": f"shard-{index}", "address": f"{servers.HOST}:{one}"}
        for index, one in enumerate(ports)
    ]
    pool = {"name": "main", "protocol": case.protocol, "servers": shards, "timeout_ms": 1000}
    listener = {"name": "main", "address": f"{servers.HOST}:{port}", "serves": "main"}
    return {"threads": case.threads, "listeners": [listener], "pools": [pool]}
