"""The binary is found where it belongs, and gets its document by an open descriptor."""

import json
import os
from pathlib import Path
from typing import NoReturn

import pytest

from alongside.base import environment, errors
from alongside.components.dataplane import launch


def program(folder: Path, name: str = launch.BINARY) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def find(program_path: Path, interpreter: Path, **variables: str) -> str:
    return launch.find(
        environment.Environment(variables),
        program=str(program_path),
        interpreter=str(interpreter),
        scripts=lambda: "/absent/scripts",
    )


def test_looks_beside_the_program_then_beside_the_interpreter_then_in_path(tmp_path: Path) -> None:
    called, python = tmp_path / "bin" / "alongside", tmp_path / "venv" / "python"
    variables = {"PATH": f"/absent::{tmp_path / 'path'}"}
    last = program(tmp_path / "path")
    assert find(called, python, **variables) == str(last)
    second = program(tmp_path / "venv")
    assert find(called, python, **variables) == str(second)
    first = program(tmp_path / "bin")
    assert find(called, python, **variables) == str(first)


def test_a_named_binary_wins_and_must_be_a_program(tmp_path: Path) -> None:
    called = tmp_path / "bin" / "alongside"
    program(tmp_path / "bin")
    named = program(tmp_path, "other")
    assert find(called, called, ALONGSIDE_DATAPLANE=str(named)) == str(named)
    with pytest.raises(errors.UsageError, match="name alongside-dataplane or unset it"):
        find(called, called, ALONGSIDE_DATAPLANE=str(tmp_path))


def test_a_missing_binary_is_answered_with_the_places_looked_at(tmp_path: Path) -> None:
    with pytest.raises(errors.PermanentError) as caught:
        find(tmp_path / "x", tmp_path / "y", PATH="/absent")
    assert str(tmp_path) in str(caught.value)
    assert "/absent" in str(caught.value)


class Replaced(Exception):  # noqa: N818 - it ends a fake, nothing failed
    """Stands for the moment in which another program would take over."""


def test_the_document_is_read_from_the_inherited_descriptor() -> None:
    seen: dict[str, object] = {}

    def execute(path: str, arguments: list[str], /) -> NoReturn:
        descriptor = int(arguments[2].removeprefix("fd:"))
        seen.update(path=path, arguments=arguments[:2], inherited=os.get_inheritable(descriptor))
        with open(descriptor, "rb") as stream:
            seen["document"] = json.loads(stream.read())
        raise Replaced

    with pytest.raises(Replaced):
        launch.become("/bin/x", b'{"schema": 1}', execute=execute)
    assert seen == {
        "path": "/bin/x",
        "arguments": [launch.BINARY, "--document"],
        "inherited": True,
        "document": {"schema": 1},
    }


def test_others_see_the_command_line_of_what_it_stands_for() -> None:
    seen: list[str] = []

    def execute(path: str, arguments: list[str], /) -> NoReturn:
        seen.extend([path, *arguments])
        raise Replaced

    shown, more = ("bin/old", "-c", "--", "f"), ("--state", "s")
    with pytest.raises(Replaced):
        launch.become("/bin/x", b"{}", shown=shown, more=more, execute=execute)
    descriptor = seen.pop(-3)
    assert seen == ["/bin/x", *shown, "--", "--document", *more]
    os.close(int(descriptor.removeprefix("fd:")))


def test_a_binary_that_cannot_run_is_answered_with_its_name(tmp_path: Path) -> None:
    broken = program(tmp_path)
    broken.write_bytes(b"\0not a program")
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(errors.PermanentError, match=f"cannot run {broken}"):
        launch.become(str(broken), b"{}")
    assert len(os.listdir("/proc/self/fd")) == descriptors
