"""Serve the console: a page of what runs, live, at a loopback address, to who has its token.

The token stands behind the # of the page's address, which a browser sends to nobody, and the page
sends it in a field of each question. A cookie would go to every server of this machine.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import secrets
import socket
from importlib import resources
from typing import TYPE_CHECKING

from starlette import applications, requests, responses, routing

from alongside.base import errors
from alongside.pages import frame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Answer = Callable[[requests.Request], Awaitable[object]]
    _Endpoint = Callable[[requests.Request], Awaitable[responses.Response]]

TOKEN_BYTES = 24
SCHEME = "Bearer "
BACKLOG = 16
PORT_MAX = 65535
_SCRIPT = "console.js"


class Console:
    """The page's answers; whoever has the token may read, nobody may change anything."""

    def __init__(self) -> None:
        """Choose a token; nobody can read anything yet."""
        self._token = secrets.token_urlsafe(TOKEN_BYTES)
        self._page = frame.render(
            "alongside",
            _own("console.html").decode(),
            values={},
            script=_SCRIPT,
        )
        self._host = ""

    @property
    def url(self) -> str:
        """The address to open, with the token; empty until it is bound."""
        return f"http://{self._host}/#{self._token}" if self._host else ""

    def bind(self, address: str) -> socket.socket:
        """Return a listening socket, for the caller to close.

        Args:
            address: HOST:PORT of this machine's loopback; 0 lets the system choose.

        Raises:
            errors.UsageError: it is another one: what is said here is not encrypted.
            errors.AddressTakenError: it cannot be bound.
        """
        host, port = _loopback(address)
        bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
        except OSError as error:
            bound.close()
            raise errors.AddressTakenError(
                f"--console {address} cannot be used: {error.strerror}; choose another port"
            ) from error
        bound.listen(BACKLOG)
        shown = f"[{host}]" if ":" in host else host
        self._host = f"{shown}:{bound.getsockname()[1]}"
        return bound

    def application(self, *, state: Answer, log: Answer) -> applications.Starlette:
        """Return the application for a server; it asks these for the state and for logs."""
        routes = [
            routing.Route("/", self._named(self._whole), methods=["GET"]),
            routing.Route("/assets/{name}", self._named(_asset), methods=["GET"]),
            routing.Route("/state", self._named(self._guarded(_json(state))), methods=["GET"]),
            routing.Route("/log", self._named(self._guarded(_json(log))), methods=["GET"]),
        ]
        return applications.Starlette(routes=routes)

    async def _whole(self, _: requests.Request) -> responses.Response:
        return responses.HTMLResponse(self._page)

    def _named(self, answer: _Endpoint) -> _Endpoint:
        """Answer by our own name alone: another site's name for us is none."""

        async def endpoint(request: requests.Request) -> responses.Response:
            if request.headers.get("host") != self._host:
                return _refused(421, "this console is known by its own address alone")
            made = await answer(request)
            made.headers.update(frame.HEADERS)
            return made

        return endpoint

    def _guarded(self, answer: _Endpoint) -> _Endpoint:
        """Let in who has the token."""

        async def endpoint(request: requests.Request) -> responses.Response:
            given = request.headers.get("authorization", "").removeprefix(SCHEME)
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                return _refused(403, "the address lacks its token; alongside status --json has it")
            return await answer(request)

        return endpoint


def _json(answer: Answer) -> _Endpoint:
    async def endpoint(request: requests.Request) -> responses.Response:
        try:
            return responses.JSONResponse(await answer(request))
        except errors.AlongsideError as error:
            return _refused(400, str(error))

    return endpoint


async def _asset(request: requests.Request) -> responses.Response:
    with contextlib.suppress(KeyError):
        name = request.path_params["name"]
        if name == _SCRIPT:
            return responses.Response(_own(name), media_type=frame.SCRIPT_TYPE)
        return responses.Response(frame.asset(name), media_type=frame.ASSETS[name])
    return _refused(404, "no such file")


def _loopback(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        is_own = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_own = False
    if not is_own or not port.isdecimal() or int(port) > PORT_MAX:
        raise errors.UsageError(
            f"--console {address} is no address of this machine's loopback; write 127.0.0.1:PORT"
        )
    return host, int(port)


def _own(name: str) -> bytes:
    return (resources.files(__package__) / "assets" / name).read_bytes()


def _refused(status: int, reason: str) -> responses.Response:
    made = responses.PlainTextResponse(f"{reason}\n", status_code=status)
    made.headers.update(frame.HEADERS)
    return made
