"""Show a project as data: the shape that `status --json`, the live table and the console read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alongside.engines.local import children
    from alongside.server import supervisor, traffic


class ProcessStatus(TypedDict):
    """One process; times in seconds, ratios from 0 to 1."""

    name: str
    role: str
    state: str
    pid: int | None
    address: str | None
    restarts: int
    reason: str
    since_s: float
    requests_per_s: float | None
    hit_ratio: float | None


class CacheStatus(TypedDict):
    """One sharded cache and where clients reach it."""

    name: str
    address: str | None
    origin: str
    key: str
    function: str
    memory_bytes: int
    shards: list[str]


class Status(TypedDict):
    """A whole project."""

    project: str
    supervisor_pid: int
    folder: str
    files: list[str]
    ready: bool
    warnings: list[str]
    caches: list[CacheStatus]
    processes: list[ProcessStatus]


async def of(watched: supervisor.Supervisor, *, now_s: float) -> Status:
    """Return the state of everything, in the plan's order; what is being removed comes last."""
    rates = await watched.sample()
    engine = watched.engine
    planned = [process.name for process in watched.plan.processes]
    removed = [name for name in engine.children if name not in planned]
    sources = watched.sources
    return Status(
        project=engine.setting.project,
        supervisor_pid=os.getpid(),
        folder=watched.folder,
        files=[source.file for source in sources],
        ready=watched.is_ready(),
        warnings=watched.warnings(),
        caches=[
            CacheStatus(
                name=cache.name,
                address=engine.sockets.address(cache.router),
                origin=cache.origin.address,
                key=cache.key,
                function=cache.function,
                memory_bytes=cache.memory_bytes,
                shards=list(cache.shards),
            )
            for cache in watched.plan.caches
        ],
        processes=[_process(watched, name, rates, now_s) for name in (*planned, *removed)],
    )


def _process(
    watched: supervisor.Supervisor, name: str, rates: Mapping[str, traffic.Rate], now_s: float
) -> ProcessStatus:
    child: children.Child | None = watched.engine.children.get(name)
    planned = watched.plan.process(name)
    process = child.process if child is not None else planned
    rate = rates.get(name)
    address = watched.engine.sockets.address(name)
    if address is None and process is not None:
        address = next(iter(process.claims), None)
    identity = child.identity if child is not None else None
    return ProcessStatus(
        name=name,
        role=process.role if process is not None else "app",
        state=child.state if child is not None else "planned",
        pid=identity.pid if identity is not None else None,
        address=address,
        restarts=child.restarts if child is not None else 0,
        reason=child.reason if child is not None else "",
        since_s=round(now_s - child.since_s, 3) if child is not None else 0.0,
        requests_per_s=round(rate.requests_per_s, 1) if rate is not None else None,
        hit_ratio=rate.hit_ratio if rate is not None else None,
    )
