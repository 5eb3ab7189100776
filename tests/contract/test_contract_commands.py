"""`alongside contract init`, `check` and `docs` as a user calls them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Protocol

import pytest
from tests.contract import drafts

from alongside.cli import main

DOCKERFILE = "FROM scratch\n# The port\nENV APP_PORT=80\nEXPOSE $APP_PORT\n"


@dataclasses.dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


class Run(Protocol):
    """Runs a command of the group in a folder, by default the test's own."""

    def __call__(self, *words: str, at: Path = ...) -> Done:
        """Return how it ended."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs a command of the group in the folder."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/none")

    def command(*words: str, at: Path = folder) -> Done:
        monkeypatch.chdir(at)
        code = main.run(["contract", *words])
        return Done(code, *capsys.readouterr())

    return command


@pytest.mark.parametrize("name", drafts.NAMES)
def test_from_a_dockerfile_to_a_page(run: Run, folder: Path, name: str) -> None:
    at = folder / name
    shutil.copytree(drafts.FOLDER / name, at)
    file = drafts.dockerfile(name).name
    drafted = run("init", file, "-o", "contract.yaml", at=at)
    assert (drafted.code, drafted.stdout, drafted.stderr) == (0, "", "")
    assert (at / "contract.yaml").read_text() == (at / "draft.yaml").read_text()
    checked = run("check", file, at=at)
    lacking = (at / "lacking.txt").read_text()
    assert (checked.code, checked.stdout) == (1 if lacking else 0, lacking)
    completed = run("check", "contract.yaml", at=at)
    assert completed.code == 1
    assert all(line.startswith("contract.yaml:") for line in completed.stdout.splitlines())
    shown = run("docs", "contract.yaml", at=at)
    assert shown.code == 0
    assert shown.stdout.startswith("# ")


def test_what_is_complete_and_whole_lacks_nothing(run: Run, folder: Path) -> None:
    whole = run("init", "Dockerfile").stdout
    whole = whole.replace('summary: ""', "summary: an app").replace(
        'promise: ""', "promise: all of it"
    )
    whole = whole.replace('description: ""', "description: for all")
    (folder / "contract.yaml").write_text(whole)
    checked = run("check", "contract.yaml")
    assert (checked.code, checked.stdout) == (0, "")


def test_a_file_is_replaced_only_when_asked(run: Run, folder: Path) -> None:
    (folder / "out").write_text("mine")
    refused = run("init", "Dockerfile", "-o", "out")
    assert (refused.code, (folder / "out").read_text()) == (2, "mine")
    assert "--force" in refused.stderr
    assert run("init", "Dockerfile", "-o", "out", "--force").code == 0
    assert run("docs", "out", "-o", "out").code == 2
    assert (folder / "out").read_text().startswith("# A draft")


def test_a_stage_is_chosen(run: Run, folder: Path) -> None:
    text = "FROM a AS base\nENV A=1\nFROM b\nENV B=2\n"
    (folder / "Dockerfile").write_text(text)
    assert "variable: A" in run("init", "Dockerfile", "--target", "base").stdout
    assert "variable: B" in run("init", "Dockerfile").stdout
    refused = run("init", "Dockerfile", "--target", "bsae")
    assert (refused.code, "did you mean base?" in refused.stderr) == (2, True)


def test_a_contract_and_its_image_are_compared(run: Run, folder: Path) -> None:
    (folder / "contract.yaml").write_text(run("init", "Dockerfile").stdout)
    (folder / "Dockerfile").write_text(DOCKERFILE.replace("80", "81") + "ENV APP_NEW=1\n")
    checked = run("check", "Dockerfile", "--contract", "contract.yaml")
    assert checked.code == 1
    assert 'Dockerfile:3: APP_PORT is "81" here, and the contract says "80"' in checked.stdout
    assert "Dockerfile:4: port 81 is not in the contract" in checked.stdout
    assert "Dockerfile:5: APP_NEW is not in the contract" in checked.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("init",), "Missing argument"),
        (("init", "nothing.dockerfile"), "does not exist"),
        (("init", "Dockerfile", "-o", "none/out"), "is no file in a folder that exists"),
        (("docs", "Dockerfile"), "Dockerfile:"),
        (("check", "Dockerfile", "--contract", "none.yaml"), "is neither a file nor"),
        (("nothing",), "No such command"),
    ],
)
def test_wrong_usage_is_told(run: Run, folder: Path, words: tuple[str, ...], told: str) -> None:
    done = run(*words)
    assert (done.code, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_of_a_component_of_ours_is_written(run: Run) -> None:
    assert "`--origin`" in run("docs", "cache").stdout


def test_an_image_without_an_engine_is_told(run: Run, folder: Path) -> None:
    done = run("init", "nginx:1.29")
    assert done.code == 1
    assert "no Docker engine answers" in done.stderr


def test_a_dockerfile_that_a_builder_refuses_is_told_with_its_lines(run: Run, folder: Path) -> None:
    (folder / "Dockerfile").write_text("FORM a\nENV A\n")
    done = run("check", "Dockerfile")
    assert done.code == 2
    assert 'Dockerfile:1: "FORM" is no instruction; did you mean FROM?' in done.stderr
    assert "Dockerfile:2: ENV:" in done.stderr
