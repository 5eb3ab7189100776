"""Do what takes time as tasks, so that whatever fails in them is answered and nothing is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from alongside.base import errors
from alongside.engines.processes import backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from alongside.base import clock

Key = tuple[str, ...]
_T = TypeVar("_T")
_Answer = TypeVar("_Answer")


class Chores(Generic[_Answer]):
    """The tasks of one owner, each with a key and an answer."""

    def __init__(
        self,
        clock_: clock.Clock,
        post: Callable[[_Answer], None],
        tell: Callable[[Exception], None],
    ) -> None:
        """Take who gets the answers, and who is told of what nobody expected."""
        self._clock = clock_
        self._post = post
        self._tell = tell
        self._tasks: dict[Key, asyncio.Task[None]] = {}

    def begin(
        self,
        key: Key,
        work: Coroutine[None, None, _Answer | None],
        failed: Callable[[str], _Answer | None],
    ) -> None:
        """Do something; what it returns is posted, or what is made of the reason of its failure."""
        task = asyncio.get_running_loop().create_task(self._guarded(work, failed))
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._done(key, done, work))

    async def _guarded(
        self,
        work: Coroutine[None, None, _Answer | None],
        failed: Callable[[str], _Answer | None],
    ) -> None:
        try:
            answer = await work
        except (errors.AlongsideError, OSError, TimeoutError) as error:
            answer = failed(str(error) or "it took too long")
        except Exception as error:  # whatever it is, somebody waits for an answer
            self._tell(error)
            answer = failed(f"{type(error).__name__}: {error}")
        if answer is not None:
            self._post(answer)

    def _done(
        self,
        key: Key,
        task: asyncio.Task[None],
        work: Coroutine[None, None, _Answer | None],
    ) -> None:
        work.close()  # of a task that was cancelled before it began
        if self._tasks.get(key) is task:
            del self._tasks[key]

    def has(self, key: Key) -> bool:
        """Return whether something is being done."""
        return key in self._tasks

    def cancel(self, *start: str) -> None:
        """Give up whatever has a key that starts so."""
        for key, task in self._tasks.items():
            if key[: len(start)] == start:
                task.cancel()

    async def end(self) -> None:
        """Give up everything but the task that calls this; returns when all of it has ended."""
        mine = asyncio.current_task()
        others = {one for one in self._tasks.values() if one is not mine}
        for one in others:
            one.cancel()
        if others:
            await asyncio.wait(others)

    async def surely(
        self, work: Callable[[], Awaitable[_T]], *, attempts: int | None = None
    ) -> _T | None:
        """Do something; after a fault again, after a growing wait.

        Returns:
            What it returns; None where it did not succeed in so many attempts.
        """
        failures = backoff.Backoff()
        while attempts is None or failures.failures < attempts:
            began_s = self._clock.monotonic_s()
            try:
                return await work()
            except Exception as error:  # whatever it is, what is looked after must not pay for it
                self._tell(error)
            delay_s, failures = failures.after(self._clock.monotonic_s() - began_s)
            await self._clock.sleep(delay_s)
        return None
