"""A shell completes commands, flags and what a flag may be given, as contracts say."""

import os
import subprocess
import sys

import pytest

from alongside.cli import completion


def complete(*words: str) -> list[str]:
    """Return what bash would offer for the last word."""
    ran = subprocess.run(
        [sys.executable, "-m", "alongside"],
        env={
            **os.environ,
            completion.VARIABLE: "bash_complete",
            "COMP_WORDS": " ".join(("alongside", *words)),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def test_commands_flags_choices_and_values_are_completed() -> None:
    assert complete("ca") == ["plain,cache"]
    assert complete("cache", "--me") == ["plain,--memory"]
    assert complete("route", "--function", "k") == ["plain,ketama"]
    assert complete("cache", "--memory", "2") == ["plain,256Mi"]
    assert complete("cache", "--admin", "x") == ["file,x"]
    assert complete("up", "pho") == ["file,pho"]
    assert complete("cache", "--help", "--me") == ["plain,--memory"]


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_each_shell_gets_its_lines(shell: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "alongside", "completion", shell],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "alongside" in ran.stdout
    assert completion.VARIABLE in ran.stdout


def test_bash_takes_the_lines() -> None:
    script = 'eval "$(python -m alongside completion bash)" && complete -p alongside'
    ran = subprocess.run(
        ["bash", "--norc", "-c", script.replace("python", sys.executable)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "-F _alongside_completion alongside" in ran.stdout, ran.stderr
