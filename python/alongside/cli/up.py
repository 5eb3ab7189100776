"""`alongside up`: run what resource files ask for, in the foreground or detached."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from alongside.cli import detaching, names, options
from alongside.components.dataplane import launch
from alongside.contract import values
from alongside.contract.catalogue import up
from alongside.engines.local import folders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alongside.base import environment
    from alongside.plan import choosing

CONTRACT = up.CONTRACT


def start(words: Sequence[str], variables: environment.Environment) -> int:
    """Run by the words after the command's name; return the exit code."""
    resolved = values.gather(CONTRACT, words, variables)
    is_named, is_detached = resolved.is_set("project"), resolved.is_on("detach")
    paths = [Path(text) for text in resolved.texts("file")]
    given = names.checked(resolved.text("project")) if is_named else None
    project = given or names.of_folder(paths[0].absolute().parent)
    places = folders.of_project(project, variables)
    with detaching.Detached(project, variables) as detached:
        # Not Path.exists, which raises where a folder may not be entered.
        if is_detached and not os.path.exists(places.control):
            detached.begin()
        # Late, so that a supervisor loads what it needs while we do.
        from alongside.cli import bringing  # noqa: PLC0415
        from alongside.resources import texts  # noqa: PLC0415
        from alongside.server import client, orders  # noqa: PLC0415

        sources = tuple(texts.load(paths))
        images = tuple(texts.load([Path(text) for text in resolved.texts("images")]))
        binary = launch.find(variables, program=sys.argv[0], interpreter=sys.executable)
        order = orders.Order(
            sources,
            resolved.duration_s("stop_timeout"),
            is_named=is_named,
            binary=str(Path(binary).absolute()),
            engine=cast("choosing.Wish", resolved.text("engine")),
            images=images,
            console=resolved.text("console"),
        )
        run = bringing.Run(
            project,
            places,
            order,
            variables,
            is_json=resolved.is_on("json"),
            ready_s=resolved.duration_s("ready_timeout"),
            effective=resolved.effective(),
        )
        door = client.Client(places)

        def become() -> int:
            if is_detached:
                return bringing.detach(run, door, detached)
            from alongside.cli import foreground  # noqa: PLC0415 - it loads most of us

            return foreground.supervise(run)

        return bringing.bring(run, door, detached, become)


command = options.ContractCommand(CONTRACT, start)
