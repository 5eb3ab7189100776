"""What `tests/caches/refused.json` says of memcached, the packaged one does answer."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import pytest

pytestmark = pytest.mark.needs("memcached")

TABLE = Path(__file__).parent.parent / "caches" / "refused.json"
DEADLINE_S = 30.0


class Repeated(TypedDict):
    """A part that is repeated."""

    repeat: str
    times: int


class Row(TypedDict):
    """A request that goes to no server."""

    about: str
    send: list[str | Repeated]
    answers: list[str]


class Differing(Row, total=False):
    """The same, where memcached may answer otherwise."""

    memcached: list[str]
    because: str


def rows() -> list[Differing]:
    """Return the table."""
    table: list[Differing] = json.loads(TABLE.read_text())
    return table


def sent(row: Row) -> bytes:
    """Return a row's bytes."""
    parts = (
        part if isinstance(part, str) else part["repeat"] * part["times"] for part in row["send"]
    )
    return "".join(parts).encode()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Path]:
    """Run memcached on a UNIX socket of its own."""
    path = folder / "memcached.sock"
    command = [shutil.which("memcached") or "memcached", "-u", "root", "-s", str(path)]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not path.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield path
    finally:
        process.kill()
        process.wait()


def answers(path: Path, request: bytes) -> list[str]:
    """Return the lines that memcached answers before the one that says that it read all."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(DEADLINE_S)
        link.connect(str(path))
        link.sendall(request + b"mn\r\n")
        received = b""
        while not received.endswith(b"MN\r\n"):
            piece = link.recv(65536)
            assert piece, received
            received += piece
    return received.decode().split("\r\n")[:-2]


def test_memcached_answers_what_the_table_says(tmp_path: Path) -> None:
    with running(tmp_path) as path:
        theirs = {row["about"]: answers(path, sent(row)) for row in rows()}
    assert theirs == {row["about"]: row.get("memcached", row["answers"]) for row in rows()}


def test_where_we_differ_the_table_says_why() -> None:
    for row in rows():
        assert ("memcached" in row) == ("because" in row), row["about"]
        assert row.get("memcached") != row["answers"], row["about"]
