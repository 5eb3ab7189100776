"""What documents change of a running router, and what is its own fault and not its nodes'."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.e2e import dataplane, plane, upstream, wire
from tests.e2e.routes import HEALTH, answering, document, free_address, named, nodes


def following(contents: Mapping[str, object]) -> str:
    """Return a document with the next number as text, so that its copy may be changed."""
    return json.dumps({**contents, "generation": 2})


def taken() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_a_refused_document_changes_nothing_of_what_runs() -> None:
    def answer(request: wire.Message) -> bytes:
        return wire.answer(b"x")

    with answering(answer, answer) as (a, b), taken() as busy:
        health = {**HEALTH, "probe": "http", "path": "/up1"}
        contents = document({"a": a.address, "b": b.address}, health=health)
        with plane.running(contents) as process:
            wire.eventually(lambda: "/up1" in a.targets(), "it is looked at")
            second = json.loads(following(contents))
            second["routes"][0]["health"]["path"] = "/up2"
            second["routes"].append({**second["routes"][0], "name": "more"})
            address = f"127.0.0.1:{busy.getsockname()[1]}"
            second["listeners"].append({"name": "w2", "address": address, "serves": "main"})
            assert process.put(second)[0] == 409
            seen = len(a.requests)
            wire.eventually(lambda: len(a.requests) > seen + 3, "it is looked at on")
            assert set(a.targets()) == {"/up1"}
            assert 'route="more"' not in process.knock("GET", "/metrics")[1]


def test_another_interval_is_in_force_at_once() -> None:
    with answering(named("a"), named("b")) as (a, b):
        health = {"probe": "http", "path": "/up", "interval_ms": 3_600_000, "timeout_ms": 200}
        contents = document({"a": a.address, "b": b.address}, health=health)
        with plane.running(contents) as process:
            wire.eventually(lambda: len(a.requests) == 1, "the first look is at once")
            second = json.loads(following(contents))
            second["routes"][0]["health"]["interval_ms"] = 100
            assert process.put(second)[0] == 200
            wire.eventually(lambda: len(a.requests) >= 4, "it is looked at often")


def test_an_exchange_of_an_older_document_keeps_nothing_of_it_alive() -> None:
    stop = threading.Event()

    def node(peer: upstream.Peer) -> None:
        while (head := peer.next()) is not None:
            if head.target == "/long":
                peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
                stop.wait(wire.TIMEOUT_S)
                peer.send(b"0\r\n\r\n")
            else:
                peer.send(wire.answer(b"bad", status=500))

    with nodes(node, node) as (a, b), answering(named("origin")) as (source,):
        contents = document(
            {"a": a.address, "b": b.address}, health={**HEALTH, "ejection_ms": 60_000}
        )
        with plane.running(contents) as process, wire.Wire(process.address) as client:
            client.send(wire.request("/long"))
            client.head()
            second = json.loads(following(contents))
            second["nodes"] = [node for node in second["nodes"] if node["id"] == "a"]
            second["routes"][0]["shards"] = [{"name": "main-0", "replicas": ["a"]}]
            second["routes"][0]["origin"] = {"address": source.address}
            assert process.put(second)[0] == 200
            probed = b.connections
            for n in range(20):
                assert wire.fetch(process.address, f"/{n}").status == 500
            # Two reviews of every route that is alive: one has its turn at each fifth look.
            looks = a.connections
            wire.eventually(lambda: a.connections > looks + 11, "it is looked at on")
            assert b.connections <= probed + 1
            assert 'node="b"' not in process.knock("GET", "/metrics")[1]
            stop.set()
            assert client.until(b"0\r\n\r\n")
            assert process.end() == 0
            # It is the last of its shard now; of the older document's two it could be spared.
            assert not process.events("node_left")


def test_requests_under_way_count_on_under_another_document() -> None:
    go_on = threading.Event()

    def slow(_: wire.Message) -> bytes:
        go_on.wait(wire.TIMEOUT_S)
        return wire.answer(b"late")

    limits = {"upstream_requests_max": 1, "queue_max": 0}
    with answering(slow) as (source,):
        contents = document(
            {"a": free_address()}, origin=source.address, limits=limits, health=HEALTH
        )
        with plane.running(contents) as process, wire.Wire(process.address) as client:
            client.send(wire.request("/1", method="POST"))
            wire.eventually(lambda: len(source.requests) == 1, "one is under way")
            second = json.loads(following(contents))
            second["routes"][0]["name"] = second["listeners"][0]["serves"] = "other"
            assert process.put(second)[0] == 200
            assert wire.fetch(process.address, "/2", method="POST").status == 503
            go_on.set()
            assert client.answer().body == b"late"


def test_the_budget_of_retries_outlives_a_document() -> None:
    def breaking(peer: upstream.Peer) -> None:
        while peer.next() is not None:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
            return

    with nodes(breaking, breaking) as (a, b):
        contents = document(
            {"a": a.address, "b": b.address},
            health={"interval_ms": 3_600_000, "timeout_ms": 200},
            retries={"percent": 0, "per_second_min": 1},
        )
        with plane.running(contents) as process:

            def refused() -> float:
                return process.metric("alongside_route_retries_refused")

            while refused() == 0:
                wire.fetch(process.address, "/x")
            second = json.loads(following(contents))
            second["routes"][0]["key"] = "request.path"
            assert process.put(second)[0] == 200
            retried = process.metric("alongside_route_retries")
            for _ in range(8):
                wire.fetch(process.address, "/x")
            # An empty window would allow ten.
            assert process.metric("alongside_route_retries") < retried + 5


def test_nothing_is_counted_for_a_route_that_left() -> None:
    with answering(named("a"), named("b")) as (a, b):
        contents = document({"a": a.address, "b": b.address})
        with plane.running(contents) as process:
            wire.fetch(process.address, "/x")
            text = process.knock("GET", "/metrics")[1]
            assert 'alongside_route_retries_total{route="main"' in text
            second = json.loads(following(contents))
            second["routes"][0]["name"] = second["listeners"][0]["serves"] = "other"
            assert process.put(second)[0] == 200
            text = process.knock("GET", "/metrics")[1]
            assert 'route="other"' in text
            assert 'route="main"' not in text


def test_want_of_descriptors_is_no_fault_of_the_nodes() -> None:
    with (
        answering(*map(named, "abcd")) as (a, b, c, d),
        plane.running(document({"c": c.address, "d": d.address})),
        plane.running(document({"a": a.address, "b": b.address})) as process,
        wire.Wire(process.address) as client,
    ):
        assert client.ask("/0").status == 200
        before = resource.prlimit(process.process.pid, resource.RLIMIT_NOFILE)
        looks = (a.connections, b.connections)
        resource.prlimit(process.process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
        others = c.connections
        wire.eventually(
            lambda: c.connections > others + 5, "another router, as often, looked five times"
        )
        resource.prlimit(process.process.pid, resource.RLIMIT_NOFILE, before)
        wire.eventually(
            lambda: a.connections > looks[0] + 2 and b.connections > looks[1] + 2, "looks go on"
        )
        assert client.ask("/1").status == 200
        assert process.end() == 0
        assert not process.events("node_left")


def test_a_stalled_reader_of_the_log_stops_no_requests() -> None:
    with answering(named("a")) as (a,), tempfile.TemporaryDirectory(prefix="plane") as name:
        folder = Path(name)
        path = folder / "document.json"
        contents = {**document({"a": a.address}), "access_log": {"one_in": 1}}
        path.write_text(json.dumps(plane.with_admin(contents, folder / "a.sock")))
        command = [str(dataplane.binary()), "--document", str(path)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert process.stderr is not None
        with process.stderr, plane.Plane(folder, process) as running:
            wire.eventually((folder / "a.sock").exists, "it starts")
            wire.eventually(running.is_up, "it is up")
            target = "/" + "x" * 2000
            with wire.Wire(running.address) as client:
                while running.metric("alongside_log_dropped") == 0:
                    for _ in range(100):
                        assert client.ask(target).status == 200
            told = threading.Thread(target=running.terminate)
            told.start()
            text = process.stderr.read().decode()
            told.join()
            lines = [json.loads(line) for line in text.splitlines()]
            events = [line["event"] for line in lines]
            assert events[0] in {"listening", "document_applied"}
            assert events[-1] == "ended"
            missing = sum(line["lines"] for line in lines if line["event"] == "log_dropped")
            assert missing > 0
