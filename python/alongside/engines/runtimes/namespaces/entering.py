"""Enter namespaces and become what is to run in them: a pod's pause, a container, a command.

Started as a script for each of them, with a line of JSON to read and one to answer on descriptor
3 and namespaces on others, so it imports little.
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

from alongside.engines.runtimes.namespaces import kernel, orders, roots

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANNEL = 3
KINDS = ("user", "mnt", "net", "uts", "ipc", "pid", "nested")
"""Of namespaces, in the order in which they are entered; a nested user namespace is the last."""
PAUSE = ("sleep", "infinity")
_SIGKILL, _SIGPIPE, _SIGCHLD, _SIGXFSZ = 9, 13, 17, 25
_SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_UMASK = 0o022


def main(given: Sequence[str]) -> None:
    """Do what is read from the channel; never returns.

    Args:
        given: the namespaces to enter, as KIND=DESCRIPTOR.
    """
    os.set_inheritable(CHANNEL, False)
    os.umask(_UMASK)
    kernel.die_with_parent(_SIGKILL)
    try:
        _obey({kind: int(number) for kind, _, number in (one.partition("=") for one in given)})
    except Exception as error:  # whatever it is, someone waits for the reason
        _tell({"error": str(error) or type(error).__name__})
    os._exit(1)


def _obey(namespaces: dict[str, int]) -> None:
    line = orders.read_line(CHANNEL)
    if not line.endswith(b"\n"):
        os._exit(1)  # who wanted it has gone
    order: orders.Order = json.loads(line)
    for descriptor in namespaces.values():
        os.set_inheritable(descriptor, False)
    for kind in KINDS:
        if kind in namespaces:
            kernel.setns(namespaces[kind])
    # Entering a user namespace undoes both.
    kernel.die_with_parent(_SIGKILL)
    kernel.be_readable()
    if order["task"] == "pod":
        _hold(order)
        return
    if "pid" in namespaces:
        _go_on_in_child()
    if order["task"] == "container":
        roots.Root(order).make()
    _become_user(order)
    os.chdir(order["directory"])
    _execute(order["words"], order["environment"])


def _hold(order: orders.PodOrder) -> None:
    """Make a pod's namespaces and become the process that holds them."""
    flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC
    if order["has_network"]:
        flags |= kernel.CLONE_NEWNET | kernel.CLONE_NEWUTS
    kernel.unshare(flags)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
    if order["has_network"]:
        kernel.set_hostname(order["hostname"])
        # As Kubernetes' runtimes do: in a pod no port is somebody else's.
        _write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
    shm = "mode=1777,size=64m"
    kernel.mount("alongside", order["shm"], "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, shm)
    if order["shares_pids"]:
        kernel.unshare(kernel.CLONE_NEWPID)
        _go_on_in_child()
    kernel.be_readable()
    # The first process of a namespace gets the orphans; the kernel reaps them for who ignores it.
    kernel.ignore_signal(_SIGCHLD)
    _execute(PAUSE, order["environment"])


def _go_on_in_child() -> None:
    """Let a child of our parent go on, in the process ids that were entered."""
    pid = kernel.fork_beside()
    if pid:
        _tell({"pid": pid})
        os._exit(0)
    os.setsid()
    kernel.die_with_parent(_SIGKILL)
    if not orders.read_line(CHANNEL):
        os._exit(1)


def _become_user(order: orders.ContainerOrder | orders.EnterOrder) -> None:
    """Have the user, group and capabilities of a container, and no others."""
    user, group = order["user"], order["group"]
    if order["has_mapping"] and order["task"] == "container" and (user or group):
        kernel.unshare(kernel.CLONE_NEWUSER)
        map_user(user or 0, group or 0, outside_user=0, outside_group=0)
    kernel.keep_capabilities(set(order["capabilities"]))
    if not order["has_mapping"]:
        for descriptor in (1, 2):
            # So that /dev/stdout can be opened, where it is the container's own log: a command
            # that runs inside writes to /dev/null, which is everybody's.
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.fchown(descriptor, user or 0, group or 0)
        os.setgroups([])
        os.setresgid(group or 0, group or 0, group or 0)
        os.setresuid(user or 0, user or 0, user or 0)


def map_user(user: int, group: int, *, outside_user: int, outside_group: int) -> None:
    """Let the one user of a new user namespace be known by these numbers in it."""
    lines = (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {outside_user} 1"),
        ("gid_map", f"{group} {outside_group} 1"),
    )
    for name, content in lines:
        _write(f"/proc/self/{name}", content)


def _write(path: str, content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, content.encode())
    finally:
        os.close(descriptor)


def _execute(words: Sequence[str], environment: dict[str, str]) -> None:
    """Become a program; raises OSError with Kubernetes' words where it cannot."""
    for number in (_SIGPIPE, _SIGXFSZ):
        kernel.default_signal(number)  # Python ignores them
    _tell({"starting": True})
    kernel.be_readable()
    kernel.die_with_parent(0)
    name = words[0]
    if "/" in name:
        _try_to_execute(name, words, environment)
    refused: OSError | None = None
    for folder in environment.get("PATH", _SEARCHED).split(":"):
        try:
            _try_to_execute(f"{folder or '.'}/{name}", words, environment)
        except FileNotFoundError:
            continue
        except OSError as error:
            refused = refused or error
    raise refused or OSError(f'exec: "{name}": executable file not found in $PATH')


def _try_to_execute(path: str, words: Sequence[str], environment: dict[str, str]) -> None:
    try:
        os.execve(path, list(words), environment)  # noqa: S606 - no shell is the point
    except OSError as error:
        # A folder of PATH that may not be looked into is passed over, as by Kubernetes' runtimes.
        if "/" in words[0] or os.path.isfile(path):
            raise OSError(f'exec: "{path}": {(error.strerror or "").lower()}') from error
        raise FileNotFoundError(path) from error


def _tell(answer: orders.Answer) -> None:
    try:
        orders.write(CHANNEL, answer)
    except OSError:
        os._exit(1)  # nobody waits any more
