"""`alongside doctor` and `alongside init`, as somebody who begins uses them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import ports
from tests.e2e import fleets

DEADLINE_S = 60.0
SERVER = """
import http.server
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alongside", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env={**os.environ, **variables},
        check=False,
    )


@fleets.NEEDS_DATA_PLANE
def test_doctor_says_what_is_there_and_the_remedy_of_each_lack() -> None:
    ran = run("doctor", "--json")
    assert ran.returncode == 0, ran.stderr
    sections = json.loads(ran.stdout)
    assert sections[0]["is_usable"]
    for section in sections:
        for fact in section["facts"]:
            assert fact["reason"]
    shown = run("doctor").stdout
    assert "engine process" in shown
    assert "alongside-dataplane" in shown


def test_doctor_fails_where_the_data_plane_is_missing() -> None:
    ran = run("doctor", ALONGSIDE_DATAPLANE="/nowhere")
    assert ran.returncode == 1
    assert "/nowhere is no program" in ran.stdout


def test_doctor_names_a_data_plane_that_does_not_run(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho alongside-dataplane 9.9.9\n")
    broken.chmod(0o755)
    ran = run("doctor", ALONGSIDE_DATAPLANE=str(broken))
    assert ran.returncode == 1
    assert "alongside-dataplane 9.9.9" in ran.stdout


@fleets.NEEDS_DATA_PLANE
def test_init_writes_a_file_that_runs(tmp_path: Path, service: int) -> None:
    listen = ports.free_port()
    path = tmp_path / "new" / "alongside.yaml"
    path.parent.mkdir()
    ran = run("init", "--port", str(service), "--listen", str(listen), "--output", str(path))
    assert ran.returncode == 0, ran.stderr
    homes = {"XDG_STATE_HOME": f"{tmp_path}/s", "XDG_RUNTIME_DIR": ""}
    try:
        ran = run("up", str(path), "--detach", **homes)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        status, _ = fleets.get(f"127.0.0.1:{listen}", "/")
        assert status == 200
    finally:
        run("down", "--project", "new", **homes)


def test_init_asks_two_questions_on_a_terminal(tmp_path: Path, service: int) -> None:
    path = tmp_path / "alongside.yaml"
    pid, terminal = pty.fork()
    if pid == 0:
        words = [sys.executable, "-m", "alongside", "init", "--port", str(service)]
        os.execvp(words[0], [*words, "--output", str(path)])  # noqa: S606
    seen = b""
    while b"find the cache?" not in seen:
        seen += os.read(terminal, 4096)
    os.write(terminal, b"18999\n")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert "port: 18999" in path.read_text()


def test_init_never_writes_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "alongside.yaml"
    path.write_text("mine")
    ran = run("init", "--output", str(path))
    assert (ran.returncode, path.read_text()) == (2, "mine")
    assert "is there already" in ran.stderr


@pytest.mark.usefixtures("service")
def test_init_lists_who_listens_where_the_named_port_has_nobody() -> None:
    ran = run("init", "--port", "1", "--output", "/nowhere/x.yaml")
    assert ran.returncode == 2
    assert "nobody listens there" in ran.stderr
    assert "There are: " in ran.stderr  # the first of them, on a machine with many
