"""HTTP/2 over TLS: what a client of it may rely on, to programs of both versions."""

from __future__ import annotations

import contextlib
import itertools
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import plane, secure, streams, upstream, wire

H2 = ("h2", "http/1.1")
TUNNEL = (("sec-websocket-version", "13"),)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: y\r\n\r\n"
)
SHORT_MS = 700


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> secure.Authority:
    return secure.Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def context(authority: secure.Authority) -> ssl.SSLContext:
    return secure.context(authority.path, H2)


@pytest.fixture(scope="module")
def folder(authority: secure.Authority) -> Path:
    return authority.pair("a.example", "localhost").put(authority.folder / "tls")


class Serve:
    """Serves what talks to connections, by HTTP/2."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def __call__(
        self, talk: upstream.Talk, limits: dict[str, int] | None = None
    ) -> Iterator[tuple[plane.Plane, upstream.Upstream]]:
        """Yield the process and the program behind it."""
        contents = {"default": self._folder}
        with (
            upstream.Upstream(talk) as origin,
            plane.running(secure.document(origin.address, contents, limits)) as process,
        ):
            yield process, origin


@pytest.fixture
def serve(folder: Path) -> Serve:
    return Serve(folder)


def answering(answer: upstream.Answer) -> upstream.Talk:
    def talk(peer: upstream.Peer) -> None:
        while (request := peer.next()) is not None:
            peer.send(answer(request))

    return talk


def by_target(request: wire.Message) -> bytes:
    """Answer as the target says."""
    match request.target:
        case "/204":
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        case "/304":
            return b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 7\r\n\r\n'
        case "/trailers":
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            return head + wire.chunked(b"ab", b"cd", trailers=b"X-Sum: 4\r\n")
        case "/hints":
            hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
            return hint + wire.answer(b"page")
        case _ if request.method == "HEAD":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        case _:
            return wire.answer(request.body or request.target.encode())


def test_answers_of_every_form_arrive(serve: Serve, context: ssl.SSLContext) -> None:
    with (
        serve(answering(by_target)) as (process, origin),
        streams.Client(process.address, context) as client,
    ):
        assert client.fetch("/plain").body == b"/plain"
        head = client.fetch("/head", method="HEAD")
        assert (head.status, head.body, head.field("content-length")) == (200, b"", "5")
        assert (client.fetch("/204").status, client.fetch("/204").body) == (204, b"")
        unchanged = client.fetch("/304")
        assert (unchanged.status, unchanged.body, unchanged.field("etag")) == (304, b"", '"x"')
        trailed = client.fetch("/trailers", ("te", "trailers"))
        assert (trailed.body, dict(trailed.trailers)) == (b"abcd", {"x-sum": "4"})
        hinted = client.fetch("/hints")
        assert (hinted.informed, hinted.status, hinted.body) == ([103], 200, b"page")
        assert all("connection" not in dict(answer.fields) for answer in client.answers.values())
        assert {request.field("host") for request in origin.requests} == {"a.example"}
        assert {request.field("x-forwarded-proto") for request in origin.requests} == {"https"}


def test_bodies_of_every_size_pass_both_ways(serve: Serve, context: ssl.SSLContext) -> None:
    blob = bytes(range(256)) * 4096
    with (
        serve(answering(by_target)) as (process, origin),
        streams.Client(process.address, context) as client,
    ):
        asked = []
        for data, fields in itertools.product((b"x", blob), ([], [("content-length", "")])):
            length = [(name, str(len(data))) for name, _ in fields]
            stream = client.ask("/echo", *length, method="POST", ends=False)
            client.send(stream, data, ends=True)
            asked.append((stream, data))
        for stream, data in asked:
            assert client.answer(stream).body == data
        assert [request.body for request in origin.requests] == [data for _, data in asked]


def test_many_streams_are_served_at_one_time(serve: Serve, context: ssl.SSLContext) -> None:
    gate = threading.Barrier(50)

    def together(request: wire.Message) -> bytes:
        gate.wait(timeout=wire.TIMEOUT_S)
        return wire.answer(request.target.encode())

    with (
        serve(answering(together)) as (process, _),
        streams.Client(process.address, context) as client,
    ):
        asked = {client.ask(f"/{number}"): f"/{number}" for number in range(50)}
        for stream, target in asked.items():
            assert client.answer(stream).body == target.encode()


def test_a_reset_while_the_program_is_silent_leaves_it_at_once(
    serve: Serve, context: ssl.SSLContext
) -> None:
    def silent(peer: upstream.Peer) -> None:
        peer.next()
        peer.rest()

    with (
        serve(silent) as (process, origin),
        streams.Client(process.address, context) as client,
    ):
        stream = client.ask("/slow")
        wire.eventually(lambda: origin.requests, "it is asked")
        assert origin.ended == 0
        client.reset(stream)
        wire.eventually(lambda: origin.ended == 1, "the program's connection ends")


def test_a_client_that_reads_nothing_is_given_up_and_harms_nobody(
    serve: Serve, context: ssl.SSLContext
) -> None:
    def big(request: wire.Message) -> bytes:
        return wire.answer(b"x" * 4_000_000 if request.target == "/big" else b"small")

    limits = {"body_timeout_ms": SHORT_MS}
    with (
        serve(answering(big), limits) as (process, origin),
        streams.Client(process.address, context, window=0) as stuck,
        streams.Client(process.address, context) as other,
    ):
        asked = [stuck.ask("/big") for _ in range(10)]
        assert other.fetch("/small").body == b"small"
        for stream in asked:
            assert stuck.answer(stream).reset is not None
            assert stuck.answers[stream].body == b""
        wire.eventually(lambda: origin.ended >= 10, "the program's connections end")


def test_an_answer_that_is_cut_is_reset(serve: Serve, context: ssl.SSLContext) -> None:
    def cut(peer: upstream.Peer) -> None:
        peer.next()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour")

    with (
        serve(cut) as (process, _),
        streams.Client(process.address, context) as client,
    ):
        got = client.answer(client.ask("/"))
        assert got.reset is not None
        assert not got.is_over


def test_an_answer_may_come_before_the_body_is_whole(serve: Serve, context: ssl.SSLContext) -> None:
    def early(peer: upstream.Peer) -> None:
        peer.head()
        peer.send(wire.answer(b"no", status=413))
        peer.rest()

    with (
        serve(early) as (process, _),
        streams.Client(process.address, context) as client,
    ):
        stream = client.ask("/", method="POST", ends=False)
        client.send(stream, b"x" * 1000)
        got = client.answers[stream]
        client.until(lambda: got.is_over, "the answer is whole")
        assert (got.status, got.body) == (413, b"no")
        # The connection serves on.
        again = client.ask("/", method="POST", ends=False)
        client.until(lambda: client.answers[again].status == 413, "it is answered too")


def test_a_body_that_stops_is_given_up(serve: Serve, context: ssl.SSLContext) -> None:
    limits = {"body_timeout_ms": SHORT_MS}
    with (
        serve(answering(by_target), limits) as (process, origin),
        streams.Client(process.address, context) as client,
    ):
        stream = client.ask("/", ("content-length", "100"), method="POST", ends=False)
        client.send(stream, b"x" * 10)
        got = client.answers[stream]
        client.until(lambda: got.status == 408 or got.reset is not None, "it is given up")
        assert origin.requests == []


def test_a_drain_lets_open_streams_end_and_takes_no_new_ones(
    serve: Serve, context: ssl.SSLContext
) -> None:
    goes_on = threading.Event()

    def waiting(request: wire.Message) -> bytes:
        goes_on.wait(timeout=wire.TIMEOUT_S)
        return wire.answer(b"late")

    with (
        serve(answering(waiting), {"drain_timeout_ms": 15_000}) as (process, origin),
        streams.Client(process.address, context) as client,
    ):
        stream = client.ask("/slow")
        wire.eventually(lambda: origin.requests, "it is asked")
        process.terminate()
        client.until(lambda: client.goaway is not None, "GOAWAY comes")
        assert client.goaway == 0
        goes_on.set()
        assert client.answer(stream).body == b"late"
        client.drain()
        assert process.process.wait(timeout=15) == 0


def test_an_idle_connection_is_told_so_and_ends(serve: Serve, context: ssl.SSLContext) -> None:
    with (
        serve(answering(by_target), {"idle_timeout_ms": SHORT_MS}) as (process, _),
        streams.Client(process.address, context) as client,
    ):
        assert client.fetch("/").status == 200
        client.drain()
        assert client.goaway == 0


def test_a_connection_brings_so_many_requests(serve: Serve, context: ssl.SSLContext) -> None:
    with (
        serve(answering(by_target), {"requests_per_connection_max": 3}) as (process, _),
        streams.Client(process.address, context) as client,
    ):
        asked = [client.ask(f"/{number}") for number in range(3)]
        for stream in asked:
            assert client.answer(stream).status == 200
        client.drain()
        assert client.goaway == 0


def test_websockets_are_opened_by_both_versions(serve: Serve, context: ssl.SSLContext) -> None:
    def chat(peer: upstream.Peer) -> None:
        peer.next()
        peer.send(SWITCHED)
        while peer.fill():
            peer.send(peer.take(len(peer.buffer)))

    blob = bytes(range(256)) * 4096
    with serve(chat) as (process, origin):
        with secure.Client(process.address, secure.context(None)) as old:
            asked = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: x")
            old.send(wire.request("/chat", *asked))
            assert old.head().status == 101
            old.send(blob)
            assert old.take(len(blob)) == blob
        with streams.Client(process.address, context) as client:
            client.until(lambda: client.state.remote_settings.enable_connect_protocol, "RFC 8441")
            stream = client.ask(
                "/chat", *TUNNEL, method="CONNECT", ends=False, protocol="websocket"
            )
            got = client.answers[stream]
            client.until(lambda: got.status, "it is answered")
            assert got.status == 200
            assert got.field("sec-websocket-accept") is None
            client.send(stream, blob)
            client.until(lambda: len(got.body) >= len(blob), "all comes back")
            assert got.body == blob
            client.send(stream, b"", ends=True)
            client.answer(stream)
        wire.eventually(lambda: origin.ended == 2, "the program's connections end")
        head = origin.requests[1]
        assert (head.method, head.field("upgrade")) == ("GET", "websocket")
        assert head.field("sec-websocket-key")


# Programs of another maker, each a process of its own: its threads know nothing of ours.
GRPC_SERVER = """
import concurrent.futures, grpc, sys
def fail(request, context):
    context.set_trailing_metadata((("k", "v"),))
    context.abort(grpc.StatusCode.NOT_FOUND, "nope")
def chat(requests, context):
    for request in requests:
        yield request + b"!"
    context.set_trailing_metadata((("done", "yes"),))
class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        return {
            "/t.T/Echo": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
            "/t.T/Fail": grpc.unary_unary_rpc_method_handler(fail),
            "/t.T/Chat": grpc.stream_stream_rpc_method_handler(chat),
        }[details.method]
server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
server.add_generic_rpc_handlers((Echo(),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
server.stop(None).wait()
"""
GRPC_CLIENT = """
import grpc, sys
trusted = grpc.ssl_channel_credentials(open(sys.argv[2], "rb").read())
with grpc.secure_channel(sys.argv[1], trusted) as channel:
    echo = channel.unary_unary("/t.T/Echo")
    assert echo(b"x" * 10, timeout=20) == b"x" * 10
    assert echo(b"y" * 3_000_000, timeout=60) == b"y" * 3_000_000
    try:
        channel.unary_unary("/t.T/Fail")(b"", timeout=20)
        raise SystemExit("it did not fail")
    except grpc.RpcError as failed:
        assert failed.code() == grpc.StatusCode.NOT_FOUND, failed
        assert failed.details() == "nope", failed
        assert ("k", "v") in failed.trailing_metadata(), failed
    call = channel.stream_stream("/t.T/Chat")(iter([b"a", b"b", b"c"]), timeout=20)
    assert list(call) == [b"a!", b"b!", b"c!"]
    assert ("done", "yes") in call.trailing_metadata(), call
    many = [echo.future(b"z" * 1000, timeout=60) for _ in range(200)]
    assert sum(len(one.result()) for one in many) == 200_000
    # What answers in many small pieces is asked for in many small frames.
    call = channel.stream_stream("/t.T/Chat")((b"m" for _ in range(20_000)), timeout=60)
    assert sum(len(piece) for piece in call) == 40_000
"""


@contextlib.contextmanager
def grpc_server() -> Iterator[str]:
    """Run a program of gRPC; yield its address."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", GRPC_SERVER]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def test_grpc_passes_with_its_trailers(authority: secure.Authority, folder: Path) -> None:
    with grpc_server() as address:
        contents = secure.document({"address": address, "speaks": "h2c"}, {"default": folder})
        with plane.running(contents) as process:
            target = f"localhost:{process.address[1]}"
            command = [sys.executable, "-c", GRPC_CLIENT, target, str(authority.path)]
            done = subprocess.run(command, capture_output=True, timeout=100, check=False)
            assert done.returncode == 0, done.stderr.decode()
            assert process.metric("alongside_http_refused", reason="h2_flood") == 0


@pytest.mark.needs("curl")
def test_curl_asks_by_both_versions(
    serve: Serve, authority: secure.Authority, tmp_path: Path
) -> None:
    (tmp_path / "body").write_bytes(b"b" * 500_000)
    with serve(answering(by_target)) as (process, _):
        port = process.address[1]
        for version, flag in (("2", "--http2"), ("1.1", "--http1.1")):
            command = [
                *("curl", "-sS", "--noproxy", "*", flag, "--cacert", str(authority.path)),
                *("-w", "%{stderr}%{http_version}", "--data-binary", f"@{tmp_path}/body"),
                f"https://localhost:{port}/echo",
            ]
            done = subprocess.run(command, capture_output=True, timeout=60, check=True)
            assert (len(done.stdout), done.stderr.decode()) == (500_000, version)


@pytest.mark.needs("h2load")
def test_h2load_sees_no_failure(serve: Serve) -> None:
    with serve(answering(by_target)) as (process, _):
        url = f"https://127.0.0.1:{process.address[1]}/"
        command = ["h2load", "-n", "2000", "-c", "10", "-m", "20", url]
        done = subprocess.run(command, capture_output=True, timeout=100, check=True)
        text = done.stdout.decode()
        assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in text, text
