"""Find out what this machine allows: root, user namespaces, a way out, limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Name = Literal[
    "linux",
    "namespaces",
    "root",
    "user-namespaces",
    "ip",
    "processes",
    "overlay",
    "cgroups",
    "slirp4netns",
    "pasta",
]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a machine has, or why not and what to do."""

    name: Name
    is_there: bool
    reason: str
    """What was seen."""
    remedy: str = ""
    """Empty where it is there, or nothing can be done."""


async def facts(environment: Mapping[str, str]) -> tuple[Fact, ...]:
    """Return what this machine allows; `namespaces` is whether pods can run at all.

    About 50 ms; nothing of what is tried stays.
    """
    raise NotImplementedError
