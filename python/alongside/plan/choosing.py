"""Choose what runs a project's pods, or say why nothing can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alongside.plan import shape
    from alongside.resources import problems

Wish = Literal["auto", "process", "namespaces", "docker"]
WISHES: tuple[Wish, ...] = ("auto", "process", "namespaces", "docker")
_ROOMY: tuple[shape.EngineName, ...] = ("namespaces", "docker")
"""The engines in which each pod has a network of its own, the better one first."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What this machine does not allow; an empty reason is that it does."""

    namespaces: str = ""
    """Why pods cannot have namespaces of their own, and the remedy."""
    docker: str = ""
    """Why no Docker or Podman socket can be used, and the remedy."""

    def against(self, engine: shape.EngineName) -> str:
        """Return why an engine cannot be used here; nothing where it can."""
        return {"process": "", "namespaces": self.namespaces, "docker": self.docker}[engine]


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine and, as a sentence for people, why it."""

    engine: shape.EngineName
    reason: str


def choose(
    wish: Wish,
    collisions: Sequence[problems.Problem],
    facts: Facts,
    *,
    doubts: Sequence[problems.Problem] = (),
) -> Choice:
    """Return what runs the pods of a project that does not run yet.

    Args:
        wish: the user's.
        collisions: what cannot share an address where all pods share this machine's network.
        facts: of the machine.
        doubts: the same, where pods do not listen at the address that they are told.

    Raises:
        errors.UsageError: nothing can; every collision, and why the other engines cannot be used.
    """
    if wish != "auto":
        if wish == "process":
            _refuse(collisions)
        elif why := facts.against(wish):
            raise errors.UsageError(f"--engine {wish} cannot be used: {why}")
        return Choice(wish, "it was asked for")
    if not collisions and doubts:
        return _doubted(doubts[0].message.partition(";")[0], facts)
    if not collisions:
        return Choice("process", "no two of its pods need one address")
    first = f"as processes its pods would collide: {collisions[0].message.partition(';')[0]}"
    for engine in _ROOMY:
        if not facts.against(engine):
            return Choice(engine, first)
    others = [f"--engine {one} cannot be used: {facts.against(one)}" for one in _ROOMY]
    raise errors.UsageError(*map(str, collisions), *others)


def keep(
    wish: Wish, current: shape.EngineName, collisions: Sequence[problems.Problem], project: str
) -> Choice:
    """Return what runs the pods of a project that is up: what runs them already.

    Raises:
        errors.UsageError: another engine is asked for or needed; a project keeps its own.
    """
    remedy = f"run alongside down --project {project} first, then up again"
    if wish not in {"auto", current}:
        raise errors.UsageError(
            f'project "{project}" is up with --engine {current}, and does not change it to {wish} '
            f"while it is up; {remedy}"
        )
    if current == "process" and collisions:
        raise errors.UsageError(
            *map(str, collisions),
            f'project "{project}" is up with --engine process, which it keeps; for another one '
            f"{remedy}",
        )
    return Choice(current, "the project is up with it")


def _doubted(first: str, facts: Facts) -> Choice:
    """Return what runs pods that may collide, which nobody knows before they run.

    Args:
        first: what would collide.
        facts: of the machine.
    """
    if facts.namespaces:
        where = "provided that they listen at status.podIP; else"
        return Choice("process", f"no two of its pods need one address, {where} {first}")
    return Choice(
        "namespaces",
        f"as processes its pods would collide, unless they listen at status.podIP: {first}",
    )


def _refuse(collisions: Sequence[problems.Problem]) -> None:
    if collisions:
        raise errors.UsageError(*map(str, collisions))
