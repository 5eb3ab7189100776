"""Find out whether this machine has an engine that can run pods, and which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from alongside.base import environment

Name = Literal["docker", "socket", "answer", "version", "root", "cgroups", "init", "reach"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a machine has, or why not and what to do."""

    name: Name
    is_there: bool
    reason: str
    """What was seen."""
    remedy: str = ""
    """Empty where it is there, or nothing can be done."""


async def facts(variables: environment.Environment) -> tuple[Fact, ...]:
    """Return what this machine allows; `docker` is whether pods can run at all.

    A question or two to the engine; nothing is made.
    """
    raise NotImplementedError
