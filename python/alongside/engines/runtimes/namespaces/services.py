"""Let Services and host ports answer: addresses in the hub, sockets on the host, one balancer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.pods import balancing, doors
from alongside.engines.runtimes.namespaces import hub

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from alongside.base import clock, log
    from alongside.engines.pods import notes, runtime
    from alongside.engines.runtimes.namespaces import sandbox
    from alongside.plan import pods

LOCAL = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only where a Service asks for it


@dataclass(frozen=True, slots=True)
class Held:
    """Where a port of a Service answers."""

    asked: tuple[str, bool, int | None, bool]
    """Its address in the hub, whether and where on all addresses of the host, and whether at the
    host's port of its own number."""
    doors: tuple[balancing.Door, ...]
    outside: str
    """HOST:PORT, as this machine's user is told."""


class Services:
    """The Services of a project, and the ports that its pods have on the host."""

    def __init__(
        self, project: sandbox.Project, clock_: clock.Clock, log_: log.Log, notes_: notes.Notes
    ) -> None:
        """Take the network in which they have their addresses; nothing answers yet."""
        self.served: tuple[runtime.Served, ...] = ()
        self.inside: dict[str, str] = {}
        """Their addresses in the hub, by name; headless ones have none."""
        self._hub = project.hub
        self._setting = project.setting
        self._clock = clock_
        self._log = log_
        self._notes = notes_
        self._held: dict[str, Held] = {}
        """Of each port NAME:PORT."""
        self._ports: dict[str, list[balancing.Front]] = {}
        """Of each pod, its host ports."""
        self._balancer: balancing.Balancer | None = None
        """None until something is to answer."""
        self._turn = asyncio.Lock()

    @property
    def published(self) -> dict[str, str]:
        """Where Services are reached from the host: NAME:PORT to HOST:PORT."""
        return {key: held.outside for key, held in self._held.items()}

    @property
    def balancer(self) -> str:
        """The pid of the balancer; empty where none runs."""
        return self._balancer.identity if self._balancer is not None else ""

    async def serve(self, wanted: Sequence[runtime.Served]) -> None:
        """Let these Services answer, and no others.

        Raises:
            errors.AlongsideError: they cannot; those before go on.
        """
        balanced = [one for one in wanted if not one.service.is_headless]
        async with self._turn:
            inside = await self._address([one.service.name for one in balanced])
            held: dict[str, Held] = {}
            try:
                await self._hold(balanced, inside, held)
                await self._put(balanced, held)
            except BaseException:
                kept = [door for one in self._held.values() for door in one.doors]
                _shut(door for one in held.values() for door in one.doors if door not in kept)
                raise
            gone = set(self.inside.values()) - set(inside.values())
            self.served, self.inside, self._held = tuple(wanted), inside, held
            for address in gone:
                with contextlib.suppress(errors.AlongsideError):
                    await self._hub.link(f"address delete {address}/32 dev {hub.BRIDGE}\n")

    async def expose(self, pod: pods.Pod, address: str) -> None:
        """Let a pod's host ports answer.

        Raises:
            errors.AddressTakenError: someone else has one of them.
        """
        if pod.uses_host_network:
            return  # its containers listen on the host themselves
        fronts: list[balancing.Front] = []
        try:
            for container in pod.containers:
                for port in container.ports:
                    if port.host_port is not None:
                        door = _host_door(pod, port.host_ip or LOCAL, port.host_port)
                        name = f"{pod.name}/{container.name}/{port.host_port}"
                        backends = (f"{address}:{port.number}",)
                        fronts.append(balancing.Front(name, (door,), backends))
        except BaseException:
            _shut(door for front in fronts for door in front.doors)
            raise
        if not fronts:
            return
        async with self._turn:
            self._ports[pod.name] = fronts
            try:
                await self._put(self.served, self._held)
            except BaseException:
                _shut(door for front in self._ports.pop(pod.name) for door in front.doors)
                raise

    async def conceal(self, pod: pods.Pod) -> None:
        """Let a pod's host ports go."""
        async with self._turn:
            if self._ports.pop(pod.name, None):
                await self._put(self.served, self._held)

    async def close(self) -> None:
        """End the balancer, and with it all that answers."""
        async with self._turn:
            if self._balancer is not None:
                await self._balancer.close()
                self._balancer = None
            _shut(door for one in self._held.values() for door in one.doors)
            self.served, self.inside, self._held = (), {}, {}
            self._ports.clear()

    async def _put(self, served: Iterable[runtime.Served], held: Mapping[str, Held]) -> None:
        fronts = [front for of_pod in self._ports.values() for front in of_pod]
        for one in served:
            if one.service.is_headless:
                continue
            backends = (*one.backends, *((),) * len(one.service.ports))
            for port, behind in zip(one.service.ports, backends, strict=False):
                key = f"{one.service.name}:{port.number}"
                fronts.append(balancing.Front(key, held[key].doors, behind))
        if self._balancer is None and fronts:
            self._balancer = self._started()
        if self._balancer is not None:
            await self._balancer.put(fronts)

    def _started(self) -> balancing.Balancer:
        setting_ = self._setting
        return balancing.Balancer(
            balancing.Setting(
                project=setting_.project,
                home=setting_.home,
                folder=setting_.folder,
                log=setting_.log,
                binary=setting_.binary,
                environment=setting_.environment,
                prefix=self._hub.entering(),
            ),
            self._clock,
            self._log,
        )

    async def _address(self, wanted: Sequence[str]) -> dict[str, str]:
        """Return the address of each Service, which the hub has by then."""
        found = {name: self.inside[name] for name in wanted if name in self.inside}
        taken = {*self.inside.values()}
        for name in wanted:
            if name not in found:
                found[name] = self._hub.range.service(name, taken)
                taken.add(found[name])
        lines = [f"address replace {one}/32 dev {hub.BRIDGE}\n" for one in found.values()]

        async def add() -> None:
            await self._hub.link("".join(lines))

        if lines:
            await hub.again(add)
        return found

    async def _hold(
        self, wanted: Sequence[runtime.Served], inside: Mapping[str, str], held: dict[str, Held]
    ) -> None:
        """Find where each port answers; what is as before stays."""
        numbers = Counter(port.number for each in wanted for port in each.service.ports)
        for each in wanted:
            one = each.service
            for port in one.ports:
                key = f"{one.name}:{port.number}"
                is_free = numbers[port.number] == 1 and port.number not in each.promised
                asked = (inside[one.name], one.is_published, port.node_port, is_free)
                known = self._held.get(key)
                if known is not None and known.asked == asked:
                    held[key] = known
                    continue
                usable = {} if known is None else {door.address: door for door in known.doors}
                address = f"{inside[one.name]}:{port.number}"
                first = usable.get(address) or await self._inside_door(*address.split(":"))
                try:
                    beside = self._outside_doors(one, port, usable, is_free=is_free)
                except BaseException:
                    _shut([first] if first not in usable.values() else [])
                    raise
                outside = beside[0].address.replace(EVERYWHERE, LOCAL)
                held[key] = Held(asked, (first, *beside), outside)

    def _outside_doors(
        self,
        service: pods.Service,
        port: pods.ServicePort,
        usable: Mapping[str, balancing.Door],
        *,
        is_free: bool,
    ) -> list[balancing.Door]:
        """Return the doors of a port on the host: at its own number where that is free.

        Raises:
            errors.AddressTakenError: there is none.
        """
        host = EVERYWHERE if service.is_published else LOCAL
        wanted = [(host, port.number)] if is_free else []
        over = [one.socket for one in usable.values() if one.socket is not None]
        found = [usable.get(f"{host}:{at}") or _door(host, at, over=over) for host, at in wanted]
        own = f"{LOCAL}:{port.number}"
        opened = [one for one in found if one is not None] or [
            one
            for one in usable.values()
            if one.address.startswith(f"{LOCAL}:") and (is_free or one.address != own)
        ]
        if not opened and (free := _door(LOCAL, 0)) is not None:
            opened = [free]
        if not opened:
            raise errors.AddressTakenError(f"{service.name}: no port is free on {LOCAL}")
        if port.node_port is not None:
            address = f"{EVERYWHERE}:{port.node_port}"
            door = usable.get(address) or _door(EVERYWHERE, port.node_port)
            if door is None:
                where = f"{service.place or service.name}: nodePort {port.node_port}"
                self._notes.say(f"{where} is taken on this machine, and does not answer")
            else:
                opened.append(door)
        return opened

    async def _inside_door(self, address: str, number: str) -> balancing.Door:
        """Return a listening socket of the hub's; it outlives the balancer's processes."""
        listening = await self._hub.new_socket(socket.AF_INET)
        try:
            _listen(listening, address, int(number))
        except OSError as error:
            listening.close()
            raise errors.PermanentError(f"{address}:{number}: {error.strerror}") from error
        return balancing.Door(f"{address}:{number}", listening)


def _host_door(pod: pods.Pod, host: str, number: int) -> balancing.Door:
    door = _door(host, number)
    if door is None:
        raise errors.AddressTakenError(
            f"{pod.place or pod.name}: hostPort {number} cannot be had at {host}; "
            "choose another one, or stop its owner"
        )
    return door


def _door(host: str, number: int, *, over: Sequence[socket.socket] = ()) -> balancing.Door | None:
    """Return a listening socket of the host's; None where it cannot be had."""
    try:
        listening = doors.listening(host, number, over=over)
    except OSError:
        return None
    shown = f"[{host}]" if ":" in host else host
    address = f"{shown}:{listening.getsockname()[1]}"
    return balancing.Door(address, listening, is_elsewhere=True)


def _listen(listening: socket.socket, host: str, number: int) -> None:
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, number))
    listening.listen(doors.BACKLOG)
    listening.setblocking(False)


def _shut(opened: Iterable[balancing.Door]) -> None:
    for door in opened:
        if door.socket is not None:
            door.socket.close()
