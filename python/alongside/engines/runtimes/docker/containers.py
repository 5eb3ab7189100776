"""Make, find and remove what a project has in an engine, whatever somebody else does meanwhile."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING

from alongside.dockerd import answers
from alongside.engines.pods import limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from alongside.base import clock
    from alongside.dockerd import engine

TRIES_MAX = 5
REMOVED_S_MAX = 30.0
_AGAIN_S = 0.1
_GONE = 404
_CONFLICT = 409


async def create(asked: engine.Engine, name: str, body: answers.Json) -> str:
    """Make a container and return its id.

    Where its name is taken by what is left of the same part of the project, that is removed; a
    stranger keeps his, and the new one gets another.

    Raises:
        answers.SilentError: the engine does not answer.
        answers.RefusedError: the engine does not make it.
    """
    tried = name
    for _ in range(TRIES_MAX):
        answer = await asked.ask("POST", "/containers/create", body=body, params={"name": tried})
        if answer.status != _CONFLICT:
            break
        found = await inspect(asked, tried)
        carried = answers.record(found, "Config", "Labels")
        if answers.record(body, "Labels").items() <= carried.items():
            await remove(asked, tried)
        else:
            tried = f"{name}.{secrets.token_hex(4)}"
    made = answers.record(answer.checked("cannot be created").value())
    return answers.text(made, "Id")


async def start(asked: engine.Engine, identity: str) -> None:
    """Start a container that was made, when it is its turn.

    Raises:
        answers.SilentError: the engine does not answer.
        answers.RefusedError: it cannot be started; with the engine's words.
    """
    async with limits.turn(asked.turns):
        answer = await asked.ask("POST", f"/containers/{identity}/start")
    answer.checked("cannot be started")


async def inspect(asked: engine.Engine, identity: str) -> answers.Json:
    """Return what an engine knows of a container; empty where there is none.

    Raises:
        answers.SilentError: the engine does not answer.
        answers.RefusedError: it does not tell.
    """
    answer = await asked.ask("GET", f"/containers/{identity}/json")
    if answer.status == _GONE:
        return {}
    return answers.record(answer.checked("cannot be looked at").value())


async def signal(asked: engine.Engine, identity: str, name: str) -> None:
    """Send a signal to a container's first process; nothing happens where it does not run.

    Raises:
        answers.SilentError: the engine does not answer.
        answers.RefusedError: it cannot be sent.
    """
    answer = await asked.ask("POST", f"/containers/{identity}/kill", params={"signal": name})
    if answer.status not in {_GONE, _CONFLICT}:
        answer.checked(f"cannot be sent {name}")


async def remove(asked: engine.Engine, identity: str) -> None:
    """End a container, when it is its turn, and remove it with its own volumes; then it is gone.

    Raises:
        answers.SilentError: the engine does not answer.
        answers.RefusedError: it does not remove it.
    """
    params = {"force": "1", "v": "1"}
    async with limits.turn(asked.turns):
        answer = await asked.ask("DELETE", f"/containers/{identity}", params=params)
    if answer.status == _CONFLICT:  # somebody else removes it just now
        waited = {"condition": "removed"}
        path = f"/containers/{identity}/wait"
        answer = await asked.ask("POST", path, params=waited, timeout_s=REMOVED_S_MAX)
    if answer.status != _GONE:
        answer.checked("cannot be removed")


async def remove_all(asked: engine.Engine, identities: Iterable[str]) -> None:
    """Remove containers at one time; the first failure is raised when all were tried.

    Raises:
        answers.SilentError: the engine does not answer.
        answers.RefusedError: it does not remove one.
    """
    done = await asyncio.gather(
        *(remove(asked, identity) for identity in identities), return_exceptions=True
    )
    for failure in done:
        if isinstance(failure, BaseException):
            raise failure


async def find(asked: engine.Engine, labels: Mapping[str, str]) -> list[answers.Json]:
    """Return the containers that carry labels, also those that do not run.

    Raises:
        answers.SilentError: the engine does not answer.
        answers.RefusedError: it does not tell.
    """
    params = {"all": "1", "filters": filters(labels)}
    answer = await asked.ask("GET", "/containers/json", params=params)
    return answers.records(answer.checked("containers cannot be listed").value())


async def await_answer(asked: engine.Engine, clock_: clock.Clock, within_s: float) -> answers.Json:
    """Return what an engine says of itself, as soon as it answers.

    Raises:
        answers.SilentError: it does not, in that time.
        answers.RefusedError: it is there and does not tell.
    """
    until_s = clock_.monotonic_s() + within_s
    while True:
        try:
            answer = await asked.ask("GET", "/info")
            return answers.record(answer.checked("the engine does not tell what it is").value())
        except answers.SilentError:
            if clock_.monotonic_s() >= until_s:
                raise
        await clock_.sleep(_AGAIN_S)


def filters(labels: Mapping[str, str]) -> str:
    """Return a filter for lists: what carries all these labels."""
    return json.dumps({"label": [f"{name}={value}" for name, value in labels.items()]})
