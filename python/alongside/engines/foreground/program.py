"""Be a program's shell: terminal, signals, stops and the exit code pass through."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.processes import exits, groups, listeners

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FORWARDED = (
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGINT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
"""What somebody sends to us is meant for the program; what the terminal sends reaches it itself."""
_BOUND = "setpriv"
"""Lets the kernel end the program when we are killed; it is part of util-linux."""
_TERMINAL = 0


@dataclass(slots=True)
class Program:
    """A program that runs in a process group of its own, which has the terminal if we had it."""

    pid: int
    has_terminal: bool
    marks: tuple[str, str]
    """Home and name, by which what left its group is found."""

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its group."""
        groups.send_group(self.pid, number)

    def family(self) -> frozenset[int]:
        """Return the ids of all its processes."""
        found = groups.family(self.pid, *self.marks)
        return frozenset({self.pid, *(one.identity.pid for one in found)})

    def listens(self) -> tuple[str, ...]:
        """Return the addresses HOST:PORT where it listens by TCP, each once, sorted."""
        found = listeners.of(self.family())
        return tuple(sorted({_reached(one) for one in found}))

    async def ended(self) -> int:
        """Return its exit code, 128 and the number where a signal ended it.

        A program that is stopped, as by Ctrl-Z, stops us too; going on with us it goes on.
        """
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        loop.add_signal_handler(signal.SIGCHLD, changed.set)
        try:
            while (code := self._code()) is None:
                await changed.wait()
                changed.clear()
            return code
        finally:
            loop.remove_signal_handler(signal.SIGCHLD)
            self._take_terminal(os.getpgrp())

    def _code(self) -> int | None:
        """Return the exit code of a program that has ended; stop with one that was stopped."""
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if not pid:
                return None
            if not os.WIFSTOPPED(status):
                return exits.code(os.waitstatus_to_exitcode(status))
            self._stop_too()

    def _stop_too(self) -> None:
        """Stop as a job of our own shell, and go on with the program when that says so."""
        self._take_terminal(os.getpgrp())
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take_terminal(self.pid)
        self.send(signal.SIGCONT)

    def _take_terminal(self, group: int) -> None:
        if self.has_terminal:
            _give_terminal(group)


def _give_terminal(group: int) -> None:
    """Let a group read from the terminal and get its signals; whoever is behind may ask this."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(_TERMINAL, group)
    finally:
        signal.signal(signal.SIGTTOU, before)


def start(words: Sequence[str], environment: Mapping[str, str], marks: tuple[str, str]) -> Program:
    """Start a program on our own input, output and terminal.

    Args:
        words: the program and its words; it is looked up in the PATH of `environment`.
        environment: all of it.
        marks: home and name, put into its environment.

    Raises:
        errors.UsageError: there is no such program, or it cannot be run.
    """
    path = shutil.which(words[0], path=environment.get("PATH"))
    if path is None:
        raise errors.UsageError(
            f"{words[0]}: no such program; check its name and PATH, or write its path"
        )
    variables = {**environment, groups.HOME_MARK: marks[0], groups.MARK: marks[1]}
    has_terminal = _has_terminal()
    whole = bound((path, *words[1:]))
    try:
        pid = os.posix_spawn(
            whole[0],
            whole,
            variables,
            setpgroup=0,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ, *FORWARDED),
        )
    except OSError as error:
        raise errors.UsageError(f"{words[0]}: {error.strerror}; name a program") from error
    groups.hold(pid)
    if has_terminal:
        _give_terminal(pid)
    return Program(pid, has_terminal, marks)


def bound(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words that start a program which is told to end when we die, where that is known.

    setpriv becomes the program, so that its id and its signals are the program's.
    """
    path = shutil.which(_BOUND) if sys.platform == "linux" else None
    return tuple(words) if path is None else (path, "--pdeathsig", "TERM", "--", *words)


@contextlib.contextmanager
def forwarding(program: Program) -> Iterator[None]:
    """Pass on to the program what is sent to us while the block runs."""
    loop = asyncio.get_running_loop()
    for number in FORWARDED:
        loop.add_signal_handler(number, program.send, number)
    try:
        yield
    finally:
        for number in FORWARDED:
            loop.remove_signal_handler(number)


def _has_terminal() -> bool:
    """Return whether we are in the foreground of a terminal."""
    try:
        return os.isatty(_TERMINAL) and os.tcgetpgrp(_TERMINAL) == os.getpgrp()
    except OSError:
        return False


def _reached(one: listeners.Listener) -> str:
    """Return where a listener is reached from this machine."""
    address = one.address
    if address.is_unspecified:
        host = "127.0.0.1"
    else:
        host = f"[{address}]" if address.version == 6 else str(address)
    return f"{host}:{one.port}"
