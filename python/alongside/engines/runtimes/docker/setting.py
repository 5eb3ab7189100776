"""Hold what the containers of a project are made for and with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Setting:
    """What all pods of a project have in common."""

    project: str
    home: Path
    """The project's state folder: the label by which its containers are found."""
    folder: Path
    """For the balancers' documents; there, and seen by the engine under the same path."""
    binary: Path
    """The data plane's: of it the image of sandboxes and balancers is made."""
    socket: Path
    """The engine's: `dockerd.address.found(environment)`."""
