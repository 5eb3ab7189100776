"""Hold what all containers of a project stand on: the engine, its network and our image."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.dockerd import answers
from alongside.engines.runtimes.docker import addresses, containers, facts, image, names, seeing

if TYPE_CHECKING:
    from alongside.base import clock, log
    from alongside.dockerd import engine
    from alongside.engines.runtimes.docker import setting
    from alongside.plan import pods

_POOLS = "could not find an available"


@dataclass(slots=True, kw_only=True)
class Project:
    """What `open` found or made; sandboxes and balancers take it."""

    setting: setting.Setting
    clock: clock.Clock
    log: log.Log
    asked: engine.Engine
    image: str
    network: str
    is_reached: bool
    """Whether this machine reaches addresses of the network; else ports are published."""
    facts: tuple[facts.Fact, ...]
    """What the engine is."""
    addresses: addresses.Addresses | None = None
    """Of pods; None where the engine gives them."""
    user: str = "0:0"
    """As whom our data plane reaches sockets of this user in a container."""
    is_slave: bool = True
    """Whether mounts of volumes can follow later ones; the engine says when they cannot."""
    sees_mounts: bool = False
    """Whether the engine sees what we mount, as far as was found out."""
    served: tuple[pods.Service, ...] = ()
    """The Services that containers are told of by variables."""
    services: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Where each Service is now; stands in every pod's /etc/hosts."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Of those who find the network gone."""

    def labels(self, **more: str) -> dict[str, str]:
        """Return the labels of a container of the project."""
        return names.labels(self.setting.project, self.setting.home, **more)

    def name(self, *parts: str) -> str:
        """Return the name of a container of the project."""
        return names.container(self.setting.project, self.setting.home, *parts)


async def opened(
    setting_: setting.Setting, clock_: clock.Clock, log_: log.Log, asked: engine.Engine
) -> Project:
    """Return a project's network and image, made where they are not there.

    Raises:
        errors.AlongsideError: the engine does not allow it; the remedy is named.
    """
    info = await containers.await_answer(asked, clock_, facts.ANSWER_S_MAX)
    version = (await asked.ask("GET", "/version")).checked("the engine has no version")
    found = facts.of_engine(info, answers.record(version.value()))
    if missing := [fact for fact in found if not fact.is_there and fact.name in facts.NEEDED]:
        raise errors.PermanentError(
            "\n".join(f"docker: {fact.reason}; {fact.remedy}" for fact in missing)
        )
    made = await image.ensure(asked, setting_.binary, info)
    labels = names.labels(setting_.project, setting_.home)
    name = names.container(setting_.project, setting_.home, "mounts")
    body: answers.Json = {"Image": made, "Labels": labels}
    network, ours = await _network(setting_, asked)
    return Project(
        setting=setting_,
        clock=clock_,
        log=log_,
        asked=asked,
        image=made,
        network=network,
        addresses=ours,
        # In a rootless engine this user is its containers' root.
        user="0:0" if facts.is_rootless(info) else f"{os.getuid()}:{os.getgid()}",
        facts=tuple(found),
        sees_mounts=await seeing.sees_mounts(asked, body, name, setting_.folder),
        is_reached=any(fact.name == "reach" and fact.is_there for fact in found),
    )


async def networks(asked: engine.Engine, setting_: setting.Setting) -> list[answers.Json]:
    """Return the networks of a project: one, or none, or what was left half made.

    Raises:
        errors.AlongsideError: the engine does not tell.
    """
    labels = {names.HOME: str(setting_.home)}
    answer = await asked.ask("GET", "/networks", params={"filters": containers.filters(labels)})
    return answers.records(answer.checked("networks cannot be listed").value())


async def remove_networks(asked: engine.Engine, setting_: setting.Setting) -> None:
    """Remove the networks of a project, in which nothing is any more.

    Raises:
        errors.AlongsideError: the engine does not do it.
    """
    for found in await networks(asked, setting_):
        answer = await asked.ask("DELETE", f"/networks/{answers.text(found, 'Id')}")
        if answer.status != 404:
            answer.checked("the network cannot be removed")


async def renew_network(one: Project) -> None:
    """Make a project's network again, as it was, where somebody removed it.

    That is possible whenever no container of the project is in it.

    Raises:
        errors.AlongsideError: the engine does not make it.
    """
    async with one.turn:
        if not await networks(one.asked, one.setting):
            await _make(one.setting, one.asked, one.network, one.addresses)
            one.log.warning("network_made_again", network=one.network)


async def _network(
    setting_: setting.Setting, asked: engine.Engine
) -> tuple[str, addresses.Addresses | None]:
    """Return the name of a project's network and its pods' addresses; it is made if not there.

    Which network is free the engine alone knows, and it divides one only that is named: so it is
    made twice.
    """
    for found in await networks(asked, setting_):
        ours = addresses.of(found)
        is_divided = ours is not None and addresses.is_divided(found, ours)
        return answers.text(found, "Name"), ours if is_divided else None
    name = names.network(setting_.project, setting_.home)
    await _make(setting_, asked, name)
    ours = None
    for found in await networks(asked, setting_):
        if (ours := addresses.of(found)) is not None:
            await remove_networks(asked, setting_)
            try:
                await _make(setting_, asked, name, ours)
            except answers.RefusedError:  # somebody was quicker, or the engine cannot
                ours = None
                await _make(setting_, asked, name)
    return name, ours


async def _make(
    setting_: setting.Setting,
    asked: engine.Engine,
    name: str,
    divided: addresses.Addresses | None = None,
) -> None:
    body: answers.Json = {
        "Name": name,
        "Driver": "bridge",
        "Labels": names.labels(setting_.project, setting_.home),
        "CheckDuplicate": True,
    }
    if divided is not None:
        body["IPAM"] = {"Config": [divided.config]}
    try:
        answer = await asked.ask("POST", "/networks/create", body=body)
        answer.checked(f'the network "{name}" cannot be made')
    except answers.RefusedError as error:
        if _POOLS not in str(error):
            raise
        raise errors.PermanentError(
            f"{error}; remove networks that nobody uses (`docker network prune`), or give the "
            "engine more by `default-address-pools`"
        ) from error
