"""Run servers on a core each until a block ends; end only what was started, by its id."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

READY_S = 10.0
END_S = 10.0
HOST = "127.0.0.1"


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """A command that serves a port; `name` names its log in the folder."""

    name: str
    command: tuple[str, ...]
    port: int


class ServerError(Exception):
    """A server did not start or did not end; the message ends with what it said last."""


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in sockets]


@contextlib.contextmanager
def running(programs: Sequence[Program], core: int | str, folder: Path) -> Iterator[list[int]]:
    """Run programs on one core; yield their process ids once all of them accept connections.

    Args:
        programs: what to run.
        core: its number, or a list of them as `taskset` reads it.
        folder: where they run, and leave what they say.

    Raises:
        ServerError: one of them ended, or does not listen within 10 s.
    """
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(_process(one, core, folder)) for one in programs]
        for program, process in zip(programs, started, strict=True):
            _wait(program, process, folder)
        yield [process.pid for process in started]


@contextlib.contextmanager
def _process(program: Program, core: int | str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    # taskset becomes the program, so that the process id stays.
    command = ("taskset", "--cpu-list", str(core), *program.command)
    with _log(program, folder).open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(connect: Callable[[], None], is_over: Callable[[], bool] = lambda: False) -> bool:
    """Tell whether `connect` succeeded within 10 s; asked again until then, or until `is_over`."""
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s and not is_over():
        with contextlib.suppress(OSError):
            connect()
            return True
        time.sleep(0.02)
    return False


def _wait(program: Program, process: subprocess.Popen[bytes], folder: Path) -> None:
    def connect() -> None:
        socket.create_connection((HOST, program.port), 1).close()

    if not wait_for(connect, lambda: process.poll() is not None):
        said = _log(program, folder).read_text(errors="replace")[-500:]
        raise ServerError(f"{program.name} does not serve port {program.port}: {said}")


def _log(program: Program, folder: Path) -> Path:
    return folder / f"{program.name}.log"
