"""Documents: by file, by link, by the admin door; good, bad, old, and under load."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from tests import ports
from tests.e2e import dataplane, plane, upstream, wire

REFUSED = "alongside_document_refused"
GENERATION = "alongside_document_generation"


def here(name: str) -> upstream.Upstream:
    """Return an origin that says its name."""
    return upstream.Upstream.answering(lambda _: wire.answer(name.encode()))


def await_generation(process: plane.Plane, generation: int) -> None:
    """Wait until a generation is in force, for less than the interval of looks without a notice."""
    name = f"generation {generation}"
    wire.eventually(lambda: process.metric(GENERATION) == generation, name, deadline_s=5)


def await_more(process: plane.Plane, metric: str, before: float) -> None:
    """Wait until a metric has grown."""
    wire.eventually(lambda: process.metric(metric) > before, f"{metric} over {before}")


def await_refused(process: plane.Plane, word: str) -> None:
    """Wait until the last document that was refused is one with this word in its log line."""
    wire.eventually(
        lambda: any(word in str(line) for line in process.events("document_refused")[-1:]),
        f"one is refused for {word}",
    )


def newer(document: plane.Json, generation: int, **changes: object) -> plane.Json:
    """Return a later document."""
    return {**document, "generation": generation, **changes}


def served(process: plane.Plane) -> bytes:
    return wire.fetch(process.address, "/").body


def test_a_file_that_is_replaced_is_applied() -> None:
    with here("one") as one, here("two") as two:
        first = plane.document("route", one.address)
        second = newer(plane.document("route", two.address), 2)
        with plane.running(first) as process, wire.Wire(process.address) as client:
            assert client.ask("/").body == b"one"
            process.write(second)
            await_generation(process, 2)
            assert client.ask("/").body == b"two"
            process.document_path.write_text(
                json.dumps(plane.with_admin(newer(first, 3), process.admin_path))
            )
            await_generation(process, 3)
            assert client.ask("/").body == b"one"


@pytest.mark.parametrize("way", ["..data/document.json", "document.json", "..data"])
def test_a_link_that_is_swapped_is_seen(way: str) -> None:
    """The file may lie behind a swapped link, or be a link itself with one on its way."""
    with tempfile.TemporaryDirectory(prefix="links") as name, here("one") as one:
        folder = Path(name)
        admin = folder / "a.sock"
        first = plane.with_admin(plane.document("route", one.address), admin)

        def publish(generation: int) -> None:
            version = folder / f"v{generation}"
            version.mkdir()
            (version / "document.json").write_text(json.dumps(newer(first, generation)))
            beside = folder / "..new"
            beside.symlink_to(version.name)
            beside.rename(folder / "..data")

        publish(1)
        (folder / "document.json").symlink_to("..data/document.json")
        path = folder / "..data/document.json" if way == "..data" else folder / way
        with plane.Plane(folder, plane.launch(folder, ["--document", str(path)])) as process:
            plane.await_start(process)
            for generation in range(2, 6):
                publish(generation)
                shutil.rmtree(folder / f"v{generation - 1}")
                await_generation(process, generation)


def test_a_bad_file_leaves_the_old_one_serving_and_is_told_once() -> None:
    with here("one") as one:
        first = plane.document("route", one.address)
        with plane.running(first) as process:
            for bad, word in [
                ("{", "an object"),
                (json.dumps({**first, "lisners": []}), "lisners"),
            ]:
                before = process.metric(REFUSED)
                process.document_path.write_text("")
                process.document_path.write_text(bad)
                await_more(process, REFUSED, before)
                await_refused(process, word)
                assert served(process) == b"one"
            told = len(process.events("document_refused"))
            for number in range(50):
                (process.document_path.parent / f"other-{number}").write_text("x")
            process.write(newer(first, 2))
            await_generation(process, 2)
            assert process.end() == 0
            assert len(process.events("document_refused")) == told


def test_log_lines_beside_a_bad_file_do_not_make_more_of_them() -> None:
    with here("one") as one, tempfile.TemporaryDirectory(prefix="beside") as name:
        folder = Path(name)
        path = folder / "document.json"
        first = plane.with_admin(plane.document("route", one.address), folder / "a.sock")
        path.write_text(json.dumps(first))
        with plane.Plane(folder, plane.launch(folder, ["--document", str(path)])) as process:
            plane.await_start(process)
            path.write_text("{")
            wire.eventually(lambda: process.metric(REFUSED) >= 1, "it is refused")
            for _ in range(20):
                process.metric(REFUSED)
            assert process.metric(REFUSED) <= 2


def test_the_admin_door_orders_documents() -> None:
    with here("one") as one:
        first = newer(plane.document("route", one.address), 5)
        with plane.running(first) as process:
            assert process.put(first) == (200, {"epoch": 0, "generation": 5, "applied": False})
            status, answer = process.put(newer(first, 6))
            assert (status, answer["applied"]) == (200, True)
            for late in [newer(first, 5), newer(first, 6, limits={})]:
                status, answer = process.put(late)
                assert (status, "errors" in answer) == (409, True)
            assert process.put(newer(first, 1, epoch=1))[0] == 200
            assert process.put(newer(first, 7))[0] == 409
            snapshot = process.admin("GET", "/snapshot")[1]
            assert (snapshot["epoch"], snapshot["generation"]) == (1, 1)


def test_an_unknown_field_is_named_with_its_nearest() -> None:
    with here("one") as one:
        first = plane.document("route", one.address)
        with plane.running(first) as process:
            limits = {"idle_timeout_m": 5}
            status, answer = process.put(newer(first, 2, limits=limits))
            assert status == 400
            errors = answer["errors"]
            assert isinstance(errors, list)
            assert errors[0]["path"] == "limits.idle_timeout_m"
            assert "idle_timeout_ms" in errors[0]["message"]
            assert process.metric(GENERATION) == 1
            status, answer = process.put(newer(first, 2, threads=4))
            assert status == 400
            assert "threads" in str(answer["errors"])


def listener(name: str, port: int, serves: str = "main") -> dict[str, object]:
    return {"name": name, "address": f"127.0.0.1:{port}", "serves": serves}


def test_listeners_come_go_and_change_names_without_a_failed_request() -> None:
    with here("one") as one:
        stays, comes, second = ports.free_port(), ports.free_port(), ports.free_port()
        first = plane.document("route", one.address, listeners=[listener("stays", stays)])
        plans = [
            [listener("stays", stays), listener("comes", comes)],
            [listener("renamed", stays)],
            [listener("renamed", stays), listener("other", second)],
            [listener("other", stays), listener("renamed", second)],
            [listener("stays", stays)],
        ]
        done, failures, count = threading.Event(), list[str](), [0]

        def load(*, fresh: bool) -> None:
            """Ask again and again, on new connections or on one as long as it lasts."""
            while not done.is_set():
                try:
                    with wire.Wire(("127.0.0.1", stays)) as client:
                        is_last = False
                        while not is_last and not done.is_set():
                            answer = client.ask("/")
                            assert (answer.status, answer.body) == (200, b"one")
                            is_last = fresh or answer.field("connection") == "close"
                            count[0] += 1
                except (OSError, wire.CutError, AssertionError) as error:
                    failures.append(repr(error))

        def go_on(enough: int) -> None:
            wire.eventually(lambda: count[0] > enough, "requests go on")

        with plane.running(first) as process:
            threads = [
                threading.Thread(target=load, kwargs={"fresh": fresh}) for fresh in [True, False]
            ]
            for thread in threads:
                thread.start()
            for generation, listeners in enumerate(plans * 6, start=2):
                before = count[0]
                status, answer = process.put(newer(first, generation, listeners=listeners))
                assert status == 200, answer
                go_on(before + 10)
            done.set()
            for thread in threads:
                thread.join()
            assert failures == []


def test_a_moved_listener_leaves_its_old_address() -> None:
    with here("one") as one:
        old, new = ports.free_port(), ports.free_port()
        first = plane.document("route", one.address, listeners=[listener("web", old)])
        with plane.running(first) as process, wire.Wire(("127.0.0.1", old)) as client:
            assert client.ask("/").status == 200
            assert process.put(newer(first, 2, listeners=[listener("web", new)]))[0] == 200
            assert wire.fetch(("127.0.0.1", new), "/").body == b"one"
            assert client.ask("/").field("connection") == "close"

            def is_gone() -> bool:
                try:
                    wire.Wire(("127.0.0.1", old)).close()
                except OSError:
                    return True
                return False

            wire.eventually(is_gone, "the old address is free")


def test_a_taken_address_refuses_the_whole_document() -> None:
    with here("one") as one, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        first = plane.document("route", one.address, listeners=[listener("web", ports.free_port())])
        with plane.running(first) as process:
            both = [listener("web", ports.free_port()), listener("more", port)]
            status, answer = process.put(newer(first, 2, listeners=both))
            assert (status, str(port) in str(answer["errors"])) == (409, True)
            assert served(process) == b"one"
            assert len(process.addresses()) == 1


def test_a_file_refused_for_a_taken_address_is_tried_again() -> None:
    with here("one") as one, socket.create_server(("127.0.0.1", 0)) as taken:
        first = plane.document("route", one.address, listeners=[listener("web", ports.free_port())])
        with plane.running(first) as process:
            more = [*first["listeners"], listener("more", taken.getsockname()[1])]  # type: ignore[misc]
            before = process.metric(REFUSED)
            process.write(newer(first, 2, listeners=more))
            await_more(process, REFUSED, before)
            taken.close()
            wire.eventually(
                lambda: process.metric(GENERATION) == 2, "it is tried again", deadline_s=8
            )


def test_an_inherited_socket_outlives_refused_and_other_documents() -> None:
    with (
        here("one") as one,
        socket.create_server(("127.0.0.1", 0)) as passed,
        socket.create_server(("127.0.0.1", 0)) as taken,
    ):
        port, other = passed.getsockname()[1], ports.free_port()
        first = plane.document("route", one.address, listeners=[listener("else", other)])
        with plane.running(first, inherited={"web": passed}) as process:
            both = [listener("web", port), listener("more", taken.getsockname()[1])]
            assert process.put(newer(first, 2, listeners=both))[0] == 409
            for generation in range(2, 8, 2):
                web = newer(first, generation, listeners=[listener("web", port)])
                assert process.put(web)[0] == 200
                assert wire.fetch(("127.0.0.1", port), "/").body == b"one"
                assert process.put(newer(first, generation + 1))[0] == 200


def test_no_two_listeners_share_one_queue() -> None:
    with here("one") as one:
        first = plane.document("route", one.address)
        with plane.running(first) as process:
            port = process.address[1]
            listeners = [*first["listeners"], listener("more", port)]  # type: ignore[misc]
            status, answer = process.put(newer(first, 2, listeners=listeners))
            assert (status, 'listener \\"web\\"' in json.dumps(answer)) == (409, True)
            assert served(process) == b"one"


def test_what_left_the_document_leaves_the_metrics() -> None:
    with here("one") as one:
        first = plane.document("route", one.address)
        with plane.running(first) as process:
            assert 'upstream="main-0"' in process.knock("GET", "/metrics")[1]
            after = plane.document("cache", one.address)
            assert process.put(newer(after, 2))[0] == 200
            text = process.knock("GET", "/metrics")[1]
            assert 'upstream="main-0"' not in text
            assert 'shard="main-0"' not in text
            assert 'alongside_cache_bytes{cache="main"}' in text
            assert process.put(newer(first, 3))[0] == 200
            assert 'alongside_cache_bytes{cache="main"}' not in process.knock("GET", "/metrics")[1]


def test_what_a_cache_holds_outlives_documents() -> None:
    with here("one") as one:
        fresh = upstream.Upstream.answering(lambda _: wire.answer(b"x", "Cache-Control: max-age=9"))
        with fresh as origin:
            first = plane.document("cache", origin.address)
            with plane.running(first) as process:
                wire.fetch(process.address, "/")
                assert process.put(newer(first, 2, limits={"fields_max": 50}))[0] == 200
                wire.fetch(process.address, "/")
                assert len(origin.requests) == 1
        assert one.requests == []


def test_the_last_good_document_serves_where_the_file_is_bad_at_the_start() -> None:
    with here("one") as one, tempfile.TemporaryDirectory(prefix="state") as state:
        first = plane.document("route", one.address)
        with plane.running(first, "--state", state) as process:
            assert served(process) == b"one"
            kept = json.loads((Path(state) / "last-good.json").read_text())
            assert kept["generation"] == 1
            path, admin = process.document_path, process.folder / "b.sock"
            path.write_text("{")
            kept["admin"]["path"] = str(admin)
            (Path(state) / "last-good.json").write_text(json.dumps(kept))
            second = plane.launch(process.folder, ["--document", str(path), "--state", state])
            with plane.Plane(process.folder, second) as again:
                again.admin_path = admin
                plane.await_start(again)
                assert served(again) == b"one"
                assert again.told("last_good_document_used")
                assert again.metric(REFUSED) >= 1
                again.write(newer(first, 2))
                await_generation(again, 2)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = str(dataplane.binary())
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=10, check=False
    )


def test_a_start_that_cannot_be_says_why_in_its_exit_code(tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    good = plane.document("route", "127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        web = {"name": "web", "address": busy, "serves": "main"}
        for contents, code, word in [
            ("{", 2, "document"),
            (json.dumps({**good, "schema": 2}), 2, "schema"),
            (json.dumps({**good, "listeners": [{**web, "serves": "mian"}]}), 2, "main"),
            (json.dumps({**good, "listeners": [web]}), 3, busy),
            (json.dumps({**good, "status": {"address": busy}}), 3, busy),
        ]:
            path.write_text(contents)
            ended = run("--document", str(path))
            assert (ended.returncode, word in ended.stderr) == (code, True), ended.stderr
    missing = run("--document", str(tmp_path / "none.json"))
    assert (missing.returncode, "none.json" in missing.stderr) == (2, True)
    assert run().returncode == 2
    assert run("--nothing").returncode == 2
    path.write_text(json.dumps(good))
    assert run("--check", str(path)).returncode == 0
    assert run("--version").returncode == 0
