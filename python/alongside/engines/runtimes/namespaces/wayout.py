"""Keep a way out of the project's network, where this machine has slirp4netns or pasta."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.processes import backoff, ending, groups, probing, spawning
from alongside.engines.runtimes.namespaces import carriers, launching

if TYPE_CHECKING:
    from alongside.base import clock, log
    from alongside.engines.runtimes.namespaces import hub, setting

_READY_S_MAX = 10.0
_READY_POLL_S = 0.02
_RULES_S_MAX = 10.0


class WayOut:
    """The process that carries what leaves the hub, over all its restarts."""

    def __init__(
        self, setting_: setting.Setting, hub_: hub.Hub, clock_: clock.Clock, log_: log.Log
    ) -> None:
        """Take the network that it leads out of; `lack` says whether there can be one."""
        name, self.lack = carriers.choose(
            setting_.ways_out, setting_.environment, is_privileged=hub_.is_privileged
        )
        self._name = name
        self.carrier: carriers.Carrier | None = None
        """As it was last started."""
        self._setting = setting_
        self._hub = hub_
        self._clock = clock_
        self._log = log_
        self._marks = ending.Marks(str(setting_.home), f"{setting_.project}/~hub/wayout")
        self._pid: int | None = None
        self._is_masquerading = False
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
        if self._name is None:
            raise errors.PermanentError(self.lack)
        self.carrier = carrier = await _carrier(self._name, self._setting, self._hub)
        try:
            self._pid = spawning.spawn(
                spawning.Program(
                    carrier.words,
                    {**self._setting.environment, **launching.marks_of(self._marks)},
                    directory=None,
                    log=self._setting.log,
                )
            )
            await self._until_ready(self._pid, carrier)
            if carrier.masquerade and not self._is_masquerading:
                await self._masquerade(carrier)
        except BaseException:
            await asyncio.shield(self._end())
            raise

    async def _until_ready(self, pid: int, carrier: carriers.Carrier) -> None:
        """Return when its device is there and in its place."""
        deadline_s = self._clock.monotonic_s() + _READY_S_MAX
        while True:
            try:
                return await self._hub.link(carrier.links)
            except errors.AlongsideError as error:
                found = groups.entry(pid)
                is_late = self._clock.monotonic_s() >= deadline_s
                if is_late or found is None or found.is_zombie:
                    name = carrier.words[0]
                    message = f"{name} did not become ready; see {self._setting.log}"
                    raise errors.PermanentError(message) from error
            await self._clock.sleep(_READY_POLL_S)

    async def _masquerade(self, carrier: carriers.Carrier) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._hub.entering(),
            *carrier.masquerade,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_RULES_S_MAX):
                _, said = await process.communicate(carrier.rules.encode())
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            reason = said.decode(errors="replace").strip()
            raise errors.PermanentError(f"no rule for the way out can be made: {reason}")
        self._is_masquerading = True

    async def _end(self) -> None:
        pid, self._pid = self._pid, None
        if pid is not None:
            groups.send_group(pid, signal.SIGKILL)
            await ending.end(pid, self._marks, lambda: 0.0, self._clock)


async def _carrier(
    name: carriers.Name, setting_: setting.Setting, hub_: hub.Hub
) -> carriers.Carrier:
    if name == "slirp4netns":
        return carriers.of_slirp(setting_.environment, hub_.range, hub_.paths())
    # It is in the user namespace before it opens the other, from where ours is out of sight.
    agent = await hub_.living_agent()
    paths = {kind: f"/proc/{agent}/ns/{kind}" for kind in hub_.namespaces}
    return carriers.of_pasta(setting_.environment, hub_.range, paths)
