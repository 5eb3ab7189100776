"""Tell a runtime which pods are ready behind each Service, again and again until it took it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.pods import doors, runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from alongside.base import clock, log
    from alongside.plan import pods

RETRY_S = 1.0
"""After a runtime did not take what it was told."""
SETTLE_S_MAX = 1.0
"""For a pod's Services to forget it before it is told to end."""


class Services:
    """The Services of one project; all methods belong to one event loop."""

    def __init__(
        self,
        runtime_: runtime.Runtime,
        clock_: clock.Clock,
        changed: Callable[[], None],
        log_: log.Log,
    ) -> None:
        """Take whom to tell, and whom to tell of it when it was told; nothing is until `want`."""
        self._runtime = runtime_
        self._clock = clock_
        self._changed = changed
        self._log = log_
        self._wanted: tuple[runtime.Served, ...] = ()
        self._asked = self._told = 0
        """How often something else was wanted, and up to which time the runtime took it."""
        self._named: frozenset[tuple[str, frozenset[int]]] = frozenset()
        """The Services of which the runtime was told, and what they leave to pods, whether it
        could serve them or not."""
        self._fault = ""
        self._work = asyncio.Event()
        self._done = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def want(self, wanted: Sequence[runtime.Served]) -> None:
        """Let these Services answer from now on; returns at once."""
        if tuple(wanted) == self._wanted:
            return
        self._wanted = tuple(wanted)
        self._asked += 1
        self._work.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def addresses(self) -> Mapping[str, str]:
        """Return where Services are reached from this machine: `NAME:PORT` to HOST:PORT."""
        return self._runtime.addresses()

    def warnings(self) -> list[str]:
        """Return why the Services are not as wanted, if so."""
        return [self._fault] if self._fault else []

    async def named(self) -> None:
        """Return when the runtime knows all Services by name, so that pods can be told of them.

        What they leave to pods is free by then.
        """
        await self._until(lambda: _named(self._wanted) <= self._named)

    async def settled(self) -> None:
        """Return when the runtime serves what is wanted now, or after a short time.

        What others come to want meanwhile is not waited for.
        """
        asked = self._asked
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S_MAX):
                await self._until(lambda: self._told >= asked)

    async def close(self) -> None:
        """Tell no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            self._done.clear()
            await self._done.wait()

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            wanted, asked = self._wanted, self._asked
            try:
                await self._runtime.serve(wanted)
                self._told, fault = asked, ""
            except Exception as error:  # whatever it is, the next try must not be missed
                is_foreseen = isinstance(error, errors.AlongsideError | OSError)
                reason = str(error) if is_foreseen else f"{type(error).__name__}: {error}"
                fault = f"Services do not all answer: {reason}; it is tried again"
            if fault and fault != self._fault:
                self._log.error("services_failed", reason=fault)
            self._fault = fault
            self._named = _named(wanted)
            self._done.set()
            self._changed()
            if fault:
                await self._clock.sleep(RETRY_S)
                self._work.set()


def _named(served_: Iterable[runtime.Served]) -> frozenset[tuple[str, frozenset[int]]]:
    return frozenset((one.service.name, one.promised) for one in served_)


def carried(
    old: Sequence[pods.Service], new: Sequence[pods.Service], leaving: Collection[str]
) -> tuple[pods.Service, ...]:
    """Return the Services of another plan, with the pods that they had and that are to go.

    Until these are told to end they answer like the others, as their labels say in Kubernetes.

    Args:
        old: what was planned before.
        new: what is planned now.
        leaving: the pods that run and are not planned any more.
    """
    before = {
        (service.name, port.number): endpoints
        for service in old
        for port, endpoints in zip(service.ports, service.endpoints, strict=True)
    }

    def endpoints(service: pods.Service, at: int) -> tuple[pods.Endpoint, ...]:
        had = before.get((service.name, service.ports[at].number), ())
        kept = [one for one in had if one.pod in leaving]
        return (*service.endpoints[at], *kept)

    return tuple(
        replace(
            service, endpoints=tuple(endpoints(service, at) for at in range(len(service.ports)))
        )
        for service in new
    )


def served(
    services: Sequence[pods.Service],
    addresses: Mapping[str, str],
    ready: Collection[str],
    *,
    planned: Collection[pods.Pod] = (),
    running: Collection[pods.Pod] = (),
) -> list[runtime.Served]:
    """Return what is to be served.

    Args:
        services: of the plan.
        addresses: the IP address of each pod that has one and is not told to end.
        ready: the pods that may be used.
        planned: the pods of the plan.
        running: the pods that are there, also those that are to go.
    """
    promised, claimed = doors.host_ports([*planned, *running]), doors.own_ports(planned)

    def backends(service: pods.Service, at: int) -> tuple[str, ...]:
        return tuple(
            f"{addresses[one.pod]}:{one.port}"
            for one in service.endpoints[at]
            if one.pod in addresses and (one.pod in ready or service.announces_unready)
        )

    return [
        runtime.Served(
            service,
            tuple(backends(service, at) for at in range(len(service.ports))),
            promised,
            claimed,
        )
        for service in services
    ]
