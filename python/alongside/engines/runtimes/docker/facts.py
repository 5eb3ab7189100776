"""Find out whether this machine has an engine that can run pods, and which."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Literal

from alongside.dockerd import address, answers, engine
from alongside.engines.processes import facts as machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from alongside.base import environment

ANSWER_S_MAX = 20.0
"""How long an engine may take until it first answers: one that just starts does, or is busy.

One that is not there refuses at once.
"""
_API_MIN = (1, 41)
"""Docker 20.10's, and that of Podman 4."""
Name = Literal["docker", "socket", "answer", "version", "root", "limits", "reach"]
NEEDED: frozenset[Name] = frozenset({"socket", "answer", "version"})


Fact = machine.Fact


async def facts(variables: environment.Environment) -> tuple[Fact, ...]:
    """Return what this machine allows; `docker` is whether pods can run at all.

    Two questions to the engine, twenty seconds at most; nothing is made.
    """
    found = [one async for one in _looked(variables)]
    lacking = [one for one in found if one.name in NEEDED and not one.is_there]
    if lacking:
        whole = Fact("docker", is_there=False, reason=lacking[0].reason, remedy=lacking[0].remedy)
    else:
        whole = Fact("docker", is_there=True, reason="pods can be containers of an engine")
    return (whole, *found)


async def _looked(variables: environment.Environment) -> AsyncIterator[Fact]:
    socket = address.found(variables)
    looked = ", ".join(str(path) for path in address.candidates(variables))
    if socket is None:
        remedy = f"start Docker or Podman, or name its socket: {address.VARIABLE}=unix:///PATH"
        reason = f"no socket of an engine at {looked}" if looked else "DOCKER_HOST names no socket"
        yield Fact("socket", is_there=False, reason=reason, remedy=remedy)
        return
    yield Fact("socket", is_there=True, reason=f"an engine's socket is {socket}")
    if remedy := address.refusal(socket):
        reason = f"this user may not use {socket}"
        yield Fact("answer", is_there=False, reason=reason, remedy=remedy)
        return
    try:
        async with asyncio.timeout(ANSWER_S_MAX), engine.Engine(socket) as asked:
            info = (await asked.ask("GET", "/info")).checked("the engine does not tell what it is")
            version = (await asked.ask("GET", "/version")).checked("the engine has no version")
    except (answers.SilentError, answers.RefusedError, TimeoutError) as error:
        said = str(error) or f"it says nothing for {ANSWER_S_MAX:g} s"
        remedy = f"start it, or name another socket: {address.VARIABLE}=unix:///PATH"
        yield Fact("answer", is_there=False, reason=f"{socket}: {said}", remedy=remedy)
        return
    yield Fact("answer", is_there=True, reason="it answers")
    for fact in of_engine(answers.record(info.value()), answers.record(version.value())):
        yield fact


def of_engine(info: answers.Json, version: answers.Json) -> list[Fact]:
    """Return what an engine is, by what it says of itself."""
    return [_version(info, version), _root(info), _limits(info), _reach(info)]


def is_rootless(info: answers.Json) -> bool:
    """Return whether an engine runs without root's rights."""
    return any("rootless" in one for one in answers.texts(info, "SecurityOptions"))


def is_elsewhere(info: answers.Json) -> bool:
    """Return whether an engine's containers are on another machine, such as Docker Desktop's."""
    is_desktop = "docker desktop" in answers.text(info, "OperatingSystem").lower()
    return sys.platform != "linux" or is_desktop


def _version(info: answers.Json, version: answers.Json) -> Fact:
    parts = answers.records(version.get("Components"))
    is_podman = any("podman" in answers.text(one, "Name").lower() for one in parts)
    said = f"{'Podman' if is_podman else 'Docker'} {answers.text(version, 'Version') or '?'}"
    api = tuple(
        int(part) for part in answers.text(version, "ApiVersion").split(".") if part.isdecimal()
    )
    if answers.text(info, "OSType") not in {"", "linux"}:
        return Fact(
            "version",
            is_there=False,
            reason=f"{said} runs no Linux containers",
            remedy="switch it to Linux containers",
        )
    if api < _API_MIN:
        return Fact(
            "version",
            is_there=False,
            reason=f"{said} is too old",
            remedy="install Docker 20.10, Podman 4, or newer",
        )
    return Fact("version", is_there=True, reason=said)


def _root(info: answers.Json) -> Fact:
    if is_rootless(info):
        return Fact(
            "root",
            is_there=False,
            reason="the engine is rootless: hostNetwork and its networks' addresses are its own",
        )
    return Fact("root", is_there=True, reason="the engine has root's rights")


def _limits(info: answers.Json) -> Fact:
    said = f"cgroups version {answers.text(info, 'CgroupVersion') or '1'}"
    lacking = [name for name in ("MemoryLimit", "CpuCfsQuota") if info.get(name) is False]
    if lacking or answers.text(info, "CgroupDriver") == "none":
        return Fact(
            "limits",
            is_there=False,
            reason=f"{said}: limits of memory and CPU are not held",
            remedy="use an engine with root's rights, or cgroups version 2 with delegation",
        )
    return Fact("limits", is_there=True, reason=f"{said}: limits of memory and CPU are held")


def _reach(info: answers.Json) -> Fact:
    if is_elsewhere(info) or is_rootless(info):
        return Fact(
            "reach",
            is_there=False,
            reason="the engine's networks are not this machine's: probes go through published "
            "ports, so that only ports which a pod names are reached",
        )
    return Fact("reach", is_there=True, reason="pods are reached at their own addresses")
