"""The demo of the photo service, small: the real command, the real data plane, real sockets."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests import ports
from tests.e2e import fleets

from alongside.base import environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "photos"
ORIGINALS = 12


pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(180)]


@dataclass(frozen=True)
class Example:
    """A copy of the example on free ports, with few originals and folders of its own."""

    folder: Path
    variables: dict[str, str]
    ports: tuple[int, int]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """Return the file of resources."""
        return self.folder / "photos.yaml"

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text in a file of the example, which must hold it."""
        text = (self.folder / name).read_text()
        assert old in text
        (self.folder / name).write_text(text.replace(old, new))

    def demo(self, *flags: str) -> subprocess.Popen[str]:
        """Start the demo in a session of its own, with small knobs."""
        small = ["--seconds", "1", "--requests", "600", "--connections", "4"]
        small += ["--trial-seconds", "0"]
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLE / "demo.py"), "--file", str(self.file), *small, *flags],
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        """End what a failed test left: its demos, and what they had started."""
        for process in self.started:
            process.kill()
            process.wait(timeout=20)
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        down = [sys.executable, "-m", "alongside", "down", "--project", "photos-demo"]
        subprocess.run(
            down, cwd=self.folder, env=self.variables, timeout=60, check=False, capture_output=True
        )
        assert self.is_over(), "the test left the demo running"

    def is_over(self) -> bool:
        """Return whether nothing listens on the example's ports any more."""
        return not any(_answers(port) for port in self.ports)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Example]:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("app.py", "studio.py", "originals.py", "photos.yaml"):
        shutil.copy(EXAMPLE / name, folder / name)
    runtime = Path(tempfile.mkdtemp(prefix="photos-"))  # a socket's path has at most 107 bytes
    variables = dict(environment.of_process())
    variables |= {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_RUNTIME_DIR": str(runtime)}
    made = Example(folder, variables, (ports.free_port(), ports.free_port()))
    made.edit("photos.yaml", "8000", str(made.ports[0]))
    made.edit("photos.yaml", "8080", str(made.ports[1]))
    made.edit("photos.yaml", "--data, data", f'--data, data, --originals, "{ORIGINALS}"')
    yield made
    made.end()
    shutil.rmtree(runtime)


def test_shows_the_figures_and_leaves_nothing_behind(example: Example, tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    process = example.demo("--json", str(written), "--trial-seconds", "3")
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, out + err
    figures = json.loads(written.read_text())
    kill, restart, alone = figures["trials"]
    assert kill["failed"] == restart["failed"] == alone["failed"] == 0
    assert kill["hit_ratio_after"] > kill["hit_ratio_before"] - 0.03
    assert "What clients noticed" in out
    with_cache = figures["with_cache"]
    assert figures["problems"] == []
    assert with_cache["requests"] == 600
    assert with_cache["failed"] == figures["without_cache"]["failed"] == 0
    assert with_cache["origin_requests"] == figures["distinct"]
    assert figures["foretold"]["by"] == "replay"
    assert sum(shard["keys"] for shard in figures["shards"]) == figures["distinct"]
    assert sum(shard["served"] for shard in figures["shards"]) == 600
    for word in ("requests/s", "p50", "p99", "hit ratio", "photos-2", "alongside up"):
        assert word in out
    assert example.is_over()


def test_a_memory_too_small_still_beats_lru(example: Example, tmp_path: Path) -> None:
    example.edit("photos.yaml", "memory: 64Mi", "memory: 1Mi")
    example.edit("photos.yaml", "shards: 3", "shards: 1")
    written = tmp_path / "figures.json"
    process = example.demo("--json", str(written), "--requests", "1500")
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, out + err
    figures = json.loads(written.read_text())
    assert figures["foretold"]["by"] == "lru"
    assert figures["with_cache"]["origin_requests"] > figures["distinct"]


def test_a_service_that_forbids_keeping_fails_the_demo(example: Example) -> None:
    example.edit("app.py", "public, max-age={MAX_AGE_S}", "no-store")
    process = example.demo("--requests", "100")
    out, err = process.communicate(timeout=150)
    assert process.returncode == 1, out + err
    assert "hit ratio 0.0% is more than 3% from" in out
    assert example.is_over()


def test_a_file_that_is_wrong_is_named(example: Example) -> None:
    example.edit("photos.yaml", "shards: 3", "shards: 0")
    process = example.demo()
    out, err = process.communicate(timeout=150)
    assert process.returncode == 1
    assert out == ""
    assert "photos.yaml" in err
    assert "shards" in err


def test_a_project_that_runs_already_is_left_alone(example: Example) -> None:
    first = example.demo("--keep", "--requests", "50")
    out, err = first.communicate(timeout=150)
    assert first.returncode == 0, out + err
    assert "down" in out
    second = example.demo("--requests", "50")
    out, err = second.communicate(timeout=150)
    assert second.returncode == 1
    assert "already" in err
    assert all(_answers(port) for port in example.ports)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_ends_what_it_started(example: Example, number: signal.Signals) -> None:
    process = example.demo("--seconds", "60", "--requests", "100000")
    _wait_for_views(example.ports[0], process)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert example.is_over()


def _wait_for_views(port: int, process: subprocess.Popen[str]) -> None:
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s and process.poll() is None:
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{port}/stats"
            with urllib.request.urlopen(url, timeout=5) as answer:
                if json.loads(answer.read())["views"] > 0:
                    return
        time.sleep(0.05)
    pytest.fail("the demo sent nothing")
