"""Say what a process that is planned is started as, which it says itself at /version.

Its values are those of the component's parameters that its document tells of: a user could have
written them for the same process by hand.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from alongside import document
from alongside.base import units
from alongside.contract import promise, written
from alongside.contract.catalogue import ambassador, cache, route

if TYPE_CHECKING:
    from collections.abc import Mapping

    Texts = Mapping[str, tuple[str, ...]]

_CONTRACTS = {one.component: one for one in (ambassador.CONTRACT, cache.CONTRACT, route.CONTRACT)}


def about(whole: document.Document) -> document.About:
    """Return what a node, a router or an ambassador says of itself, by its document."""
    if whole.caches:
        return _about(whole, cache.CONTRACT, _of_cache(whole.caches[0]) | _of_listeners(whole))
    if whole.routes:
        found = _of_route(whole, whole.routes[0]) | _of_listeners(whole)
        return _about(whole, route.CONTRACT, found)
    return _about(whole, ambassador.CONTRACT, _of_pool(whole.pools[0]))


def _about(whole: document.Document, contract: promise.Contract, texts: Texts) -> document.About:
    """Return the same in the order of a contract's parameters; what is not told stays away."""
    # Not the admin door: a successor has another, and the same document otherwise.
    texts = {"threads": (str(whole.threads),), **_limits(contract, whole.limits), **texts}
    told = [one.name for one in contract.parameters if texts.get(one.name)]
    values = (document.EffectiveValue(name=name, texts=texts[name]) for name in told)
    return document.About(
        component=contract.component, contract=_digest(contract.component), values=tuple(values)
    )


@functools.cache
def _digest(component: str) -> str:
    # Documents are rendered at each look at a project, and a digest takes milliseconds.
    return written.digest(_CONTRACTS[component])


def _limits(contract: promise.Contract, limits: document.Limits) -> dict[str, tuple[str, ...]]:
    """Return a document's limits as far as the component has parameters for them."""
    texts: dict[str, tuple[str, ...]] = {}
    for one in contract.parameters:
        match one.kind:
            case promise.Kind.SIZE:
                number = getattr(limits, re.sub("_(max|min)$", r"_bytes_\1", one.name), None)
                text = units.format_size(number or 0)
            case promise.Kind.DURATION:
                number = getattr(limits, f"{one.name}_ms", None)
                text = _duration(number or 0)
            case _:
                number = getattr(limits, one.name, None)
                text = str(number)
        if number is not None:
            texts[one.name] = (text,)
    return texts


def _duration(ms: int) -> str:
    return units.format_duration(ms / 1000)


def _of_listeners(whole: document.Document) -> dict[str, tuple[str, ...]]:
    texts = {
        "listen": tuple(one.address for one in whole.listeners),
        "inner": tuple(network for one in whole.listeners for network in one.inner),
    }
    if whole.access_log is not None:
        texts["access_log_one_in"] = (str(whole.access_log.one_in),)
    return texts


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
        "probe": (one.health.probe,),
        "probe_path": (one.health.path,),
        "probe_interval": (_duration(one.health.interval_ms),),
        "probe_timeout": (_duration(one.health.timeout_ms),),
        "retry_percent": (str(one.retries.percent),),
        "fallback": (one.retries.fallback.replace("_", "-"),),
    }
    if one.origin is not None:
        texts["origin"] = (f"http://{one.origin.address}",)
    return texts


def _of_pool(one: document.Pool) -> dict[str, tuple[str, ...]]:
    limits = one.limits
    return {
        "connect_timeout": (_duration(one.connect_timeout_ms),),
        "value_max": (units.format_size(limits.value_bytes_max),),
        "keys_max": (str(limits.keys_max),),
        "client_requests_max": (str(limits.client_requests_max),),
        "requests_max": (str(limits.requests_max),),
    }
