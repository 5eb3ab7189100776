"""Let Services and host ports answer: addresses in the hub, sockets on the host, one balancer."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.pods import balancing
from alongside.engines.runtimes.namespaces import hub

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alongside.base import clock, log
    from alongside.engines.pods import runtime
    from alongside.engines.runtimes.namespaces import setting
    from alongside.plan import pods

LOCAL = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only where a Service asks for it
_BACKLOG = 1024


class Services:
    """The Services of a project, and the ports that its pods have on the host."""

    def __init__(
        self, setting_: setting.Setting, hub_: hub.Hub, clock_: clock.Clock, log_: log.Log
    ) -> None:
        """Take the network in which they have their addresses; nothing answers yet."""
        self.served: tuple[runtime.Served, ...] = ()
        self.inside: dict[str, str] = {}
        """Their addresses in the hub, by name; headless ones have none."""
        self.published: dict[str, str] = {}
        """Where they are reached from the host: NAME:PORT to HOST:PORT."""
        self._hub = hub_
        self._doors: dict[str, tuple[balancing.Door, ...]] = {}
        """Of each port NAME:PORT: in the hub, then on the host."""
        self._ports: dict[str, list[balancing.Front]] = {}
        """Of each pod, its host ports."""
        self._setting = setting_
        self._clock = clock_
        self._log = log_
        self._balancer: balancing.Balancer | None = None
        """None until something is to answer."""

    @property
    def balancer(self) -> str:
        """The pid of the balancer; empty where none runs."""
        return self._balancer.identity if self._balancer is not None else ""

    async def serve(self, wanted: Sequence[runtime.Served]) -> None:
        """Let these Services answer, and no others."""
        balanced = [one for one in wanted if not one.service.is_headless]
        await self._address([one.service.name for one in balanced])
        await self._open_doors([one.service for one in balanced])
        self.served = tuple(wanted)
        await self._put()

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
        if fronts:
            self._ports[pod.name] = fronts
            await self._put()

    async def conceal(self, pod: pods.Pod) -> None:
        """Let a pod's host ports go."""
        if self._ports.pop(pod.name, None):
            await self._put()

    async def close(self) -> None:
        """End the balancer, and with it all that answers."""
        if self._balancer is not None:
            await self._balancer.close()
            self._balancer = None
        _shut(door for doors in self._doors.values() for door in doors)
        self.served, self.inside, self.published = (), {}, {}
        self._doors.clear()
        self._ports.clear()

    async def _put(self) -> None:
        fronts = [front for of_pod in self._ports.values() for front in of_pod]
        for one in self.served:
            if one.service.is_headless:
                continue
            for port, backends in zip(one.service.ports, one.backends, strict=True):
                key = f"{one.service.name}:{port.number}"
                fronts.append(balancing.Front(key, self._doors[key], backends))
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
                prefix=_entering(self._hub, setting_),
            ),
            self._clock,
            self._log,
        )

    async def _address(self, wanted: Sequence[str]) -> None:
        """Give each Service an address of the hub's; take it from those that are gone."""
        gone = {name: self.inside.pop(name) for name in set(self.inside) - set(wanted)}
        for name in wanted:
            if name not in self.inside:
                taken = set(self.inside.values())
                self.inside[name] = self._hub.range.service(name, taken)
        freed = set(gone.values()) - set(self.inside.values())
        lines = [f"address replace {one}/32 dev {hub.BRIDGE}\n" for one in self.inside.values()]

        async def add() -> None:
            await self._hub.link("".join(lines))

        if lines:
            await hub.again(add)
        for address in freed:
            with contextlib.suppress(errors.AlongsideError):
                await self._hub.link(f"address delete {address}/32 dev {hub.BRIDGE}\n")

    async def _open_doors(self, wanted: Sequence[pods.Service]) -> None:
        """Hold doors for each port, in the hub and on the host; what has them keeps them."""
        keys = {f"{one.name}:{port.number}" for one in wanted for port in one.ports}
        for key in set(self._doors) - keys:
            del self._doors[key]  # the balancer closes them
            del self.published[key]
        numbers = [port.number for one in wanted for port in one.ports]
        for one in wanted:
            for port in one.ports:
                key = f"{one.name}:{port.number}"
                if key not in self._doors:
                    outside = _published(one, port, is_alone=numbers.count(port.number) == 1)
                    try:
                        inside = await self._inside_door(self.inside[one.name], port.number)
                    except BaseException:
                        _shut([outside])
                        raise
                    self._doors[key] = (inside, outside)
                    self.published[key] = outside.address

    async def _inside_door(self, address: str, number: int) -> balancing.Door:
        """Return a listening socket of the hub's; it outlives the balancer's processes."""
        listening = await self._hub.socket(socket.AF_INET)
        try:
            _listen(listening, address, number)
        except OSError as error:
            listening.close()
            raise errors.PermanentError(f"{address}:{number}: {error.strerror}") from error
        return balancing.Door(f"{address}:{number}", listening)


def _published(service: pods.Service, port: pods.ServicePort, *, is_alone: bool) -> balancing.Door:
    """Return the door of a port on the host: at its own number where that is free, else at one.

    Raises:
        errors.AddressTakenError: someone else has the number that it asks for.
    """
    if service.is_published:
        number = port.node_port or port.number
        door = _door(EVERYWHERE, number)
        if door is None and port.node_port:
            raise errors.AddressTakenError(
                f"{service.place or service.name}: nodePort {number} is taken; choose another one, "
                "or stop its owner"
            )
        if door is not None:
            return balancing.Door(f"{LOCAL}:{number}", door.socket)
    door = _door(LOCAL, port.number) if is_alone else None
    door = door or _door(LOCAL, 0)
    if door is None:
        raise errors.AddressTakenError(f"{service.name}: no port is free on {LOCAL}")
    return door


def _host_door(pod: pods.Pod, host: str, number: int) -> balancing.Door:
    door = _door(host, number)
    if door is None:
        raise errors.AddressTakenError(
            f"{pod.place or pod.name}: hostPort {number} cannot be had at {host}; "
            "choose another one, or stop its owner"
        )
    return door


def _door(host: str, number: int) -> balancing.Door | None:
    """Return a listening socket of the host's; None where it cannot be had."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        _listen(listening, host, number)
    except OSError:
        listening.close()
        return None
    shown = f"[{host}]" if ":" in host else host
    return balancing.Door(f"{shown}:{listening.getsockname()[1]}", listening)


def _listen(listening: socket.socket, host: str, number: int) -> None:
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, number))
    listening.listen(_BACKLOG)


def _shut(doors: Iterable[balancing.Door]) -> None:
    for door in doors:
        if door.socket is not None:
            door.socket.close()


def _entering(hub_: hub.Hub, setting_: setting.Setting) -> tuple[str, ...]:
    """Return the words that start a program in the hub, whose namespaces this process holds."""
    own = f"/proc/{os.getpid()}/fd"
    words = [hub.tool("nsenter", setting_.environment) or "nsenter"]
    if "user" in hub_.namespaces:
        words += [f"--user={own}/{hub_.namespaces['user']}", "--preserve-credentials"]
    return (*words, f"--net={own}/{hub_.namespaces['net']}", "--")
