"""Let Services answer: a container of our binary for each, with the Service's names in DNS."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from alongside.base import errors, files
from alongside.dockerd import answers, frames
from alongside.engines.runtimes.docker import containers, run, sandbox, specs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from alongside.dockerd import engine
    from alongside.engines.pods import runtime
    from alongside.engines.runtimes.docker import project

    Named = Callable[[str], str]
    """The pod that has an address; empty where none has."""

ANYWHERE = "0.0.0.0"  # noqa: S104 - only where a Service is of type NodePort or LoadBalancer
FOLDER = "/etc/alongside/service"
APPLIED_S_MAX = 10.0
AGAIN_S = 0.5
AGAIN_S_MAX = 30.0
_NUDGED_S = 2.0
_FILE = "document.json"
_LINES_MAX = 100


class Balancers:
    """The containers of a project's Services that are not headless."""

    def __init__(
        self, project_: project.Project, named: Named, changed: Callable[[], None]
    ) -> None:
        """Take whose they are, whose an address is, and whom to tell when one has another."""
        self._project = project_
        self._named = named
        self._changed = changed
        self._all: dict[str, _Balancer] = {}

    async def put(self, services: Sequence[runtime.Served]) -> None:
        """Let these Services answer from now on, and no others; returns when they do.

        Raises:
            errors.AlongsideError: one cannot; the others do.
        """
        wanted = {one.service.name: one for one in services}
        gone = [self._all.pop(name) for name in list(self._all) if name not in wanted]
        uses = Counter(port.number for one in services for port in one.service.ports)
        for name in wanted:
            if name not in self._all:
                self._all[name] = _Balancer(self._project, name, self._named, self._changed)
        done = await asyncio.gather(
            *(one.remove() for one in gone),
            *(self._all[name].put(one, uses) for name, one in wanted.items()),
            return_exceptions=True,
        )
        for failure in done:
            if isinstance(failure, BaseException):
                raise failure

    def reached(self) -> dict[str, str]:
        """Return where each port is reached from this machine, as `NAME:PORT` to HOST:PORT."""
        return {
            f"{name}:{port}": f"{sandbox.LOCAL if host == ANYWHERE else host}:{number}"
            for name, one in sorted(self._all.items())
            for port, (host, number) in sorted(one.reached.items())
        }

    def notes(self) -> list[str]:
        """Return what of the Services does not answer, for people."""
        return [note for _, one in sorted(self._all.items()) for note in one.notes()]

    def addresses(self) -> dict[str, tuple[str, ...]]:
        """Return the address of each on the project's network."""
        return {name: (one.address,) for name, one in self._all.items() if one.address}

    async def close(self) -> None:
        """End all of them."""
        gone, self._all = list(self._all.values()), {}
        await asyncio.gather(*(one.remove() for one in gone), return_exceptions=True)


class _Balancer:
    """One Service's container, over all that it is replaced by."""

    def __init__(
        self, project_: project.Project, name: str, named: Named, changed: Callable[[], None]
    ) -> None:
        self._project = project_
        self._name = name
        self._named = named
        self._changed = changed
        self._id = ""
        self._ports: frozenset[object] = frozenset()
        self._uses: Mapping[int, int] = {}
        self._served: runtime.Served | None = None
        self._generation = 0
        self._lock = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self._shut: frozenset[int] = frozenset()
        """Ports of this machine that it wanted and somebody has."""
        self._published: frozenset[int] = frozenset()
        """Ports of this machine that it has."""
        self.address = ""
        self.reached: dict[int, specs.Binding] = {}

    async def put(self, served: runtime.Served, uses: Mapping[int, int]) -> None:
        async with self._lock:
            is_same = self._served is not None and self._served.backends == served.backends
            self._served, self._uses = served, uses
            service = served.service
            ports = frozenset(
                (port.number, port.node_port, service.is_published) for port in service.ports
            )
            is_in_the_way = bool(self._published & served.promised)
            if self._id and (ports != self._ports or is_in_the_way):
                await self._end()
            if self._id and is_same:
                return
            self._ports = ports
            self._generation += 1
            self._write()
            if not self._id:
                await self._begin()
            await self._await_applied()

    def notes(self) -> list[str]:
        """Return which of its doors do not answer, and why."""
        if self._served is None:
            return []
        service = self._served.service
        return [
            f"{service.place or self._name}: nodePort {port.node_port} is taken on this machine, "
            "and does not answer"
            for port in service.ports
            if port.node_port in self._shut
        ]

    async def remove(self) -> None:
        """End it, and forget its document."""
        async with self._lock:
            await self._end()
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _folder(self) -> Path:
        return self._project.setting.folder / "services" / self._name

    def _write(self) -> None:
        if self._served is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._folder.chmod(0o755)  # read by nobody's user in the container
            content = json.dumps(document(self._served, self._generation, self._named))
            files.write_atomic(self._folder / _FILE, content.encode(), mode=0o644)

    async def _begin(self) -> None:
        """Start its container, on other ports of this machine where somebody has them."""
        asked = self._project.asked
        taken = set(self._served.promised if self._served is not None else ())
        while True:
            bindings = self._bindings(taken)
            body = specs.balancer(
                self._name,
                self._project.image,
                self._project.network,
                labels=self._project.labels(service=self._name),
                bindings=bindings,
                folder=specs.Bind(self._folder, FOLDER, is_read_only=True, is_slave=False),
            )
            identity = await containers.create(
                asked, self._project.name("service", self._name), body
            )
            try:
                await containers.start(asked, identity)
                break
            except BaseException as error:
                with suppress(errors.AlongsideError):
                    await asyncio.shield(containers.remove(asked, identity))
                found = _taken(
                    error, {number for on in bindings.values() for _, number in on} - {0}
                )
                if not found - taken:
                    raise
                taken |= found
        self._shut = frozenset(taken)
        self._id = identity
        settings = answers.record(await containers.inspect(asked, identity), "NetworkSettings")
        joined = answers.record(settings, "Networks", self._project.network)
        self.address = answers.text(joined, "IPAddress")
        published = sandbox.published(settings)
        self.reached = {port: bound[0] for port, bound in published.items()}
        self._published = frozenset(number for on in published.values() for _, number in on)
        self._watch = asyncio.create_task(self._await_break(identity))

    async def _end(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        identity, self._id, self._watch = self._id, "", None
        self.address, self.reached, self._published = "", {}, frozenset()
        if identity:
            await containers.remove(self._project.asked, identity)

    def _bindings(self, taken: set[int]) -> dict[int, list[specs.Binding]]:
        """Return where its ports are published.

        On this machine alone by the same number, where no other Service, no pod and nobody else
        has it, else by any; of type NodePort or LoadBalancer at all of the machine's addresses. A
        nodePort that somebody has is no reason not to answer elsewhere.
        """
        found: dict[int, list[specs.Binding]] = {}
        service = self._served.service if self._served is not None else None
        for port in service.ports if service is not None else ():
            is_free = port.number in taken or self._uses.get(port.number, 0) > 1
            local = (sandbox.LOCAL, 0 if is_free else port.number)
            bound = [local]
            if service is not None and service.is_published and port.node_port not in taken:
                public = (ANYWHERE, port.node_port or local[1])
                bound = [local, public] if public[1] != local[1] else [public]
            found[port.number] = bound
        return found

    async def _await_applied(self) -> None:
        """Return when its process serves what was written last; its log says so.

        Where changes of a folder are not seen from within a container, a signal has it look.
        """
        asked, wanted = self._project.asked, self._generation
        try:
            async with asyncio.timeout(APPLIED_S_MAX):
                try:
                    async with asyncio.timeout(_NUDGED_S):
                        await _applied(asked, self._id, wanted)
                except TimeoutError:
                    await containers.signal(asked, self._id, "SIGHUP")
                    await _applied(asked, self._id, wanted)
        except TimeoutError as error:
            raise errors.TemporaryError(
                f'Service "{self._name}": its balancer does not take its document; see '
                f"`docker logs {self._id[:12]}`",
                retry_after_s=AGAIN_S,
            ) from error

    async def _await_break(self, identity: str) -> None:
        """Start it again when it ends by itself, sooner or later."""
        await run.end_of(self._project.asked, identity, self._project.clock)
        self._project.log.warning("balancer_ended", service=self._name)
        wait_s = AGAIN_S
        while not await self._begun_again(identity):
            await self._project.clock.sleep(wait_s)
            wait_s = min(wait_s * 2, AGAIN_S_MAX)

    async def _begun_again(self, identity: str) -> bool:
        """Put another container in the place of one that ended; return whether that is settled."""
        try:
            async with self._lock:
                if self._id != identity:
                    return True
                with suppress(answers.RefusedError):
                    await containers.remove(self._project.asked, identity)
                await self._begin()
        except errors.AlongsideError as error:
            self._project.log.warning("balancer_not_started", service=self._name, error=str(error))
            return False
        self._changed()
        return True


def document(served: runtime.Served, generation: int, named: Named) -> dict[str, object]:
    """Return what a Service's balancer is to do: each port a listener, its ready pods behind it."""
    listeners, balanced = [], []
    for port, backends in zip(served.service.ports, served.backends, strict=True):
        name = f"{served.service.name}:{port.number}"
        address = f"{ANYWHERE}:{port.number}"
        listeners.append({"name": name, "address": address, "serves": name})
        balanced.append({"name": name, "backends": list(_backends(backends, named))})
    return {
        "schema": 1,
        "epoch": 1,
        "generation": generation,
        "listeners": listeners,
        "tcp": balanced,
    }


def headless(served: Iterable[runtime.Served]) -> dict[str, tuple[str, ...]]:
    """Return the addresses of each headless Service's ready pods."""
    return {
        one.service.name: tuple(
            dict.fromkeys(
                address.rpartition(":")[0] for backends in one.backends for address in backends
            )
        )
        for one in served
        if one.service.is_headless
    }


def _backends(backends: Iterable[str], named: Named) -> Iterable[dict[str, str]]:
    for address in dict.fromkeys(backends):
        host, _, port = address.rpartition(":")
        pod = named(host)
        yield {"id": f"{pod}:{port}" if pod else address, "address": address}


def _taken(error: BaseException, asked: set[int]) -> set[int]:
    """Return the ports of this machine of which an engine says that somebody else has them."""
    if not isinstance(error, answers.RefusedError) or not sandbox.TAKEN.search(str(error)):
        return set()
    said = {int(number) for number in re.findall(r":(\d+)\b", str(error))}
    return said & asked or asked


async def _applied(asked: engine.Engine, identity: str, wanted: int) -> None:
    """Return when a balancer's log says that a document was applied.

    Raises:
        errors.PermanentError: it ended, or refuses the document.
    """
    params = {"follow": "1", "stdout": "1", "stderr": "1", "tail": str(_LINES_MAX)}
    logs = f"/containers/{identity}/logs"
    async with asked.stream("GET", logs, params=params) as stream:
        if stream.status >= 400:
            (await stream.whole()).checked("a balancer's log cannot be read")
        split, last = frames.Frames(), b""
        async for piece in stream.pieces():
            for last in split.feed(piece):
                told = answers.record(answers.Answer(200, last).value())
                if told.get("event") == "document_applied" and told.get("generation") == wanted:
                    return
    raise errors.PermanentError(f"a balancer ended: {last.decode(errors='replace').strip()}")
