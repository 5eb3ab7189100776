"""Show the sharded caches of memcache and Redis, and say which server has a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from alongside.base import errors
from alongside.plan import pooling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from alongside.plan import shape
    from alongside.server import sampling, supervisor

TIMEOUT_S = 2.0
"""For one router, before the next one is asked."""


class ServerStatus(TypedDict):
    """One server as the routers that answer see it."""

    name: str
    left: dict[str, str]
    """The routers, and pods with an ambassador, that do not use it just now, and why: `down` or
    `ejected`."""
    in_flight: int | None
    """Commands that wait for its answer, of all routers."""


class PoolStatus(TypedDict):
    """One such cache, where clients reach it, and how it does."""

    name: str
    protocol: str
    access: str
    address: str | None
    function: str
    hash: str
    memory_bytes: int
    """Of each server."""
    routers: list[str]
    pods: list[str]
    """Those that have an ambassador of their own for it."""
    servers: list[ServerStatus]
    requests_per_s: float | None
    """Of all routers and ambassadors that answer."""
    clients: int | None
    """Their connections now."""


def status(
    watched: supervisor.Supervisor, pool: shape.Pool, samples: Mapping[str, sampling.Sample]
) -> PoolStatus:
    """Return how a pool does, by its routers' last readings."""
    pods = list(accompanied(watched.plan, pool))
    answering = [name for name in (*pool.routers, *pods) if name in samples]
    sights = {
        name: sight
        for name in answering
        if (sight := samples[name].reading.pools.get(pool.name)) is not None
    }
    rates = [samples[name].rate.pools.get(pool.name, 0.0) for name in answering]
    return PoolStatus(
        name=pool.name,
        protocol=pool.protocol,
        access=pool.access,
        address=_address(watched, pool),
        function=pool.function,
        hash=pool.hash,
        memory_bytes=pool.memory_bytes,
        routers=list(pool.routers),
        pods=pods,
        servers=[
            ServerStatus(
                name=server,
                left={name: one.left[server] for name, one in sights.items() if server in one.left},
                in_flight=sum(one.in_flight.get(server, 0) for one in sights.values())
                if sights
                else None,
            )
            for server in pool.servers
        ],
        requests_per_s=round(sum(rates), 1) if rates else None,
        clients=sum(one.clients for one in sights.values()) if sights else None,
    )


def _address(watched: supervisor.Supervisor, pool: shape.Pool) -> str | None:
    """Return where this machine reaches a pool; routers that are pods by their Service."""
    bound = watched.engine.sockets.address(pool.routers[0])
    return bound or watched.engine.published().get(f"{pool.name}:{pooling.port_of(pool)}")


def accompanied(plan: shape.Plan, pool: shape.Pool) -> Iterator[str]:
    """Yield the pods that have an ambassador of their own for a pool."""
    for process in plan.processes:
        pod = process.pod
        is_asking = pod is not None and process.has_document and pool.name in pod.pools
        if is_asking and process.name not in pool.routers:
            yield process.name


async def explain(
    watched: supervisor.Supervisor, pool: shape.Pool, key: str
) -> Mapping[str, object]:
    """Return what the first router says that gives an answer, and the reason in words.

    Raises:
        errors.PeerError: the router refuses the question; the message says why.
        errors.TemporaryError: no router answers.
    """
    children = watched.engine.children
    ready = [name for name in pool.routers if name in children and children[name].state == "ready"]
    parameters = [("pool", pool.name), ("key", key)]
    folders = watched.engine.setting.folders

    def address_of(server: str) -> str:
        return f"unix:{folders.server(server, pool.name)}"

    for router in ready:
        try:
            answer = await watched.engine.admin(router, timeout_s=TIMEOUT_S).explain(parameters)
        except errors.TemporaryError:
            continue
        reason = _reason(pool, _part(answer, "home"), _part(answer, "server"))
        found = here(placed(answer), address_of)
        return {**found, "router": router, "reason": reason}
    raise errors.TemporaryError(
        f'no router of cache "{pool.name}" answers; see alongside status', retry_after_s=1.0
    )


def placed(answer: Mapping[str, object]) -> dict[str, object]:
    """Return what a router's answer says of where a key is; `home` is its own server.

    The standing is that of its home: so both stand beside each other. Where chance decides a key
    has none, and the standing is that of the server that was chosen.
    """
    now = _part(answer, "server")
    home = _part(answer, "home")
    return {
        "hashed": answer.get("tagged"),
        "hash": answer.get("hash"),
        "server": now.get("name"),
        "address": now.get("address"),
        "home": home.get("name"),
        "standing": (home or now).get("standing"),
    }


def here(found: Mapping[str, object], address_of: Callable[[str], str]) -> Mapping[str, object]:
    """Return where a key is with its server's address on this machine: a pod sees another one.

    Args:
        found: by `placed`.
        address_of: gives a server's address by its name.
    """
    server = found["server"]
    return {**found, "address": address_of(server)} if isinstance(server, str) else found


def _part(answer: Mapping[str, object], name: str) -> dict[str, object]:
    """Return what a router says of one server; nothing where it is none."""
    found = answer.get(name)
    return found if isinstance(found, dict) else {}


def _reason(pool: shape.Pool, home: Mapping[str, object], now: Mapping[str, object]) -> str:
    """Return why a key is where it is, for people."""
    count = len(pool.servers)
    tag = f' with the tag "{pool.hash_tag}"' if pool.hash_tag is not None else ""
    placed = (
        f"{pool.function} of {pool.hash}{tag} gives the key to {home.get('name')}, "
        f"{f'one of {count} servers' if count > 1 else 'the only server'}"
    )
    if now and now.get("name") != home.get("name"):
        return f"{placed}, which is ejected, so that {now.get('name')} has it now"
    if not now or home.get("standing") != "good":
        return f"{placed}, which cannot be used, so that the client would get an error now"
    return placed
