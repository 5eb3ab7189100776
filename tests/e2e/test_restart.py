"""`alongside restart`, and `up` with a new data plane: all begins anew, and nobody misses it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import dataplane, fleets, steady, wire

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(180)]
NODES = ["photos-0-0", "photos-0-1", "photos-1-0", "photos-1-1"]
ROUTERS = ["photos-router-0", "photos-router-1"]
SLOW = """\
        if self.path.startswith("/slow"):
            import time; time.sleep(30)
        self.send_response"""
BROKEN = "#!/bin/sh\necho this is no data plane >&2\nexit 7\n"
HANGING = "#!/bin/sh\nexec sleep 3600\n"
HANGS_S = 150.0
"""Longer than three successors are waited for."""


@pytest.fixture
def fleet() -> Iterator[fleets.Fleet]:
    with fleets.project() as made:
        yield made


def bring_up(fleet: fleets.Fleet) -> dict[str, int]:
    """Bring up two shards of two replicas behind two routers; return the process ids."""
    fleet.up(fleet.write(shards=2, more="replicas: 2\n  routers: 2"))
    return fleet.pids()


def address_of(fleet: fleets.Fleet) -> wire.Address:
    host, _, port = fleet.address().rpartition(":")
    return host, int(port)


def with_binary(fleet: fleets.Fleet, content: bytes) -> fleets.Fleet:
    """Return the same project for commands that bring another data plane."""
    path = fleet.base / "another-dataplane"
    path.write_bytes(content)
    path.chmod(0o755)
    return dataclasses.replace(fleet, extra=(("ALONGSIDE_DATAPLANE", str(path)),))


def test_a_cache_is_restarted_under_load_and_no_request_fails(fleet: fleets.Fleet) -> None:
    before = bring_up(fleet)
    with steady.Load(address_of(fleet), targets=100) as load:
        code, out, err = fleet.run("restart", "photos")
        assert code == 0, err
        fleets.until("more load", load.more(20))
    assert load.failed == []
    after = fleet.pids()
    assert {name for name in before if before[name] == after[name]} == {"app"}
    lines = out.splitlines()
    assert lines[-1] == "restarted 6 of 6"
    ended = [lines.index(f"restarted {name}") for name in (*NODES, *ROUTERS)]
    assert max(ended[:4]) < min(ended[4:])
    assert lines.index("restarted photos-0-0") < lines.index("restarting photos-0-1")
    state = fleet.status()
    assert (state["ready"], state["warnings"]) == (True, [])
    assert fleet.run("up", str(fleet.base / "photos" / "photos.yaml"))[1].startswith(
        "nothing to change"
    )


def test_a_process_of_ones_own_is_stopped_then_started(fleet: fleets.Fleet) -> None:
    before = bring_up(fleet)
    code, out, err = fleet.run("restart", "app", "photos-0-1", "--json")
    assert code == 0, err
    ended = json.loads(out)
    assert (ended["outcome"], ended["done"], ended["asked"]) == ("done", 2, 2)
    after = fleet.pids()
    assert {name for name in before if before[name] != after[name]} == {"app", "photos-0-1"}
    assert fleets.get(fleet.address(), "/a") == (200, b"/a")
    code, _, err = fleet.run("restart", "photo", "photos-router-0")
    hint = 'there is no cache, workload or process "photo"; did you mean "photos"?'
    assert (code, hint in err) == (2, True)
    assert fleet.pids() == after


def test_a_new_data_plane_is_rolled_out_by_up(fleet: fleets.Fleet) -> None:
    before = bring_up(fleet)
    newer = with_binary(fleet, dataplane.binary().read_bytes() + b"\n")
    path = str(fleet.base / "photos" / "photos.yaml")
    with steady.Load(address_of(fleet), targets=100) as load:
        code, out, err = newer.run("up", path)
        assert code == 0, err
    assert load.failed == []
    lines = [f"restart {name}: new version of the data plane" for name in (*NODES, *ROUTERS)]
    assert sorted(out.splitlines()[:6]) == sorted(lines)
    after = fleet.pids()
    assert {name for name in before if before[name] == after[name]} == {"app"}
    for pid in (after[name] for name in NODES):
        assert Path(f"/proc/{pid}/exe").readlink().name == "another-dataplane"
    code, out, _ = newer.run("up", path)
    assert (code, out.splitlines()[0]) == (0, "nothing to change")
    assert fleet.pids() == after


def test_a_data_plane_that_does_not_start_is_given_up_and_all_goes_on(fleet: fleets.Fleet) -> None:
    before = bring_up(fleet)
    broken = with_binary(fleet, BROKEN.encode())
    path = str(fleet.base / "photos" / "photos.yaml")
    with steady.Load(address_of(fleet), targets=100) as load:
        code, out, err = broken.run("up", path, "--ready-timeout", "100ms")  # it takes longer
    assert load.failed == []
    lines = err.splitlines()
    stopped = "alongside up: the restart stopped with 0 of 6 done: photos-"
    assert any(line.startswith(stopped) for line in lines), err
    why = " was not restarted in 3 attempts: its successor failed: ended with 7"
    assert (code, why in err) == (1, True), out + err
    kept = f"alongside up: {', '.join((*NODES, *ROUTERS))} run on as they were"
    assert any(line.startswith(kept) for line in lines), err
    assert "this is no data plane" in lines
    mend = f"alongside up: mend {broken.base}/another-dataplane, then run alongside up again"
    assert lines[-1] == mend
    assert fleet.pids() == before
    (warning,) = [one for one in warnings_of(fleet) if "the last restart stopped" in one]
    assert "photos-router-0, photos-router-1 stayed as before" in warning
    code, _, err = fleet.run("restart", "photos-router-0")
    assert (code, "was not restarted in 3 attempts" in err) == (1, True), err
    assert err.splitlines()[-1].endswith("then run alongside restart again"), err
    fleet.up(Path(path))  # with the data plane that starts
    assert fleet.run("restart", "photos-router-0")[0] == 0
    assert fleet.status()["warnings"] == []


def test_what_ends_by_itself_after_a_failed_roll_out_is_started_as_it_was(
    fleet: fleets.Fleet,
) -> None:
    good = dataplane.binary().read_bytes() + b"\n"
    newer = with_binary(fleet, good)
    path = fleet.write(shards=1)
    newer.up(path)
    before = fleet.pids()["photos-0-0"]
    # At the same path: where it was read from is gone.
    code, out, err = with_binary(fleet, BROKEN.encode()).run("up", str(path))
    assert (code, "was not restarted in 3 attempts" in err) == (1, True), out + err
    assert fleet.pids()["photos-0-0"] == before
    os.kill(before, signal.SIGKILL)
    # Ready is also who was not seen to end yet.
    fleets.until(
        "it is there again",
        lambda: fleet.pids().get("photos-0-0", before) != before and bool(fleet.status()["ready"]),
    )
    after = fleet.pids()["photos-0-0"]
    assert after != before
    assert Path(f"/proc/{after}/exe").read_bytes() == good


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_data_plane_that_hangs_at_its_start_fails_up_and_all_goes_on(
    fleet: fleets.Fleet,
) -> None:
    before = bring_up(fleet)
    hanging = with_binary(fleet, HANGING.encode())
    words = ("up", str(fleet.base / "photos" / "photos.yaml"))
    code, out, err = hanging.run(*words, deadline_s=HANGS_S)
    assert "in 3 attempts: its successor was not ready within 30s" in err, out + err
    assert (code, fleet.pids()) == (1, before), err


def test_each_command_tells_of_its_own_restart_though_one_waits_for_the_other(
    fleet: fleets.Fleet,
) -> None:
    path = fleet.write(shards=1)
    slow = fleets.ORIGIN.replace("        self.send_response", SLOW, 1)
    (path.parent / "origin.py").write_text(slow)
    fleet.up(path)
    router = "photos-router-0"
    newer = with_binary(fleet, dataplane.binary().read_bytes() + b"\n")
    with wire.Wire(address_of(fleet), timeout_s=60) as client:
        client.send(wire.request("/slow/1"))
        fleets.until("the request is on its way", lambda: in_flight(fleet) == 1)
        before = fleet.pids()[router]
        with fleet.start("restart", router) as restart:
            fleets.until("its successor", lambda: fleet.pids()[router] != before)
            with newer.start("up", str(path)) as up:
                out, err = restart.communicate(timeout=fleets.DEADLINE_S)
                assert (restart.returncode, out.splitlines()[-1]) == (0, "restarted 1 of 1"), err
                out, err = up.communicate(timeout=fleets.DEADLINE_S)
                assert up.returncode == 0, out + err
    changes = [line for line in out.splitlines() if line.endswith("new version of the data plane")]
    done = [line for line in out.splitlines() if line.startswith("restarted photos-")]
    assert len(done) == len(changes) > 0, out
    for name in ("photos-0-0", router):
        exe = Path(f"/proc/{fleet.pids()[name]}/exe").readlink().name
        assert exe == "another-dataplane"


def test_an_interrupted_command_says_that_its_restart_goes_on(fleet: fleets.Fleet) -> None:
    path = fleet.write(shards=1)
    slow = fleets.ORIGIN.replace("        self.send_response", SLOW, 1)
    (path.parent / "origin.py").write_text(slow)
    fleet.up(path)
    before = fleet.pids()
    # An answer on its way holds the restart up, so that it is not over before it is interrupted.
    with wire.Wire(address_of(fleet), timeout_s=60) as client:
        client.send(wire.request("/slow/1"))
        fleets.until("the request is on its way", lambda: in_flight(fleet) == 1)
        with fleet.start("restart") as restart:
            fleets.until("it has begun", lambda: fleet.pids() != before)
            restart.send_signal(signal.SIGINT)
            _, err = restart.communicate(timeout=fleets.DEADLINE_S)
    assert (restart.returncode, "interrupted; the restart goes on" in err) == (130, True), err
    fleets.until("its end", lambda: restart_of(fleet)["outcome"] == "done")
    assert not set(before.values()) & set(fleet.pids().values())


def restart_of(fleet: fleets.Fleet) -> dict[str, object]:
    found = fleet.status()["restart"]
    assert isinstance(found, dict)
    return found


def warnings_of(fleet: fleets.Fleet) -> list[str]:
    found = fleet.status()["warnings"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("next_command", ["up", "down"])
def test_a_supervisor_killed_in_the_middle_leaves_nothing_unfound(
    fleet: fleets.Fleet, next_command: str
) -> None:
    path = fleet.write(shards=1, more="drainTimeout: 5m")  # the kill comes first, however slow
    slow = fleets.ORIGIN.replace("        self.send_response", SLOW.replace("30", "300"), 1)
    (path.parent / "origin.py").write_text(slow)
    fleet.up(path)
    router = "photos-router-0"
    before, count = fleet.pids()[router], len(fleet.left())
    with wire.Wire(address_of(fleet), timeout_s=60) as client:
        client.send(wire.request("/slow/1"))
        fleets.until("the request is on its way", lambda: in_flight(fleet) == 1)
        with fleet.start("restart", router) as restart:
            fleets.until("its successor", lambda: fleet.pids()[router] != before)
            assert len(fleet.left()) == count + 1
            code, _, err = fleet.run("restart")
            assert (code, "a restart is on its way (0 of 1 done)" in err) == (1, True), err
            left = fleet.left()
            os.kill(int(str(fleet.status()["supervisor_pid"])), signal.SIGKILL)
            assert restart.wait(fleets.DEADLINE_S) == 1
            restart.communicate()
    if next_command == "up":
        fleet.up(path)
        assert not set(left) & set(fleet.left())
        assert len(fleet.left()) == count
        assert fleets.get(fleet.address(), "/a") == (200, b"/a")
    assert fleet.run("down")[0] == 0
    assert fleet.left() == []
    run = fleet.base / "run" / "alongside" / "photos"
    assert sorted(path.name for path in run.iterdir()) == []


def in_flight(fleet: fleets.Fleet) -> int:
    caches = fleet.status()["caches"]
    assert isinstance(caches, list)
    return int(caches[0]["in_flight"] or 0)
