"""The command line loads one command, says every mistake, and ends with the right code."""

import errno
import os
import subprocess
import sys

import pytest

from alongside.base import errors
from alongside.cli import main, table


def check(
    capsys: pytest.CaptureFixture[str], words: str, code: int, *, out: str = "", err: str = ""
) -> str:
    assert main.run(words.split()) == code
    captured = capsys.readouterr()
    assert out in captured.out
    assert err in captured.err
    assert "Traceback" not in captured.err
    return captured.err


def test_help_lists_every_command_without_loading_any(capsys: pytest.CaptureFixture[str]) -> None:
    for name in table.COMMANDS:
        check(capsys, "--help", 0, out=f"  {name} ")


def test_the_table_is_sorted_and_nodes_are_in_it() -> None:
    assert list(table.COMMANDS) == sorted(table.COMMANDS)
    assert set(table.COMMANDS) >= table.NODES


@pytest.mark.parametrize("name", sorted(table.COMMANDS))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    check(capsys, f"{name} --help", 0, out=f"Usage: alongside {name}")


def test_no_command_at_all_shows_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    check(capsys, "", 2, err="Usage: alongside")


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    check(capsys, "rout", 2, err="alongside: ")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("exlpain photos", "No such command 'exlpain'; did you mean \"explain\"?"),
        ("contract dif", "No such command 'dif'; did you mean \"diff\"?"),
        ("xyzzy", "No such command 'xyzzy'."),
    ],
)
def test_a_misspelt_command_is_told_with_the_nearest_one(
    line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check(capsys, line, 2, err=told)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("contract diff nosuch cache", "contract diff"),
        ("contract dif", "contract"),
        ("create secret tls a_b --cert x --key y", "create secret tls"),
        ("cache --listn x", "cache"),
    ],
)
def test_a_mistake_is_told_under_the_name_that_has_the_help_for_it(
    line: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    err = check(capsys, line, 2, err=f"alongside {name}: see alongside {name} --help\n")
    assert all(one.startswith(f"alongside {name}: ") for one in err.splitlines())


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    check(capsys, "--version", 0, out="alongside ")


def test_every_mistake_has_its_own_line(capsys: pytest.CaptureFixture[str]) -> None:
    err = check(capsys, "cache --listen 1 --memry 2 --memory 10 --threads 0", 2)
    assert err.splitlines() == [
        'alongside cache: "--memry": is no flag of cache; did you mean --memory?',
        'alongside cache: --listen: "1" is not HOST:PORT; write "127.0.0.1:1"',
        "alongside cache: --origin: is missing; write --origin http://127.0.0.1:8000 or set "
        "CACHE_ORIGIN",
        'alongside cache: --memory: "10" is not a size: it has no unit; write 10Mi for mebibytes '
        "or 10B for bytes",
        'alongside cache: --threads: "0" is too small; write 1 to 64',
        "alongside cache: see alongside cache --help",
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.AddressTakenError("127.0.0.1:80 is taken; choose another"), 3),
        (errors.PermanentError("it broke"), 1),
        (errors.TemporaryError("later", retry_after_s=1), 1),
        (errors.UsageError("one", "two"), 2),
    ],
)
def test_an_error_of_a_command_becomes_its_exit_code(
    error: errors.AlongsideError,
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(main, "_dispatch", fail)
    for line in str(error).splitlines():
        check(capsys, "route", code, err=f"alongside route: {line}\n")


def test_an_interrupt_ends_as_shells_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "_dispatch", interrupt)
    assert main.run([]) == 130


def test_a_node_starts_without_heavy_imports() -> None:
    code = (
        "import sys; from alongside.cli import main; main.run(['route']);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"click", "pydantic", "rich", "starlette", "httpx2", "asyncio", "yaml", "uvicorn"}
    assert not heavy & set(ended.stdout.split())


def test_what_only_asks_a_supervisor_reads_no_kinds() -> None:
    code = (
        "import sys; from alongside.cli import main; main.run(['status', '--project', 'none']);"
        "print(*sorted(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"yaml", "alongside.resources.reading", "alongside.engines.pods.driver", "starlette"}
    assert not heavy & set(ended.stdout.split())


def test_a_refusal_by_the_system_is_said_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/x/y")

    monkeypatch.setattr(main, "_dispatch", refuse)
    check(
        capsys, "status", 1, err="alongside status: this user may not use /x/y: Permission denied"
    )
