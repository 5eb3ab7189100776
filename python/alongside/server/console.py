"""Serve the console: a page of what runs, live, at a loopback address, to who has its token."""

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

TOKEN_BYTES = 24
PARAMETER = "token"
BACKLOG = 16
PORT_MAX = 65535
_SCRIPT = "console.js"


class Console:
    """The page's answers; whoever has the token may read, nobody may change anything."""

    def __init__(self, project: str, place: str) -> None:
        """Take whose page it is; nobody can read it yet."""
        self._token = secrets.token_urlsafe(TOKEN_BYTES)
        self._page = frame.render(
            f"{project} - alongside",
            _own("console.html").decode(),
            values={"project": project, "place": place},
            script=_SCRIPT,
        )
        self._host = ""

    @property
    def url(self) -> str:
        """The address to open, with the token; empty until it is bound."""
        return f"http://{self._host}/?{PARAMETER}={self._token}" if self._host else ""

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
            routing.Route("/", self._guarded(self._whole), methods=["GET"]),
            routing.Route("/state", self._guarded(_json(state)), methods=["GET"]),
            routing.Route("/log", self._guarded(_json(log)), methods=["GET"]),
            routing.Route("/assets/{name}", self._guarded(_asset), methods=["GET"]),
        ]
        return applications.Starlette(routes=routes)

    async def _whole(self, _: requests.Request) -> responses.Response:
        return responses.HTMLResponse(self._page)

    def _guarded(
        self, answer: Callable[[requests.Request], Awaitable[responses.Response]]
    ) -> Callable[[requests.Request], Awaitable[responses.Response]]:
        """Let in who has the token, by our own name: another site's name for us is none."""

        async def endpoint(request: requests.Request) -> responses.Response:
            if request.headers.get("host") != self._host:
                return _refused(421, "this console is known by its own address alone")
            given = request.query_params.get(PARAMETER)
            if given is not None and self._is_right(given):
                return self._welcome()
            if not self._is_right(request.cookies.get(self._cookie, "")):
                return _refused(403, "the address lacks its token; alongside status shows it whole")
            made = await answer(request)
            made.headers.update(frame.HEADERS)
            return made

        return endpoint

    @property
    def _cookie(self) -> str:
        # Cookies know no ports, and each project has a console.
        return f"alongside-{self._host.rpartition(':')[2]}"

    def _is_right(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())

    def _welcome(self) -> responses.Response:
        """Put the token where no link and no history shows it."""
        made = responses.RedirectResponse("/", status_code=303)
        made.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
        made.headers.update(frame.HEADERS)
        return made


def _json(answer: Answer) -> Callable[[requests.Request], Awaitable[responses.Response]]:
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
