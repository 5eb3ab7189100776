"""Run a detached supervisor: `python -m alongside.server PROJECT BINARY`; `up --detach` does."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from alongside.base import clock, environment, log
from alongside.engines.local import engine, folders
from alongside.server import serving


async def _serve(project: str, binary: str) -> None:
    variables = environment.of_process()
    places = folders.of_project(project, variables)
    setting = engine.Setting(project, places, Path(binary), variables)
    clock_ = clock.SystemClock()
    log_ = log.Log(clock_, fields={"project": project})
    async with serving.serving(setting, clock_, log_) as door:
        with serving.ending_by_signal(door, door.engine):
            await door.is_over.wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2]))
