"""Start a real data plane for a test.

In:    a document without its listener's address; the binary.
Out:   an address that is served until the test ends.
Not:   building the binary; a test without one is skipped, naming the command.
Next:  test_guard.py sends it what nobody should.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "alongside-dataplane"
END_S = 15.0
CUT_S = 0.05
"""Between two SIGTERMs: the kernel makes one of two that come at once."""
# The passed socket must be descriptor 3; the process keeps its id over exec.
LAUNCH = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"


def binary() -> Path:
    """Return the data plane's binary: named by ALONGSIDE_DATAPLANE, installed, or built."""
    named = os.environ.get("ALONGSIDE_DATAPLANE")
    places = [ROOT / ".venv" / "bin" / NAME, ROOT / "target" / "release" / NAME]
    beside = Path(sys.executable).with_name(NAME)
    for place in [Path(named)] if named else [beside, *places]:
        if place.is_file():
            return place
    found = None if named else shutil.which(NAME)
    if found:
        return Path(found)
    pytest.skip(f"waits for {NAME}: cargo build --release -p {NAME}")


def document(kind: str, origin: str, limits: Mapping[str, int]) -> dict[str, object]:
    """Return a document of one route or cache, named `main`, in front of one origin."""
    base: dict[str, object] = {"schema": 1, "epoch": 0, "generation": 1, "limits": dict(limits)}
    if kind == "cache":
        cache = {"name": "main", "origin": {"address": origin}, "memory_bytes": 16 * 1024 * 1024}
        return base | {"caches": [cache]}
    shard = {"name": "main-0", "replicas": ["main-0"]}
    route = {"name": "main", "key": "request.uri", "function": "modulo", "shards": [shard]}
    return base | {"nodes": [{"id": "main-0", "address": origin}], "routes": [route]}


@contextlib.contextmanager
def running(contents: Mapping[str, object], folder: Path) -> Iterator[tuple[str, int]]:
    """Serve a document on a free port; yield host and port; end the process by its id.

    Raises:
        AssertionError: it did not end by itself within 15 s of SIGTERM, or ended before.
    """
    program = binary()
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        port = int(listener.getsockname()[1])
        web = {"name": "web", "address": f"127.0.0.1:{port}", "serves": "main"}
        path = folder / f"document-{port}.json"
        path.write_text(json.dumps({**contents, "listeners": [web]}))
        command = [sys.executable, "-ISc", LAUNCH, str(listener.fileno()), str(program)]
        environment = {**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}
        with (folder / f"stderr-{port}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--document", str(path)],
                pass_fds=[listener.fileno()],
                env=environment,
                stderr=log,
            )
    try:
        yield "127.0.0.1", port
        assert process.poll() is None, Path(log.name).read_text()
    finally:
        cut(process)


def cut(process: subprocess.Popen[bytes]) -> None:
    """End a process that a test is done with: the second SIGTERM waits for no idle connection.

    That a drain ends by itself is shown where it is promised, and not by each test's end once more.

    Raises:
        subprocess.TimeoutExpired: it did not end by itself within 15 s of SIGTERM.
    """
    end_s = time.monotonic() + END_S
    while process.poll() is None:
        process.terminate()
        try:
            process.wait(CUT_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() > end_s:
                process.kill()
                process.wait()
                raise
