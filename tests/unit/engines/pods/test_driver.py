"""A pod runs on real processes, whatever fails beneath it or in its supervision."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.engines.pods import bare
from tests.unit.engines.pods.yards import DEADLINE_S, SLEEPER, WEB, Yard, play

from alongside.base import errors
from alongside.engines.pods import lifecycle, runtime
from alongside.plan import pods

STUBBORN = (
    sys.executable,
    "-S",
    "-uc",
    "import signal, time; signal.signal(15, lambda *_: None); print('deaf', flush=True)\n"
    "while True: time.sleep(600)",
)


def python(text: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", text)


def test_a_pod_is_ready_and_then_ends_without_being_killed(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        await yard.until_ready()
        one = yard.status("web")
        assert (one.stage, one.is_ready, one.identity.isdecimal()) == ("running", True, True)
        assert (yard.child.phase, yard.child.address) == ("Running", "127.0.0.1")
        assert (yard.child.reason, yard.child.restarts) == ("", 0)
        assert await yard.child.stop() is False
        assert yard.child.state == "stopping"
        assert yard.status("web").identity == ""

    yard = play(tmp_path, pods.Pod("a", (WEB,)), scene)
    assert yard.volumes.done[-1] == "remove a"
    assert not (tmp_path / "room").exists()


def test_stop_says_when_something_had_to_be_killed(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        await yard.until(lambda: b"deaf" in _read(yard.logs["web"]))
        assert await yard.child.stop() is True

    deaf = replace(WEB, command=STUBBORN)
    play(tmp_path, pods.Pod("a", (deaf,), grace_s=0.2), scene)


def test_a_shorter_grace_hurries_a_stop(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        await yard.until(lambda: b"deaf" in _read(yard.logs["web"]))
        stop = asyncio.ensure_future(yard.child.stop())
        await yard.until(lambda: yard.child.state == "stopping")
        yard.child.grace_s = 0.0
        async with asyncio.timeout(DEADLINE_S):
            assert await stop is True

    deaf = replace(WEB, command=STUBBORN)
    play(tmp_path, pods.Pod("a", (deaf,), grace_s=3600.0), scene)


def test_a_killed_container_starts_again_and_is_counted(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        await yard.until_ready()
        os.kill(int(yard.status("web").identity), signal.SIGKILL)
        await yard.until(lambda: yard.child.restarts == 1)
        await yard.until_ready()
        last = yard.status("web").last
        assert last is not None
        assert (last.code, last.reason, last.message) == (137, "Error", "killed by SIGKILL")

    play(tmp_path, pods.Pod("a", (WEB,)), scene)


def test_init_containers_run_in_order_before_the_others(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    def init(name: str) -> pods.Container:
        text = f"open({str(notes)!r}, 'a').write({name!r})"
        return pods.Container(name, "init", command=python(text))

    async def scene(yard: Yard) -> None:
        await yard.until_ready()
        assert _read(notes) == b"ab"
        assert [one.reason for one in yard.child.containers()] == ["Completed", "Completed", ""]

    play(tmp_path, pods.Pod("p", (init("a"), init("b"), WEB)), scene)


def test_a_pod_that_runs_to_its_end_has_succeeded(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        await yard.until(lambda: yard.child.state == "ended")
        assert (yard.child.phase, yard.child.reason) == ("Succeeded", "ended with 0")
        assert yard.runtime.sandboxes[0].is_removed
        assert await yard.child.stop() is False

    sidecar = pods.Container("side", "sidecar", command=SLEEPER)
    job = pods.Container("job", command=python("pass"), restart="never")
    play(tmp_path, pods.Pod("a", (sidecar, job)), scene)


def test_a_missing_command_is_named(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        await yard.until(lambda: yard.child.state == "ended")
        assert yard.child.phase == "Failed"
        assert "web: /nowhere/at/all: No such file or directory" in yard.child.reason
        assert yard.status("web").reason == "StartError"

    absent = replace(WEB, command=("/nowhere/at/all",), restart="never")
    play(tmp_path, pods.Pod("a", (absent,)), scene)


def test_probes_by_command_decide_readiness(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    look = pods.Look("exec", command=("test", "-e", str(gate)), period_s=0.05, failures=1)

    async def scene(yard: Yard) -> None:
        await yard.until(lambda: "does not succeed yet: test ended with 1" in yard.child.reason)
        assert yard.child.state == "starting"
        gate.touch()
        await yard.until_ready()
        gate.unlink()
        await yard.until(lambda: yard.child.state == "unready")
        assert yard.child.reason == "web: its readiness probe fails: test ended with 1"

    play(tmp_path, pods.Pod("a", (replace(WEB, readiness=look),)), scene)


def test_hooks_run_in_the_container(tmp_path: Path) -> None:
    born, gone = tmp_path / "born", tmp_path / "gone"
    hooked = replace(
        WEB,
        post_start=pods.Hook(command=("touch", str(born))),
        pre_stop=pods.Hook(command=("touch", str(gone))),
    )

    async def scene(yard: Yard) -> None:
        await yard.until_ready()
        assert born.exists()
        assert not gone.exists()
        await yard.child.stop()
        assert gone.exists()

    play(tmp_path, pods.Pod("a", (hooked,)), scene)


def test_a_failing_post_start_says_why(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        await yard.until(lambda: yard.child.restarts >= 1)
        why = "its postStart failed: false ended with 1; "
        assert yard.last_message("web").startswith(why)

    hooked = replace(WEB, post_start=pods.Hook(command=("false",)))
    play(tmp_path, pods.Pod("a", (hooked,)), scene)


def test_a_hook_may_only_sleep(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        await yard.until_ready()
        assert await yard.child.stop() is False

    sleepy = pods.Hook(sleep_s=0.01)
    play(tmp_path, pods.Pod("a", (replace(WEB, post_start=sleepy, pre_stop=sleepy),)), scene)


def test_a_hook_by_http_is_content_with_any_answer(tmp_path: Path) -> None:
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    hook = pods.Hook(get=pods.Look("http", port=listener.getsockname()[1], path="/bye"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 500 Oh\r\n\r\n")
        writer.close()

    async def scene(yard: Yard) -> None:
        async with await asyncio.start_server(serve, sock=listener):
            await yard.until_ready()
            assert await yard.child.stop() is False
        assert asked == [b"GET /bye HTTP/1.1\r\n"] * 2
        assert "hook_failed" not in yard.output.getvalue()

    hooked = replace(WEB, post_start=hook, pre_stop=hook)
    play(tmp_path, pods.Pod("a", (hooked,)), scene)


def test_a_sandbox_that_vanishes_is_made_again(tmp_path: Path) -> None:
    init = pods.Container("init", "init", command=python("pass"))

    async def scene(yard: Yard) -> None:
        await yard.until_ready()
        before = yard.status("web").identity
        yard.runtime.sandboxes[0].vanished.set()
        await yard.until(lambda: len(yard.runtime.sandboxes) == 2)
        await yard.until_ready()
        assert yard.runtime.sandboxes[0].is_removed
        assert yard.status("web").identity not in {before, ""}
        assert [one.restarts for one in yard.child.containers()] == [1, 1]

    play(tmp_path, pods.Pod("a", (init, WEB)), scene)


@pytest.mark.parametrize("call", ["create", "start"])
@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError(28, "No space left on device")])
def test_what_fails_to_begin_is_tried_again(tmp_path: Path, call: str, error: Exception) -> None:
    async def scene(yard: Yard) -> None:
        yard.runtime.faults.put(call, error, error)
        yard.child.start()
        await yard.until_ready()
        assert yard.runtime.faults.coming[call] == []

    play(tmp_path, pods.Pod("a", (WEB,)), scene, starts=False)


def test_volumes_that_cannot_be_made_are_tried_again(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.volumes.faults.put("make", errors.PermanentError("no such folder: /srv"))
        yard.child.start()
        await yard.until(lambda: "no such folder: /srv" in yard.child.reason)
        assert yard.child.state == "waiting"
        await yard.until_ready()

    play(tmp_path, pods.Pod("a", (WEB,)), scene, starts=False)


def test_a_fault_while_watching_leaves_no_container_unwatched(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.runtime.faults.put("ended", RuntimeError("a bug"))
        yard.child.start()
        await yard.until(lambda: yard.runtime.faults.coming["ended"] == [])
        await yard.until_ready()
        os.kill(int(yard.status("web").identity), signal.SIGKILL)
        await yard.until(lambda: yard.child.restarts == 1)
        assert "supervision_failed" in yard.output.getvalue()

    play(tmp_path, pods.Pod("a", (WEB,)), scene, starts=False)


def test_a_signal_that_fails_is_followed_by_a_kill(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        await yard.until_ready()
        yard.runtime.faults.put("signal", RuntimeError("a bug"), OSError(1, "not permitted"))
        assert await yard.child.stop() is True

    play(tmp_path, pods.Pod("a", (WEB,), grace_s=0.1), scene)


def test_a_fault_in_the_steps_begins_the_pod_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, faults = lifecycle.step, [RuntimeError("a bug")]

    def step(*args: object) -> object:
        if type(args[2]).__name__ == "Exited" and faults:
            raise faults.pop()
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(lifecycle, "step", step)

    async def scene(yard: Yard) -> None:
        await yard.until_ready()
        os.kill(int(yard.status("web").identity), signal.SIGKILL)
        await yard.until(lambda: len(yard.runtime.sandboxes) == 2)
        await yard.until_ready()
        assert len(yard.runtime.alive()) == 2
        assert yard.runtime.sandboxes[0].is_removed

    play(tmp_path, pods.Pod("a", (WEB, replace(WEB, name="more"))), scene)


def test_a_fault_while_the_pod_is_stopped_still_ends_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = lifecycle.step

    def step(*args: object) -> object:
        if type(args[2]).__name__ == "Stop":
            raise RuntimeError("a bug")
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(lifecycle, "step", step)

    async def scene(yard: Yard) -> None:
        await yard.until_ready()
        yard.runtime.faults.put("remove", OSError(16, "Device or resource busy"))
        assert await yard.child.stop() is True
        assert yard.runtime.sandboxes[0].is_removed

    play(tmp_path, pods.Pod("a", (WEB,)), scene)


def test_a_sandbox_that_goes_late_is_asked_again(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        await yard.until_ready()
        busy = [OSError(16, "Device or resource busy")] * (lifecycle.REMOVALS_MAX - 1)
        yard.runtime.faults.put("remove", *busy)
        assert await yard.child.stop() is False
        assert yard.output.getvalue().count("removal_failed") == lifecycle.REMOVALS_MAX - 1
        assert yard.runtime.sandboxes[0].is_removed

    play(tmp_path, pods.Pod("a", (WEB,)), scene)


def test_a_stop_before_the_start_removes_only_volumes(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        assert await yard.child.stop() is False
        assert yard.runtime.sandboxes == []

    play(tmp_path, pods.Pod("a", (WEB,)), scene, starts=False)


@pytest.mark.parametrize("turns", range(0, 60, 3))
def test_a_stop_at_any_moment_of_the_start_leaves_nothing(tmp_path: Path, turns: int) -> None:
    async def scene(yard: Yard) -> None:
        for _ in range(turns):
            await yard.clock.sleep(0.0)
        await yard.child.stop()
        assert all(one.is_removed for one in yard.runtime.sandboxes)

    init = pods.Container("init", "init", command=python("pass"))
    play(tmp_path, pods.Pod("a", (init, WEB, replace(WEB, name="more"))), scene)


def test_another_content_of_a_file_is_published_live(tmp_path: Path) -> None:
    def pod(content: bytes) -> pods.Pod:
        volume = pods.Volume("config", "files", files=(pods.File("a.yaml", content),))
        return pods.Pod("a", (WEB,), volumes=(volume,))

    async def scene(yard: Yard) -> None:
        await yard.until_ready()
        pid = yard.status("web").identity
        yard.volumes.faults.put("publish", OSError(28, "No space left on device"))
        process = replace(yard.child.process, pod=pod(b"new"))
        assert process == yard.child.process
        yard.child.process = process
        file = tmp_path / "volumes" / "config" / "a.yaml"
        await yard.until(lambda: file.read_bytes() == b"new")
        assert yard.status("web").identity == pid
        assert yard.volumes.done == ["make", "publish"]

    play(tmp_path, pod(b"old"), scene)


def test_a_pod_at_rest_tells_nobody_of_anything(tmp_path: Path) -> None:
    looked = tmp_path / "looked"
    command = ("sh", "-c", f"echo >> {looked}")
    look = pods.Look("exec", command=command, period_s=0.05)

    async def scene(yard: Yard) -> None:
        await yard.until_ready()
        before, size = yard.changes, looked.stat().st_size
        await yard.until(lambda: looked.stat().st_size > size + 3)
        assert yard.changes == before

    play(tmp_path, pods.Pod("a", (replace(WEB, readiness=look),)), scene)


def test_the_bare_runtime_is_a_runtime(tmp_path: Path) -> None:
    found: runtime.Runtime = bare.Runtime()
    room = runtime.Room(pods.Pod("a", ()), {}, tmp_path, {})
    assert isinstance(bare.Sandbox(room, bare.Faults()), runtime.Losable)
    assert found.addresses() == {}


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
