"""The ambassador under twemproxy's name: its flags, its words, its exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import ports

from alongside import document
from alongside.base import environment, errors
from alongside.cli import ambassador, daemon, main, nutcracker

GOOD = "a:\n  listen: 127.0.0.1:11211\n  hash: md5\n  timeout: 4\n  servers:\n   - b:1:1\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "n.yml"
    path.write_text(GOOD)
    return path


def run(*words: str) -> int:
    return nutcracker.run(words, environment.of_process())


@pytest.mark.parametrize(
    ("words", "flags", "values"),
    [
        (["-c", "f", "-v", "7", "-s", "6222"], "cvs", {"c": "f", "v": "7", "s": "6222"}),
        (["-cf", "-dt"], "cdt", {"c": "f"}),
        (["--conf-file=f", "--daemonize"], "cd", {"c": "f"}),
        (["--stats-addr", "::1", "--pid-file", "p"], "ap", {"a": "::1", "p": "p"}),
        (["-m", "512", "-i", "0", "-o", "log"], "mio", {"m": "512", "i": "0", "o": "log"}),
        (["-s", "1", "-s", "2", "word"], "s", {"s": "2"}),
    ],
)
def test_flags_are_read_as_getopt_reads_them(
    words: list[str], flags: str, values: dict[str, str]
) -> None:
    told = nutcracker.read(words)
    assert (told.flags, told.values, told.words) == (frozenset(flags), values, tuple(words))


def test_how_much_is_logged_is_bounded_as_twemproxy_bounds_it() -> None:
    for text, level in (("", 5), ("0", 0), ("07", 7), ("11", 11), ("12", 11), ("9" * 30, 11)):
        assert nutcracker.read(["-v", text] if text else []).verbosity == level


@pytest.mark.parametrize(
    "words",
    [["-x"], ["-c"], ["-s", "0"], ["-s", "65536"], ["-s", "x"], ["-v", "-1"], ["-m", "511"]],
)
def test_a_bad_flag_ends_with_one_and_the_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 1
    said = capsys.readouterr()
    assert said.err.startswith("nutcracker: ")
    assert "Usage: nutcracker" in said.err
    assert said.out == ""


def test_a_right_file_is_said_to_be_ok(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-t", "-c", str(config)) == 0
    said = capsys.readouterr()
    assert said.err == f"nutcracker: configuration file '{config}' syntax is ok\n"


def test_a_wrong_file_is_said_to_be_invalid_and_why(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(GOOD.replace("md5", "md6"))
    assert run("-t", "-c", str(config)) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert first == f'nutcracker: {config}:3: a.hash: "md6" is no hash; did you mean md5?'
    assert last == f"nutcracker: configuration file '{config}' syntax is invalid"


def test_what_is_odd_is_told_by_the_flags_of_twemproxy(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-t", "-c", str(config), "-a", "0.0.0.0") == 0  # noqa: S104 - nothing is started
    said = capsys.readouterr()
    assert said.err.startswith("-a: 0.0.0.0 lets everybody read the figures")
    assert said.out == ""
    assert run("-c", f"{config}.absent", "-t") == 1
    assert capsys.readouterr().err.startswith(f"nutcracker: -c: {config}.absent does not exist")


def test_the_figures_are_described_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-D") == 0
    said = capsys.readouterr().err
    assert said.startswith("This is nutcracker-0.5.0\n")
    for name in ("client_eof", "fragments", "server_ejected_at", "out_queue_bytes"):
        assert f"  {name} " in said


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-V") == 0
    # As twemproxy's: a line for itself, one more, and an empty one.
    first, second, *rest = capsys.readouterr().err.splitlines()
    assert (first, rest) == ("This is nutcracker-0.5.0", [""])
    assert second.startswith("alongside: ")
    assert run("--help") == 0
    said = capsys.readouterr().err
    for flag in nutcracker._LONG:
        assert f"--{flag}" in said


def test_the_ambassador_says_what_is_odd_and_ends_with_zero(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(GOOD.replace("  timeout: 4\n", ""))
    for flag in ("--lint", "--check"):
        assert main.run(["ambassador", f"--config={config}", flag]) == 0
        said = capsys.readouterr()
        assert said.out.startswith(f"{config}:1: a.timeout: there is none")
        assert (said.out.count("\n"), said.err) == (1, "")


def test_render_prints_the_document_and_a_newer_number_each_time(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["render", "ambassador", "--config", str(config), "--stats-port=6222"]
    generations = []
    for _ in range(2):
        assert main.run(words) == 0
        found = document.read(capsys.readouterr().out.encode())
        assert found.pools[0].name == "a"
        generations.append(found.generation)
    assert generations[0] < generations[1]
    config.write_text(GOOD.replace("listen", "listne"))
    assert main.run(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f'alongside render: {config}:2: a: "listne" is no directive' in said.err


def test_render_prints_the_documents_of_other_components(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["route", "--listen=127.0.0.1:0", "--node=a=127.0.0.1:1"]
    assert main.run(["render", *words]) == 0
    assert json.loads(capsys.readouterr().out)["routes"][0]["name"] == "route"


def test_the_data_plane_is_told_how_its_document_is_made_anew(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Replaced(Exception):  # noqa: N818 - it ends a fake, nothing failed
        pass

    def execute(path: str, words: list[str], variables: environment.Environment) -> None:
        raise Replaced(path, words, dict(variables))

    monkeypatch.setattr(os, "execve", execute)
    port, own = ports.free_port(), ports.free_port()
    config.write_text(GOOD.replace("11211", str(own)))
    with pytest.raises(Replaced) as caught:
        run("-c", str(config), "-a", "127.0.0.1", "-s", str(port))
    path, words, variables = caught.value.args
    assert path.endswith("alongside-dataplane")
    at = words.index("--render")
    assert "render ambassador --config=" in words[at + 1]
    assert f"--stats-port={port}" in words[at + 1]
    state = config.stat()
    made_of = ("--made-of", f"{state.st_mtime_ns}:{state.st_size}:{state.st_ino}")
    assert words[at + 2 :] == ["--watch", str(config), *made_of, "--verbosity", "5"]
    # Tools find it by what it was called with.
    assert words[1 : words.index("--")] == ["-c", str(config), "-a", "127.0.0.1", "-s", str(port)]
    assert "LISTEN_FDS" not in variables


@pytest.mark.parametrize("flags", [(), ("-d",)])
def test_a_taken_address_is_told_where_it_is_written(
    config: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    pid = config.with_name("pid")
    pid.write_text("1")
    words = ("-c", str(config), "-p", str(pid), "-a", "127.0.0.1", *flags)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config.write_text(GOOD.replace("11211", str(port)))
        assert run(*words) == 1
        told = capsys.readouterr().err
        assert f"nutcracker: {config}:2: a.listen: 127.0.0.1:{port} is taken; choose" in told
        config.write_text(GOOD.replace("11211", str(ports.free_port())))
        assert run(*words, "-s", str(port)) == 1
        assert f"nutcracker: -s: 127.0.0.1:{port} is taken; choose" in capsys.readouterr().err
    assert pid.read_text() == "1"


@pytest.mark.parametrize("host", ["300.0.0.1", "", "a b", "192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_figures_that_is_none_here_is_told_by_its_flag(
    config: Path, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    config.write_text(GOOD.replace("11211", str(ports.free_port())))
    assert run("-c", str(config), "-a", host) == 1
    assert capsys.readouterr().err.startswith("nutcracker: -a: ")


def test_a_file_that_is_named_emptily_is_not_another_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("-c", "") == 1
    assert capsys.readouterr().err.startswith("nutcracker: -c: ")


def test_what_stands_at_the_path_of_a_socket_is_told(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as owner:
        path = Path(folder) / "s"
        config.write_text(GOOD.replace("127.0.0.1:11211", str(path)))
        words = ("-c", str(config), "-a", "127.0.0.1", "-s", str(ports.free_port()))
        path.write_text("precious")
        assert run(*words) == 1
        assert f"{config}:2: a.listen: {path} is no socket" in capsys.readouterr().err
        assert path.read_text() == "precious"
        path.unlink()
        owner.bind(str(path))
        owner.listen()
        assert run(*words) == 1
        assert f"{config}:2: a.listen: somebody serves {path}" in capsys.readouterr().err
        config.write_text(GOOD.replace("127.0.0.1:11211", f"{folder}/absent/s"))
        assert run(*words) == 1
        assert "is no folder that this user may write" in capsys.readouterr().err


@contextlib.contextmanager
def holder(path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yield a process that holds a file of -p, and the number of a child that it started."""
    words = [sys.executable, "-c", HOLDER, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            yield process, child
        finally:
            process.kill()
            os.kill(child, signal.SIGKILL)


HOLDER = """
import subprocess, sys
from alongside.cli import daemon

daemon.write_number(daemon.hold(sys.argv[1], count=0))
nothing = subprocess.DEVNULL
child = subprocess.Popen(["sleep", "60"], stdin=nothing, stdout=nothing, close_fds=False)
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_file_of_a_process_that_runs_is_left(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(GOOD.replace("11211", str(ports.free_port())))
    pid = config.with_name("pid")
    with holder(pid) as (process, _):
        words = ("-c", str(config), "-p", str(pid), "-a", "127.0.0.1")
        assert run(*words, "-s", str(ports.free_port())) == 1
    assert f"-p: {pid} is the file of process {process.pid}, which runs" in capsys.readouterr().err
    assert pid.read_text() == str(process.pid)


def test_a_file_is_held_by_nobody_whom_a_dead_process_started(config: Path) -> None:
    pid = config.with_name("pid")
    with holder(pid) as (process, child):
        process.kill()
        process.wait()
        os.kill(child, 0)  # it runs
        os.close(daemon.hold(str(pid), count=0))


def test_addresses_that_are_not_ours_are_told() -> None:
    for address in ("192.0.2.1:0", "no.such.host.invalid:1"):
        with pytest.raises(errors.UsageError, match="the host: "):
            daemon.bind([daemon.Address("a", address, "the host", "the port")])


def test_a_file_that_cannot_be_written_is_told(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(GOOD.replace("11211", str(ports.free_port())))
    for flag in ("-o", "-p"):
        stats = str(ports.free_port())
        assert run("-a", "127.0.0.1", "-s", stats, flag, "/absent/file", "-c", str(config)) == 1
        assert f"{flag}: cannot write /absent/file" in capsys.readouterr().err


def test_the_contract_of_the_command_is_the_ambassadors() -> None:
    assert ambassador.CONTRACT.component == "ambassador"
