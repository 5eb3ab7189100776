"""A supervisor that was begun before its order is known, where there is none after all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import fleets

from alongside.base import environment, errors
from alongside.cli import detaching
from alongside.engines.processes import services
from alongside.server import orders

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(180)]
POD = f"""\
apiVersion: v1
kind: Pod
metadata: {{name: a}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    command: ["{sys.executable}", -c, "import time; time.sleep(600)"]
"""
SLOW = """\
import sys, time
from alongside.base import environment
from alongside.cli import detaching
with detaching.Detached(sys.argv[1], environment.of_process()) as detached:
    detached.begin()
    time.sleep(600)
"""


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory() as text:
        folders = {"XDG_STATE_HOME": f"{text}/state", "XDG_RUNTIME_DIR": f"{text}/run"}
        yield {**os.environ, **folders, "PROJECT": f"d{uuid.uuid4().hex[:12]}"}


def supervisors(variables: dict[str, str]) -> list[int]:
    """Return the supervisors of the test's project, those included that have no order."""
    wanted = "\0".join((*services.SUPERVISOR, variables["PROJECT"], ""))
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if path.read_text().endswith(wanted):
                found.append(int(path.parent.name))
    return found


def took_its_log(pid: int) -> bool:
    """Return whether a supervisor has its order, and writes to its log."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/fd/2").endswith("/supervisor.log")
    return False


def up(variables: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "alongside",
            "up",
            "--detach",
            "--project",
            variables["PROJECT"],
            *words,
        ],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_who_has_no_order_after_all_leaves_no_supervisor(
    variables: dict[str, str], tmp_path: Path
) -> None:
    ran = up(variables, str(tmp_path / "none.yaml"))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "none.yaml" in ran.stderr
    assert supervisors(variables) == []
    assert not Path(variables["XDG_STATE_HOME"]).exists()


def test_a_refused_order_leaves_no_supervisor(variables: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containerz: []}\n")
    ran = up(variables, str(path))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"{path}:4: Pod/a: " in ran.stderr
    assert "see alongside up --help" in ran.stderr
    assert supervisors(variables) == []
    assert not Path(variables["XDG_STATE_HOME"]).exists()


@pytest.fixture
def pod(variables: dict[str, str], tmp_path: Path) -> Iterator[Path]:
    """Yield a file that can be run; what was run of it is ended."""
    path = tmp_path / "pod.yaml"
    path.write_text(POD)
    yield path
    down = [sys.executable, "-m", "alongside", "down", "--project", variables["PROJECT"]]
    subprocess.run(down, env=variables, timeout=60, check=False)


def test_who_stays_holds_neither_stdout_nor_stderr_of_its_command(
    variables: dict[str, str], pod: Path
) -> None:
    # `communicate` returns when nobody holds the pipes any more.
    assert up(variables, str(pod)).returncode == 0
    (supervisor,) = supervisors(variables)
    for number in (1, 2):
        assert os.readlink(f"/proc/{supervisor}/fd/{number}").endswith("/supervisor.log")


@pytest.mark.parametrize("closed", ["2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_closed_lines_do_not_matter_to_who_stays(
    variables: dict[str, str], pod: Path, closed: str
) -> None:
    command = f'"$0" -m alongside up --detach --project "$PROJECT" "$1" {closed}'
    words = ["sh", "-c", command, sys.executable, str(pod)]
    subprocess.run(words, env=variables, timeout=60, check=False)
    (supervisor,) = supervisors(variables)
    for number in (1, 2):
        assert os.readlink(f"/proc/{supervisor}/fd/{number}").endswith("/supervisor.log")
    log = Path(
        variables["XDG_STATE_HOME"], "alongside", variables["PROJECT"], "supervisor.log"
    ).read_text()
    assert "Traceback" not in log


def test_a_log_that_cannot_be_opened_is_one_line_with_its_remedy(
    variables: dict[str, str], pod: Path
) -> None:
    log = Path(variables["XDG_STATE_HOME"], "alongside", variables["PROJECT"], "supervisor.log")
    log.mkdir(parents=True)
    ran = up(variables, str(pod))
    log.rmdir()
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"alongside up: cannot write {log}: Is a directory; check the folder and its permissions\n"
    )
    assert supervisors(variables) == []


def test_an_interrupted_command_says_that_what_has_its_order_goes_on(
    variables: dict[str, str], pod: Path
) -> None:
    pod.write_text(f"{POD}    readinessProbe: {{exec: {{command: [/bin/false]}}}}\n")
    project = variables["PROJECT"]
    words = [sys.executable, "-m", "alongside", "up", "--detach", "--project", project, str(pod)]
    command = subprocess.Popen(words, env=variables, stderr=subprocess.PIPE, text=True)
    fleets.until("its order", lambda: any(map(took_its_log, supervisors(variables))))
    command.send_signal(signal.SIGINT)
    _, said = command.communicate(timeout=60)
    assert command.returncode == 130
    assert f"alongside down --project {project} stops it" in said
    assert supervisors(variables) != []


def test_an_interrupt_before_there_is_an_order_leaves_nothing(
    variables: dict[str, str], tmp_path: Path
) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text(SLOW)
    words = [sys.executable, str(slow), variables["PROJECT"]]
    command = subprocess.Popen(words, env=variables, start_new_session=True)
    fleets.until("a supervisor that waits", lambda: bool(supervisors(variables)))
    command.send_signal(signal.SIGINT)
    command.wait(60)
    fleets.until("its end", lambda: not supervisors(variables))
    command = subprocess.Popen(words, env=variables, start_new_session=True)
    fleets.until("a supervisor that waits", lambda: bool(supervisors(variables)))
    command.kill()
    command.wait(60)
    fleets.until("its end", lambda: not supervisors(variables))
    assert not Path(variables["XDG_STATE_HOME"]).exists()


def test_a_supervisor_whose_command_is_gone_ends_and_writes_nothing(
    variables: dict[str, str],
) -> None:
    words = [sys.executable, *services.SUPERVISOR, variables["PROJECT"]]
    ran = subprocess.run(
        words, env=variables, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    assert not Path(variables["XDG_STATE_HOME"]).exists()


def give_and_answer(detached: detaching.Detached, log: Path) -> None:
    detached.give(orders.Order(()), log).answer()


def test_a_supervisor_that_does_not_start_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    log = tmp_path / "supervisor.log"
    with detaching.Detached("p", environment.of_process()) as detached:
        detached.begin()
        with pytest.raises(errors.PermanentError, match=r"the supervisor does not start$"):
            give_and_answer(detached, log)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "ends-early"))
    Path(sys.executable).write_text(f"#!/bin/sh\ncat > {tmp_path}/order\necho why >> {log}\n")
    Path(sys.executable).chmod(0o700)
    with (
        detaching.Detached("p", environment.of_process()) as detached,
        pytest.raises(errors.PermanentError) as raised,
    ):
        give_and_answer(detached, log)
    assert str(raised.value) == f"the supervisor does not start; the end of {log}:\nwhy"
