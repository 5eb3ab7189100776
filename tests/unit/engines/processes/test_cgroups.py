"""A container is held to its limits from its first moment, and no cgroup is left behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from alongside.base import clock
from alongside.engines.processes import cgroups

DEADLINE_S = 30.0
EAT = "held = []\nwhile True: held.append(b'x' * 2**20)"


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[cgroups.Cgroups]:
    """Give the cgroups of a project, or skip where none may be made."""
    made = cgroups.Cgroups(str(tmp_path), tmp_path / "cgroups")
    if not {place.controller for place in made.places} >= {"cpu", "memory"}:
        pytest.skip("no cgroups may be made here")
    yield made
    asyncio.run(made.sweep(clock.SystemClock()))


def left(made: cgroups.Cgroups) -> list[Path]:
    prefix = made._prefix
    return [path for place in made.places for path in place.parent.glob(f"{prefix}*")]


def start(group: cgroups.Group, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(cgroups.entering(group.entries, words), stderr=subprocess.DEVNULL)


def test_kills_what_takes_too_much_memory_and_says_so(ours: cgroups.Cgroups) -> None:
    group = ours.create("pod/eater", cgroups.Limits(memory_bytes=32 * 2**20))
    assert group is not None
    assert group.out_of_memory() == 0
    eater = start(group, sys.executable, "-c", EAT)
    assert eater.wait(DEADLINE_S) == -9
    assert group.out_of_memory() >= 1
    assert asyncio.run(group.remove(clock.SystemClock()))
    assert left(ours) == []


def test_sets_the_limit_of_the_cpu(ours: cgroups.Cgroups) -> None:
    group = ours.create("pod/slow", cgroups.Limits(cpu_millis=250))
    assert group is not None
    (place,) = group.places
    folder = place.parent / group.name
    if place.version == 2:
        assert (folder / "cpu.max").read_text().split() == ["25000", "100000"]
    else:
        assert (folder / "cpu.cfs_quota_us").read_text().strip() == "25000"
        assert (folder / "cpu.cfs_period_us").read_text().strip() == "100000"


def test_a_program_is_in_it_from_its_first_moment_with_all_it_starts(
    ours: cgroups.Cgroups, tmp_path: Path
) -> None:
    group = ours.create("pod/x", cgroups.Limits(cpu_millis=500, memory_bytes=64 * 2**20))
    assert group is not None
    said = tmp_path / "said"
    script = f"cat /proc/self/cgroup > {said}.new; mv {said}.new {said}; sleep 1000"
    first = start(group, "sh", "-c", script)
    until(lambda: said.exists() and len(group.pids()) == 2)
    inside = [line.split(":") for line in said.read_text().splitlines()]
    for controller in ("cpu", "memory"):
        paths = [path for _, names, path in inside if controller in names.split(",") or not names]
        assert any(path.endswith(group.name) for path in paths), controller
    assert first.pid in group.pids()
    assert asyncio.run(group.remove(clock.SystemClock()))
    assert first.wait(DEADLINE_S) == -9
    assert left(ours) == []


def test_makes_none_without_a_limit(ours: cgroups.Cgroups) -> None:
    assert ours.create("pod/x", cgroups.Limits()) is None
    assert left(ours) == []


def test_leaves_nothing_where_a_limit_is_refused(ours: cgroups.Cgroups) -> None:
    with pytest.raises(OSError, match=r"argument|range"):
        ours.create("pod/x", cgroups.Limits(cpu_millis=10**14))
    assert left(ours) == []


def test_sweep_ends_what_a_dead_supervisor_left(ours: cgroups.Cgroups, tmp_path: Path) -> None:
    group = ours.create("pod/x", cgroups.Limits(memory_bytes=64 * 2**20))
    assert group is not None
    (group.folders[0] / "nested").mkdir()
    inner = subprocess.Popen(
        cgroups.entering([group.folders[0] / "nested/cgroup.procs"], ["sleep", "1000"])
    )
    until(lambda: (group.folders[0] / "nested/cgroup.procs").read_text() != "")
    successor = cgroups.Cgroups(str(tmp_path), tmp_path / "cgroups")
    assert asyncio.run(successor.sweep(clock.SystemClock())) == 1
    assert inner.wait(DEADLINE_S) == -9
    assert left(ours) == []
    assert not (tmp_path / "cgroups").exists()
    assert asyncio.run(successor.sweep(clock.SystemClock())) == 0


def test_says_what_is_not_permitted(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text("0::/\n")
    (tmp_path / "self/mountinfo").write_text("")
    none = cgroups.Cgroups("x", tmp_path / "cgroups", proc=tmp_path)
    assert none.missing(cgroups.Limits(1, 1)) == ("cpu", "memory")
    assert none.missing(cgroups.Limits(memory_bytes=1)) == ("memory",)
    assert none.missing(cgroups.Limits()) == ()
    assert none.create("pod/x", cgroups.Limits(1, 1)) is None


def test_looks_upwards_for_a_place_that_hands_controllers_down(tmp_path: Path) -> None:
    """A user's own slice: the session's cgroup has processes in it, the one above is theirs."""
    below = tmp_path / "fs/user/app/session"
    below.mkdir(parents=True)
    for folder, down in (("user", "cpu memory"), ("user/app", ""), ("user/app/session", "")):
        (tmp_path / "fs" / folder / "cgroup.controllers").write_text("cpu memory")
        (tmp_path / "fs" / folder / "cgroup.subtree_control").write_text(down)
        if not down:
            (tmp_path / "fs" / folder / "cgroup.subtree_control").unlink()
            (tmp_path / "fs" / folder / "cgroup.subtree_control").mkdir()  # refuses to be written
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/a\\b/user/app/session\n")
    (tmp_path / "proc/self/mountinfo").write_text(
        f"1 1 0:1 /a\\b {tmp_path}/fs rw - cgroup2 none rw\n"
    )
    found = cgroups._mounts(tmp_path / "proc")
    own = cgroups._own(tmp_path / "proc")
    ancestry = list(found[0].ancestry(own[""]))
    assert ancestry == [below, below.parent, below.parent.parent, tmp_path / "fs"]
    usable = [path for path in ancestry if cgroups._is_enabled(cgroups.Place("cpu", 2, path))]
    assert usable == [tmp_path / "fs/user"]


def test_enters_nothing_where_there_is_nothing_to_enter() -> None:
    assert cgroups.entering((), ("a", "b")) == ("a", "b")


def test_does_not_run_unlimited_where_it_cannot_enter(tmp_path: Path) -> None:
    words = cgroups.entering([tmp_path / "none/cgroup.procs"], ["touch", str(tmp_path / "ran")])
    assert subprocess.run(words, check=False, stderr=subprocess.DEVNULL).returncode != 0
    assert not (tmp_path / "ran").exists()


def until(is_so: object) -> None:
    assert callable(is_so)
    deadline_s = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


FORKS = """
import os
for _ in range(3): os.fork()
while True:
    if os.fork() == 0: os.setsid()
    else: os._exit(0)
"""


def test_what_forks_on_and_on_ends_with_its_cgroup(tmp_path: Path) -> None:
    made = cgroups.Cgroups(str(tmp_path), tmp_path / "cgroups")
    group = made.create("pod/storm", cgroups.Limits(), is_whole=True)
    if group is None:
        pytest.skip("no cgroups may be made here")
    try:
        storm = start(group, sys.executable, "-I", "-S", "-c", FORKS)
        storm.wait(DEADLINE_S)  # its children go on
        assert group.pids()
        group.kill()
        deadline_s = time.monotonic() + DEADLINE_S
        while group.pids():
            assert time.monotonic() < deadline_s
    finally:
        assert asyncio.run(group.remove(clock.SystemClock()))
    assert left(made) == []
    assert asyncio.run(made.sweep(clock.SystemClock())) == 0


def test_without_limits_a_cgroup_is_made_only_for_who_wants_it_whole(tmp_path: Path) -> None:
    made = cgroups.Cgroups(str(tmp_path), tmp_path / "cgroups")
    assert made.create("pod/plain", cgroups.Limits()) is None


def test_sweep_removes_what_was_being_tried_when_its_supervisor_was_killed(
    ours: cgroups.Cgroups, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = cgroups.Cgroups.of_project(tmp_path)
    kept = os.rmdir
    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", lambda path: None if "-try" in str(path) else kept(path))
        assert killed.places == ours.places
    assert left(killed) != []
    again = cgroups.Cgroups.of_project(tmp_path)
    assert asyncio.run(again.sweep(clock.SystemClock())) == 0  # of containers
    assert left(killed) == []
    assert not (tmp_path / "cgroups").exists()
