"""A process is known by what it was started with, and many may ask for all of them at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path

import pytest

from alongside.engines.processes import groups

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


@pytest.mark.parametrize("is_seen_before", [True, False])
def test_a_process_that_just_becomes_another_program_keeps_its_mark(
    monkeypatch: pytest.MonkeyPatch, is_seen_before: bool
) -> None:
    pid = os.getpid()
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    name, _, rest = stat.rpartition(b") ")
    words = rest.split()
    changing = b"%s) %s\n" % (name, b" ".join([*words[:45], *[b"0"] * 4, *words[49:]]))
    told = f"{groups.MARK}=p/a\0{groups.HOME_MARK}=/h\0".encode()
    before = b"%s) %s\n" % (name, b" ".join([*words[:45], *[b"1"] * 4, *words[49:]]))
    looks = [(before if is_seen_before else changing, b""), (changing, b""), (stat, told)]
    asked = {"stat": 0, "environ": 0}

    def read(path: str, _: int) -> bytes:
        which = path.rpartition("/")[2]
        at = min(asked[which], len(looks) - 1)
        asked[which] += 1
        return looks[at][which == "environ"]

    monkeypatch.setattr(groups, "_read", read)
    monkeypatch.setattr(groups, "_marks", {})
    found = groups.entry(pid)
    assert found is not None
    assert groups.mark_of(found) == ("p/a", "/h")


def test_a_process_without_variables_is_looked_at_once_more_and_no_longer() -> None:
    with subprocess.Popen(["sleep", "1000"], env={}) as child:
        try:
            deadline_s = time.monotonic() + DEADLINE_S
            while (found := groups.entry(child.pid)) is None or found.is_changing:
                assert time.monotonic() < deadline_s
            assert groups.mark_of(found) is None
        finally:
            child.kill()


def test_a_thread_of_the_kernels_has_no_mark() -> None:
    threads = [one for one in groups.all_entries() if not one.has_memory]
    assert all(groups.mark_of(one) is None for one in threads)
