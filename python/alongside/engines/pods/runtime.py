"""Say what a runtime has to do for pods: the one seam between Kubernetes' semantics and a machine.

A runtime knows no order, no probe's threshold and no back-off. What it starts carries the marks
of `engines.processes.groups` (or labels of the same content), so that after SIGKILL of the
supervisor the next one finds and ends all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from alongside.base import errors
from alongside.engines.processes import exits

if TYPE_CHECKING:
    import asyncio
    import signal
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from alongside.engines.processes import groups
    from alongside.plan import pods


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended: a code, or a signal's number, and whether it ran out of memory."""

    code: int = 0
    """128 and the signal's number where a signal ended it, as Kubernetes shows it."""
    signal: int | None = None
    is_out_of_memory: bool = False

    @classmethod
    def of_status(cls, status: int | None, *, is_out_of_memory: bool = False) -> Exit:
        """Return an exit by what `exits.code` takes."""
        number = -status if status is not None and status < 0 else None
        return cls(exits.code(status), number, is_out_of_memory)

    @classmethod
    def of_code(cls, code: int, *, is_out_of_memory: bool = False) -> Exit:
        """Return an exit by its code alone, which may be a signal's."""
        return cls(code, exits.signal_of(code), is_out_of_memory)


@dataclass(frozen=True, slots=True)
class Room:
    """What a pod's surroundings are made from."""

    pod: pods.Pod
    volumes: Mapping[str, Path]
    """The folder (or, of `host`, file) of each volume; there, and filled."""
    folder: Path
    """The pod's own, for files of the runtime; removed with the pod."""
    logs: Mapping[str, Path]
    """Where each container's output goes; appended to."""


class NotBegunError(errors.TemporaryError):
    """A start that did not come about, and that counts as none: it is asked for again."""

    def __init__(self, message: str) -> None:
        """Take the reason; how long to wait is the pod's matter."""
        super().__init__(message, retry_after_s=0.0)


class Running(Protocol):
    """One run of one container."""

    @property
    def identity(self) -> str:
        """A pid, or a container's id: for people and for the journal."""

    async def ended(self) -> Exit:
        """Return how it ended, when it has and nothing of its group is left; may be asked again."""

    async def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of it; no error when it is gone."""

    async def run(self, command: Sequence[str], *, timeout_s: float) -> int:
        """Return the exit code of a command run inside, with the container's variables.

        Raises:
            TimeoutError: it took longer, and was killed.
            errors.AlongsideError: it cannot be started.
        """


class Sandbox(Protocol):
    """The surroundings of one pod: network, names, process ids, volumes."""

    @property
    def address(self) -> str:
        """The pod's IP address."""

    async def start(self, container: pods.Container, attempt: int) -> Running:
        """Start a container; `$(…)` of the pod's address is filled in here.

        Args:
            container: of the pod.
            attempt: 0 for its first run.

        Raises:
            errors.PermanentError: it cannot be started; the reason as Kubernetes' `message`.
            NotBegunError: nothing of it ran, for a reason that is none of its own.
        """

    async def connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect as a probe does: from outside the pod's containers, to `host` or the pod.

        Raises:
            OSError: nothing answers there.
        """

    async def remove(self) -> None:
        """End whatever is left in it and take it away; nothing of it survives."""


@runtime_checkable
class Losable(Protocol):
    """What a sandbox has besides, that may vanish by itself, as when its pause is killed."""

    async def lost(self) -> str:
        """Return why it is gone, when it is and nobody removed it; may be asked again.

        All containers then start in another sandbox, init containers too.
        """


@runtime_checkable
class Fetching(Protocol):
    """What a sandbox has besides, that may have to fetch what a container is made of."""

    async def fetch(self, container: pods.Container, tell: Callable[[str], None]) -> None:
        """Fetch it before a start, in its own time, where the container asks for that.

        Args:
            container: of the pod.
            tell: called with how far it is, for people.

        Raises:
            errors.AlongsideError: it cannot be fetched.
        """


@runtime_checkable
class Noting(Protocol):
    """What a runtime has besides, that leaves out some of what pods ask for."""

    def notes(self) -> list[str]:
        """Return what this machine does not give, for people, each thing once."""


@dataclass(frozen=True, slots=True)
class Traced:
    """What a dead supervisor's pods left, that may carry no marks any more."""

    find: Callable[[], list[groups.Entry]] = list
    """Returns what runs now."""
    holders: frozenset[groups.Identity] = frozenset()
    """By whom the others are known: they end last, so that who is interrupted can begin anew."""


@runtime_checkable
class Traceable(Protocol):
    """What a runtime has besides, that knows its pods' processes by more than marks."""

    def traced(self) -> AbstractContextManager[Traced]:
        """Return what finds them, as long as it is needed; nothing is ended."""


@dataclass(frozen=True, slots=True)
class Served:
    """A Service as it is to answer now."""

    service: pods.Service
    backends: tuple[tuple[str, ...], ...]
    """Of each of its ports: HOST:PORT of the ready pods, as seen from the project's network."""
    promised: frozenset[int] = frozenset()
    """This machine's ports that pods ask for or have: it yields where one is of its number."""
    claimed: frozenset[int] = frozenset()
    """The ports on which planned pods listen, or say that they do, at whichever address."""


class Runtime(Protocol):
    """One way to run pods; all methods belong to one event loop."""

    name: str

    async def open(self) -> None:
        """Make what the whole project needs: a network, an image; what is there is used again.

        Raises:
            errors.AlongsideError: this machine does not allow it; the remedy is named.
        """

    def problems(self, wanted: Sequence[pods.Pod]) -> list[str]:
        """Return why pods cannot run here: `place: path: what; remedy`. Nothing is started.

        Nothing is remembered of them either: they may be refused.

        Called in a thread of its own, as it may have to ask somebody and wait.

        A missing command or image, a user or limit that is not permitted, a host path that is not
        there.
        """

    async def create(self, room: Room) -> Sandbox:
        """Make a pod's surroundings.

        Raises:
            errors.AlongsideError: they cannot be made; nothing of them is left.
        """

    async def serve(self, services: Sequence[Served]) -> None:
        """Let the Services answer as said from now on; those not named are taken away.

        Connections that exist stay with their pods.
        """

    def addresses(self) -> Mapping[str, str]:
        """Return where Services are reached from this machine: `NAME:PORT` to HOST:PORT."""

    async def close(self) -> None:
        """Take away what `open`, `create` and `serve` made; for when nothing is to run any more."""

    async def sweep(self) -> int:
        """End what a dead supervisor left of this project; return how many pods or processes."""
