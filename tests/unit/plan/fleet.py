"""Plans for tests: caches with some shards, applications with a version."""

from __future__ import annotations

from alongside.plan import building, shape


def app(name: str, *, port: int, version: int = 0) -> shape.Process:
    return shape.Process(name, "app", argv=("serve", str(version)), claims=(f"127.0.0.1:{port}",))


def cache(
    name: str,
    shards: int,
    *,
    replicas: int = 1,
    routers: int = 1,
    origin: shape.Origin | None = None,
    key: str = "request.uri",
) -> shape.Cache:
    return shape.Cache(
        name,
        tuple(f"{name}-router-{at}" for at in range(routers)),
        tuple(
            shape.Shard(f"{name}-{at}", tuple(f"{name}-{at}-{one}" for one in range(replicas)))
            for at in range(shards)
        ),
        origin or shape.Origin("127.0.0.1:8000"),
        key,
        "ketama",
        2**20,
    )


def of(*caches: shape.Cache, apps: tuple[shape.Process, ...] = (), port: int = 0) -> shape.Plan:
    processes = list(apps)
    inside = shape.Socket(shape.LISTENER, "127.0.0.1", 0)
    for one in caches:
        door = shape.Socket(shape.LISTENER, "127.0.0.1", port, one.name)
        processes += [building._data_plane(node, "node", inside, one.terms) for node in one.nodes]
        processes += [
            building._data_plane(router, "router", door, one.terms) for router in one.routers
        ]
    return shape.Plan(tuple(processes), caches)


def fleet(
    shards: dict[str, int],
    apps: tuple[shape.Process, ...] = (),
    *,
    port: int = 0,
    replicas: int = 1,
    routers: int = 1,
) -> shape.Plan:
    origin = shape.Origin("127.0.0.1:8000", process=apps[0].name if apps else None)
    caches = [
        cache(name, count, replicas=replicas, routers=routers, origin=origin)
        for name, count in shards.items()
    ]
    return of(*caches, apps=apps, port=port)
