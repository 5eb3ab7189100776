"""Run the packaged nginx with an upstream, and ask it where it sends requests."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import ports

# Nothing listens behind the upstream: a refused connection tells as well which server was chosen.
CONFIGURATION = """
daemon off; master_process off; worker_processes 1; user root;
pid {folder}/nginx.pid; error_log {folder}/error.log emerg;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 10000000; merge_slashes off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream shards {{ {method}; {servers} }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://shards; proxy_next_upstream {next};
      error_page 502 504 = @told;
    }}
    location @told {{ add_header X-Tried $upstream_addr; return 204; }}
  }}
}}
"""
COMMAND = shutil.which("nginx") or "/usr/sbin/nginx"
BATCH = 400
DEADLINE_S = 10.0
ANSWER = re.compile(rb"HTTP/1\.1 (\d+) .*?\r\n\r\n", re.S)
TRIED = re.compile(rb"X-Tried: ([^\r]*)\r\n")


@dataclass(frozen=True, slots=True)
class Server:
    """One `server` line: the name as written, and what nginx connects to for it."""

    name: str
    address: str
    weight: int = 1
    is_down: bool = False

    def line(self) -> str:
        """Return the line; failures do not count, so that every request starts afresh."""
        down = " down" if self.is_down else ""
        return f"server {self.name} weight={self.weight} max_fails=0{down};"


class Nginx:
    """A running nginx that says which server it chose."""

    def __init__(self, port: int, servers: Sequence[Server]) -> None:
        self._port = port
        self._index = {server.address: index for index, server in enumerate(servers)}

    def tried(self, requests: Sequence[bytes]) -> list[list[int]]:
        """Return the indexes of the servers that each request was sent to, in order.

        Args:
            requests: whole heads without a body.
        """
        answers: list[list[int]] = []
        with socket.create_connection(("127.0.0.1", self._port), timeout=DEADLINE_S) as link:
            for start in range(0, len(requests), BATCH):
                batch = requests[start : start + BATCH]
                link.sendall(b"".join(batch))
                answers += self._answers(link, len(batch))
        return answers

    def chosen(self, requests: Sequence[bytes]) -> list[int]:
        """Return the index of the server that each request was sent to first."""
        return [tried[0] for tried in self.tried(requests)]

    def _answers(self, link: socket.socket, count: int) -> Iterator[list[int]]:
        received = b""
        while count:
            piece = link.recv(1 << 16)
            if not piece:
                raise ConnectionError(f"nginx closed with {count} answers missing: {received!r}")
            received += piece
            end = 0
            for answer in ANSWER.finditer(received):
                tried = TRIED.search(answer[0])
                if answer[1] != b"204" or tried is None:
                    raise ValueError(f"not an answer of the test's nginx: {answer[0]!r}")
                yield [self._index[address] for address in tried[1].decode().split(", ")]
                end, count = answer.end(), count - 1
            received = received[end:]


@contextlib.contextmanager
def running(
    folder: Path, method: str, servers: Sequence[Server], *, tries_all: bool = False
) -> Iterator[Nginx]:
    """Run nginx with `hash …` as the method over servers, until the block ends.

    Args:
        folder: an empty one, for its files.
        method: the directive without its semicolon.
        servers: in the order of the file.
        tries_all: go on to the next server after a refused connection, else stop at the first.
    """
    port = ports.free_port()
    file = folder / "nginx.conf"
    file.write_text(
        CONFIGURATION.format(
            folder=folder,
            method=method,
            servers=" ".join(server.line() for server in servers),
            next="error" if tries_all else "off",
            port=port,
        )
    )
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [COMMAND, "-p", str(folder), "-c", str(file)], stdout=output, stderr=output
        )
    try:
        wait_until_it_listens(process, port, folder / "output")
        yield Nginx(port, servers)
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    """Return when a connection is taken; raise with nginx's words if it ends or is late."""
    deadline = time.monotonic() + DEADLINE_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nginx does not listen: {output.read_text()}")
