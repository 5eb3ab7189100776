"""Find out what this machine allows: root, user namespaces, a way out, limits."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from alongside.engines.processes import cgroups
from alongside.engines.processes import facts as machine
from alongside.engines.runtimes.namespaces import carriers, hub, launching, trying

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Name = Literal[
    "linux",
    "root",
    "ip",
    "user-namespaces",
    "network",
    "process-ids",
    "overlay",
    "cgroups",
    "slirp4netns",
    "pasta",
    "namespaces",
]
_TRY_S_MAX = 20.0


Fact = machine.Fact


def problem(found: Sequence[Fact]) -> str:
    """Return why pods cannot run in namespaces, with the remedy; nothing where they can."""
    one = next(one for one in found if one.name == "namespaces")
    return "" if one.is_there else f"{one.reason}; {one.remedy}" if one.remedy else one.reason


async def facts(
    environment: Mapping[str, str], limits: cgroups.Cgroups | None = None
) -> tuple[Fact, ...]:
    """Return what this machine allows; `namespaces` is whether pods can run at all.

    About 0.1 s; nothing of what is tried stays.

    Args:
        environment: whose PATH and user count.
        limits: the cgroups of the project that asks, in whose name one is tried: what is left
            where its supervisor is killed meanwhile is then swept.
    """
    if sys.platform != "linux":
        reason, remedy = f"this is {sys.platform}, not Linux", "use --engine process or docker"
        return tuple(Fact(name, False, reason, remedy) for name in ("linux", "root", "namespaces"))
    tried = await _tried(environment)
    is_root = os.geteuid() == 0 and not tried["private"]
    user_remedy = _RIGHTS_REMEDY if _is_bare(tried) else _USER_REMEDY
    found = [
        Fact("linux", True, f"Linux {os.uname().release}"),
        _root(tried),
        _ip(environment),
        _of("user-namespaces", tried["user"], "an ordinary user gets one", user_remedy),
        _of("network", tried["network"], "bridges and links can be made", _network_remedy(tried)),
        _of("process-ids", tried["pids"], "pods can share process ids of their own", _PIDS_REMEDY),
        _of("overlay", tried["overlay"], "overlays can be mounted; pods need none", ""),
        _limits(limits),
        *_ways_out(environment, is_privileged=is_root),
    ]
    needed = [one for one in found if one.name in {"ip", "network"}]
    if not is_root:
        needed = [one for one in found if one.name in {"ip", "user-namespaces", "network"}]
    lacking = next((one for one in needed if not one.is_there), None)
    how = "as root" if is_root else "in a user namespace"
    whole = Fact("namespaces", True, f"pods can run {how}")
    if lacking is not None:
        whole = Fact("namespaces", False, lacking.reason, lacking.remedy)
    return (*found, whole)


_USER_REMEDY = (
    "as root: sysctl -w user.max_user_namespaces=15000 "
    "kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0 "
    "(those that this system has), or run as root"
)
_PIDS_REMEDY = "only shareProcessNamespace needs it; run outside of a container, or as root"


_RIGHTS_REMEDY = "give it CAP_SYS_ADMIN and CAP_NET_ADMIN, or be an ordinary user"


def _of(name: Name, lack: str, seen: str, remedy: str) -> Fact:
    needs_remedy = bool(lack) and lack != trying.UNTRIED
    return Fact(name, not lack, lack or seen, remedy if needs_remedy else "")


def _is_bare(tried: trying.Findings) -> bool:
    """Return whether this is root without root's rights, as in a container."""
    return os.geteuid() == 0 and bool(tried["private"])


def _root(tried: trying.Findings) -> Fact:
    if _is_bare(tried):
        lack = f"this is root without its rights: {tried['private']}"
        return Fact("root", False, lack, _RIGHTS_REMEDY if tried["user"] else "")
    if os.geteuid() == 0:
        return Fact("root", True, "this is root")
    if tried["user"]:
        return Fact("root", False, "this is an ordinary user", "run as root")
    return Fact("root", False, "this is an ordinary user, for whom user namespaces do")


def _network_remedy(tried: trying.Findings) -> str:
    is_refused = "not permitted" in tried["network"]
    return "give it CAP_NET_ADMIN" if is_refused else "as root: modprobe -a bridge veth"


def _ip(environment: Mapping[str, str]) -> Fact:
    path = hub.tool("ip", environment)
    if path is None:
        return Fact("ip", False, "there is no ip command", "apt-get install -y iproute2")
    if hub.tool("nsenter", environment) is None:
        return Fact("ip", False, "there is no nsenter command", "apt-get install -y util-linux")
    return Fact("ip", True, f"{path} and nsenter are there")


def _limits(asking: cgroups.Cgroups | None) -> Fact:
    with tempfile.TemporaryDirectory() as folder:
        found = asking or cgroups.Cgroups.of_project(Path(folder))
        have = [place.controller for place in found.places]
    if set(cgroups.CONTROLLERS) <= set(have):
        return Fact("cgroups", True, "limits of CPU and memory can be set")
    lacking = " and ".join(one for one in cgroups.CONTROLLERS if one not in have)
    return Fact(
        "cgroups",
        False,
        f"limits of {lacking} cannot be set by this user",
        "give it a cgroup that it may write, with these controllers"
        if os.geteuid() == 0
        else "run as root, or under systemd-run --user --scope -p Delegate=yes",
    )


def _ways_out(environment: Mapping[str, str], *, is_privileged: bool) -> list[Fact]:
    """Return whether each carrier can be used; where one can, the others' lacks need no remedy."""
    lacks = {
        name: carriers.lack(name, environment, is_privileged=is_privileged)
        for name in carriers.NAMES
    }
    usable = next((name for name, lack in lacks.items() if not lack), None)
    found = []
    for name, lack in lacks.items():
        reason, _, remedy = lack.partition("; ")
        if lack and usable:
            reason, remedy = f"{reason}; {usable} does instead", ""
        found.append(Fact(name, not lack, reason or "pods reach what this machine does", remedy))
    return found


async def _tried(environment: Mapping[str, str]) -> trying.Findings:
    """Return what a process of its own found when it tried."""
    ip = hub.tool("ip", environment) or "ip"
    process = await asyncio.create_subprocess_exec(
        *launching.script("trying", takes_arguments=True),
        ip,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_TRY_S_MAX):
            output, _ = await process.communicate()
        found: trying.Findings = json.loads(output)
    except (TimeoutError, ValueError):
        if process.returncode is None:
            process.kill()
            await process.wait()
        lack = "trying it failed"
        return dict.fromkeys(("user", "network", "pids", "overlay", "private"), lack)  # type: ignore[return-value]
    return found
