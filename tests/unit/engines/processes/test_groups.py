"""A process is known by what it was started with, and many may ask for all of them at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.engines.processes import groups

if TYPE_CHECKING:
    import pytest

DEADLINE_S = 30.0


def test_sees_the_marks_of_the_program_that_a_process_has_become(tmp_path: Path) -> None:
    home = str(tmp_path)
    script = f"read line; {groups.MARK}=p/later exec sleep 1000"
    marks = {**os.environ, groups.MARK: "p/first", groups.HOME_MARK: home}
    child = subprocess.Popen(["sh", "-c", script], env=marks, stdin=subprocess.PIPE)
    try:
        deadline_s = time.monotonic() + DEADLINE_S
        while [one.identity.pid for one in groups.marked(home)] != [child.pid]:
            assert time.monotonic() < deadline_s
        assert groups.family(None, home, "p/first")
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.close()
        while not groups.family(None, home, "p/later"):
            assert time.monotonic() < deadline_s
        assert not groups.family(None, home, "p/first")
    finally:
        child.kill()
        child.wait()
    assert not groups.marked(home)


def test_reads_a_process_whose_name_has_brackets_and_blanks(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([program, "1000"])
    try:
        found = groups.entry(child.pid)
        assert found is not None
        assert found.parent == os.getpid()
        assert not found.is_zombie
    finally:
        child.kill()
        child.wait()
    assert groups.entry(child.pid) is None


def test_one_look_serves_all_who_ask_in_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    look = groups.all_entries

    def counted() -> list[groups.Entry]:
        nonlocal looks
        looks += 1
        return look()

    async def work() -> None:
        found = await asyncio.gather(*(groups.census() for _ in range(20)))
        assert all(any(one.identity.pid == os.getpid() for one in each) for each in found)
        assert looks == 1
        await groups.census()
        assert looks == 2

    monkeypatch.setattr(groups, "all_entries", counted)
    asyncio.run(work())
