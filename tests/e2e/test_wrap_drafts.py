"""A program under the draft of its own Dockerfile starts as without it, for each of the drafts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from tests.contract import drafts

from alongside.base import environment
from alongside.contract import written
from alongside.contract.drafting import sources

ENV = shutil.which("env") or "/usr/bin/env"


def image_variables(name: str) -> dict[str, str]:
    """Return what the image itself sets, as a container engine would give it to the program."""
    path = str(drafts.dockerfile(name))
    image = sources.image(path, sources.Wishes(), environment.Environment())
    return {name: one.value.text for name, one in image.variables.items()}


def wrapped(name: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    contract = str(drafts.FOLDER / name / "draft.yaml")
    words = ["contract", "wrap", "--contract", contract, "--", ENV]
    return subprocess.run(
        [sys.executable, "-m", "alongside", *words],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", drafts.NAMES)
def test_a_program_starts_under_its_own_draft_with_what_its_image_sets(name: str) -> None:
    contract = written.from_text((drafts.FOLDER / name / "draft.yaml").read_text(), name)
    given = {"PATH": os.environ["PATH"], "NOT_OURS": "1"} | image_variables(name)
    for parameter in contract.parameters:
        variable = contract.variable(parameter)
        if parameter.is_required and variable is not None:
            given.setdefault(variable, parameter.example)
    ran = wrapped(name, given)
    assert ran.returncode == 0, ran.stderr
    seen = dict(line.split("=", 1) for line in ran.stdout.splitlines() if "=" in line)
    assert seen == given


@pytest.mark.parametrize("name", drafts.NAMES)
def test_a_program_does_not_start_when_a_value_is_wrong(name: str) -> None:
    contract = written.from_text((drafts.FOLDER / name / "draft.yaml").read_text(), name)
    named = [one for one in map(contract.variable, contract.parameters) if one is not None]
    if not named:
        pytest.skip("its draft has no variable")
    given = {"PATH": os.environ["PATH"], named[0]: "x" * 9000}
    ran = wrapped(name, given)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"{named[0]}: " in ran.stderr
