"""The folders of a project are where the environment says, as far as that may be believed."""

from pathlib import Path

import pytest

from alongside.engines.local import folders

HOME = {"HOME": "/home/me"}


@pytest.mark.parametrize("value", ["", "here", "./here"])
def test_ignores_a_relative_folder(value: str) -> None:
    found = folders.of_project("p", {**HOME, "XDG_STATE_HOME": value, "XDG_RUNTIME_DIR": value})
    assert found == folders.of_project("p", HOME)


def test_takes_absolute_folders() -> None:
    found = folders.of_project("p", {"XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r"})
    assert found == folders.Folders(Path("/s/alongside/p"), Path("/r/alongside/p"))
