"""Find the project that a command speaks of, and its supervisor."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import environment, errors, files
from alongside.cli import names
from alongside.engines.local import folders
from alongside.server import client, journal, leftovers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alongside.base import clock

START_S_MAX = 30.0
"""From a supervisor's signing of the lock to its first answer; it may have to end what a dead one
left before."""


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
        errors.UsageError: another folder of this name is up, or this one is not and others are;
            acting on one of them is not guessed.
    """
    here, up = _look(given, variables)
    folder = _folder_of(here) if given is None else None
    if folder and not files.is_same_folder(folder, str(Path.cwd())):
        name = here.state.name
        raise errors.UsageError(
            f'project "{name}" is up from {folder}, not from this folder, {Path.cwd()}; '
            f"if that one is meant, add --project {name}"
        )
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
    here = _of(
        names.checked(given) if given is not None else names.of_folder(Path.cwd()), variables
    )
    here.check()
    if given is not None:
        return here, []
    folder = _folder_of(here)
    if folder is not None and (not folder or files.is_same_folder(folder, str(Path.cwd()))):
        return here, []
    return here, [name for name in _known(here) if client.Client(_of(name, variables)).is_up()]


def _folder_of(places: folders.Folders) -> str | None:
    """Return where a project was brought up from, empty if unknown; None if nothing of it runs."""
    try:
        return client.Client(places).status()["folder"]
    except client.NotRunningError:
        if leftovers.holder(places) is None and not leftovers.find(places):
            return None
    except errors.AlongsideError:
        pass  # it runs and does not say
    return journal.read(places.journal).folder


def is_silent(places: folders.Folders, clock_: clock.Clock) -> bool:
    """Return whether a supervisor runs that should have begun to answer long ago."""
    if leftovers.holder(places) is None:
        return False
    with contextlib.suppress(OSError):
        return clock_.wall_s() - places.lock.stat().st_mtime > START_S_MAX
    return False


def not_running(places: folders.Folders) -> errors.AlongsideError:
    """Return the error for a command that needs a supervisor where there is none."""
    name = places.state.name
    if holder := leftovers.holder(places):
        return errors.PermanentError(
            f'the supervisor of project "{name}" (pid {holder.pid}) runs, but does not answer at '
            f"{places.control}; end it with: alongside down --project {name}"
        )
    if count := len(leftovers.find(places)):
        run = "process still runs and serves" if count == 1 else "processes still run and serve"
        return errors.PermanentError(
            f'no supervisor answers for project "{name}", but {count} of its {run}; '
            f"end with: alongside down --project {name}; or start anew with: alongside up FILE"
        )
    return errors.PermanentError(f'project "{name}" is not up; start it with: alongside up FILE')


def _of(name: str, variables: environment.Environment) -> folders.Folders:
    return folders.of_project(name, variables)


def _known(here: folders.Folders) -> Sequence[str]:
    if not here.state.parent.is_dir():
        return []
    return sorted(path.name for path in here.state.parent.iterdir() if names.is_name(path.name))
