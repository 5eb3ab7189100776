"""Follow a roll-out to its end, show its steps as they are told, and say how it ended."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from alongside.base import errors
from alongside.engines.processes import logs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alongside.base import clock
    from alongside.engines.local import folders
    from alongside.server import client, rolling

POLL_S = 0.1
LOG_LINES = 5
NAMES_MAX = 8
"""More are counted."""


class Following:
    """One roll-out, which goes on whoever follows it; each of its waits has a limit of its own."""

    def __init__(self, command: str, door: client.Client, number: int, *, is_shown: bool) -> None:
        """Take the command that follows, the roll-out's number, and whether to show its steps."""
        self._command = command
        self._door = door
        self._number = number
        self._is_shown = is_shown
        self._told = 0
        self._has_waited = False
        self._is_done = False

    def look(self) -> rolling.RestartStatus:
        """Show the steps since the last look, the end too; return how the roll-out goes."""
        state = self._door.restarted(self._number)
        if state["outcome"] == "waiting" and not self._has_waited:
            self._has_waited = True
            self._say(f"the restart {state['reason']}")
        new = state["told"] - self._told
        if self._is_shown and new > 0:
            for step in state["steps"][-new:]:
                click.echo(step)
        self._told = state["told"]
        if self._is_shown and state["outcome"] == "done" and not self._is_done:
            click.echo(f"restarted {state['done']} of {state['asked']}")
        self._is_done = state["outcome"] == "done"
        return state

    async def until_end(self, clock_: clock.Clock) -> rolling.RestartStatus:
        """Return how the roll-out ended."""
        while not is_over(state := self.look()):
            await clock_.sleep(POLL_S)
        return state

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Say at Ctrl-C that only the command ends by it."""
        try:
            yield
        except KeyboardInterrupt:
            self._say("interrupted; the restart goes on, and alongside status shows it")
            raise

    def result(
        self, state: rolling.RestartStatus, places: folders.Folders, *, binary: str = ""
    ) -> errors.ExitCode:
        """Say why a roll-out is not done, if so; return the exit code that says the same.

        Args:
            state: as it ended, or as it is where it is not waited for any longer.
            places: of its project, where the logs are.
            binary: the new data plane, where that is what was rolled out.
        """
        if state["outcome"] == "done":
            return errors.ExitCode.DONE
        if not is_over(state):
            self._say("the restart goes on, and alongside status shows it")
            return errors.ExitCode.FAILED
        done = f"{state['done']} of {state['asked']} done"
        self._say(f"the restart stopped with {done}: {state['reason']}")
        for name in state["begun"]:
            path = places.log(name)
            end, _ = logs.read(path, None, lines=LOG_LINES)
            if end:
                self._say(f"the last lines of {path}:")
                click.echo(end.decode(errors="replace").rstrip("\n"), err=True)
        if unchanged := state["unchanged"]:
            run = "runs on as it was" if len(unchanged) == 1 else "run on as they were"
            self._say(f"{_listed(unchanged)} {run}")
            self._say(f"mend {binary or 'the cause'}, then run alongside {self._command} again")
        return errors.ExitCode.FAILED

    def _say(self, text: str) -> None:
        click.echo(f"alongside {self._command}: {text}", err=True)


def is_over(state: rolling.RestartStatus) -> bool:
    """Return whether a roll-out has ended."""
    return state["outcome"] not in {"waiting", "running"}


def _listed(names: Sequence[str]) -> str:
    if len(names) <= NAMES_MAX:
        return ", ".join(names)
    return f"{', '.join(names[: NAMES_MAX - 1])} and {len(names) - NAMES_MAX + 1} more"
