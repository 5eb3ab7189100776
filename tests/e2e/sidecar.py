"""A program that speaks plain HTTP, an authority of its own, and a sidecar before it.

In:    the parameters of `alongside tls`; a folder.
Out:   the sidecar's address, its log's events and metrics; clients that believe the authority.
Not:   the tests; asking as another TLS stack does (openssl is asked by the tests themselves).
Next:  test_tls_sidecar.py, test_tls_rotation.py.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.e2e import dataplane

from alongside.components.authority import issuing, names, store
from alongside.engines.pods import publishing
from alongside.plan import pods

DEADLINE_S = 60.0


def until(holds: Callable[[], object], what: str) -> None:
    """Wait for a condition, with a deadline."""
    until_s = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < until_s, f"not within {DEADLINE_S:g} s: {what}"
        time.sleep(0.01)


def publish(folder: Path, content: store.Content) -> object:
    """Let a folder show files at once, as `certs` does."""
    listed = [pods.File(name, data, mode) for name, (data, mode) in content.items()]
    return publishing.publish(folder, listed)


class Authority:
    """One of a test, as `certs` keeps it."""

    def __init__(self, folder: Path, now_s: float | None = None) -> None:
        self.store = store.Store(folder, time.time() if now_s is None else now_s, publish)
        self.store.begin("tests@here")

    def made(self, name: str, *hosts: str) -> Path:
        """Return the folder of a certificate for these hosts; made anew each time."""
        wanted = hosts or names.USUAL
        return self.store.issue(name, wanted).folder

    def client(self) -> ssl.SSLContext:
        """Return what believes this authority alone."""
        return ssl.create_default_context(cafile=str(self.store.certificate))


class Handler(http.server.BaseHTTPRequestHandler):
    """Says what it was asked, and echoes what comes after an upgrade."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the request's own fields as JSON."""
        if self.headers.get("upgrade"):
            self._echo()
            return
        fields = {name.lower(): value for name, value in self.headers.items()}
        content = json.dumps({"path": self.path, "fields": fields}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _echo(self) -> None:
        self.send_response(101)
        self.send_header("connection", "upgrade")
        self.send_header("upgrade", "websocket")
        self.end_headers()
        self.close_connection = True
        while data := self.connection.recv(65_536):
            self.connection.sendall(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def legacy() -> Iterator[int]:
    """Yield the port of a plain program on loopback."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


class Sidecar:
    """A running `alongside tls`."""

    def __init__(self, process: subprocess.Popen[bytes], stderr: Path) -> None:
        self.process = process
        self.stderr = stderr

    def events(self) -> list[dict[str, object]]:
        """Return the whole log lines so far."""
        lines = self.stderr.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def address(self, listener: str = "web") -> tuple[str, int]:
        """Return where a listener is, once it is."""

        def found() -> list[str]:
            return [
                str(one["address"]).removeprefix("Some(").removesuffix(")")
                for one in self.events()
                if one.get("event") == "listening" and one.get("listener") == listener
            ]

        until(lambda: found() or self.process.poll() is not None, f"{listener} listens")
        assert self.process.poll() is None, self.stderr.read_text()
        host, _, port = found()[0].rpartition(":")
        return host, int(port)

    def metrics(self) -> str:
        """Return the text of the status door; it has to be asked for by flag."""
        host, port = self.address("status")
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            float(line.rpartition(" ")[2])
            for line in self.metrics().splitlines()
            if line.startswith((f"{name}{{", f"{name} ")) and all(one in line for one in wanted)
        )


def words(*more: str) -> list[str]:
    """Return the words of a sidecar, on free ports of loopback where no others are named."""
    given = {word.partition("=")[0] for word in more}
    usual = [f"{flag}=127.0.0.1:0" for flag in ("--listen", "--status") if flag not in given]
    return [sys.executable, "-m", "alongside", "tls", *usual, *more]


@contextlib.contextmanager
def running(
    folder: Path, *more: str, variables: Mapping[str, str] | None = None
) -> Iterator[Sidecar]:
    """Yield a sidecar that was given these flags; end it by its id."""
    stderr = folder / "sidecar.log"
    with stderr.open("wb") as log:
        process = subprocess.Popen(
            words(*more), stderr=log, env={**os.environ, **(variables or {})}
        )
    try:
        yield Sidecar(process, stderr)
    finally:
        dataplane.cut(process)


def refused(*more: str, variables: Mapping[str, str] | None = None) -> str:
    """Return what a sidecar says that does not start for wrong usage."""
    ran = subprocess.run(
        words(*more),
        env={**os.environ, **(variables or {})},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert ran.returncode == 2, ran.stderr
    assert '"listener":"web"' not in ran.stderr
    return ran.stderr


@contextlib.contextmanager
def connected(
    address: tuple[str, int], context: ssl.SSLContext, name: str = "localhost"
) -> Iterator[ssl.SSLSocket]:
    """Yield a connection whose handshake is done."""
    with (
        socket.create_connection(address, timeout=DEADLINE_S) as plain,
        context.wrap_socket(plain, server_hostname=name) as stream,
    ):
        yield stream


def asked(
    address: tuple[str, int],
    context: ssl.SSLContext,
    fields: Mapping[str, str] | None = None,
    *,
    name: str = "localhost",
) -> tuple[int, dict[str, str], bytes]:
    """Return status, fields and body of one request on a connection of its own."""
    with connected(address, context, name) as stream:
        lines = {"host": name, "connection": "close", **(fields or {})}
        head = "".join(f"{field}: {value}\r\n" for field, value in lines.items())
        stream.sendall(f"GET /page HTTP/1.1\r\n{head}\r\n".encode())
        answer = http.client.HTTPResponse(stream)
        answer.begin()
        got = {field.lower(): value for field, value in answer.getheaders()}
        return answer.status, got, answer.read()


def fingerprint(address: tuple[str, int], context: ssl.SSLContext) -> str:
    """Return that of the certificate which a new connection gets."""
    with connected(address, context) as stream:
        shown = stream.getpeercert(binary_form=True)
    assert shown is not None
    return issuing.told(ssl.DER_cert_to_PEM_cert(shown).encode()).fingerprint
