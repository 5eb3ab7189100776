"""Run a detached supervisor: `python -m alongside.server PROJECT`; `up --detach` does.

It reads its order from stdin and answers with one JSON object on stdout when the order is being
carried out or is refused; from its order on it writes to its log alone. Who began it may find that
there is nothing to order: then it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import clock, environment, errors, log
from alongside.engines.local import engine, folders
from alongside.server import control, leftovers, orders, planning, serving

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alongside.plan import building

_STDOUT, _STDERR = 1, 2


async def _serve(setting: engine.Setting, order: orders.Order, drafted: building.Draft) -> None:
    clock_ = clock.SystemClock()
    log_ = log.Log(clock_, fields={"project": setting.project})
    async with serving.serving(setting, order, drafted, clock_, log_) as (door, applied):
        with serving.ending_by_signal(door, door.engine):
            _answer(dataclasses.asdict(applied))
            await door.is_over.wait()


def _take_log(places: folders.Folders) -> None:
    """Write to the project's log from now on, and no more to where our command does."""
    places.make()
    with leftovers.open_log(places) as stream:
        os.dup2(stream.fileno(), _STDERR)


def _answer(value: Mapping[str, object]) -> None:
    """Tell who started us, if that one still listens, and close the line."""
    with contextlib.suppress(OSError), os.fdopen(os.dup(_STDOUT), "wb") as line:
        line.write(json.dumps(value).encode())
    os.dup2(_STDERR, _STDOUT)


def _main(project: str) -> int:
    content = sys.stdin.buffer.read()
    if not content:
        return int(errors.ExitCode.DONE)
    variables = environment.of_process()
    places = folders.of_project(project, variables)
    try:
        order = orders.from_json(control.parsed(content))
        drafted = planning.draft(order, project, places)  # before anything is written
        _take_log(places)
        setting = engine.Setting(project, places, Path(order.binary), variables)
        asyncio.run(_serve(setting, order, drafted))
    except leftovers.HasSupervisorError as error:
        _answer({"problems": [str(error)], "is_busy": True})
        return int(error.exit_code)
    except errors.AlongsideError as error:
        problems = error.problems if isinstance(error, errors.UsageError) else [str(error)]
        _answer({"problems": problems, "exit_code": int(error.exit_code)})
        return int(error.exit_code)
    return int(errors.ExitCode.DONE)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
