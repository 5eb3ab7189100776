"""What a pool's process does where documents and files are not as they should be, for a while."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import dataplane, fleets, memcaches, plane, secure, wire
from tests.e2e.memcaches import Memcache

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(120)]
KILLED_ONCE = """
import os, pathlib, signal, sys
document, mark = map(pathlib.Path, sys.argv[1:])
if not mark.exists():
    mark.touch()
    os.kill(os.getpid(), signal.SIGKILL)
print(document.read_text())
"""
COUNTED = """
import pathlib, sys
document, count = map(pathlib.Path, sys.argv[1:])
text = document.read_text()
with count.open("a") as stream:
    stream.write(".")
print(text)
"""


# The passed socket is descriptor 3, and nothing else.
LAUNCH = """
import os, sys
number = int(sys.argv[1])
if number != 3:
    os.dup2(number, 3)
    os.close(number)
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="pools") as name:
        yield Path(name)


def test_a_command_that_was_killed_is_run_again_though_its_file_does_not_change(
    folder: Path,
) -> None:
    path, mark = folder / "pools.txt", folder / "mark"
    contents = plane.with_admin(memcaches.document({"a": "h:1"}), folder / "a.sock")
    memcaches.write(path, contents)
    mark.touch()
    command = shlex.join([sys.executable, "-ISc", KILLED_ONCE, str(path), str(mark)])
    process = plane.launch(folder, ["--render", command, "--watch", str(path)])
    with plane.Plane(folder, process) as front:
        plane.await_start(front)
        wire.eventually(lambda: front.events("document_applied"), "it is applied")
        mark.unlink()
        memcaches.write(path, {**contents, **pools_of(memcaches.document({"a": "h:2"}))})
        wire.eventually(lambda: front.events("document_refused"), "it was killed")
        await_generation(front, 2)


def await_generation(front: plane.Plane, generation: int) -> None:
    """Wait until a document is in force."""
    wire.eventually(
        lambda: front.admin("GET", "/snapshot")[1]["generation"] == generation, "it is applied"
    )


def test_a_command_is_not_run_again_before_its_file_changes(folder: Path) -> None:
    path, count, first = folder / "conf" / "pools.txt", folder / "count", folder / "first.json"
    path.parent.mkdir()
    contents = plane.with_admin(memcaches.document({"a": "h:1"}), folder / "a.sock")
    memcaches.write(first, contents)
    command = shlex.join([sys.executable, "-ISc", COUNTED, str(path), str(count)])
    words = ["--render", command, "--watch", str(path)]
    own, other = ["--document", str(first), "--made-of"], "1:2:3"
    for more, runs in (([], 1), ([*own, "{}"], 0), ([*own, other], 1)):
        count.write_text("")
        memcaches.write(path, contents)
        state = path.stat()
        made_of = f"{state.st_mtime_ns}:{state.st_size}:{state.st_ino}"
        told = [word.format(made_of) for word in more]
        with plane.Plane(folder, plane.launch(folder, [*words, *told])) as front:
            plane.await_start(front)
            wire.eventually(lambda: len(count.read_text()) >= runs, "it is run")  # noqa: B023
            # The second change is told from the first: what ran for the start has ended by then.
            for generation in (2, 3):
                servers = memcaches.document({"a": f"h:{generation}"})
                memcaches.write(path, {**contents, **pools_of(servers)})
                await_generation(front, generation)
        assert len(count.read_text()) == runs + 2, more


def pools_of(contents: plane.Json) -> plane.Json:
    """Return the pools of a document alone."""
    return {"pools": contents["pools"]}


def test_a_document_is_taken_while_a_certificate_is_about_to_expire(folder: Path) -> None:
    authority = secure.Authority(folder)
    soon = authority.pair("a.example", ends=secure.DAY).put(folder / "tls")
    tls = {"certificates": [{"name": "default", "path": str(soon)}], "ready_expiry_s": 8 * 86400}
    contents = memcaches.document({"a": "h:1"}, tls=tls)
    path = folder / "document.json"
    memcaches.write(path, plane.with_admin(contents, folder / "a.sock"))
    with plane.Plane(folder, plane.launch(folder, ["--document", str(path)])) as process:
        process.told("document_applied")
        wire.eventually(lambda: process.knock("GET", "/readyz")[0] == 503, "it is not ready")
        plain = memcaches.document({"a": "h:1"}, generation=2)
        memcaches.write(path, plane.with_admin(plain, folder / "a.sock"))
        wire.eventually(lambda: process.knock("GET", "/readyz")[0] == 200, "it is ready")


def test_a_socket_gets_another_mode_and_no_file_is_taken_for_one(folder: Path) -> None:
    path, file = folder / "clients.sock", folder / "file"
    file.write_text("kept")
    with memcaches.memcached() as server:

        def of(generation: int, where: Path, mode: int) -> plane.Json:
            return memcaches.document(
                {"a": server.address},
                generation=generation,
                socket={"path": str(where), "mode": mode},
            )

        with plane.running(of(1, path, 0o600)) as process, Memcache.local(str(path)) as client:
            client.put("k", b"v")
            assert process.put(of(2, path, 0o666))[0] == 200
            assert stat.S_IMODE(path.stat().st_mode) == 0o666
            with Memcache.local(str(path)) as other:
                assert other.get("k") == client.get("k") == {"k": b"v"}
            status, said = process.put(of(3, file, 0o600))
            assert status == 400
            assert "pools[0].socket.path" in json.dumps(said)
            assert file.read_text() == "kept"
            assert client.get("k") == {"k": b"v"}


def test_a_socket_that_the_one_before_still_has_is_served_when_it_lets_go(folder: Path) -> None:
    path = folder / "clients.sock"
    with memcaches.memcached() as server, contextlib.ExitStack() as stack:
        before = stack.enter_context(socket.socket(socket.AF_UNIX))
        before.bind(str(path))
        before.listen()
        contents = memcaches.document({"a": server.address}, socket={"path": str(path)})
        process = stack.enter_context(plane.running(contents, "--standby"))
        assert process.admin("POST", "/serve")[0] == 200
        assert process.told("socket_not_served")
        before.close()
        wire.eventually(lambda: is_served(path), "it is served")
        with Memcache.local(str(path)) as client:
            client.put("k", b"v")
            assert client.get("k") == {"k": b"v"}


def is_served(path: Path) -> bool:
    """Return whether somebody listens at a path."""
    with socket.socket(socket.AF_UNIX) as stream, contextlib.suppress(OSError):
        stream.connect(str(path))
        return True
    return False


def test_where_chance_decides_no_server_is_a_keys_own() -> None:
    with memcaches.pooled(count=2, placement={"function": "random"}) as (process, _):
        asked = [process.admin("GET", "/explain?pool=main&key=k")[1] for _ in range(20)]
    assert {one["home"] for one in asked} == {None}
    assert {str(one["why"]).split()[0] for one in asked} == {"chance"}


def test_a_socket_whose_giver_is_gone_is_closed_with_its_listener(folder: Path) -> None:
    path, contents = folder / "document.json", memcaches.document({"a": "h:1"})
    memcaches.write(path, plane.with_admin(contents, folder / "a.sock"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address, number = listener.getsockname(), listener.fileno()
        words = [sys.executable, "-ISc", LAUNCH, str(number), str(dataplane.binary())]
        passed = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "web", "LISTEN_GIVER": "gone"}
        with (folder / "stderr.log").open("wb") as log:
            started = subprocess.Popen(
                [*words, "--document", str(path)],
                pass_fds=[number],
                env={**os.environ, **passed},
                stderr=log,
            )
    with plane.Plane(folder, started) as process:
        plane.await_start(process)
        with socket.create_connection(address, timeout=wire.TIMEOUT_S):
            pass
        assert process.put({**contents, "generation": 2, "listeners": []})[0] == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=wire.TIMEOUT_S)


def test_a_process_that_no_project_has_is_asked_at_its_own_door() -> None:
    with memcaches.pooled(count=2) as (process, _):
        words = ["explain", "--admin", str(process.admin_path), "main", "k", "--json"]
        ran = subprocess.run(
            [sys.executable, "-m", "alongside", *words], capture_output=True, check=True
        )
        answer = json.loads(ran.stdout)
        asked = process.admin("GET", "/explain?pool=main&key=k")[1]
        unknown = [*words[:3], "mian", *words[4:]]
        refused = subprocess.run(
            [sys.executable, "-m", "alongside", *unknown], capture_output=True, check=False
        )
    assert refused.returncode == 2
    assert b'no pool or route "mian"; write one of main\n' in refused.stderr
    assert {"server": answer["server"], "reason": answer["reason"]} == {
        "server": asked["server"]["name"],  # type: ignore[index]
        "reason": asked["why"],
    }
