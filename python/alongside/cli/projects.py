"""Find the project that a command speaks of, and its supervisor."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import environment, errors
from alongside.engines.local import folders
from alongside.server import client, leftovers

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME_LENGTH_MAX = 40
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def checked(name: str) -> str:
    """Return a project's name as given by a user.

    Raises:
        errors.UsageError: it could not be the name of a folder and a mark.
    """
    if not _NAME.fullmatch(name):
        raise errors.UsageError(
            f'--project "{name[:64]}" is not a name; write at most {NAME_LENGTH_MAX} of a-z, 0-9 '
            "and -, beginning and ending with a letter or digit"
        )
    return name


def of_folder(folder: Path) -> str:
    """Return the project name that a folder stands for; letters that a name cannot have are -."""
    text = re.sub(r"[^a-z0-9]+", "-", folder.absolute().name.lower())[:NAME_LENGTH_MAX]
    return text.strip("-") or "project"


def found(given: str | None, variables: environment.Environment) -> folders.Folders:
    """Return the folders of the named project, else of this folder's, else of the only one up.

    Only for commands that change nothing; the others take `own`.

    Raises:
        errors.UsageError: several are up and none is named.
    """
    here, up = _look(given, variables)
    if len(up) > 1:
        raise errors.UsageError(f"several projects are up; add --project {' or '.join(up)}")
    return _of(up[0], variables) if up else here


def own(given: str | None, variables: environment.Environment) -> folders.Folders:
    """Return the folders of the named project, else of this folder's, for commands that act.

    Raises:
        errors.UsageError: this folder's is not up and others are; acting on one is not guessed.
    """
    here, up = _look(given, variables)
    if up:
        raise errors.UsageError(
            f'project "{here.state.name}" of this folder is not up, but {", ".join(up)} '
            f"{'is' if len(up) == 1 else 'are'}; add --project {' or '.join(up)}"
        )
    return here


def _look(
    given: str | None, variables: environment.Environment
) -> tuple[folders.Folders, list[str]]:
    """Return the named or this folder's project, and the others that are up where it is not."""
    if given is not None:
        return folders.of_project(checked(given), variables), []
    here = folders.of_project(of_folder(Path.cwd()), variables)
    if client.Client(here).is_up() or leftovers.find(here):
        return here, []
    return here, [name for name in _known(here) if client.Client(_of(name, variables)).is_up()]


def not_running(places: folders.Folders) -> errors.AlongsideError:
    """Return the error for a command that needs a supervisor where there is none."""
    name = places.state.name
    if count := len(leftovers.find(places)):
        run = "process still runs and serves" if count == 1 else "processes still run and serve"
        return errors.PermanentError(
            f'no supervisor answers for project "{name}", but {count} of its {run}; '
            f"take over with: alongside up FILE; or end with: alongside down --project {name}"
        )
    return errors.PermanentError(
        f'no supervisor answers for project "{name}"; start it with: alongside up FILE'
    )


def _of(name: str, variables: environment.Environment) -> folders.Folders:
    return folders.of_project(name, variables)


def _known(here: folders.Folders) -> Sequence[str]:
    if not here.state.parent.is_dir():
        return []
    return sorted(path.name for path in here.state.parent.iterdir() if _NAME.fullmatch(path.name))
