"""`alongside route` and `alongside cache` by flags: real binary, real sockets."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import ports

from alongside.contract import written
from alongside.contract.catalogue import cache, route

DEADLINE_S = 10.0
CONTRACTS = {"cache": cache.CONTRACT, "route": route.CONTRACT}
Fields = dict[str, str]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until_s, f"waited {DEADLINE_S} s for {what}"
        time.sleep(0.005)


@dataclasses.dataclass
class Node:
    """One started command."""

    process: subprocess.Popen[bytes]
    stderr: Path

    def events(self) -> list[dict[str, object]]:
        """Return the whole log lines so far."""
        lines = self.stderr.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def address(self, listener: str = "web") -> str | None:
        """Return where it says it listens, if it does yet."""
        for event in self.events():
            if event.get("event") == "listening" and event.get("listener") == listener:
                return str(event["address"]).removeprefix("Some(").removesuffix(")")
        return None

    def ready(self, listener: str = "web") -> str:
        """Return where it listens, once it does."""
        wait_for(
            lambda: self.address(listener) is not None or self.process.poll() is not None,
            f"{listener} to listen",
        )
        address = self.address(listener)
        assert address is not None, self.stderr.read_text()
        return address

    def ended(self) -> int:
        """Return the exit code, once it has ended."""
        return self.process.wait(DEADLINE_S)


class Start:
    """Starts commands, and ends those that a test leaves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._nodes: list[Node] = []

    def __call__(self, words: str, **variables: str) -> Node:
        """Start `alongside` with words and further variables."""
        stderr = self._folder / f"{len(self._nodes)}.log"
        with stderr.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "alongside", *words.split()],
                stderr=stream,
                cwd=self._folder,
                env={**os.environ, **variables},
            )
        node = Node(process, stderr)
        self._nodes.append(node)
        return node

    def end(self) -> None:
        """Kill what still runs."""
        for node in self._nodes:
            node.process.kill()
            node.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    starter = Start(tmp_path)
    yield starter
    starter.end()


class Origin:
    """A server that tells its name and what it was asked."""

    def __init__(self, name: str) -> None:
        self.asked: list[tuple[str, Fields]] = []
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                origin.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                body = f"{name} {self.path}".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "max-age=60")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def origins() -> Iterator[Callable[[str], Origin]]:
    with contextlib.ExitStack() as stack:

        def make(name: str) -> Origin:
            origin = Origin(name)
            stack.callback(origin.stop)
            return origin

        yield make


def get(address: str, target: str = "/", **fields: str) -> tuple[int, Fields, str]:
    connection = http.client.HTTPConnection(address, timeout=DEADLINE_S)
    with contextlib.closing(connection):
        connection.request(
            "GET", target, headers={k.replace("_", "-"): v for k, v in fields.items()}
        )
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()


Origins = Callable[[str], Origin]


def test_a_cache_asks_the_origin_once_and_then_answers_itself(
    start: Start, origins: Origins
) -> None:
    origin = origins("photos")
    cache = start(f"cache --listen 127.0.0.1:0 --origin http://{origin.address} --memory 8Mi")
    first = get(cache.ready(), "/a")
    second = get(cache.ready(), "/a")
    assert first[2] == second[2] == "photos /a"
    assert len(origin.asked) == 1
    assert "hit" in second[1]["cache-status"]


def test_a_router_sends_one_key_to_one_node_and_uses_all_nodes(
    start: Start, origins: Origins
) -> None:
    nodes = {"a": origins("a"), "b": origins("b")}
    flags = " ".join(f"--node {name}={node.address}" for name, node in nodes.items())
    router = start(f"route --listen 127.0.0.1:0 {flags} --key request.uri --function ketama")
    first = {target: get(router.ready(), target)[2] for target in map("/{}".format, range(40))}
    again = {target: get(router.ready(), target)[2] for target in first}
    assert first == again
    assert {body.partition(" ")[0] for body in first.values()} == set(nodes)


def test_a_weight_gives_a_node_its_part(start: Start, origins: Origins) -> None:
    heavy, light = origins("heavy"), origins("light")
    router = start(
        f"route --listen 127.0.0.1:0 --node h={heavy.address}:30 --node l={light.address}"
    )
    for number in range(60):
        get(router.ready(), f"/{number}")
    assert len(heavy.asked) > 3 * len(light.asked)


def test_the_environment_does_what_flags_do(start: Start, origins: Origins) -> None:
    one, two = origins("one"), origins("two")
    router = start(
        "route",
        ROUTE_LISTEN="127.0.0.1:0",
        ROUTE_NODE=f"one={one.address}, two={two.address}",
        ROUTE_KEY='request.headers["x-user"]',
        ROUTE_PORT="tcp://10.0.0.1:80",
    )
    for target in map("/{}".format, range(20)):
        get(router.ready(), target, x_user="ann")
    assert sorted([len(one.asked), len(two.asked)]) == [0, 20]


def test_a_router_in_front_of_caches_separates_what_differs_by_its_key(
    start: Start, origins: Origins
) -> None:
    origin = origins("photos")
    cache = start(
        f"cache --listen 127.0.0.1:0 --origin http://{origin.address} --inner 127.0.0.0/8"
    )
    router = start(
        f'route --listen 127.0.0.1:0 --node a={cache.ready()} --key request.headers["x-country"]'
    )
    for country in ("fr", "us", "fr", "us"):
        get(router.ready(), "/home", x_country=country)
    assert [fields["x-country"] for _, fields in origin.asked] == ["fr", "us"]
    assert not any(name.startswith("x-alongside") for _, fields in origin.asked for name in fields)


def test_a_dead_node_is_answered_with_502_and_its_keys_stay(start: Start, origins: Origins) -> None:
    alive = origins("alive")
    dead = f"127.0.0.1:{ports.free_port()}"
    router = start(f"route --listen 127.0.0.1:0 --node a={alive.address} --node d={dead}")
    statuses = {get(router.ready(), f"/{number}")[0] for number in range(40)}
    assert statuses == {200, 502}


def test_the_effective_values_are_logged_once_with_their_units(
    start: Start, origins: Origins
) -> None:
    cache = start(f"cache --listen 127.0.0.1:0 --origin http://{origins('o').address}")
    cache.ready()
    logged = [event for event in cache.events() if event["event"] == "effective_values"]
    assert len(logged) == 1
    shown = logged[0]["values"]
    assert isinstance(shown, dict)
    assert (shown["memory"], shown["head_timeout"]) == ("256Mi", "10s")


def test_the_status_door_tells_that_it_is_ready(start: Start) -> None:
    router = start(
        "route --listen 127.0.0.1:0 --node a=127.0.0.1:1 --status 127.0.0.1:0 --admin admin.sock"
    )
    assert get(router.ready("status"), "/readyz")[0] == 200
    admin = router.stderr.parent / "admin.sock"
    wait_for(admin.exists, "the admin socket")
    assert admin.stat().st_mode & 0o777 == 0o600


def test_version_tells_the_contract_and_the_values_in_force(start: Start, tmp_path: Path) -> None:
    (tmp_path / "cache.yaml").write_text("memory: 8Mi\nthreads: 2\n")
    node = start(
        "cache --listen 127.0.0.1:0 --origin http://127.0.0.1:1 --status 127.0.0.1:0 "
        "--parameters cache.yaml --inner 10.0.0.0/8 --inner 127.0.0.0/8 --threads 1"
    )
    status, _, body = get(node.ready("status"), "/version")
    about = json.loads(body)["about"]
    texts = {value["name"]: value["texts"] for value in about["values"]}
    assert status == 200
    assert (about["component"], about["contract"]) == ("cache", written.digest(cache.CONTRACT))
    assert texts["memory"] == ["8Mi"]
    assert texts["threads"] == ["1"]
    assert texts["inner"] == ["10.0.0.0/8", "127.0.0.0/8"]
    assert texts["head_timeout"] == ["10s"]
    assert texts["object_max"] == []
    assert set(texts) == {parameter.name for parameter in cache.CONTRACT.parameters}


@pytest.mark.parametrize("component", sorted(CONTRACTS))
def test_every_metric_it_shows_stands_in_its_contract(
    start: Start, origins: Origins, component: str
) -> None:
    origin = origins("o").address
    where = {"cache": f"--origin http://{origin}", "route": f"--node a={origin}"}[component]
    node = start(f"{component} --listen 127.0.0.1:0 --status 127.0.0.1:0 {where}")
    get(node.ready())
    shown = get(node.ready("status"), "/metrics")[2]
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", shown, re.MULTILINE))
    declared = {metric.name: metric.type for metric in CONTRACTS[component].metrics}
    seen = {f"{name}_total" if kind == "counter" else name: kind for name, kind in kinds.items()}
    seen = {name.replace("_total_total", "_total"): kind for name, kind in seen.items()}
    assert seen.items() <= declared.items()


def test_sigterm_ends_it_with_0(start: Start) -> None:
    router = start("route --listen 127.0.0.1:0 --node a=127.0.0.1:1")
    router.ready()
    router.process.send_signal(signal.SIGTERM)
    assert router.ended() == 0


def test_what_runs_is_the_binary_and_not_python(start: Start) -> None:
    router = start("route --listen 127.0.0.1:0 --node a=127.0.0.1:1")
    router.ready()
    program = Path(f"/proc/{router.process.pid}/exe").resolve()
    assert program != Path(sys.executable).resolve()
    assert "python" not in Path(f"/proc/{router.process.pid}/maps").read_text()


def test_a_socket_of_the_engine_passes_through(tmp_path: Path, origins: Origins) -> None:
    origin = origins("photos")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = "{}:{}".format(*listening.getsockname())
        words = ["cache", "--listen", address, "--origin", f"http://{origin.address}"]
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "alongside", *words],
            {**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, listening.fileno(), 3),
                (os.POSIX_SPAWN_OPEN, 2, str(tmp_path / "log"), os.O_WRONLY | os.O_CREAT, 0o600),
            ],
        )
    try:
        assert get(address, "/a")[2] == "photos /a"
    finally:
        os.kill(pid, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            "route --listen 127.0.0.1:0 --node a=127.0.0.1:1 --key request.nope",
            ["--key"],
        ),
        (
            "cache --listen 127.0.0.1:0 --origin https://x --memory 64m --object-mx 1",
            ['"--object-mx"', "--origin", "--memory"],
        ),
        (
            "cache --listen 127.0.0.1:0 --origin http://x --memory 1Mi --object-max 2Mi",
            ["--object-max"],
        ),
        (
            "route --listen 127.0.0.1:0 --node a=127.0.0.1:1:65535 --node b=127.0.0.1:2:65535",
            ["--node"],
        ),
    ],
)
def test_wrong_usage_is_one_line_each_and_exit_2(
    start: Start, words: str, lines: list[str]
) -> None:
    node = start(words)
    assert node.ended() == 2
    command = words.partition(" ")[0]
    said = node.stderr.read_text().splitlines()
    assert [line.split(": ")[:2] for line in said] == [
        *([f"alongside {command}", place] for place in lines),
        [f"alongside {command}", f"see alongside {command} --help"],
    ]


@pytest.mark.parametrize("flag", ["--listen", "--status"])
def test_a_taken_address_is_named_and_ends_with_3(start: Start, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        taken = "{}:{}".format(*owner.getsockname())
        free = "" if flag == "--listen" else "--listen 127.0.0.1:0"
        node = start(f"route {free} {flag} {taken} --node a=127.0.0.1:1")
        assert node.ended() == 3
    said = [line for line in node.stderr.read_text().splitlines() if not line.startswith("{")]
    assert len(said) == 1
    assert taken in said[0]
    assert said[0].startswith(f"alongside-dataplane: {flag}: ")


def test_the_folder_of_an_admin_socket_is_asked_for(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "none" / "a.sock"
    words = f"--listen 127.0.0.1:0 --origin http://127.0.0.1:1 --admin {path}"
    node = start(f"cache {words}")
    assert node.ended() == 2
    told = f"alongside-dataplane: --admin: cannot listen on {path}: No such file or directory"
    last = node.stderr.read_text().splitlines()[-1]
    assert last.startswith(told)
    assert last.endswith("make its folder first, or choose another one")


def test_a_missing_binary_is_a_clear_failure(start: Start, tmp_path: Path) -> None:
    missing = tmp_path / "no" / "alongside-dataplane"
    node = start(
        "route --listen 127.0.0.1:0 --node a=127.0.0.1:1", ALONGSIDE_DATAPLANE=str(missing)
    )
    assert node.ended() == 2
    assert str(missing) in node.stderr.read_text()
