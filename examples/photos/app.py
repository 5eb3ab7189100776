"""A photo service: thumbnails rendered from originals on disk, views counted in SQLite.

In:    GET /photos/<id>?width=<pixels>, /photos, /healthz, /stats; a data folder (`--data`).
Out:   a JPEG with `Cache-Control`, `ETag` and `Content-Length`; one row counted a view.
Not:   a cache: every picture is decoded, resized and encoded for every request.
Next:  photos.yaml puts three cache shards in front of it, and this file stays as it is.
"""

import argparse
import contextlib
import dataclasses
import http.server
import json
import re
import signal
import socket
import socketserver
import sys
import threading
import typing
import urllib.parse
from http import HTTPStatus
from pathlib import Path

import originals
import studio

WIDTH_MIN, WIDTH_MAX, WIDTH_DEFAULT = 16, 1024, 320  # pixels
PHOTO = re.compile(r"/photos/([A-Za-z0-9-]{1,32})")
MAX_AGE_S = 86_400
IDLE_S = 75.0  # how long a connection may keep silent
CONNECTIONS_MAX = 256


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to a client, before the connection has its say."""

    status: HTTPStatus
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"
    fields: tuple[tuple[str, str], ...] = ()


def refuse(status: HTTPStatus, why: str) -> Answer:
    """Return a refusal that says what to do, and that nobody should keep."""
    return Answer(status, f"{why}\n".encode(), fields=(("Cache-Control", "no-store"),))


def as_json(value: dict[str, int] | dict[str, list[str]]) -> Answer:
    """Return a JSON answer that nobody should keep."""
    body = json.dumps(value).encode() + b"\n"
    return Answer(HTTPStatus.OK, body, "application/json", (("Cache-Control", "no-store"),))


def asked_width(query: str) -> int | None:
    """Return the width a query string asks for in pixels, None if not a single one in range."""
    try:
        values = urllib.parse.parse_qs(query, keep_blank_values=True, max_num_fields=8).get("width")
    except ValueError:
        return None
    if values is None:
        return WIDTH_DEFAULT
    if len(values) != 1 or not re.fullmatch(r"[1-9][0-9]{1,3}", values[0], re.ASCII):
        return None
    width = int(values[0])
    return width if WIDTH_MIN <= width <= WIDTH_MAX else None


class Service(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Serve a studio: a thread a connection, up to a limit; stopping cuts no answer short."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], studio: studio.Studio, views: studio.Views
    ) -> None:
        self.studio = studio
        self.views = views
        self.is_stopping = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, Handler)

    def answer(self, target: str, validators: str | None, *, is_head: bool) -> Answer:
        """Return the answer to a GET or HEAD of a target in origin form."""
        path, _, query = target.partition("?")
        if path == "/healthz":
            return Answer(HTTPStatus.OK, b"ok\n", fields=(("Cache-Control", "no-store"),))
        if path == "/stats":
            return as_json({"renders": self.studio.renders, "views": self.views.total()})
        if path == "/photos":
            return as_json({"photos": sorted(self.studio.photos)})
        found = PHOTO.fullmatch(path)
        if found is None or found[1] not in self.studio.photos:
            return refuse(HTTPStatus.NOT_FOUND, "no such page; /photos lists the photos")
        width = asked_width(query)
        if width is None:
            return refuse(HTTPStatus.BAD_REQUEST, f"width is not {WIDTH_MIN} to {WIDTH_MAX}")
        return self._photo(found[1], width, validators, is_head=is_head)

    def _photo(self, photo: str, width: int, validators: str | None, *, is_head: bool) -> Answer:
        """Return a thumbnail, or 304 where the client has it; a GET of either is a view."""
        etag = self.studio.etag(photo, width)
        kept = (("Cache-Control", f"public, max-age={MAX_AGE_S}"), ("ETag", etag))
        if not is_head:
            self.views.record(photo, width)
        if validators is not None and is_known(etag, validators):
            return Answer(HTTPStatus.NOT_MODIFIED, fields=kept)
        return Answer(HTTPStatus.OK, self.studio.render(photo, width), "image/jpeg", kept)

    def stop(self) -> None:
        """Answer what was asked, close every connection, return when all are closed."""
        self.is_stopping = True
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # its client was faster
                    # Reads end: an idle connection is over, a busy one answers first.
                    connection.shutdown(socket.SHUT_RD)
        self.server_close()
        self.views.close()

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Give a connection its thread, or refuse it where there are too many."""
        assert isinstance(request, socket.socket)  # noqa: S101 - a stream server
        with self._lock:
            is_welcome = len(self._open) < CONNECTIONS_MAX
            if is_welcome:
                self._open.add(request)
        if is_welcome:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close a connection and forget it."""
        assert isinstance(request, socket.socket)  # noqa: S101 - a stream server
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Log what a connection ended with, as one line."""
        log("connection_failed", error=repr(sys.exception()))


class Handler(http.server.BaseHTTPRequestHandler):
    """Speak HTTP/1.1 with keep-alive on one connection."""

    protocol_version = "HTTP/1.1"
    server_version = "photos"
    sys_version = ""
    timeout: typing.ClassVar[float | None] = IDLE_S
    wbufsize = 65_536  # head and body leave together
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve(is_head=False)

    def do_HEAD(self) -> None:
        """Answer a HEAD as the GET, without the body."""
        self._serve(is_head=True)

    def _serve(self, *, is_head: bool) -> None:
        service = typing.cast("Service", self.server)
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body nobody reads must not become the next request
            answer = refuse(HTTPStatus.BAD_REQUEST, "a GET or HEAD here has no body")
        else:
            validators = self.headers.get("If-None-Match")
            answer = service.answer(self.path, validators, is_head=is_head)
        if service.is_stopping:
            self.close_connection = True
        self.send_response(answer.status)
        for name, value in answer.fields:
            self.send_header(name, value)
        if answer.status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if not is_head:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing a request; /stats counts."""


def is_known(etag: str, validators: str) -> bool:
    """Return whether an If-None-Match field names an entity tag (weak comparison)."""
    tags = [tag.strip().removeprefix("W/") for tag in validators.split(",")]
    return "*" in tags or etag in tags


def log(event: str, **fields: str | int) -> None:
    """Write one JSON line to stderr."""
    print(json.dumps({"event": event, **fields}), file=sys.stderr, flush=True)


def listen_address(text: str) -> tuple[str, int]:
    """Return HOST:PORT as a pair; port 0 lets the system choose."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, as 127.0.0.1:8000")
    return host, int(port)


def count_of_originals(text: str) -> int:
    """Return a number of originals, 1 to 10000."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 10000")
    return int(text)


def main() -> int:
    """Serve until SIGTERM or SIGINT; 3 where the address is taken."""
    flags = argparse.ArgumentParser(
        description="Serve thumbnails of photos.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = flags.add_argument
    add("--listen", type=listen_address, default="127.0.0.1:8000", help="HOST:PORT")
    add("--data", type=Path, default=Path("data"), help="folder of originals and views")
    add("--originals", type=count_of_originals, default=80, help="how many pictures to make")
    add("--seed", type=int, default=1, help="the same seed makes the same pictures")
    given = flags.parse_args()

    photos = originals.ensure(given.data, count=given.originals, seed=given.seed)
    views = studio.Views(given.data / "views.sqlite")
    try:
        service = Service(given.listen, studio.Studio(photos), views)
    except OSError as error:
        log("not_listening", address=":".join(map(str, given.listen)), error=str(error))
        return 3
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=service.shutdown).start())
    host, port = service.server_address[:2]
    log("listening", address=f"{host!s}:{port}", originals=len(photos))
    service.serve_forever(poll_interval=0.1)
    service.stop()
    log("stopped", renders=service.studio.renders)
    return 0


if __name__ == "__main__":
    sys.exit(main())
