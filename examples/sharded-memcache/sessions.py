"""Keep the visits of each user in a memcache, and say them over HTTP.

It knows one address and memcache's text protocol, and nothing of shards.

    GET /visit/NAME    count a visit; answers how many there were
    GET /visits/A,B,C  how many each of these users has, in one command
"""

import argparse
import http.server
import json
import re
import socket
import threading
import urllib.parse
from io import BufferedRWPair as Stream

NAME = re.compile(r"[a-z0-9-]{1,32}")
USERS_MAX = 100
TIMEOUT_S = 5.0
DAY_S = 86400


class Memcache:
    """A connection to it, made anew where it broke."""

    def __init__(self, address: str) -> None:
        """Take HOST:PORT; nothing is connected yet."""
        self.host, _, self.port = address.rpartition(":")
        self.kept: Stream | None = None

    def ask(self, command: bytes) -> list[bytes]:
        """Send a command and return the lines of its answer.

        Raises:
            OSError: it does not answer, or says that it cannot.
        """
        stream, self.kept = self.kept or self.connected(), None
        stream.write(command)
        stream.flush()
        lines = [stream.readline()]
        while lines[-1].startswith(b"VALUE "):
            lines += [stream.readline(), stream.readline()]
        if not lines[-1]:
            raise ConnectionError("the connection was closed")
        self.kept = stream  # after an error, too: the answer was whole
        if lines[-1].startswith(b"SERVER_ERROR"):
            raise ConnectionError(lines[-1].decode().strip())
        return lines

    def connected(self) -> Stream:
        """Return a new connection; what is read from it keeps it open."""
        with socket.create_connection((self.host, int(self.port)), TIMEOUT_S) as connection:
            return connection.makefile("rwb")

    def visit(self, user: str) -> int:
        """Count a visit of a user and return how many there were."""
        said = self.ask(b"incr visits:%s 1\r\n" % user.encode())[-1]
        if said == b"NOT_FOUND\r\n":
            said = self.ask(b"add visits:%s 0 %d 1\r\n1\r\n" % (user.encode(), DAY_S))[-1]
            return 1 if said == b"STORED\r\n" else self.visit(user)
        return int(said)

    def visits(self, users: list[str]) -> dict[str, int]:
        """Return the visits of users; who has none, or whose shard is away, is left out."""
        keys = b" ".join(b"visits:%s" % user.encode() for user in users)
        lines = self.ask(b"get %s\r\n" % keys)
        heads = [line.split()[1].decode() for line in lines[:-1:2]]
        return {
            head.removeprefix("visits:"): int(value)
            for head, value in zip(heads, lines[1::2], strict=True)
        }


class Handler(http.server.BaseHTTPRequestHandler):
    """One answer; each thread has its own connection to the memcache."""

    protocol_version = "HTTP/1.1"
    memcache = ""
    own = threading.local()

    def do_GET(self) -> None:
        """Answer with JSON, or say why not."""
        if not hasattr(self.own, "kept"):
            self.own.kept = Memcache(self.memcache)
        _, what, *rest = [*urllib.parse.unquote(self.path).split("/", 2), ""]
        users = rest[0].split(",")
        try:
            if self.path == "/healthz":
                self.say(200, {"healthy": True})
            elif len(users) > USERS_MAX or not all(map(NAME.fullmatch, users)):
                self.say(400, {"error": "write /visit/NAME or /visits/A,B,C"})
            elif what == "visit" and len(users) == 1:
                self.say(200, {users[0]: self.own.kept.visit(users[0])})
            elif what == "visits":
                self.say(200, self.own.kept.visits(users))
            else:
                self.say(404, {"error": "write /visit/NAME or /visits/A,B,C"})
        except OSError as error:
            self.say(503, {"error": f"the memcache: {error}"})

    def say(self, status: int, value: object) -> None:
        """Send an answer."""
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until the end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--memcache", default="localhost:11211", metavar="HOST:PORT")
    arguments = parser.parse_args()
    Handler.memcache = arguments.memcache
    where = (arguments.host, arguments.port)
    http.server.ThreadingHTTPServer(where, Handler).serve_forever()


main()
