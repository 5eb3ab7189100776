"""One file of twemproxy's, real memcacheds, and the commands that read it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests import ports

DEADLINE_S = 30.0
SCRIPTS = Path(sys.executable).parent


def wait_for(condition: Callable[[], bool], what: str) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until_s, f"waited {DEADLINE_S} s for {what}"
        time.sleep(0.01)


class World:
    """A folder, memcacheds, a file of twemproxy's, and what was started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "conf" / "n.yml"
        self.config.parent.mkdir()
        self.port = ports.free_port()
        self.servers: list[int] = []
        self._started: list[subprocess.Popen[bytes]] = []

    def memcached(self) -> int:
        """Start a memcached; return its port."""
        port = ports.free_port()
        words = ["memcached", "-u", "root", "-l", "127.0.0.1", "-p", str(port), "-m", "16"]
        self._started.append(subprocess.Popen([*words, "-t", "1"]))
        wait_for(lambda: is_open(port), "memcached")
        self.servers.append(port)
        return port

    def write(self, *more: str, servers: int | None = None, text: str = "") -> None:
        """Put a file in the place of the one before, at once."""
        ports = self.servers[:servers]
        lines = [f"   - 127.0.0.1:{port}:1 m{number}" for number, port in enumerate(ports)]
        directives = [f"  {line}" for line in (f"listen: 127.0.0.1:{self.port}", *more)]
        beside = self.config.with_suffix(".new")
        whole = "\n".join(["a:", "  timeout: 2000", *directives, "  servers:", *lines, ""])
        beside.write_text(text or whole)
        beside.rename(self.config)

    def start(self, *words: str, name: str = "log") -> Running:
        """Start a command, its stderr into a file."""
        log = self.folder / name
        with log.open("wb") as stream:
            process = subprocess.Popen(
                words, stderr=stream, stdout=subprocess.PIPE, env=self.variables(), cwd=self.folder
            )
        self._started.append(process)
        return Running(process, log)

    def ambassador(self, *words: str) -> Running:
        """Start the ambassador, and wait until it listens."""
        running = self.start(
            *(sys.executable, "-m", "alongside", "ambassador", "--config", str(self.config)), *words
        )
        wait_for(lambda: is_open(self.port) or running.process.poll() is not None, "it to listen")
        assert running.process.poll() is None, running.log.read_text()
        return running

    def variables(self) -> dict[str, str]:
        """Return the environment of commands."""
        return {**os.environ, "XDG_RUNTIME_DIR": str(self.folder / "run")}

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._started:
            process.kill()
            process.communicate()


@dataclasses.dataclass
class Running:
    """A started command."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self, word: str) -> bool:
        """Return whether a word stands in its log."""
        return word in self.log.read_text()


def is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def ask(port: int, request: bytes, ends: bytes) -> bytes:
    """Return what is answered up to some bytes."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as connection:
        connection.sendall(request)
        received = b""
        while not received.endswith(ends):
            data = connection.recv(65_536)
            assert data, f"closed after {received!r}"
            received += data
    return received


def put(port: int, keys: list[str]) -> None:
    lines = "".join(f"set {key} 0 0 1\r\nx\r\n" for key in keys)
    assert ask(port, f"{lines}get nothing\r\n".encode(), b"END\r\n").startswith(b"STORED\r\n")


def held(port: int, keys: list[str]) -> set[str]:
    """Return which keys a server has, or all have together."""
    found = ask(port, f"get {' '.join(keys)}\r\n".encode(), b"END\r\n")
    return {line.split()[1].decode() for line in found.split(b"\r\n") if line.startswith(b"VALUE")}
