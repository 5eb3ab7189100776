"""Say how each process of a project is started: its words, variables, marks and sockets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.engines.local import children
from alongside.engines.processes import ending, groups, spawning
from alongside.plan import pooling, shape

if TYPE_CHECKING:
    from pathlib import Path

    from alongside.base import environment
    from alongside.engines.local import folders


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and for whom an engine works."""

    project: str
    folders: folders.Folders
    binary: Path
    """The data plane's."""
    environment: environment.Environment
    """Given to every child, with its own variables over it."""


def launch(
    setting: Setting,
    process: shape.Process,
    number: int,
    words: tuple[str, ...],
    passed: tuple[tuple[str, int], ...],
) -> children.Launch:
    """Return how an incarnation of a process is started.

    Args:
        setting: of the project.
        process: what it is.
        number: of the incarnation.
        words: more of them, for the data plane.
        passed: its sockets, which are its own from now on.
    """
    marks = ending.Marks(str(setting.folders.state), f"{setting.project}/{process.name}")
    variables = {
        **setting.environment,
        **dict(process.environment),
        groups.MARK: marks.name,
        groups.HOME_MARK: marks.home,
    }
    for name in ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"):
        variables.pop(name, None)
    argv, door = process.argv, setting.folders.admin(process.name, number)
    if process.is_data_plane:
        document = setting.folders.document(process.name, number)
        argv = (str(setting.binary), "--document", str(document), *words)
    elif process.role == "server":
        door = setting.folders.server(process.name, pooling.owner(process))
        argv = tuple(str(door) if word == shape.OWN_SOCKET else word for word in argv)
    log = setting.folders.log(process.name)
    program = spawning.Program(argv, variables, process.directory, log, passed)
    return children.Launch(program, marks, door, is_data_plane=process.is_data_plane)
