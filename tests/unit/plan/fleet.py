"""Plans for tests: caches with some shards, applications with a version."""

from __future__ import annotations

from alongside.plan import building, shape


def app(name: str, *, port: int, version: int = 0) -> shape.Process:
    return shape.Process(name, "app", argv=("serve", str(version)), claims=(f"127.0.0.1:{port}",))


def fleet(
    shards: dict[str, int], apps: tuple[shape.Process, ...] = (), *, port: int = 0
) -> shape.Plan:
    processes = list(apps)
    caches = []
    origin = shape.Origin("127.0.0.1:8000", process=apps[0].name if apps else None)
    for name, count in shards.items():
        names = tuple(f"{name}-{at}" for at in range(count))
        processes += [building._data_plane(shard, "node", "127.0.0.1", 0) for shard in names]
        processes.append(building._data_plane(f"{name}-router", "router", "127.0.0.1", port))
        caches.append(
            shape.Cache(name, f"{name}-router", names, origin, "request.uri", "ketama", 2**20)
        )
    return shape.Plan(tuple(processes), tuple(caches))
