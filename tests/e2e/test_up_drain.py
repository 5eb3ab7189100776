"""What a process that ends still finishes: as long as `drainTimeout` says, and no longer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import fleets, wire

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(180)]
HELD = """\
        if self.path == "/tunnel":
            self.send_response(101)
            self.send_header("upgrade", "websocket")
            self.send_header("connection", "upgrade")
            self.end_headers()
            while said := self.rfile.read1(1024):
                self.wfile.write(said)
            self.close_connection = True
            return
        if self.path.startswith("/held"):
            import pathlib, time
            self.send_response(200)
            self.send_header("content-length", "8")
            self.end_headers()
            self.wfile.write(b"one ")
            while not pathlib.Path("go").exists():
                time.sleep(0.01)
            self.wfile.write(b"two.")
            return
        body = """
BUFFER = "buffer: 0B\n  drainTimeout: {}"


@pytest.fixture
def fleet() -> Iterator[fleets.Fleet]:
    with fleets.project() as made:
        yield made


def write(fleet: fleets.Fleet, drain: str, *, shards: int = 1) -> Path:
    """Write a file with an origin that holds back the end of an answer until it finds `go`."""
    path = fleet.write(shards=shards, more=BUFFER.format(drain))
    origin = path.parent / "origin.py"
    origin.write_text(origin.read_text().replace("        body = ", HELD, 1))
    return path


def connected(fleet: fleets.Fleet) -> wire.Wire:
    host, _, port = fleet.address().rpartition(":")
    return wire.Wire((host, int(port)))


def half_answered(fleet: fleets.Fleet, target: str = "/held") -> wire.Wire:
    """Return a connection on which half of an answer has arrived."""
    connection = connected(fleet)
    connection.send(wire.request(target))
    head = connection.head()
    assert (head.status, connection.take(4)) == (200, b"one ")
    return connection


def tunnelled(fleet: fleets.Fleet) -> wire.Wire:
    """Return a connection that became a tunnel to an origin that says what it hears."""
    connection = connected(fleet)
    connection.send(wire.request("/tunnel", "Upgrade: websocket", "Connection: Upgrade"))
    assert connection.head().status == 101
    assert is_heard(connection)
    return connection


def is_heard(connection: wire.Wire) -> bool:
    connection.send(b"hear")
    return connection.take(4) == b"hear"


def target_of(fleet: fleets.Fleet, node: str) -> str:
    """Return what a node answers, and its origin holds back."""
    for number in range(100):
        target = f"/held/{number}"
        url = f"http://{fleet.address()}{target}"
        code, out, err = fleet.run("explain", "photos", url, "--json")
        assert code == 0, err
        if json.loads(out)["shard"] == node.rpartition("-")[0]:
            return target
    raise AssertionError(f"no key of a hundred is {node}'s")


def events(fleet: fleets.Fleet, name: str, event: str) -> list[dict[str, object]]:
    lines = fleet.run("logs", name)[1].splitlines()
    told = [json.loads(line[line.index("{") :]) for line in lines if "{" in line]
    return [one for one in told if one.get("event") == event]


@pytest.mark.parametrize("name", ["photos-router-0", "photos-0-0"])
def test_a_longer_answer_is_cut_and_counted(fleet: fleets.Fleet, name: str) -> None:
    fleet.up(write(fleet, "200ms"))
    with half_answered(fleet) as connection:
        code, _, err = fleet.run("restart", name)
        assert code == 0, err
        assert connection.rest() == b""
    [ended] = events(fleet, name, "ended")
    assert ended["connections_cut"] == 1


def test_an_answer_that_ends_in_time_is_whole_though_all_is_restarted(fleet: fleets.Fleet) -> None:
    path = write(fleet, "10m")
    fleet.up(path)
    with half_answered(fleet) as connection:
        restart = fleet.start("restart", "photos")
        for name in ("photos-0-0", "photos-router-0"):
            fleets.until(f"{name} drains", lambda: bool(events(fleet, name, "draining")))  # noqa: B023
            if name == "photos-0-0":
                (path.parent / "go").touch()
        assert connection.take(4) == b"two."
        out, err = restart.communicate(timeout=fleets.DEADLINE_S)
        assert (restart.returncode, "restarted 2 of 2" in out) == (0, True), err


def test_an_answer_that_ends_in_time_is_whole_though_all_is_stopped(fleet: fleets.Fleet) -> None:
    path = write(fleet, "10m")
    fleet.up(path)
    with half_answered(fleet) as connection:
        down = fleet.start("down")
        fleets.until("it drains", lambda: bool(events(fleet, "photos-router-0", "draining")))
        assert {"photos-0-0", "app"} <= fleet.processes().keys()
        (path.parent / "go").touch()
        assert connection.take(4) == b"two."
        out, err = down.communicate(timeout=fleets.DEADLINE_S)
    assert (down.returncode, "killed" in out) == (0, False), out + err


def test_another_drain_timeout_restarts_nothing_and_holds_from_then_on(fleet: fleets.Fleet) -> None:
    fleet.up(write(fleet, "10m"))
    before = fleet.pids()
    with half_answered(fleet) as connection:
        fleet.up(write(fleet, "200ms"))
        assert fleet.pids() == before
        code, _, err = fleet.run("restart", "photos-router-0")
        assert code == 0, err
        assert connection.rest() == b""


def test_a_drain_timeout_out_of_range_is_refused(fleet: fleets.Fleet) -> None:
    for wrong, told in (("61m", "write at most 1h"), ("10", "has no unit"), ("-1s", "sign")):
        code, _, err = fleet.run("up", "--detach", str(write(fleet, wrong)))
        assert (code, told in err) == (2, True), err


def test_a_longer_tunnel_is_cut_and_counted(fleet: fleets.Fleet) -> None:
    fleet.up(write(fleet, "200ms"))
    with tunnelled(fleet) as connection:
        code, _, err = fleet.run("restart", "photos-router-0")
        assert code == 0, err
        assert connection.rest() == b""
    [ended] = events(fleet, "photos-router-0", "ended")
    assert ended["connections_cut"] == 1


@pytest.mark.parametrize("name", ["photos-router-0", "photos-0-0"])
def test_a_tunnel_that_ends_in_time_outlives_a_restart(fleet: fleets.Fleet, name: str) -> None:
    fleet.up(write(fleet, "10m"))
    with tunnelled(fleet) as connection:
        restart = fleet.start("restart", name)
        fleets.until("it drains", lambda: bool(events(fleet, name, "draining")))
        assert is_heard(connection)
    out, err = restart.communicate(timeout=fleets.DEADLINE_S)
    assert (restart.returncode, "restarted 1 of 1" in out) == (0, True), err


def test_up_waits_for_who_finishes_longer_than_anything_may_be_unready(
    fleet: fleets.Fleet,
) -> None:
    path = write(fleet, "10m", shards=2)
    fleet.up(path)
    ready_s = 5.0
    with half_answered(fleet, target_of(fleet, "photos-1-0")) as connection:
        write(fleet, "10m", shards=1)
        up = fleet.start("up", str(path), "--detach", "--ready-timeout", f"{ready_s:g}s")

        def is_late() -> bool:
            leaving = fleet.processes()["photos-1-0"]
            since_s = float(str(leaving["since_s"]))
            return leaving["state"] == "stopping" and since_s > ready_s + 1.0

        fleets.until("the node takes longer than the limit", is_late)
        assert up.poll() is None
        (path.parent / "go").touch()
        assert connection.take(4) == b"two."
        out, err = up.communicate(timeout=fleets.DEADLINE_S)
    assert up.returncode == 0, out + err
    assert "waits until photos-1-0 has finished what it has" in err
