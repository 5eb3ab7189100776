"""Stand in for an image registry on loopback: one image of one small layer.

In:    nothing; the thread that starts it decides in whose network it is.
Out:   the image's name; how often its manifest was asked for; a layer that comes when it is let.
Not:   authentication, uploads.
Next:  test_docker_pulls.py.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import io
import json
import platform
import tarfile
import threading
from collections.abc import Iterator

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_KIND = "application/vnd.docker.distribution.manifest.v2+json"
_PART = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_WAIT_S = 60.0


class Registry:
    """What is served, and what was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.manifests = 0
        """How often somebody asked what the image is."""
        self.let = threading.Event()
        """Set for the second half of the layer to come."""
        layer = _layer()
        packed = gzip.compress(layer)
        config = {
            "architecture": _MACHINES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Cmd": ["/none"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            "history": [{"created_by": "a test"}],
        }
        told = json.dumps(config).encode()
        self.layer = _digest(packed)
        self.blobs = {_digest(told): told, self.layer: packed}
        manifest = {
            "schemaVersion": 2,
            "mediaType": _KIND,
            "config": {"mediaType": _PART, "size": len(told), "digest": _digest(told)},
            "layers": [{"mediaType": _LAYER, "size": len(packed), "digest": self.layer}],
        }
        self.manifest = json.dumps(manifest).encode()

    @property
    def image(self) -> str:
        """The image's name."""
        return f"127.0.0.1:{self.port}/small:1"


@contextlib.contextmanager
def serving() -> Iterator[Registry]:
    """Serve while the block runs."""
    own = Registry()

    class Handler(_Handler):
        registry = own

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    own.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield own
    finally:
        own.let.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    registry: Registry

    def do_HEAD(self) -> None:
        """Answer as to GET, without a body."""
        self._answer(is_whole=False)

    def do_GET(self) -> None:
        """Answer with a manifest or a blob."""
        self._answer(is_whole=True)

    def _answer(self, *, is_whole: bool) -> None:
        own, last = self.registry, self.path.rpartition("/")[2]
        if self.path == "/v2/":
            kind, body = "application/json", b"{}"
        elif "/manifests/" in self.path:
            own.manifests += 1
            kind, body = _KIND, own.manifest
        elif last in own.blobs:
            kind, body = "application/octet-stream", own.blobs[last]
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("docker-content-digest", _digest(body))
        self.end_headers()
        if is_whole:
            half = len(body) // 2
            self.wfile.write(body[:half])
            if last == own.layer:
                own.let.wait(_WAIT_S)
            self.wfile.write(body[half:])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _layer() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("small")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"small"))
    return stream.getvalue()
