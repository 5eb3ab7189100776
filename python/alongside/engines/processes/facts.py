"""Say what a machine has and lacks, each with its reason and its remedy."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES_MIN = 4096
"""Open files that a router with a few hundred clients and nodes is content with."""
_LOW_PORTS = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_LOW_PORT_FIRST = 1024
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - asked for, not written
_OWN_LOOPBACK = "127.77.0.1"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a machine has, or why not and what to do."""

    name: str
    is_there: bool
    reason: str
    """What was seen."""
    remedy: str = ""
    """Empty where it is there, or nothing can be done."""


def of_processes(environment: Mapping[str, str]) -> tuple[Fact, ...]:
    """Return what matters to plain processes of this machine; nothing is changed."""
    return (
        _files(),
        _low_ports(),
        _loopback(),
        _supervision(),
        _shared_memory(),
        _program("setpriv", "ends a program with the `alongside run` that is killed", environment),
    )


def of_programs(names: Mapping[str, str], environment: Mapping[str, str]) -> tuple[Fact, ...]:
    """Return which programs are installed.

    Args:
        names: of commands, each with Debian's package.
        environment: whose PATH is searched.
    """
    return tuple(_found(name, package, environment) for name, package in names.items())


def _files() -> Fact:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_enough = soft >= FILES_MIN
    return Fact(
        "open files",
        is_enough,
        f"{soft} may be open at once, {hard} where a program asks for more",
        "" if is_enough else f"ulimit -n {min(hard, 65536) if hard > 0 else 65536}",
    )


def _low_ports() -> Fact:
    first = _first_port()
    if first <= 80 or may_listen(first - 1):
        return Fact("ports below 1024", True, "may be listened at")
    return Fact(
        "ports below 1024",
        False,
        f"this user may not listen below {first}",
        "use a port above, or as root: sysctl net.ipv4.ip_unprivileged_port_start=80",
    )


def _first_port() -> int:
    """Return the first port at which everybody may listen."""
    with contextlib.suppress(OSError, ValueError):  # no such setting: the old rule holds
        return int(_LOW_PORTS.read_text())
    return _LOW_PORT_FIRST


def may_listen(port: int) -> bool:
    """Return whether the rights suffice: root in a container may have none. Nobody listens."""
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except PermissionError:
            return False
        except OSError:
            return True  # somebody has it: rights are looked at first
    return True


def _loopback() -> Fact:
    name = "own loopback addresses"
    try:
        with socket.create_server((_OWN_LOOPBACK, 0)):
            return Fact(name, True, "Services and pods get addresses of 127.0.0.0/8 of their own")
    except OSError as error:
        return Fact(
            name,
            False,
            f"{_OWN_LOOPBACK}: {error.strerror}; all share 127.0.0.1",
            "" if sys.platform == "darwin" else "ip link set lo up",
        )


def _supervision() -> Fact:
    is_there = hasattr(os, "pidfd_open") and Path("/proc/self/stat").exists()
    return Fact(
        "supervision",
        is_there,
        "processes are followed by pidfd and /proc" if is_there else "no pidfd or no /proc here",
        "" if is_there else "use Linux 5.3 or later with /proc mounted",
    )


def _shared_memory() -> Fact:
    is_there = _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK)
    return Fact(
        "volumes in memory",
        is_there,
        f"{_SHARED_MEMORY} can be written" if is_there else f"{_SHARED_MEMORY} cannot be written",
        "" if is_there else f"mount a tmpfs at {_SHARED_MEMORY}; until then they lie on the disk",
    )


def _program(name: str, purpose: str, environment: Mapping[str, str]) -> Fact:
    path = shutil.which(name, path=environment.get("PATH"))
    if path is not None:
        return Fact(name, True, f"{path}: {purpose}")
    return Fact(name, False, f"not installed; it {purpose}", "apt-get install -y util-linux")


def _found(name: str, package: str, environment: Mapping[str, str]) -> Fact:
    searched = environment.get("PATH") or os.defpath
    path = shutil.which(name, path=f"{searched}:/usr/sbin:/sbin")
    is_there = path is not None
    return Fact(
        name, is_there, path or "not installed", "" if is_there else f"apt-get install -y {package}"
    )
