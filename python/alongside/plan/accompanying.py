"""Say which pods get an ambassador of their own, and what is wrong with those that ask for one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from alongside.base import nearest
from alongside.plan import ambassadors, pods, variables
from alongside.plan.translating import serving

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from alongside.plan import shape
    from alongside.plan.translating import Unit
    from alongside.resources import kinds, pools, problems, reading

    Known = Mapping[str, reading.Resource[pools.PooledCache]]
    Cache = reading.Resource[kinds.ShardedCache] | reading.Resource[pools.PooledCache]

LOCAL = "127.0.0.1"
_PATH = ("metadata", "annotations", ambassadors.ANNOTATION)


def mistakes(unit: Unit, resources: reading.Resources) -> Iterator[problems.Problem]:
    """Yield what is wrong with the caches that a pod asks at its localhost."""
    known = {one.name: one for one in resources.pooled}
    others = [one.name for one in resources.caches]
    ports: dict[int, str] = {}
    for name in unit.pod.pools:
        if name in known:
            yield from _of_cache(unit, known[name], ports)
        else:
            yield unit.template.problem(_PATH, _unknown(name, known, others))
    yield from _of_pod(unit, ports)


def _of_cache(
    unit: Unit, cache: reading.Resource[pools.PooledCache], ports: dict[int, str]
) -> Iterator[problems.Problem]:
    """Yield what is wrong with one, and note its port."""
    spec = cache.model.spec
    if spec.access != "ambassador":
        reason = f'cache "{cache.name}" is of access: {spec.access}; write access: ambassador there'
        yield unit.template.problem(_PATH, reason)
    elif spec.port is None:
        usual = ambassadors.USUAL_PORTS[spec.protocol]
        reason = f"is missing, and {unit.template.owner} asks it there; write {usual}"
        yield cache.problem(("spec", "port"), reason)
    elif spec.port in ports:
        reason = f'"{ports[spec.port]}" and "{cache.name}" have one port, {spec.port}'
        yield unit.template.problem(_PATH, f"{reason}; give one of the two another")
    else:
        ports[spec.port] = cache.name


def _of_pod(unit: Unit, ports: Mapping[int, str]) -> Iterator[problems.Problem]:
    """Yield what of a pod is in the way of its ambassador."""
    if not unit.pod.pools:
        return
    for what in ambassadors.taken(unit.pod):
        reason = f"its ambassador needs the name of its {what}; rename that"
        yield unit.template.problem(_PATH, reason)
    for container in unit.pod.containers:
        for port in container.ports:
            if container.kind != "init" and port.number in ports:
                reason = (
                    f'port {port.number} is where cache "{ports[port.number]}" is asked, and also '
                    f'of container "{container.name}"; give one of the two another'
                )
                yield unit.template.problem(_PATH, reason)


def _unknown(name: str, known: Known, others: Collection[str]) -> str:
    if name in others:
        return f'cache "{name}" is of protocol http, which is asked at its own port; remove it'
    near = nearest.nearest(name, list(known))
    every = ", ".join(known) or "the name of a ShardedCache of memcache or Redis"
    remedy = f'did you mean "{near}"?' if near else f"write {every}"
    return f'there is no cache "{name}" of memcache or Redis; {remedy}'


def linked(pod: pods.Pod, resources: reading.Resources) -> pods.Pod:
    """Return a pod of this machine's network that is told of caches as of Services.

    In networks of pods they are Services; here their routers listen at this machine's localhost,
    at a port that is known where it is written.
    """
    shared = [
        serving.of_cache(one)
        for one in resources.pooled
        if one.model.spec.access == "service" and one.model.spec.port is not None
    ]
    if not pod.links_services or not shared:
        return pod
    told = {name: value for one in shared for name, value in variables.links(one, LOCAL).items()}
    first = tuple(pods.Variable(name, value, value) for name, value in told.items())
    return replace(
        pod,
        containers=tuple(
            replace(one, variables=(*first, *one.variables)) for one in pod.containers
        ),
    )


def port(cache: Cache, engine: shape.EngineName, units: Collection[Unit]) -> int | None:
    """Return the port of this machine at which a cache is to answer; None for any that is free.

    Where pods have an ambassador of their own, that one has the port that is written. This
    machine's leaves it to others then, unless a pod is of this machine's network. So does a
    Service, which answers at another port where this one is not to be had.
    """
    spec = cache.model.spec
    if spec.protocol == "http":
        return spec.port
    if spec.access == "service":
        return None if engine != "process" and units else spec.port
    asking = [unit.pod for unit in units if cache.name in unit.pod.pools]
    is_free = any(ambassadors.has_own(pod, engine) for pod in asking) and not any(
        pod.uses_host_network for pod in asking
    )
    return None if is_free else spec.port


def afar(name: str, engine: shape.EngineName, units: Collection[Unit]) -> str:
    """Return what an ambassador is to pods that have a localhost of their own and do not ask it.

    Nothing, where no pod misses it.
    """
    if engine == "process" or not units or any(name in unit.pod.pools for unit in units):
        return ""
    return (
        f"pods of --engine {engine} have a localhost of their own, where it is not; write "
        f"annotations: {{{ambassadors.ANNOTATION}: {name}}} into the metadata of those that ask it"
    )
