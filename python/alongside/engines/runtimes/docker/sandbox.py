"""Make one pod's surroundings: a container that holds what is shared, and the others in it.

A container that is alone in its pod holds its network itself in its first run. When it has ended
and runs again, another container holds the network, at the same address, as of every other pod.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.dockerd import answers
from alongside.engines.pods import inplace, runtime
from alongside.engines.runtimes.docker import (
    containers,
    image,
    names,
    project,
    run,
    specs,
    subpaths,
)
from alongside.plan import variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from alongside.plan import pods

LOCAL = "127.0.0.1"
HOSTS = "/etc/hosts"
_HOSTS_FILE = "hosts"
TAKEN = re.compile(r"port is already allocated|address already in use|ports are not available")
"""How engines say that a port of this machine belongs to somebody else."""
_OCCUPIED = re.compile(r"Address already in use|(?i:ip address) \S+ is already allocated")
"""How they say that somebody has an address of ours; nobody should."""
_UNCONNECTED = re.compile(r"network \S+ not found|: network not found")
"""How they say that the project's network is gone."""
_UNSLAVED = "not a shared or slave mount"
_ABSENT = 404
_DIED = "cannot start a stopped process"
"""Something ended a container's first process before it had become the program."""


class PodSandbox:
    """A `runtime.Sandbox`, and `runtime.Losable` and `runtime.Fetching`."""

    def __init__(self, project_: project.Project, room: runtime.Room) -> None:
        """Take the room; `make` makes its sandbox."""
        self.pod = room.pod
        self._project = project_
        self._room = room
        self._id = ""
        self._address = LOCAL
        self._gateway = LOCAL
        self._given = ""
        """Its address, where it is ours to give."""
        self._is_alone = False
        """Whether the next container holds the network itself."""
        self._published: dict[int, int] = {}
        self._runs: list[run.Run] = []
        self._watch: asyncio.Task[None] | None = None
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.is_removed = False
        self._is_gone = False
        """Whether nothing of it is left in the engine."""

    @property
    def address(self) -> str:
        """The pod's IP address on the project's network."""
        return self._address

    async def make(self) -> None:
        """Make and start the sandbox's container, where one is needed by now.

        Raises:
            errors.AlongsideError: it cannot be made; nothing of it is left.
        """
        ours, bindings = self._project.addresses, self._bindings()
        if ours is not None and not self.pod.uses_host_network:
            self._address = self._given = ours.take()
            self._gateway = ours.gateway
            self._is_alone = specs.is_alone(self.pod) and not bindings
        try:
            if self._is_alone:
                self.write_hosts()
            else:
                await self._hold(bindings)
        except BaseException as error:
            self._give_back(error)
            if isinstance(error, answers.RefusedError) and _UNCONNECTED.search(str(error)):
                await project.renew_network(self._project)
            raise

    async def _hold(self, bindings: Mapping[int, Sequence[specs.Binding]]) -> None:
        """Let a container of ours hold what is shared."""
        pod, asked = self.pod, self._project.asked
        body = specs.sandbox(
            pod,
            self._project.image,
            self._project.network,
            labels=self._project.labels(pod=pod.name),
            bindings=bindings,
            address=self._given,
        )
        try:
            self._id = await containers.create(asked, self._project.name("sandbox", pod.name), body)
            await containers.start(asked, self._id)
            await self._look()
            self.write_hosts()
        except BaseException as error:
            identity, self._id = self._id, ""
            if identity:
                with suppress(errors.AlongsideError):
                    await asyncio.shield(containers.remove(asked, identity))
            if isinstance(error, answers.RefusedError) and TAKEN.search(str(error)):
                raise errors.AddressTakenError(f"{pod.place or pod.name}: {error}") from error
            raise
        self._watch = asyncio.create_task(self._await_break(self._id))

    async def fetch(self, container: pods.Container, tell: Callable[[str], None]) -> None:
        """Pull a container's image, where its pod asks for that; see `runtime.Fetching`."""
        asked, name = self._project.asked, container.image
        if container.pull == "always" or (
            container.pull == "missing" and not await image.has(asked, name)
        ):
            self._project.log.info("image_pulling", image=name, pod=self.pod.name)
            await image.fetch(asked, name, self._project.clock, tell)

    async def start(self, container: pods.Container, attempt: int) -> run.Run:
        """See `runtime.Sandbox.start`."""
        if self.is_removed or self._lost.done():
            what = "was removed" if self.is_removed else "has lost its sandbox"
            raise errors.PermanentError(f'pod "{self.pod.name}" {what}')
        try:
            config = await self._prepared(container)
            identity = await self._begin(container, attempt, config)
        except answers.RefusedError as error:
            is_missing = error.status == _ABSENT and f"image: {container.image}" in str(error)
            what = image.missing(container.image) if is_missing else str(error)
            if _UNCONNECTED.search(what):
                try:
                    await project.renew_network(self._project)
                except errors.AlongsideError as failed:
                    raise runtime.NotBegunError(str(failed)) from error
                raise runtime.NotBegunError("its network was gone, and was made again") from error
            if _OCCUPIED.search(what) and not self._lost.done():
                self._give_back(error)
                taken = f"somebody has its address, {self._address}"
                self._lost.set_result(taken)
                raise runtime.NotBegunError(taken) from error
            raise errors.PermanentError(f'container "{container.name}": {what}') from error
        self._is_alone = False
        started = run.Run(self._project.asked, identity, self._project.clock)
        started.follow(
            self._room.logs[container.name],
            is_terminal=container.is_terminal,
            shares_pids=self.pod.shares_pids,
        )
        self._runs = [*(one for one in self._runs if not one.is_gone), started]
        return started

    async def connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """See `runtime.Sandbox.connect`.

        Where this machine does not reach the engine's networks, only ports that the pod's
        containers, probes and hooks name are reached: they are published for that.
        """
        if host not in {"", self._address}:
            return await asyncio.open_connection(host, port)
        if self._project.is_reached or self.pod.uses_host_network:
            return await asyncio.open_connection(self._address, port)
        published = self._published.get(port)
        if published is None:
            raise ConnectionRefusedError(
                f"port {port} is not published, and the engine's network is not reached from here"
            )
        return await asyncio.open_connection(LOCAL, published)

    async def lost(self) -> str:
        """Return that the sandbox's container ended; see `runtime.Losable`."""
        return await asyncio.shield(self._lost)

    async def remove(self) -> None:
        """See `runtime.Sandbox.remove`."""
        if self._is_gone:
            return
        self.is_removed = True
        if self._watch is not None:
            self._watch.cancel()
        asked = self._project.asked
        labels = {names.HOME: str(self._project.setting.home), names.POD: self.pod.name}
        found = [answers.text(one, "Id") for one in await containers.find(asked, labels)]
        # The sandbox last: what is in it ends first.
        await containers.remove_all(asked, [one for one in found if one != self._id])
        await containers.remove_all(asked, [one for one in found if one == self._id])
        await asyncio.gather(*(one.drop() for one in self._runs))
        self._runs = []
        self._give_back()
        tidy(self._room.folder)
        self._is_gone = True

    def write_hosts(self) -> None:
        """Say in the pod's /etc/hosts where Services are now."""
        if self.is_removed or not (self._id or self._given):
            return
        machine = ""
        if self.pod.uses_host_network and self._project.is_reached:
            with suppress(OSError):
                machine = Path(HOSTS).read_text(errors="replace")
        lines = names.hosts(self.pod, self._address, self._project.services, machine=machine)
        inplace.write(self._hosts, "".join(f"{line}\n" for line in lines))

    def _give_back(self, error: BaseException | None = None) -> None:
        """Let another pod have its address, the last of all where somebody else has it already."""
        address, self._given = self._given, ""
        ours = self._project.addresses
        if not address or ours is None:
            return
        if error is not None and _OCCUPIED.search(str(error)):
            ours.set_aside(address)
        else:
            ours.give_back(address)

    @property
    def _hosts(self) -> Path:
        return self._room.folder / _HOSTS_FILE

    def _bindings(self) -> dict[int, list[specs.Binding]]:
        """Return which ports are published: those for this machine, and where it must, all."""
        found: dict[int, list[specs.Binding]] = {}
        if self.pod.uses_host_network:
            return found
        for container in self.pod.containers:
            for port in container.ports:
                if port.host_port is not None:
                    found.setdefault(port.number, []).append(
                        (port.host_ip or LOCAL, port.host_port)
                    )
        if not self._project.is_reached:
            for number in specs.ports(self.pod):
                found.setdefault(number, []).append((LOCAL, 0))
        return found

    async def _look(self) -> None:
        """Learn the sandbox's address and where its ports are published."""
        found = await containers.inspect(self._project.asked, self._id)
        settings = answers.record(found, "NetworkSettings")
        joined = answers.record(settings, "Networks", self._project.network)
        if not self.pod.uses_host_network:
            self._address = answers.text(joined, "IPAddress")
            self._gateway = answers.text(joined, "Gateway") or LOCAL
            if not self._address:
                raise errors.TemporaryError(
                    f'pod "{self.pod.name}": its sandbox ended as it began; see the engine\'s log',
                    retry_after_s=answers.RETRY_AFTER_S,
                )
        self._published = {
            port: number
            for port, bound in published(settings).items()
            for host, number in bound
            if host == LOCAL
        }

    async def _await_break(self, identity: str) -> None:
        """Say that the sandbox is lost when its container ends: the others have no network then."""
        await run.end_of(self._project.asked, identity, self._project.clock)
        if not self.is_removed:
            self._lost.set_result(f"its container ({identity[:12]}) ended")

    async def _prepared(self, container: pods.Container) -> answers.Json:
        """Have what holds the pod's network; return what counts of the image's configuration."""
        try:
            if not (self._id or self._is_alone):
                await self._hold({})
            return await self._image(container)
        except answers.SilentError as error:
            raise runtime.NotBegunError(str(error)) from error

    async def _image(self, container: pods.Container) -> answers.Json:
        """Return the configuration of a container's image, empty where nothing of it counts."""
        if container.group is None or container.user is not None:
            return {}  # a question for each start, and an image that is missing is told anyway
        name = self._image_name(container)
        found = await image.config(self._project.asked, name)
        if not found:
            raise errors.PermanentError(image.missing(name))
        return answers.record(found, "Config")

    def _image_name(self, container: pods.Container) -> str:
        return self._project.image if container.is_ours else container.image

    async def _begin(self, container: pods.Container, attempt: int, config: answers.Json) -> str:
        """Make a container and start it, a second time where the engine itself failed.

        Nothing of it is left where that fails too.
        """
        try:
            return await self._started(container, attempt, config)
        except answers.RefusedError as error:
            if _UNSLAVED in str(error):  # another pod's start may have found it out just now
                self._project.is_slave = False
            elif _DIED not in str(error):
                raise
            self._project.log.warning("container_not_started", error=str(error))
        except subpaths.UnseenError:
            self._project.sees_mounts = False
        return await self._started(container, attempt, config)

    def _links(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for service in self._project.served:
            for address in self._project.services.get(service.name, ())[:1]:
                found |= variables.links(service, address)
        return found

    async def _started(self, container: pods.Container, attempt: int, config: answers.Json) -> str:
        project_, volumes = self._project, self._room.volumes
        folder, binds = project_.setting.folder, project_.sees_mounts
        with subpaths.held(container, volumes, folder, binds=binds) as held:
            body = self._body(container, config, held)
            asked, name = project_.asked, (self.pod.name, container.name, str(attempt))
            try:
                identity = await containers.create(asked, project_.name("container", *name), body)
            except answers.SilentError as error:  # what was only made is replaced by the next one
                raise runtime.NotBegunError(str(error)) from error
            try:
                await containers.start(asked, identity)
                if held.parts:
                    state = answers.record(await containers.inspect(asked, identity), "State")
                    held.check(answers.whole(state, "Pid"), identity)
            except BaseException:
                with suppress(errors.AlongsideError):
                    await asyncio.shield(containers.remove(asked, identity))
                raise
        return identity

    def _body(
        self, container: pods.Container, config: answers.Json, held: subpaths.Held
    ) -> answers.Json:
        """Return what a container is made from."""
        pod = self.pod
        slave = {volume.name: self._project.is_slave for volume in pod.volumes}
        bound = specs.binds(container, self._room.volumes, slave, held)
        if all(bind.target != HOSTS for bind in bound):
            bound.append(specs.Bind(self._hosts, HOSTS, container.is_read_only, is_slave=False))
        around = specs.Surroundings(
            image=self._image_name(container),
            user=self._project.user,
            image_user=answers.text(config, "User"),
            sandbox=self._id,
            binds=bound,
            labels=self._project.labels(pod=pod.name, container=container.name),
            links=self._links() if pod.links_services else {},
            network=self._project.network,
            address=self._given,
        )
        # A volume stands at its mount's path here, and the variable that names it says so.
        given = {**around.links, **specs.told(container)}
        ready = variables.filled(container, address=self._address, host=self._gateway, given=given)
        return specs.container(ready, pod, around)


def tidy(folder: Path) -> None:
    """Remove what a pod's sandbox made in its folder; nothing may run in it any more."""
    (folder / _HOSTS_FILE).unlink(missing_ok=True)


def published(settings: answers.Json) -> dict[int, list[specs.Binding]]:
    """Return where the ports of a container are published, by its network's settings."""
    found: dict[int, list[specs.Binding]] = {}
    for key, bound in answers.record(settings, "Ports").items():
        number = key.partition("/")[0]
        for one in answers.records(bound):
            port = answers.text(one, "HostPort")
            if number.isdecimal() and port.isdecimal():
                found.setdefault(int(number), []).append((answers.text(one, "HostIp"), int(port)))
    return found
