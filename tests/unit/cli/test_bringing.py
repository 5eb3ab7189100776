"""`up` where a supervisor is there already, of another version than the command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from alongside.base import environment
from alongside.cli import bringing, detaching
from alongside.engines.local import folders
from alongside.resources import texts
from alongside.server import orders

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from alongside.server import client


class Older:
    """A supervisor that knows neither roll-outs, nor engines, Services and a page."""

    def is_up(self) -> bool:
        """Return whether it answers."""
        return True

    def apply(self, _: orders.Order) -> Mapping[str, object]:
        """Return what an order changes, as the first version said it."""
        return {"changes": ["start app"], "warnings": []}

    def status(self) -> Mapping[str, object]:
        """Return the state of everything, as the first version said it."""
        return {
            "project": "p",
            "supervisor_pid": 1,
            "version": "0.0.9",
            "folder": "/p",
            "files": [],
            "ready": True,
            "warnings": [],
            "caches": [],
            "processes": [],
        }


def test_an_older_supervisor_does_what_it_can_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = texts.Source("a.yaml", str(tmp_path), "")
    variables = environment.Environment({})
    places = folders.Folders(state=tmp_path / "state", runtime=tmp_path / "runtime")
    order = orders.Order((source,), binary="/nowhere")
    run = bringing.Run("p", places, order, variables, is_json=False, ready_s=1.0)
    detached = detaching.Detached("p", variables)
    assert bringing.bring(run, cast("client.Client", Older()), detached, lambda: 9) == 0
    said = capsys.readouterr()
    assert "start app" in said.out
    assert "of version 0.0.9, this command of" in said.out
