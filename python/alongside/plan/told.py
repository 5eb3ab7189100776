"""Say what a process that is planned is started as, which it says itself at /version.

Its values are those of the component's parameters that its document tells of: a user could have
written them for the same process by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside import document
from alongside.base import units
from alongside.contract import written
from alongside.contract.catalogue import ambassador, cache, route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alongside.contract import promise

    Texts = Mapping[str, tuple[str, ...]]


def about(whole: document.Document) -> document.About:
    """Return what a node, a router or an ambassador says of itself, by its document."""
    if whole.caches:
        return _about(cache.CONTRACT, _of_cache(whole.caches[0]) | _shared(whole))
    if whole.routes:
        return _about(route.CONTRACT, _of_route(whole, whole.routes[0]) | _shared(whole))
    return _about(ambassador.CONTRACT, _of_pool(whole.pools[0]) | _doors(whole))


def _about(contract: promise.Contract, texts: Texts) -> document.About:
    """Return the same in the order of a contract's parameters; what is not told stays away."""
    told = [one.name for one in contract.parameters if one.name in texts]
    values = (document.EffectiveValue(name=name, texts=texts[name]) for name in told)
    return document.About(
        component=contract.component, contract=written.digest(contract), values=tuple(values)
    )


def _doors(whole: document.Document) -> dict[str, tuple[str, ...]]:
    limits = whole.limits
    # Not the admin door: a successor has another, and the same document otherwise.
    return {
        "threads": (str(whole.threads),),
        "connections_max": (str(limits.connections_max),),
        "drain_timeout": (units.format_duration(limits.drain_timeout_ms / 1000),),
    }


def _shared(whole: document.Document) -> dict[str, tuple[str, ...]]:
    return {**_doors(whole), "listen": tuple(one.address for one in whole.listeners)}


def _of_cache(kept: document.Cache) -> dict[str, tuple[str, ...]]:
    replica = kept.replica
    texts: dict[str, tuple[str, ...]] = {
        "origin": (f"http://{kept.origin.address}",),
        "memory": (units.format_size(kept.memory_bytes),),
    }
    if kept.object_bytes_max is not None:
        texts["object_max"] = (units.format_size(kept.object_bytes_max),)
    if replica is not None:
        texts["id"] = (replica.id,)
        texts["sibling"] = tuple(f"{one.id}={one.address}" for one in replica.siblings)
        if replica.warm_bytes_per_s is not None:
            texts["warm_bandwidth"] = (units.format_size(replica.warm_bytes_per_s),)
    return texts


def _of_route(whole: document.Document, one: document.Route) -> dict[str, tuple[str, ...]]:
    addresses = {node.id: node.address for node in whole.nodes}
    texts: dict[str, tuple[str, ...]] = {
        "key": (one.key,),
        "function": (one.function,),
        "node": tuple(f"{shard.name}={addresses[shard.replicas[0]]}" for shard in one.shards),
        "replica": tuple(
            f"{shard.name}/{node}={addresses[node]}"
            for shard in one.shards
            for node in shard.replicas[1:]
        ),
        "buffer": (units.format_size(one.buffer_bytes),),
    }
    if one.origin is not None:
        texts["origin"] = (f"http://{one.origin.address}",)
    return texts


def _of_pool(one: document.Pool) -> dict[str, tuple[str, ...]]:
    return {"value_max": (units.format_size(one.limits.value_bytes_max),)}
