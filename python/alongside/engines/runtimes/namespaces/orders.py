"""Say what the scripts that enter namespaces are told, and what they answer, as lines of JSON.

Imported by scripts that start for each container, so it imports little itself.
"""

from __future__ import annotations

import json
import os
from typing import Literal, TypedDict

LINE_BYTES_MAX = 8 << 20


class PodOrder(TypedDict):
    """Make a pod's namespaces and hold them."""

    task: Literal["pod"]
    hostname: str
    has_network: bool
    """Whether network and host name are its own, and not the host's."""
    shares_pids: bool
    shm: str
    """The folder where the pod's shared memory is mounted, in its own mount namespace."""
    environment: dict[str, str]


class MountOrder(TypedDict):
    """A file or folder that a container sees at a place."""

    source: str
    sub_path: str
    makes_sub_path: bool
    """Whether a missing one is made, as a folder."""
    target: str
    is_read_only: bool
    is_own: bool
    """Whether mount points may be made in it: it is no folder of the host's."""


class ContainerOrder(TypedDict):
    """Make a container's root and become its program."""

    task: Literal["container"]
    words: list[str]
    environment: dict[str, str]
    directory: str
    stage: str
    """A folder over which the new root is mounted, for nobody else to see."""
    scratch: str
    """The folder that is its /tmp."""
    kept: list[str]
    """Folders below /tmp that stay where they are."""
    shm: str
    has_pids: bool
    """Whether the pod has process ids of its own."""
    mounts: list[MountOrder]
    is_read_only: bool
    user: int | None
    group: int | None
    has_mapping: bool
    """Whether users are those of a user namespace, in which only one of them exists."""
    capabilities: list[str]


class EnterOrder(TypedDict):
    """Become a program in a container that runs."""

    task: Literal["enter"]
    words: list[str]
    environment: dict[str, str]
    directory: str
    user: int | None
    group: int | None
    has_mapping: bool
    capabilities: list[str]


Order = PodOrder | ContainerOrder | EnterOrder


class Answer(TypedDict, total=False):
    """What a script says; only one of its fields is there."""

    pid: int
    """Of the process that goes on instead; it waits for a line."""
    starting: bool
    """The program is what comes next."""
    error: str


def write(descriptor: int, value: Order | Answer) -> None:
    """Write one line."""
    content = json.dumps(value).encode() + b"\n"
    while content:
        content = content[os.write(descriptor, content) :]


def read_line(descriptor: int) -> bytes:
    """Return the next line; shorter, or empty, where the other end has gone."""
    parts = []
    length = 0
    while length < LINE_BYTES_MAX:
        part = os.read(descriptor, 1 << 16)
        parts.append(part)
        length += len(part)
        if not part or part.endswith(b"\n"):
            break
    return b"".join(parts)
