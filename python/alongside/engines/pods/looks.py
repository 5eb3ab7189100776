"""Look once at a container: by HTTP, by connecting, by a command in it, by gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import urllib.parse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors, units
from alongside.engines.processes import probing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from alongside.engines.pods import runtime
    from alongside.plan import pods

HEAD_LINES_MAX = 200
REDIRECTS_MAX = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})
EXEC_SPARE_S = 5.0
"""For a runtime to kill a command that took too long."""


async def see(
    sandbox: runtime.Sandbox, running: runtime.Running, look: pods.Look
) -> tuple[bool, str]:
    """Return whether a look succeeds within its limit, and what was seen where it does not."""
    spare_s = EXEC_SPARE_S if look.way == "exec" else 0.0
    try:
        async with asyncio.timeout(look.timeout_s + spare_s):
            why = await _why_not(sandbox, running, look)
    except TimeoutError:
        return False, f"no answer within {units.format_duration(look.timeout_s)}"
    except OSError as error:
        # Of these two `errno` is no number of the system's.
        is_system = error.errno and not isinstance(error, ssl.SSLError | socket.gaierror)
        return False, os.strerror(error.errno or 0).lower() if is_system else str(error)
    except (ValueError, errors.AlongsideError) as error:
        return False, str(error)
    return not why, why


async def _why_not(sandbox: runtime.Sandbox, running: runtime.Running, look: pods.Look) -> str:
    """Return what is wrong, "" where nothing is."""
    match look.way:
        case "http":
            status = await get(sandbox, look)
            return "" if 200 <= status < 400 else f"HTTP {status}"
        case "tcp":
            async with _connected(sandbox, look.host, look.port):
                return ""
        case "exec":
            code = await running.run(look.command, timeout_s=look.timeout_s)
            return "" if code == 0 else f"{look.command[0]} ended with {code}"
        case "admin":
            is_good = await probing.admin(Path(look.path))
            return "" if is_good else "it is not ready"
        case "grpc":
            return await _grpc(sandbox, look)


async def _grpc(sandbox: runtime.Sandbox, look: pods.Look) -> str:
    # Late, because hardly any pod has such a probe.
    from alongside.engines.pods import health  # noqa: PLC0415

    async with _connected(sandbox, look.host, look.port) as (reader, writer):
        authority = _authority(look.host or sandbox.address, look.port)
        word = await health.check(reader, writer, authority, look.service)
        return "" if word == health.SERVING else word


@dataclass(frozen=True, slots=True)
class _Target:
    """What a GET asks for."""

    scheme: str
    host: str
    """Empty for the pod."""
    port: int
    path: str


async def get(sandbox: runtime.Sandbox, look: pods.Look) -> int:
    """Return the status of a GET; a certificate is not checked.

    A redirection to the same host is followed; another is the answer.

    Raises:
        OSError: nothing answers, or it is no HTTP.
        ValueError: its head is too long, or the look asks for something that cannot be sent.
    """
    target = _Target(look.scheme.lower(), look.host, look.port, look.path or "/")
    for _ in range(REDIRECTS_MAX + 1):
        status, location = await _ask(sandbox, target, look.headers)
        if status not in REDIRECTS or not location:
            return status
        followed = _redirected(target, location, sandbox.address)
        if followed is None:
            return status
        target = followed
    raise ValueError(f"more than {REDIRECTS_MAX} redirections")


def _redirected(target: _Target, location: str, address: str) -> _Target | None:
    """Return where a redirection leads, or None where that is another host."""
    host = target.host or address
    base = f"{target.scheme}://{_authority(host, target.port)}{target.path}"
    url = urllib.parse.urlsplit(urllib.parse.urljoin(base, location))
    if url.scheme not in {"http", "https"} or url.hostname != host.lower():
        return None
    port = url.port or (443 if url.scheme == "https" else 80)
    path = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
    return replace(target, scheme=url.scheme, port=port, path=path)


async def _ask(
    sandbox: runtime.Sandbox, target: _Target, headers: tuple[tuple[str, str], ...]
) -> tuple[int, str]:
    """Return the status of an answer, and its Location."""
    host = target.host or sandbox.address
    async with _connected(sandbox, target.host, target.port) as (reader, writer):
        if target.scheme == "https":
            await writer.start_tls(_unchecked(), server_hostname=host)
        writer.write(_head(target, host, headers))
        await writer.drain()
        while True:
            status, location = await _answer(reader)
            if not 100 <= status < 200:
                return status, location


def _head(target: _Target, host: str, headers: tuple[tuple[str, str], ...]) -> bytes:
    path = urllib.parse.quote(target.path, safe="/?#[]@!$&'()*+,;=:%~-._")
    path = path.partition("#")[0]
    fields = {
        "host": _authority(host, target.port),
        "user-agent": "alongside-probe",
        "accept": "*/*",
        "connection": "close",
    }
    own = {name.lower() for name, _ in headers}
    lines = [f"GET {path if path.startswith('/') else f'/{path}'} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields.items() if name not in own]
    lines += [f"{name}: {value}" for name, value in headers]
    for line in lines:
        if "\r" in line or "\n" in line:
            raise ValueError(f"a header of it has a line break: {units.shown(line)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Return status and Location of the next head of an answer."""
    words = (await reader.readline()).split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise ConnectionError("its answer is no HTTP")
    location = ""
    for _ in range(HEAD_LINES_MAX):
        line = (await reader.readline()).rstrip(b"\r\n")
        if not line:
            return int(words[1]), location
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"location":
            location = value.strip().decode(errors="replace")
    raise ValueError(f"its answer has more than {HEAD_LINES_MAX} header lines")


@contextlib.asynccontextmanager
async def _connected(
    sandbox: runtime.Sandbox, host: str, port: int
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await sandbox.connect(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()


def _unchecked() -> ssl.SSLContext:
    """Return a context that asks for no certificate, as the kubelet's probes do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
