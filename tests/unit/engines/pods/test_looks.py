"""A look sees what the kubelet's probes would see, of servers that behave and of others."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from h2 import config, connection
from h2 import events as h2_events
from tests.unit.engines.pods import bare

from alongside.engines.pods import looks, runtime
from alongside.plan import pods

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HTTP = pods.Look("http", timeout_s=10.0)


def sandbox(tmp_path: Path) -> bare.Sandbox:
    return bare.Sandbox(runtime.Room(pods.Pod("p", ()), {}, tmp_path, {}), bare.Faults())


def see(
    tmp_path: Path, look: pods.Look, serve: Serve, tls: ssl.SSLContext | None = None
) -> tuple[bool, str]:
    """Return what a look at a server sees."""

    async def run() -> tuple[bool, str]:
        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await serve(reader, writer)
            writer.close()

        server = await asyncio.start_server(served, "127.0.0.1", 0, ssl=tls)
        async with server:
            port = server.sockets[0].getsockname()[1]
            place = sandbox(tmp_path)
            found = await looks.see(place, _NOBODY, replace(look, port=port))
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if others:
                await asyncio.wait(others, timeout=10.0)
        return found

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "seen"), [("200 OK", (True, "")), ("503 Busy", (False, "it is not ready"))]
)
def test_a_data_plane_is_asked_at_its_admin_socket_of_this_machine(
    tmp_path: Path, status: str, seen: tuple[bool, str]
) -> None:
    asked: list[str] = []
    serve = answers(f"HTTP/1.1 {status}\r\n\r\n", asked=asked)
    look = pods.Look("admin", path=str(tmp_path / "a.sock"), timeout_s=10.0)

    async def run() -> tuple[bool, str]:
        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await serve(reader, writer)
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_unix_server(served, look.path)
        async with server:
            found = await looks.see(sandbox(tmp_path), _NOBODY, look)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if others:
                await asyncio.wait(others, timeout=10.0)
        return found

    assert asyncio.run(run()) == seen
    assert asked[0].startswith("GET /readyz ")
    gone = replace(look, path=str(tmp_path / "b.sock"))
    is_good, _ = asyncio.run(looks.see(sandbox(tmp_path), _NOBODY, gone))
    assert not is_good


class _Nobody:
    """A container in which nothing is run."""

    identity = ""

    async def ended(self) -> runtime.Exit:
        """Return at once."""
        return runtime.Exit()

    async def signal(self, number: object) -> None:
        """Signal nobody."""

    async def run(self, command: Sequence[str], *, timeout_s: float) -> int:
        """Fail as a shell does that does not find a command."""
        return 127 if command and timeout_s else 0


_NOBODY = _Nobody()


def answers(*texts: str, asked: list[str] | None = None) -> Serve:
    """Return a server that gives one text after the other, and notes what it was asked."""
    left = list(texts)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if asked is not None:
            asked.append(head)
        writer.write(left.pop(0).encode() if len(left) > 1 else left[0].encode())
        await writer.drain()

    return serve


@pytest.mark.parametrize(
    ("status", "is_good"),
    [(200, True), (204, True), (302, True), (399, True), (400, False), (404, False), (503, False)],
)
def test_http_is_good_from_200_to_399(tmp_path: Path, status: int, is_good: bool) -> None:
    found = see(tmp_path, HTTP, answers(f"HTTP/1.1 {status} Any\r\n\r\n"))
    assert found == (is_good, "" if is_good else f"HTTP {status}")


def test_http_asks_for_the_path_with_the_headers(tmp_path: Path) -> None:
    asked: list[str] = []
    headers = (("X-Who", "me"), ("Host", "web.example"))
    look = replace(HTTP, path="/ready?deep=1", headers=headers)
    assert see(tmp_path, look, answers("HTTP/1.0 200 OK\r\n\r\n", asked=asked))[0]
    lines = asked[0].split("\r\n")
    assert lines[0] == "GET /ready?deep=1 HTTP/1.1"
    assert "X-Who: me" in lines
    assert [line for line in lines if line.lower().startswith("host")] == ["Host: web.example"]


def test_a_header_with_a_line_break_is_not_sent(tmp_path: Path) -> None:
    look = replace(HTTP, headers=(("x", "a\r\ny: b"),))
    found = see(tmp_path, look, answers("HTTP/1.1 200 OK\r\n\r\n"))
    assert not found[0]
    assert "line break" in found[1]


def test_an_interim_answer_is_not_the_answer(tmp_path: Path) -> None:
    text = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 500 Oh\r\n\r\n"
    assert see(tmp_path, HTTP, answers(text)) == (False, "HTTP 500")


def test_a_redirection_on_the_same_host_is_followed(tmp_path: Path) -> None:
    asked: list[str] = []
    moved = "HTTP/1.1 301 Moved\r\nLocation: /there?a=b\r\n\r\n"

    async def scene(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        text = "HTTP/1.1 503 No\r\n\r\n" if asked else moved
        await answers(text, asked=asked)(reader, writer)

    assert see(tmp_path, HTTP, scene) == (False, "HTTP 503")
    assert [head.split(" ")[1] for head in asked] == ["/", "/there?a=b"]


@pytest.mark.parametrize(
    "location", ["http://other.example/", "//other.example/x", "ftp://127.0.0.1/"]
)
def test_a_redirection_to_another_host_is_good_and_not_followed(
    tmp_path: Path, location: str
) -> None:
    asked: list[str] = []
    serve = answers(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n", asked=asked)
    assert see(tmp_path, HTTP, serve) == (True, "")
    assert len(asked) == 1


def test_redirections_in_a_circle_end(tmp_path: Path) -> None:
    serve = answers("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n")
    assert see(tmp_path, HTTP, serve) == (False, "more than 10 redirections")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("SSH-2.0-OpenSSH_9\r\n", "its answer is no HTTP"),
        ("HTTP/1.1 abc\r\n\r\n", "its answer is no HTTP"),
        ("", "its answer is no HTTP"),
        ("HTTP/1.1 200 OK\r\n" + "a: b\r\n" * 300 + "\r\n", "its answer has more than 200"),
    ],
)
def test_what_is_no_http_is_not_good(tmp_path: Path, text: str, why: str) -> None:
    found = see(tmp_path, HTTP, answers(text))
    assert not found[0]
    assert why in found[1]


def test_a_line_without_end_is_not_good(tmp_path: Path) -> None:
    assert not see(tmp_path, HTTP, answers("HTTP/1.1 200 OK\r\na: " + "b" * 200_000))[0]


@pytest.mark.needs("openssl")
def test_https_needs_no_certificate_that_anyone_trusts(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "1", "-subj", "/CN=nobody", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    look = replace(HTTP, scheme="HTTPS")
    assert see(tmp_path, look, answers("HTTP/1.1 200 OK\r\n\r\n"), context) == (True, "")
    plain = replace(HTTP, scheme="HTTP")
    assert not see(tmp_path, plain, answers("HTTP/1.1 200 OK\r\n\r\n"), context)[0]


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take everything and say nothing."""
    await reader.read()


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_a_silent_server_is_not_good_when_its_time_is_over(tmp_path: Path, way: str) -> None:
    look = pods.Look(way, timeout_s=0.1)  # type: ignore[arg-type]
    assert see(tmp_path, look, silent) == (False, "no answer within 100ms")


def test_tcp_is_good_when_somebody_listens(tmp_path: Path) -> None:
    assert see(tmp_path, pods.Look("tcp"), silent) == (True, "")


@pytest.mark.parametrize("way", ["tcp", "http", "grpc"])
def test_nobody_who_listens_is_not_good(tmp_path: Path, way: str) -> None:
    async def run() -> tuple[bool, str]:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        look = pods.Look(way, port=port, timeout_s=10.0)  # type: ignore[arg-type]
        return await looks.see(sandbox(tmp_path), _NOBODY, look)

    assert asyncio.run(run()) == (False, "connection refused")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pass", (True, "")),
        ("raise SystemExit(3)", (False, f"{sys.executable} ended with 3")),
        ("import time; time.sleep(600)", (False, "no answer within 1s")),
    ],
)
def test_a_command_is_good_that_ends_with_0_in_time(
    tmp_path: Path, text: str, found: tuple[bool, str]
) -> None:
    async def run() -> tuple[bool, str]:
        room = runtime.Room(pods.Pod("p", ()), {}, tmp_path, {"web": tmp_path / "log"})
        place = bare.Sandbox(room, bare.Faults())
        sleeper = (sys.executable, "-S", "-c", "import time; time.sleep(600)")
        running = await place.start(pods.Container("web", command=sleeper), 0)
        command = (sys.executable, "-S", "-c", text)
        timeout_s = 1.0 if "600" in text else 30.0
        look = pods.Look("exec", command=command, timeout_s=timeout_s)
        try:
            return await looks.see(place, running, look)
        finally:
            await place.remove()

    assert asyncio.run(run()) == found


def grpc(
    body: bytes, trailers: dict[str, str] | None = None, asked: list[bytes] | None = None
) -> Serve:
    """Return a server that answers one call with a body and trailers, by HTTP/2."""
    end = {"grpc-status": "0"} if trailers is None else trailers

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = connection.H2Connection(config.H2Configuration(client_side=False))
        side.initiate_connection()
        writer.write(side.data_to_send())
        while data := await reader.read(65536):
            for event in side.receive_data(data):
                if isinstance(event, h2_events.DataReceived) and asked is not None:
                    asked.append(event.data or b"")
                if isinstance(event, h2_events.StreamEnded):
                    head = [(":status", "200"), ("content-type", "application/grpc")]
                    side.send_headers(event.stream_id, head)
                    side.send_data(event.stream_id, body)
                    side.send_headers(event.stream_id, list(end.items()), end_stream=True)
            writer.write(side.data_to_send())
            await writer.drain()

    return serve


GRPC = pods.Look("grpc", timeout_s=10.0)


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (b"\x08\x01", (True, "")),
        (b"", (False, "UNKNOWN")),
        (b"\x08\x02", (False, "NOT_SERVING")),
        (b"\x08\x03", (False, "SERVICE_UNKNOWN")),
        (b"\x08\x63", (False, "status 99")),
        (b"\x12\x02ab\x19" + b"z" * 8 + b"\x25zzzz\x08\x01", (True, "")),
        (b"\x08", (False, "its answer is cut")),
        (b"\x12\x7fab", (False, "its answer is cut")),
        (b"\x0b", (False, "its answer is no message")),
        (b"\xff" * 12, (False, "its answer has a number that is too long")),
    ],
)
def test_grpc_is_good_when_the_server_says_serving(
    tmp_path: Path, message: bytes, found: tuple[bool, str]
) -> None:
    body = b"\0" + len(message).to_bytes(4, "big") + message
    assert see(tmp_path, GRPC, grpc(body)) == found


@pytest.mark.parametrize(
    ("service", "request_"),
    [("", b""), ("db", b"\x0a\x02db"), ("x" * 300, b"\x0a\xac\x02" + b"x" * 300)],
)
def test_grpc_asks_for_the_service(tmp_path: Path, service: str, request_: bytes) -> None:
    asked: list[bytes] = []
    look = replace(GRPC, service=service)
    assert see(tmp_path, look, grpc(b"\0\0\0\0\x02\x08\x01", asked=asked))[0]
    assert b"".join(asked) == b"\0" + len(request_).to_bytes(4, "big") + request_


@pytest.mark.parametrize(
    ("body", "trailers", "why"),
    [
        (
            b"",
            {"grpc-status": "5", "grpc-message": "no such"},
            "its gRPC status is NOT_FOUND: no such",
        ),
        (b"", {"grpc-status": "12"}, "its gRPC status is UNIMPLEMENTED"),
        (b"", {"x": "y"}, "its gRPC status is none"),
        (b"\0\0\0\0\x05\x08\x01", None, "its answer is not one plain message"),
        (b"\1\0\0\0\x02\x08\x01", None, "its answer is not one plain message"),
        (b"\0\0", None, "its answer is not one plain message"),
    ],
)
def test_a_grpc_answer_that_is_none_is_not_good(
    tmp_path: Path, body: bytes, trailers: dict[str, str] | None, why: str
) -> None:
    assert see(tmp_path, GRPC, grpc(body, trailers)) == (False, why)


def test_a_server_without_http2_is_no_grpc(tmp_path: Path) -> None:
    found = see(tmp_path, GRPC, answers("HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert found == (False, "the connection ended before the answer")
