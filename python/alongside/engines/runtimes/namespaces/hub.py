"""Keep a project's network: its agent, and what the agent is asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
from typing import TYPE_CHECKING, TypeVar

from alongside.base import errors
from alongside.engines.processes import ending, probing, spawning
from alongside.engines.runtimes.namespaces import agent, launching, ranges

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from alongside.base import clock
    from alongside.engines.runtimes.namespaces import setting

_T = TypeVar("_T")
BRIDGE = "alongside"
_HARDWARE = "02:00:00:00:00:01"
"""Of the bridge, which has that of one of its links otherwise, and another one when that link goes.
Pods go on sending to the old one then, for half a minute, and what carries packets out takes them.
"""
ANSWER_S_MAX = 30.0
_NAMES = ("user", "net")
_ATTEMPTS = 3
_SEARCHED = "/usr/sbin:/sbin"


def tool(name: str, environment: Mapping[str, str]) -> str | None:
    """Return where a program of the system is; ordinary users have no sbin in their PATH."""
    return shutil.which(name, path=f"{environment.get('PATH', os.defpath)}:{_SEARCHED}")


class Hub:
    """The network of one project."""

    def __init__(
        self, setting_: setting.Setting, clock_: clock.Clock, *, is_privileged: bool
    ) -> None:
        """Take whose it is; nothing is made yet."""
        self.is_privileged = is_privileged
        self.namespaces: dict[str, int] = {}
        """Descriptors: `net` and, without privileges, `user`. They outlive the agent."""
        self.range = ranges.choose(
            f"{setting_.home}", ranges.ROUTES.read_text(encoding="ascii", errors="replace")
        )
        self._setting = setting_
        self._clock = clock_
        self._marks = ending.Marks(str(setting_.home), f"{setting_.project}/~hub")
        self._ip = ""
        self._agent: tuple[int, socket.socket] | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The pid of the agent."""
        return self._agent[0] if self._agent is not None else None

    async def open(self) -> None:
        """Make the network, unless it is there.

        Raises:
            errors.AlongsideError: the machine does not allow it.
        """
        if self.namespaces:
            return
        ip = tool("ip", self._setting.environment)
        if ip is None:
            raise errors.PermanentError("there is no ip command; apt-get install -y iproute2")
        self._ip = ip
        await again(self._open)

    async def _open(self) -> None:
        try:
            await self.link(
                "link set lo up\n"
                f"link add {BRIDGE} address {_HARDWARE} type bridge\n"
                f"link set {BRIDGE} up\n"
                f"address add {self.range.bridge}/16 dev {BRIDGE}\n"
            )
        except BaseException:
            await asyncio.shield(self.close())
            raise

    async def link(self, lines: str, *, namespace: int | None = None) -> None:
        """Run lines of `ip` in the hub, or in the network of a descriptor.

        Where a line has `{0}`, all run in the hub and it stands for that network.

        Raises:
            errors.TemporaryError: the agent died; some of them may have been done.
            errors.PermanentError: one of them was refused.
        """
        descriptors = () if namespace is None else (namespace,)
        question: agent.Question = {"task": "links", "ip": self._ip, "lines": lines}
        for made in await self.ask(question, descriptors):
            os.close(made)

    async def connection(self, host: str, port: int) -> socket.socket:
        """Return a socket of the hub's that is connected; raises OSError where nobody answers."""
        connected = await self.new_socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            connected.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connected, (host, port))
        except BaseException:
            connected.close()
            raise
        return connected

    async def new_socket(self, family: socket.AddressFamily) -> socket.socket:
        """Return a socket of the hub's network, in which it stays."""
        made = await self.ask({"task": "socket", "family": family})
        return socket.socket(fileno=made[0])

    async def ask(self, question: agent.Question, descriptors: Sequence[int] = ()) -> list[int]:
        """Return the descriptors that the agent answers with; a dead agent is replaced.

        Raises:
            errors.PermanentError: it cannot do it.
        """
        async with self._turn:
            for _ in range(_ATTEMPTS):
                try:
                    async with asyncio.timeout(ANSWER_S_MAX):
                        if self._agent is None:
                            await self._start()
                        return await self._ask(question, descriptors)
                except OSError as error:  # it has gone, or is silent for too long
                    await asyncio.shield(self._end_agent())
                    if question["task"] == "links":
                        message = "the agent of the project's network was ended"
                        raise errors.TemporaryError(message, retry_after_s=0.1) from error
                except asyncio.CancelledError:
                    # An answer that nobody took would be taken for the next one.
                    await asyncio.shield(self._end_agent())
                    raise
        raise errors.PermanentError("the agent of the project's network ends again and again")

    async def living_agent(self) -> int:
        """Return the pid of an agent that answers."""
        (await self.new_socket(socket.AF_INET)).close()
        if self._agent is None:
            raise errors.TemporaryError("the agent was ended", retry_after_s=0.1)
        return self._agent[0]

    def paths(self) -> dict[str, str]:
        """Return where other processes find the namespaces, as long as this one lives."""
        own = f"/proc/{os.getpid()}/fd"
        return {kind: f"{own}/{descriptor}" for kind, descriptor in self.namespaces.items()}

    def entering(self) -> tuple[str, ...]:
        """Return the words that start a program in the network, before the program's own."""
        paths = self.paths()
        words = [tool("nsenter", self._setting.environment) or "nsenter"]
        if "user" in paths:
            words += [f"--user={paths['user']}", "--preserve-credentials"]
        return (*words, f"--net={paths['net']}", "--")

    async def close(self) -> None:
        """End the agent and let the network go."""
        await self._end_agent()
        for descriptor in self.namespaces.values():
            os.close(descriptor)
        self.namespaces.clear()

    async def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            with theirs:
                pid = spawning.spawn(
                    spawning.Program(
                        launching.script("agent"),
                        launching.marks_of(self._marks),
                        directory=None,
                        log=self._setting.log,
                        sockets=(("channel", theirs.fileno()),),
                    )
                )
        except BaseException:
            ours.close()
            raise
        self._agent = (pid, ours)
        held = [self.namespaces[name] for name in _NAMES if name in self.namespaces]
        question: agent.Question = {"task": "open", "is_privileged": self.is_privileged}
        try:
            made = await self._ask(question, held)
        except BaseException:
            # It is in no namespace of ours, and must be asked nothing.
            await asyncio.shield(self._end_agent())
            raise
        if held:
            for descriptor in made:
                os.close(descriptor)
        else:
            names = ("net",) if self.is_privileged else _NAMES
            self.namespaces = dict(zip(names, made, strict=True))

    async def _ask(self, question: agent.Question, descriptors: Sequence[int]) -> list[int]:
        if self._agent is None:
            raise ConnectionError("there is no agent")
        ours = self._agent[1]
        socket.send_fds(ours, [json.dumps(question).encode()], descriptors)
        await readable(ours.fileno())
        content, made, _, _ = socket.recv_fds(ours, agent.MESSAGE_BYTES_MAX, 8)
        if not content:
            raise ConnectionError("the agent has gone")
        reply: agent.Reply = json.loads(content)
        if "error" in reply:
            raise errors.PermanentError(reply["error"])
        for descriptor in made:
            os.set_inheritable(descriptor, False)
        return list(made)

    async def _end_agent(self) -> None:
        if self._agent is None:
            return
        pid, ours = self._agent
        self._agent = None
        ours.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        await probing.exit_code(pid)
        await ending.end(pid, self._marks, lambda: 0.0, self._clock)


async def again(work: Callable[[], Awaitable[_T]]) -> _T:
    """Return what work returns; it is done again where the agent died meanwhile."""
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(errors.TemporaryError):
            return await work()
    return await work()


async def readable(descriptor: int) -> None:
    """Return when there is something to be read."""
    loop = asyncio.get_running_loop()
    is_there = asyncio.Event()
    loop.add_reader(descriptor, is_there.set)
    try:
        await is_there.wait()
    finally:
        loop.remove_reader(descriptor)
