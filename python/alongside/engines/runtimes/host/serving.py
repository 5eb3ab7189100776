"""Give Services addresses on this machine, and let the balancer answer there."""

from __future__ import annotations

import asyncio
import errno
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.pods import balancing, doors
from alongside.engines.processes import listeners
from alongside.plan import loopback, variables

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from alongside.engines.pods import notes, runtime
    from alongside.plan import pods

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what a Service of type NodePort or LoadBalancer asks for
_Key = tuple[str, int]
"""A Service's name and the number of its port."""


@dataclass(frozen=True, slots=True)
class Held:
    """Where a port of a Service answers."""

    inside: str
    """HOST:PORT, as containers are told."""
    outside: str
    """HOST:PORT, as this machine's user is told."""
    doors: tuple[balancing.Door, ...]
    asked: tuple[bool, int | None, bool]
    """Whether on all addresses, at which port of these, and whether a pod has its number."""


@dataclass(frozen=True, slots=True)
class _Asked:
    service: pods.Service
    port: pods.ServicePort
    is_promised: bool
    """Whether a pod asks this machine for its number."""
    usable: Mapping[str, balancing.Door]
    """Doors that it has already, by their address."""


class Services:
    """The Services of a project, and what pods publish at the host's ports."""

    def __init__(self, project: str, balancer: balancing.Balancer, notes_: notes.Notes) -> None:
        """Take what answers for them."""
        self._project = project
        self._balancer = balancer
        self._notes = notes_
        self._served: tuple[runtime.Served, ...] = ()
        self._held: dict[_Key, Held] = {}
        self._forwarded: dict[str, list[balancing.Front]] = {}
        """Of each pod."""
        self._hosts: dict[str, str] = {}
        """The address of each Service."""
        self._lock = asyncio.Lock()

    async def serve(self, served: Sequence[runtime.Served]) -> None:
        """Let these Services answer, and no others.

        Raises:
            errors.AlongsideError: they cannot; those before go on.
        """
        wanted = tuple(one for one in served if not one.service.is_headless and one.service.ports)
        async with self._lock:
            before = self._hosts
            self._hosts = self._addresses([one.service.name for one in wanted])
            held: dict[_Key, Held] = {}
            try:
                self._hold(wanted, held, _claimed(served))
                await self._put(wanted, held)
            except (OSError, errors.AlongsideError) as error:
                self._hosts = before
                _close(_doors(held), kept=_doors(self._held))
                if isinstance(error, errors.AlongsideError):
                    raise
                raise errors.PermanentError(f"a Service cannot answer: {error}") from error
            self._served, self._held = wanted, held

    async def forward(self, pod: pods.Pod, address: str) -> None:
        """Let a pod answer at the host's ports that it asks for, where it does not itself.

        Raises:
            errors.AddressTakenError: someone else has one.
            errors.AlongsideError: they do not answer.
        """
        wanted = [
            (f"host/{pod.name}/{container.name}/{port.number}", place, f"{address}:{port.number}")
            for container in pod.containers
            for port in container.ports
            if (place := _forwarding(port, address)) is not None
        ]
        if not wanted:
            return
        async with self._lock:
            fronts: list[balancing.Front] = []
            try:
                for name, place, backend in wanted:
                    fronts.append(balancing.Front(name, (_door(*place),), (backend,)))
                self._forwarded[pod.name] = fronts
                await self._put(self._served, self._held)
            except (OSError, errors.AlongsideError) as error:
                self._forwarded.pop(pod.name, None)
                _close([door for front in fronts for door in front.doors])
                if isinstance(error, errors.AlongsideError):
                    raise
                raise errors.AddressTakenError(f"{pod.place or pod.name}: {error}") from error

    async def forget(self, pod: pods.Pod) -> None:
        """Take the host's ports of a pod away.

        Raises:
            errors.AlongsideError: the balancer does not follow.
        """
        async with self._lock:
            if self._forwarded.pop(pod.name, None):
                await self._put(self._served, self._held)

    async def close(self) -> None:
        """Answer no more."""
        async with self._lock:
            self._served, self._held, self._hosts, self._forwarded = (), {}, {}, {}
            await self._balancer.close()

    def addresses(self) -> dict[str, str]:
        """Return where Services are reached from this machine: `NAME:PORT` to HOST:PORT."""
        return {f"{name}:{number}": held.outside for (name, number), held in self._held.items()}

    def links(self) -> dict[str, str]:
        """Return the variables by which containers find Services."""
        result: dict[str, str] = {}
        for one in self._served:
            service, host = one.service, self._hosts[one.service.name]
            shown: dict[str, str] = {}
            for port in service.ports:
                actual = self._held[service.name, port.number].inside.rpartition(":")[2]
                shown[str(port.number)] = actual
                shown[f"tcp://{host}:{port.number}"] = f"tcp://{host}:{actual}"
            links = variables.links(service, host)
            result |= {name: shown.get(value, value) for name, value in links.items()}
        return result

    def _addresses(self, names: Sequence[str]) -> dict[str, str]:
        if sys.platform != "linux":  # elsewhere only one address of the loopback network is there
            return dict.fromkeys(names, loopback.SHARED)
        known = {name: self._hosts[name] for name in names if name in self._hosts}
        new = [name for name in names if name not in known]
        taken = {*known.values(), *(str(one) for one in listeners.addresses())} if new else ()
        return {**known, **loopback.of_services(self._project, new, taken)}

    def _hold(
        self, wanted: Sequence[runtime.Served], held: dict[_Key, Held], claimed: frozenset[int]
    ) -> None:
        """Find where each port answers, as before where that may stay; raises OSError."""
        numbers = Counter(port.number for one in wanted for port in one.service.ports)
        free = frozenset(number for number, count in numbers.items() if count == 1)
        free -= claimed
        for one in wanted:
            for port in one.service.ports:
                key = (one.service.name, port.number)
                known = self._held.get(key)
                usable = {} if known is None else {door.address: door for door in known.doors}
                asked = _Asked(one.service, port, port.number in one.promised, usable)
                if known is not None and _is_still_right(known, asked, claimed):
                    held[key] = known
                else:
                    is_free = port.number in free and not asked.is_promised
                    held[key] = self._bind(asked, is_free=is_free, claimed=claimed)

    def _bind(self, asked: _Asked, *, is_free: bool, claimed: Collection[int]) -> Held:
        """Bind the addresses of a port; raises OSError where it can have none."""
        service, port = asked.service, asked.port
        host, number = self._hosts[service.name], port.number
        where = f"Service/{service.name}: port {number}"
        public: list[balancing.Door] = []
        if port.node_port is not None:
            public += self._try(asked, EVERYWHERE, port.node_port, where)
        if (
            service.is_published
            and is_free
            and (all_ := self._try(asked, EVERYWHERE, number, where))
        ):
            inside, outside = f"{host}:{number}", f"{loopback.SHARED}:{number}"
            return Held(inside, outside, (*public, *all_), _asked(asked))
        own = [] if number in claimed else self._try(asked, host, number, "")
        if not own:
            had = [one for at, one in asked.usable.items() if at.startswith(f"{host}:")]
            own = [one for one in had if not one.address.endswith(f":{number}")][:1]
            own = own or [_door(host, 0)]
            self._notes.say(f"{where} answers at {own[0].address}, since {number} cannot be had")
        outside = own[0].address
        beside = []
        if is_free and host != loopback.SHARED:
            beside = self._try(asked, loopback.SHARED, number, "")
            outside = beside[0].address if beside else outside
        return Held(own[0].address, outside, (*public, *own, *beside), _asked(asked))

    def _try(self, asked: _Asked, host: str, number: int, where: str) -> list[balancing.Door]:
        """Return a door, or none where its address cannot be had, which is said where wanted."""
        if (known := asked.usable.get(f"{host}:{number}")) is not None:
            return [known]
        try:
            over = [door.socket for door in asked.usable.values() if door.socket is not None]
            return [_door(host, number, over=over)]
        except OSError as error:
            if where:
                self._notes.say(f"{where} does not answer at {error}")
            return []

    async def _put(self, served: Sequence[runtime.Served], held: Mapping[_Key, Held]) -> None:
        forwarded = [front for fronts in self._forwarded.values() for front in fronts]
        await self._balancer.put([*_fronts(served, held), *forwarded])


def _fronts(
    served: Sequence[runtime.Served], held: Mapping[_Key, Held]
) -> Iterator[balancing.Front]:
    for one in served:
        backends = (*one.backends, *((),) * len(one.service.ports))
        for port, behind in zip(one.service.ports, backends, strict=False):
            known = held[one.service.name, port.number].doors
            yield balancing.Front(f"{one.service.name}:{port.number}", known, behind)


def _asked(asked: _Asked) -> tuple[bool, int | None, bool]:
    return asked.service.is_published, asked.port.node_port, asked.is_promised


def _is_still_right(known: Held, asked: _Asked, claimed: Collection[int]) -> bool:
    """Return whether a port goes on to answer where it does."""
    number = asked.port.number
    has_number = any(door.address.endswith(f":{number}") for door in known.doors)
    return known.asked == _asked(asked) and not (has_number and number in claimed)


def _claimed(served: Sequence[runtime.Served]) -> frozenset[int]:
    """Return the ports on which pods may listen."""
    ends = (end for one in served for port in one.service.endpoints for end in port)
    return frozenset().union((end.port for end in ends), *(one.claimed for one in served))


def _forwarding(port: pods.Port, address: str) -> tuple[str, int] | None:
    """Return the host's address that leads to a container's port; None where it is its own."""
    if port.host_port is None:
        return None
    host = port.host_ip or loopback.SHARED
    is_own = port.host_port == port.number and host in {address, EVERYWHERE}
    return None if is_own else (host, port.host_port)


def _door(host: str, port: int, *, over: Sequence[socket.socket] = ()) -> balancing.Door:
    """Return a door that listens; raises OSError, which names the address and who has it."""
    try:
        bound = doors.listening(host, port, over=over)
    except OSError as error:
        raise OSError(error.errno, f"{host}:{port} {_refusal(error, port)}") from error
    return balancing.Door(f"{host}:{bound.getsockname()[1]}", bound)


def _refusal(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        owner = listeners.holder(port)
        return f"is taken{f' by {owner}' if owner else ''}; choose another port or stop its owner"
    if error.errno == errno.EACCES:
        return "may not be bound by this user; choose a port above 1023"
    return f"cannot be bound ({error.strerror}); choose another address"


def _doors(held: Mapping[_Key, Held]) -> list[balancing.Door]:
    return [door for one in held.values() for door in one.doors]


def _close(opened: Sequence[balancing.Door], *, kept: Sequence[balancing.Door] = ()) -> None:
    for door in opened:
        if door.socket is not None and door not in kept:
            door.socket.close()
