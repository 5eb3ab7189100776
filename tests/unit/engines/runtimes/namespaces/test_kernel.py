"""The system calls that Python has no names for; each in a child, whose end tells."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

import pytest

from alongside.engines.runtimes.namespaces import entering, kernel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")


def in_child(work: Callable[[], bool]) -> int:
    """Return 0 where it was true, 1 where not, 2 where the machine forbids it, else a signal."""
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            code = 0 if work() else 1
        except PermissionError:
            code = 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def check(work: Callable[[], bool]) -> None:
    code = in_child(work)
    if code == 2:
        pytest.skip("user namespaces are not permitted here")
    assert code == 0


def enter_user() -> None:
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS)
    kernel.be_readable()
    entering.map_user(0, 0, outside_user=user, outside_group=group)


def test_errors_name_the_call_and_its_reason() -> None:
    with pytest.raises(OSError, match=r"mount none at /no/such/folder: No such file"):
        kernel.mount("none", "/no/such/folder", "tmpfs")
    with pytest.raises(OSError, match="setns: Bad file descriptor"):
        kernel.setns(9999)


def test_a_hostname_is_the_namespaces_own() -> None:
    def work() -> bool:
        enter_user()
        kernel.set_hostname("other")
        return os.uname().nodename == "other"

    before = os.uname().nodename
    check(work)
    assert os.uname().nodename == before


def test_mounts_are_made_bound_shut_and_taken_away() -> None:
    def work() -> bool:
        enter_user()
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
        kernel.mount("test", "/mnt", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV)
        os.mkdir("/mnt/a")
        os.mkdir("/mnt/b")
        kernel.bind("/mnt/a", "/mnt/b")
        os.mkdir("/mnt/a/x")
        kernel.make_read_only("/mnt/b")
        try:
            os.mkdir("/mnt/b/y")
        except OSError:
            is_shut = os.path.isdir("/mnt/b/x")
        else:
            is_shut = False
        kernel.unmount("/mnt/b")
        return is_shut and os.listdir("/mnt/b") == []

    check(work)


def test_capabilities_are_kept_as_named_and_given_to_no_program_else() -> None:
    def work() -> bool:
        enter_user()
        kernel.keep_capabilities({"KILL", "CHOWN"})
        with open("/proc/self/status", encoding="ascii") as stream:
            lines = dict(line.split(":", 1) for line in stream)
        return int(lines["CapBnd"], 16) == 0b100001 and int(lines["CapInh"], 16) == 0

    check(work)


def test_a_child_of_the_parent_is_reaped_by_the_parent() -> None:
    reading, writing = os.pipe()
    first = os.fork()
    if first == 0:
        pid = kernel.fork_beside()
        if pid == 0:
            os._exit(7)
        os.write(writing, str(pid).encode())
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) == 0
    second = int(os.read(reading, 100))
    os.close(reading)
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(second, 0)[1]) == 7


def test_dies_with_its_parent() -> None:
    reading, writing = os.pipe()
    first = os.fork()
    if first == 0:
        ready, tell = os.pipe()
        if os.fork() == 0:
            kernel.die_with_parent(signal.SIGKILL)
            os.write(tell, b"x")
            signal.pause()
        os.read(ready, 1)
        os._exit(0)
    os.waitpid(first, 0)
    os.close(writing)
    assert os.read(reading, 1) == b""  # the end of the pipe: nobody holds it any more
    os.close(reading)


def test_signals_are_ignored_and_restored() -> None:
    def ignored() -> int:
        with open("/proc/self/status", encoding="ascii") as stream:
            return int(dict(line.split(":", 1) for line in stream)["SigIgn"], 16)

    def work() -> bool:
        bit = 1 << (signal.SIGUSR1 - 1)
        kernel.ignore_signal(signal.SIGUSR1)
        was = bool(ignored() & bit)
        kernel.default_signal(signal.SIGUSR1)
        return was and not ignored() & bit

    check(work)
