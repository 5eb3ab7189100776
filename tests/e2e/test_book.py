"""The book's sharded memcache as its README says: packaged memcacheds, and ours for twemproxy."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import docker, fleets

pytestmark = [
    fleets.NEEDS_DATA_PLANE,
    pytest.mark.needs("memcached", "ip"),
    pytest.mark.timeout(240),
    pytest.mark.skipif(os.geteuid() != 0, reason="waits for root"),
]

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "examples" / "book"
DEADLINE_S = 60.0
PROXY = "alongside logs sharded-memcache-ambassador/twemproxy"


class Book:
    """The example's folder, copied, and the commands of its README."""

    def __init__(self, base: Path, **variables: str) -> None:
        self.base = base
        self.variables = variables
        self.folder = base / "book"
        shutil.copytree(BOOK, self.folder)

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line of a shell with our command on its path."""
        variables = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "XDG_STATE_HOME": f"{self.base}/s",
            "XDG_RUNTIME_DIR": f"{self.base}/r",
            **self.variables,
        }
        return subprocess.run(
            ["bash", "-ec", line],
            cwd=self.folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def block(self, number: int) -> list[str]:
        """Return the lines of a block of commands of the README."""
        text = (self.folder / "README.md").read_text()
        blocks: list[str] = re.findall(r"```\n(.*?)```", text, flags=re.DOTALL)
        return blocks[number].splitlines()


@pytest.fixture
def book() -> Iterator[Book]:
    with tempfile.TemporaryDirectory(prefix="bk") as text:
        made = Book(Path(text))
        yield made
        made.run("alongside down")


def check(book: Book, option: str, engine: str) -> None:
    """Run the README's first block, whose `up` gets an option, until all keys came back."""
    _, *lines, up, log, down = book.block(0)
    for line in [*lines, f"{up}{option}"]:
        ran = book.run(line)
        assert ran.returncode == 0, f"{line}: {ran.stdout}{ran.stderr}"
    assert f"engine {engine}" in ran.stdout
    assert "cannot be started" not in ran.stderr
    assert ran.stdout.count("a real API server refuses it") == 1
    deadline_s = time.monotonic() + DEADLINE_S
    while "100 of 100 keys came back" not in (said := book.run(log).stdout):
        assert time.monotonic() < deadline_s, said
        time.sleep(0.2)
    is_ours = '"component": "ambassador"' in book.run(PROXY).stdout
    assert is_ours == (engine != "docker")  # whose images are Debian's
    assert book.run(down).returncode == 0


def check_shared(book: Book, option: str) -> None:
    """Run the README's second block, whose `up` gets an option, and use its router."""
    create, up = book.block(1)
    for line in (create, f"{up}{option}"):
        ran = book.run(line)
        assert ran.returncode == 0, f"{line}: {ran.stdout}{ran.stderr}"
    assert "no matches for kind" in ran.stdout
    state = json.loads(book.run("alongside status --json").stdout)
    host, _, port = state["services"]["shard-router-service"]["11211"].rpartition(":")
    for at in range(20):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            stream = connection.makefile("rwb")
            stream.write(f"set k{at} 0 0 1\r\n{at % 10}\r\nget k{at}\r\n".encode())
            stream.flush()
            answers = [stream.readline() for _ in range(3)]
            assert answers[0] == b"STORED\r\n"
            assert answers[2] == f"{at % 10}\r\n".encode()
    assert book.run("alongside down").returncode == 0


def test_the_application_reads_and_writes_through_its_ambassador(book: Book) -> None:
    check(book, "", "namespaces")


@pytest.mark.needs("dockerd", "debootstrap")
@pytest.mark.timeout(600)
def test_docker_runs_the_same_files_in_images_of_debians_packages() -> None:
    system = docker.base("memcached", "nutcracker")
    with docker.daemon() as daemon, tempfile.TemporaryDirectory(prefix="bk") as text:
        book = Book(Path(text), DOCKER_HOST=daemon.own.host)
        (book.folder / "book.tar").symlink_to(system)
        _, *imports = book.block(2)
        for line in imports:
            ran = book.run(line)
            assert ran.returncode == 0, f"{line}: {ran.stdout}{ran.stderr}"
        try:
            check(book, " --engine docker", "docker")
            check_shared(book, " --engine docker")
            assert daemon.own.docker("ps", "--all", "--quiet").stdout == ""
        finally:
            book.run("alongside down")


def test_everyone_shares_the_router_behind_a_service(book: Book) -> None:
    check_shared(book, "")


def test_processes_refuse_it_by_name_and_remedy(book: Book) -> None:
    for line in book.block(0)[1:3]:
        assert book.run(line).returncode == 0
    ran = book.run(f"{book.block(0)[3]} --engine process")
    assert ran.returncode == 2
    assert "port 11211" in ran.stderr
    assert "--engine namespaces or docker" in ran.stderr
    assert "is not up" in book.run("alongside status").stderr
