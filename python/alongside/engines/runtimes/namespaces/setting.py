"""Hold what the namespaces of a project are made for and with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from alongside.plan import pods

    Words = Callable[[pods.Pod, pods.Container], tuple[str, ...]]
    """The whole command of a container, as its image's default or its own words say; `$(…)` of
    what only a runtime knows stands in it as written.

    Raises:
        errors.UsageError: nothing says what runs.
    """

WayOut = Literal["slirp4netns", "pasta"]
WAYS_OUT: tuple[WayOut, ...] = ("slirp4netns", "pasta")
"""The better one first: it speaks with every pod, where pasta speaks with one address only."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all pods of a project have in common."""

    project: str
    home: Path
    """The project's state folder: the mark by which its processes are found."""
    folder: Path
    """For the balancer's document and admin door: short; there."""
    log: Path
    """Of the balancer, the hub's agent and the way out."""
    binary: Path
    """The data plane's, for the balancer."""
    environment: Mapping[str, str]
    """Given to every container, with its own variables over it; PATH finds its command."""
    words: Words
    ways_out: tuple[WayOut, ...] = WAYS_OUT
    """What may carry what leaves the network, the first that can be used; none for no way out."""
