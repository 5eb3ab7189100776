"""Try what namespaces this machine allows; a script, so that nothing of it stays."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from typing import TYPE_CHECKING, TypedDict

from alongside.engines.runtimes.namespaces import entering, kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_IP_S_MAX = 5.0
_LINKS = (
    "link add alongside type bridge\n"
    "link add pod0 master alongside up type veth peer name eth0\n"
    "link set lo up\n"
)
_AT = "/tmp"  # noqa: S108 - mounted over, in a mount namespace of its own

UNTRIED = "not tried: no namespaces can be made here"


class Findings(TypedDict):
    """Why each thing is not allowed; empty where it is."""

    private: str
    """Namespaces without a user namespace."""
    user: str
    network: str
    pids: str
    overlay: str


def main(given: Sequence[str]) -> None:
    """Print what was found as JSON; `given` is where `ip` is."""
    private = _in_child(_private)
    if private:
        user = _in_child(_user)
        prepare: Callable[[], None] = _user
    else:
        user = _in_child(_user_of_nobody)
        prepare = _private
    usable = not (private and user)
    found: Findings = {
        "private": private,
        "user": user,
        "network": _in_child(lambda: _network(prepare, given[0])) if usable else UNTRIED,
        "pids": _in_child(lambda: _pids(prepare)) if usable else UNTRIED,
        "overlay": _in_child(lambda: _overlay(prepare)) if usable else UNTRIED,
    }
    os.write(1, json.dumps(found).encode())
    os._exit(0)


def _in_child(work: Callable[[], None]) -> str:
    """Do something in a child; return why it failed, nothing where it did not."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        reason = ""
        try:
            work()
        except Exception as error:  # whatever it is, it is the finding
            said = error.strerror if isinstance(error, OSError) else None
            reason = said or str(error) or type(error).__name__
        os.write(writing, reason.encode()[:1000])
        os._exit(0)
    os.close(writing)
    reason = os.read(reading, 1000).decode(errors="replace")
    os.close(reading)
    status = os.waitpid(pid, 0)[1]
    return reason or (f"it ended with {status}" if status else "")


_WANTED = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC


def _private() -> None:
    kernel.unshare(_WANTED)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
    kernel.mount("try", _AT, "tmpfs")


def _user() -> None:
    user, group = os.geteuid(), os.getegid()
    try:
        kernel.unshare(kernel.CLONE_NEWUSER | _WANTED)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OSError("user.max_user_namespaces is 0 here, or as many are used") from error
        if error.errno == errno.EPERM:
            raise OSError("this system gives an ordinary user no user namespace") from error
        raise
    kernel.be_readable()
    try:
        entering.map_user(0, 0, outside_user=user, outside_group=group)
    except PermissionError as error:
        # Linux 5.12 and later: who opens the map of user 0 must have had CAP_SETFCAP.
        who = "root without CAP_SETFCAP" if user == 0 else "this user"
        raise OSError(f"{who} may not be mapped into a user namespace") from error
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
    kernel.mount("try", _AT, "tmpfs")


def _user_of_nobody() -> None:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    _user()


def _network(prepare: Callable[[], None], ip: str) -> None:
    prepare()
    done = subprocess.run(  # noqa: S603 - what is run is ours
        (ip, "-batch", "-"),
        input=_LINKS,
        capture_output=True,
        text=True,
        timeout=_IP_S_MAX,
        check=False,
    )
    if done.returncode != 0:
        raise OSError(f"ip: {done.stderr.strip()}")


def _pids(prepare: Callable[[], None]) -> None:
    prepare()
    kernel.unshare(kernel.CLONE_NEWPID)

    def mount() -> None:
        os.mkdir(f"{_AT}/proc")
        kernel.mount("proc", f"{_AT}/proc", "proc")

    if reason := _in_child(mount):
        raise OSError(reason)


def _overlay(prepare: Callable[[], None]) -> None:
    prepare()
    for name in ("upper", "work", "all"):
        os.mkdir(f"{_AT}/{name}")
    options = f"lowerdir=/usr,upperdir={_AT}/upper,workdir={_AT}/work"
    kernel.mount("overlay", f"{_AT}/all", "overlay", data=options)
