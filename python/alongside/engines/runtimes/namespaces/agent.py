"""Hold the hub's namespaces and make in them what is asked for: links, addresses, sockets.

Started as a script, one for each project. It is asked on descriptor 3, a socket that keeps
messages apart, and ends when nobody can ask it any more. It is killed without harm: who asked it
holds the namespaces too, and the next one enters them.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from typing import TYPE_CHECKING, TypedDict

from alongside.engines.runtimes.namespaces import entering, kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CHANNEL = 3
MESSAGE_BYTES_MAX = 1 << 17
COMMAND_S_MAX = 20.0


class Question(TypedDict, total=False):
    """What the agent is asked; `task` is always there."""

    task: str
    """`open`: enter or make the hub, `links`: run lines of `ip`, `socket`: make one."""
    is_privileged: bool
    """Of `open`: no user namespace is needed."""
    ip: str
    """Of `links`: the program; a namespace that comes along is where it runs."""
    lines: str
    family: int


class Reply(TypedDict, total=False):
    """What the agent answers; empty where a descriptor says it all."""

    error: str


def main() -> None:
    """Answer until the other end has gone; never returns."""
    channel = socket.socket(fileno=CHANNEL)
    channel.set_inheritable(False)
    while True:
        try:
            content, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES_MAX, 8)
        except OSError:
            os._exit(0)
        if not content:
            os._exit(0)
        made: list[int] = []
        reply: Reply = {}
        try:
            made = _answer(json.loads(content), descriptors)
        except Exception as error:  # whatever it is, the next question is answered too
            reply = {"error": str(error) or type(error).__name__}
        with contextlib.suppress(OSError):
            socket.send_fds(channel, [json.dumps(reply).encode()], made)
        for descriptor in (*descriptors, *made):
            os.close(descriptor)


def _answer(question: Question, descriptors: Sequence[int]) -> list[int]:
    match question["task"]:
        case "open":
            return _open(descriptors, is_privileged=question["is_privileged"])
        case "links":
            _run(question["ip"], question["lines"], descriptors)
            return []
        case "socket":
            made = socket.socket(question["family"], socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            return [made.detach()]
        case other:
            raise ValueError(f"unknown task {other}")


def _open(descriptors: Sequence[int], *, is_privileged: bool) -> list[int]:
    """Enter the namespaces, or make them where there are none; return descriptors of them."""
    if descriptors:
        for descriptor in descriptors:
            kernel.setns(descriptor)
    elif is_privileged:
        kernel.unshare(kernel.CLONE_NEWNET)
    else:
        user, group = os.geteuid(), os.getegid()
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
        kernel.be_readable()
        entering.map_user(0, 0, outside_user=user, outside_group=group)
    kernel.be_readable()
    names = ("net",) if is_privileged else ("user", "net")
    flags = os.O_RDONLY | os.O_CLOEXEC
    return [os.open(f"/proc/self/ns/{name}", flags) for name in names]


def _run(ip: str, lines: str, descriptors: Sequence[int]) -> None:
    """Run lines of `ip -batch`; `{0}` in them is the namespace that came along.

    Raises:
        OSError: one of them failed; those before it did not.
    """
    inside = descriptors[0] if descriptors and "{0}" not in lines else None
    enter: Callable[[], None] | None = None
    if inside is not None:
        enter = lambda: kernel.setns(inside)  # noqa: E731
    done = subprocess.run(  # noqa: S603 - what is run is ours
        (ip, "-batch", "-"),
        input=lines.replace("{0}", f"/proc/self/fd/{descriptors[0]}" if descriptors else ""),
        capture_output=True,
        text=True,
        timeout=COMMAND_S_MAX,
        pass_fds=tuple(descriptors),
        preexec_fn=enter,
        check=False,
    )
    if done.returncode != 0:
        raise OSError(f"ip: {done.stderr.strip() or done.returncode}; it was told: {lines.strip()}")
