"""What every test may ask for."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.conformance", "tests.e2e")  # helpers say what differs, too
LIST = Path(__file__).resolve().parent.parent / "scripts" / "debian-packages.txt"


def pytest_configure() -> None:
    """Let programs be interrupted also where a shell began all this in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def packages() -> dict[str, str]:
    """Return the Debian package that brings each command, from the one list of them."""
    rows = [line.split("#")[0].split() for line in LIST.read_text().splitlines()]
    return {row[1]: row[0] for row in rows if row}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose peer is not installed, naming the package that brings it."""
    known = packages()
    for mark in item.iter_markers("needs"):
        for command in mark.args:
            if command not in known:
                pytest.fail(f"{command!r} is not in {LIST.name}; every peer is listed there")
            if shutil.which(command, path="/usr/sbin:/sbin") or shutil.which(command):
                continue
            pytest.skip(f"waits for {command}: apt-get install -y {known[command]}")
