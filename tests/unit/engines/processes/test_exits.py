"""How a program ended is one number for shells, Kubernetes and every engine."""

from __future__ import annotations

import signal

import pytest

from alongside.engines.pods import runtime
from alongside.engines.processes import exits


@pytest.mark.parametrize(
    ("status", "code", "number"),
    [(0, 0, None), (3, 3, None), (-signal.SIGKILL, 137, 9), (137, 137, None), (None, 255, None)],
)
def test_a_status_of_the_system_is_a_code_and_a_signal(
    status: int | None, code: int, number: int | None
) -> None:
    assert exits.code(status) == code
    assert runtime.Exit.of_status(status) == runtime.Exit(code, number)


@pytest.mark.parametrize(
    ("code", "number"), [(0, None), (1, None), (128, None), (137, 9), (143, 15), (255, None)]
)
def test_a_code_alone_tells_of_a_signal(code: int, number: int | None) -> None:
    told = runtime.Exit.of_code(code, is_out_of_memory=True)
    assert told == runtime.Exit(code, number, is_out_of_memory=True)


def test_what_was_killed_has_one_code_everywhere() -> None:
    assert exits.KILLED == exits.code(-signal.SIGKILL) == 137
