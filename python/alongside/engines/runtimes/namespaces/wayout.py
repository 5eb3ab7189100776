"""Keep a way out of the project's network, where this machine has slirp4netns."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.processes import backoff, ending, groups, probing, spawning
from alongside.engines.runtimes.namespaces import hub, launching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alongside.base import clock, log
    from alongside.engines.runtimes.namespaces import setting

TUN = "/dev/net/tun"
_DEVICE = "tap0"
_READY_S_MAX = 10.0
_MTU = 1500


def lack(environment: Mapping[str, str]) -> str:
    """Return why there is no way out on this machine, with the remedy; nothing where there is."""
    if hub.tool("slirp4netns", environment) is None:
        return "there is no slirp4netns; apt-get install -y slirp4netns"
    if not os.access(TUN, os.R_OK | os.W_OK):
        return f"{TUN} is not there or may not be opened; as root: modprobe tun, chmod 666 {TUN}"
    return ""


class WayOut:
    """The process that carries what leaves the hub, over all its restarts."""

    def __init__(
        self, setting_: setting.Setting, hub_: hub.Hub, clock_: clock.Clock, log_: log.Log
    ) -> None:
        """Take the network that it leads out of."""
        self._setting = setting_
        self._hub = hub_
        self._clock = clock_
        self._log = log_
        self._marks = ending.Marks(str(setting_.home), f"{setting_.project}/~hub/wayout")
        self._pid: int | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process in charge."""
        return self._pid

    async def open(self) -> None:
        """Start it; returns when it carries.

        Raises:
            errors.AlongsideError: it cannot be started.
        """
        await self._start()
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._end()

    async def _watch(self) -> None:
        failures = backoff.Backoff()
        while True:
            began_s = self._clock.monotonic_s()
            if self._pid is not None:
                await probing.ended(self._pid)
            await self._end()
            delay_s, failures = failures.after(self._clock.monotonic_s() - began_s)
            self._log.warning("way_out_ended", starts_again_s=delay_s)
            await self._clock.sleep(delay_s)
            with contextlib.suppress(errors.AlongsideError, OSError):
                await self._start()

    async def _start(self) -> None:
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            try:
                self._pid = spawning.spawn(self._program(writing))
            finally:
                os.close(writing)
            await self._wait(reading)
            await self._hub.link(f"link set {_DEVICE} master {hub.BRIDGE} up\n")
        except BaseException:
            await asyncio.shield(self._end())
            raise
        finally:
            os.close(reading)

    def _program(self, ready: int) -> spawning.Program:
        network = self._hub.range.network
        # Descriptors of this process, which outlives the hub's agent.
        own = f"/proc/{os.getpid()}/fd"
        words = [hub.tool("slirp4netns", self._setting.environment) or "slirp4netns"]
        if not self._setting.reaches_host:
            words.append("--disable-host-loopback")
        words += [f"--mtu={_MTU}", f"--cidr={network}", f"--ready-fd={spawning.FIRST_DESCRIPTOR}"]
        words.append("--netns-type=path")
        if "user" in self._hub.namespaces:
            words.append(f"--userns-path={own}/{self._hub.namespaces['user']}")
        words += [f"{own}/{self._hub.namespaces['net']}", _DEVICE]
        return spawning.Program(
            tuple(words),
            {**self._setting.environment, **launching.marks_of(self._marks)},
            directory=None,
            log=self._setting.log,
            sockets=(("ready", ready),),
        )

    async def _wait(self, reading: int) -> None:
        """Return when it says that it is ready."""
        try:
            async with asyncio.timeout(_READY_S_MAX):
                await hub.readable(reading)
        except TimeoutError:
            raise errors.PermanentError("slirp4netns did not become ready; see its log") from None
        if not os.read(reading, 1):
            raise errors.PermanentError(f"slirp4netns ended at once; see {self._setting.log}")

    async def _end(self) -> None:
        pid, self._pid = self._pid, None
        if pid is not None:
            groups.send_group(pid, signal.SIGKILL)
            await ending.end(pid, self._marks, lambda: 0.0, self._clock)
