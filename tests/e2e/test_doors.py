"""The doors, the sockets and the end of a data-plane process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import ports
from tests.e2e import dataplane, plane, upstream, wire

STATUS_PATHS = ["/healthz", "/readyz", "/metrics", "/version"]


def ok(_: wire.Message) -> bytes:
    return wire.answer(b"ok")


@contextlib.contextmanager
def with_status(origin: str) -> Iterator[tuple[wire.Address, plane.Plane]]:
    """Serve with a status door; yield its address and the process."""
    port = ports.free_port()
    document = plane.document("route", origin, status={"address": f"127.0.0.1:{port}"})
    with plane.running(document) as process:
        yield ("127.0.0.1", port), process


def test_the_status_door_is_only_read() -> None:
    with upstream.Upstream.answering(ok) as origin, with_status(origin.address) as (door, _):
        for path in STATUS_PATHS:
            assert wire.fetch(door, path).status == 200
            head = wire.fetch(door, path, method="HEAD")
            assert (head.status, head.body) == (200, b"")
            for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]:
                refused = wire.fetch(door, path, method=method)
                assert (refused.status, refused.field("allow")) == (405, "GET, HEAD")
        for method in ["GET", "PUT", "POST", "DELETE"]:
            for path in ["/snapshot", "/explain?url=/", "/document", "/purge", "/drain", "/"]:
                assert wire.fetch(door, path, method=method).status in {404, 405}
        assert wire.fetch(door, "/healthz").status == 200


def test_the_admin_door_is_its_owners() -> None:
    with plane.answering(ok) as (_, _, process):
        mode = process.admin_path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600


def test_a_dead_socket_file_is_replaced_and_a_live_one_is_not() -> None:
    with upstream.Upstream.answering(ok) as origin:
        document = plane.document("route", origin.address)
        with tempfile.TemporaryDirectory(prefix="dead") as name:
            folder = Path(name)
            (folder / "conf").mkdir()
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(folder / "a.sock"))
            path = folder / "conf" / "document.json"
            text = json.dumps(plane.with_admin(document, folder / "a.sock"))
            path.write_text(text)
            command = ["--document", str(path)]
            with plane.Plane(folder, plane.launch(folder, command)) as process:
                plane.await_start(process)
                assert plane.launch(folder, command).wait(timeout=10) == 3
                assert process.is_up()


def test_a_placement_is_explained() -> None:
    with plane.answering(ok) as (_, origin, process):
        status, told = process.admin("GET", "/explain?route=main&url=http://h/a%3Fb")
        assert (status, told["key"], told["shard"]) == (200, "/a?b", "main-0")
        seen = {"share": 1.0, "warmth": 1.0, "in_flight": 0, "waiting": 0, "not_used": None}
        assert told["replicas"] == [{"id": "main-0", "address": origin.address, **seen}]
        assert told["now"] == "main-0"
        assert process.admin("GET", "/explain?route=none&url=/")[0] == 404
        assert process.admin("GET", "/explain?route=main")[0] == 400


@pytest.mark.parametrize("pid", [None, "own", "other"])
def test_inherited_sockets_are_taken_unless_meant_for_another(
    pid: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if pid is not None:
        # The launcher keeps its id over exec, so that it can say it.
        said = {"own": "str(os.getpid())", "other": "'1'"}[pid]
        place = f"os.environ['LISTEN_PID'] = {said}; os.execv"
        monkeypatch.setattr(dataplane, "LAUNCH", dataplane.LAUNCH.replace("os.execv", place))
    with (
        upstream.Upstream.answering(ok) as origin,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        port = listener.getsockname()[1]
        document = plane.document("route", origin.address)
        with plane.running(document, inherited={"web": listener}) as process:
            assert (process.address[1] == port) == (pid != "other")
            if pid != "other":
                assert wire.fetch(("127.0.0.1", port), "/").body == b"ok"


def test_an_end_finishes_what_is_on_its_way_and_leaves_new_ones_in_the_queue() -> None:
    release = threading.Event()

    def answer(request: wire.Message) -> bytes:
        release.wait(wire.TIMEOUT_S)
        return wire.answer(request.target.encode())

    with (
        upstream.Upstream.answering(answer) as origin,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        document = plane.document("route", origin.address, {"drain_timeout_ms": 8000})
        address = listener.getsockname()
        with (
            plane.running(document, inherited={"web": listener}) as process,
            wire.Wire(address) as busy,
            wire.Wire(address) as idle,
        ):
            busy.send(wire.request("/busy"))
            wire.eventually(lambda: origin.requests, "it is on its way")
            process.terminate()
            assert idle.is_over()
            assert process.knock("GET", "/readyz") == (503, "draining\n")
            assert process.put({**document, "generation": 2})[0] == 409
            with wire.Wire(address) as late:
                late.send(wire.request("/late"))
                release.set()
                got = busy.answer()
                assert (got.body, got.field("connection")) == (b"/busy", "close")
                assert process.process.wait(timeout=10) == 0
                with plane.running(document, inherited={"web": listener}):
                    assert late.answer().body == b"/late"


def test_a_socket_that_its_owner_closed_makes_nobody_leave() -> None:
    with (
        upstream.Upstream.answering(ok) as origin,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        document = plane.document("route", origin.address)
        with (
            plane.running(document, inherited={"web": listener}) as process,
            wire.Wire(listener.getsockname()) as client,
        ):
            assert client.ask("/").body == b"ok"
            listener.shutdown(socket.SHUT_RD)
            process.told("accept_failed")
            for _ in range(3):
                assert client.ask("/").body == b"ok"


def test_a_taken_door_ends_the_start_before_a_connection_is_taken() -> None:
    with (
        upstream.Upstream.answering(ok) as origin,
        socket.create_server(("127.0.0.1", 0)) as taken,
        socket.create_server(("127.0.0.1", 0)) as listener,
        tempfile.TemporaryDirectory(prefix="taken") as name,
    ):
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        document = plane.document("route", origin.address, status={"address": busy})
        path = Path(name) / "document.json"
        path.write_text(json.dumps(document))
        with wire.Wire(listener.getsockname()) as client:
            client.send(wire.request("/"))
            started = plane.launch(
                Path(name), ["--document", str(path)], inherited={"web": listener}
            )
            assert started.wait(timeout=10) == 3
            listener.settimeout(wire.TIMEOUT_S)
            listener.accept()[0].close()
        assert origin.requests == []


def test_the_admin_socket_goes_with_its_process() -> None:
    with plane.answering(ok) as (_, _, process):
        assert process.admin_path.exists()
        assert process.end() == 0
        assert not process.admin_path.exists()


def test_idle_connections_of_other_threads_make_room() -> None:
    limits = {"connections_max": 1, "idle_timeout_ms": 60_000}
    with upstream.Upstream.answering(ok) as origin:
        document = plane.document("route", origin.address, limits, threads=4)
        with plane.running(document) as process, contextlib.ExitStack() as idle:
            for number in range(40):
                client = idle.enter_context(wire.Wire(process.address))
                assert client.ask(f"/{number}").status == 200


def test_an_end_cuts_what_takes_too_long() -> None:
    def talk(peer: upstream.Peer) -> None:
        peer.next()
        peer.rest()

    with plane.in_front_of(talk, limits={"drain_timeout_ms": 300}) as (address, origin, process):
        with wire.Wire(address) as client:
            client.send(wire.request("/"))
            wire.eventually(lambda: origin.requests, "it is on its way")
            assert process.admin("POST", "/drain")[0] == 202
            assert process.process.wait(timeout=10) == 0
            assert client.is_over()
        assert process.events("ended")[-1]["connections_cut"] == 1


def test_the_second_signal_ends_it_at_once() -> None:
    def talk(peer: upstream.Peer) -> None:
        peer.next()
        peer.rest()

    limits = {"drain_timeout_ms": 3_600_000}
    with plane.in_front_of(talk, limits=limits) as (address, origin, process):
        with wire.Wire(address) as client:
            client.send(wire.request("/"))
            wire.eventually(lambda: origin.requests, "it is on its way")
            process.terminate()
            process.told("draining")
            process.terminate()
            assert process.process.wait(timeout=10) == 0
            assert client.is_over()
        assert process.events("ended")[-1]["connections_cut"] == 1


@pytest.mark.parametrize("signals", [1, 2])
def test_the_first_signal_after_a_drain_by_the_door_cuts_nothing_the_second_does(
    signals: int,
) -> None:
    release = threading.Event()

    def answer(_: wire.Message) -> bytes:
        release.wait(wire.TIMEOUT_S)
        return wire.answer(b"whole")

    limits = {"drain_timeout_ms": 3_600_000}
    with (
        upstream.Upstream.answering(answer) as origin,
        plane.running(plane.document("route", origin.address, limits)) as process,
        wire.Wire(process.address) as client,
    ):
        client.send(wire.request("/"))
        wire.eventually(lambda: origin.requests, "it is on its way")
        assert process.admin("POST", "/drain")[0] == 202
        for count in range(1, signals + 1):
            process.terminate()
            process.told("signalled", count)
        if signals == 1:
            release.set()
            assert client.answer().body == b"whole"
        assert process.process.wait(timeout=10) == 0
        release.set()
        assert process.events("ended")[-1]["connections_cut"] == signals - 1


def test_a_hangup_reads_the_file_again() -> None:
    with plane.answering(ok) as (_, _, process):
        process.document_path.write_text("{")
        os.kill(process.process.pid, signal.SIGHUP)
        name = "alongside_document_refused"
        wire.eventually(lambda: process.metric(name) >= 1, "it is refused")
