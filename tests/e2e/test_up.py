"""`alongside up` and its kin: the real command, the real data plane, real sockets and kills."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from tests.e2e import fleets, steady

from alongside import document
from alongside.engines.processes import admin

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(180)]


@pytest.fixture
def fleet() -> Iterator[fleets.Fleet]:
    with fleets.project() as made:
        yield made


@pytest.fixture(scope="module")
def running() -> Iterator[fleets.Fleet]:
    with fleets.project() as made:
        made.up(made.write())
        yield made


def test_serves_explains_logs_and_purges(running: fleets.Fleet) -> None:
    address = running.address()
    assert fleets.get(address, "/a?b=c") == (200, b"/a?b=c")
    code, out, _ = running.run("explain", "photos", f"http://{address}/a?b=c", "--json")
    answer = json.loads(out)
    assert (code, answer["key"]) == (0, "/a?b=c")
    (replica,) = answer["replicas"]
    assert (answer["now"], answer["router"]) == (replica["id"], "photos-router-0")
    assert answer["address"] == running.processes()[answer["now"]]["address"]
    assert answer["reason"] == (
        f"ketama of request.uri gives the key to {answer['shard']}, one of 3 shards; "
        f"{answer['now']} serves it, and would answer now"
    )
    code, out, _ = running.run("purge", "photos", f"http://{address}/a?b=c", "--json")
    told = json.loads(out)
    assert (code, told["purged"], told["forgotten"], told["owed"]) == (0, 1, 3, [])
    code, out, _ = running.run("logs", "app")
    assert (code, "GET /a?b=c" in out) == (0, True)
    code, _, err = running.run("explain", "photo", "http://x/")
    assert (code, 'no sharded cache "photo" is up; write one of photos' in err) == (2, True)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("shards: 3", "shards: three", ':7: ShardedCache/photos: spec.shards: "three" is not a'),
        ("shards: 3", "shards: 0", ":7: ShardedCache/photos: spec.shards: 0 is out of range"),
        ("shards: 3", "shard: 3", ":7: ShardedCache/photos: spec.shard: unknown field; did you"),
        ("memory: 16Mi", "memory: 64M i", ":8: ShardedCache/photos: spec.memory: "),
        (
            "service: app",
            "service: apps",
            ':6: ShardedCache/photos: spec.origin.service: no Service or Pod "apps" in these files',
        ),
        ("kind: Pod", "kind: Pood", ':11: Pood/app: kind: "Pood" is not known; did you mean "Pod"'),
    ],
)
def test_a_bad_file_touches_nothing(
    running: fleets.Fleet, old: str, new: str, expected: str
) -> None:
    before = running.pids()
    path = running.write(name="bad.yaml")
    path.write_text(path.read_text().replace(old, new))
    code, _, err = running.run("up", str(path))
    assert code == 2
    assert f"{path}{expected}" in err
    assert running.pids() == before


def test_a_taken_port_touches_nothing_and_names_its_owner(running: fleets.Fleet) -> None:
    before = running.pids()
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        port = owner.getsockname()[1]
        path = running.write(name="taken.yaml")
        path.write_text(path.read_text().replace("shards: 3", f"shards: 3\n  port: {port}"))
        code, _, err = running.run("up", str(path))
    assert code == 3
    assert f"{path}:8: ShardedCache/photos: spec.port: 127.0.0.1:{port} is taken by" in err
    assert f"(pid {os.getpid()}); choose another port or stop its owner" in err
    assert running.pids() == before


def test_the_same_file_changes_nothing(running: fleets.Fleet) -> None:
    before = running.pids()
    code, out, _ = running.run("up", str(running.write()))
    assert (code, out.splitlines()[0]) == (0, "nothing to change")
    assert running.pids() == before


def test_every_process_and_up_itself_say_what_they_were_told(running: fleets.Fleet) -> None:
    abouts = {}
    for path in (running.base / "run").rglob("photos-*.sock"):
        seen = asyncio.run(admin.Admin(path).snapshot())
        whole = document.Document.from_json(cast("document.JsonObject", seen["document"]))
        assert whole.about is not None
        texts = {one.name: one.texts for one in whole.about.values}
        abouts[path.stem] = (whole.about.component, texts.get("memory"))
    nodes = [about for name, about in abouts.items() if "router" not in name]
    assert nodes == [("cache", ("16Mi",))] * 3
    assert [about for name, about in abouts.items() if "router" in name] == [("route", None)]
    log = (Path(running.home) / "supervisor.log").read_text()
    events = [json.loads(line) for line in log.splitlines()]
    [told, *_] = [event for event in events if event["event"] == "effective_values"]
    assert (told["component"], told["values"]["engine"]) == ("up", "auto")
    assert told["values"]["detach"] == "true"


def test_a_killed_node_refuses_no_connection_and_comes_back(running: fleets.Fleet) -> None:
    node = running.processes()["photos-0-0"]
    address, pid = str(node["address"]), int(str(node["pid"]))
    restarts = int(str(node["restarts"]))
    os.kill(pid, signal.SIGKILL)
    for at in range(20):
        assert fleets.get(address, f"/killed/{at}")[0] == 200
    now = running.processes()["photos-0-0"]
    assert (now["restarts"], now["state"], now["pid"] != pid) == (restarts + 1, "ready", True)


def test_explain_is_for_people_and_status_keeps_its_lines(running: fleets.Fleet) -> None:
    _, out, _ = running.run("explain", "photos", "http://x/a")
    fields = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert "address" not in fields
    node, address, *state = fields["replicas"].split()
    assert (node, address) == (fields["now"], running.processes()[node]["address"])
    assert state == ["100%", "share,", "100%", "warm,", "0", "in", "flight"]
    _, out, _ = running.run("status")
    title, cache, made_of = out.splitlines()[:3]
    assert title.startswith(f'project "photos" from {running.base}/photos (supervisor pid ')
    assert title.endswith("): all is ready")
    assert cache.endswith(f"origin 127.0.0.1:{running.port}")
    assert made_of == "  3 shards by ketama(request.uri), 1 replica each, 16Mi each, 1 router"
    code, _, err = running.run("logs")
    assert (code, "NAME is missing; write one of app, photos-0-0, " in err) == (2, True)


def test_what_acts_never_guesses_another_project(running: fleets.Fleet) -> None:
    before = running.pids()
    for words in (["down"], ["purge", "photos", "http://x/"]):
        code, _, err = running.run_elsewhere(*words)
        assert (code, "photos is; add --project photos" in err) == (2, True)
    assert running.run_elsewhere("status")[0] == 0
    assert running.pids() == before


def test_down_names_what_ignored_sigterm(fleet: fleets.Fleet) -> None:
    path = fleet.write()
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    (path.parent / "origin.py").write_text(deaf + fleets.ORIGIN)
    path.write_text(
        path.read_text().replace(
            "terminationGracePeriodSeconds: 5", "terminationGracePeriodSeconds: 1"
        )
    )
    fleet.up(path)
    code, out, _ = fleet.run("down")
    assert (code, "killed app after its 1s grace" in out) == (0, True)
    fleet.up(path)
    code, out, _ = fleet.run("down", "--json")
    assert (code, json.loads(out)["killed"]) == (0, [{"name": "app", "grace_s": 1.0}])


def test_an_origin_that_is_ready_is_no_warning(fleet: fleets.Fleet) -> None:
    fleet.up(fleet.write())
    assert fleet.status()["warnings"] == []


def test_a_process_that_does_not_become_ready_is_named_and_left(fleet: fleets.Fleet) -> None:
    path = fleet.write()
    (path.parent / "origin.py").write_text(
        "import time; print('I am slow', flush=True); time.sleep(99)"
    )
    code, _, err = fleet.run("up", str(path), "--detach", "--ready-timeout", "2s")
    assert (code, "app is not ready" in err, "I am slow" in err) == (1, True, True)
    assert "app" in fleet.pids()


def test_a_bad_first_file_starts_nothing(fleet: fleets.Fleet) -> None:
    path = fleet.write(shards=0)
    assert fleet.run("up", str(path), "--detach")[0] == 2
    for words in (["status"], ["logs", "app"]):
        code, _, err = fleet.run(*words)
        assert (code, 'project "photos" is not up; start it with' in err) == (1, True), err
    assert not fleet.left()


def test_a_changed_application_restarts_alone(fleet: fleets.Fleet) -> None:
    fleet.up(fleet.write())
    before, address = fleet.pids(), fleet.address()
    fleet.up(fleet.write(word="new"))
    after = fleet.pids()
    assert {name for name in after if after[name] != before[name]} == {"app"}
    assert fleets.get(address, "/x") == (200, b"new/x")


def test_an_origin_without_a_readiness_probe_is_a_warning(fleet: fleets.Fleet) -> None:
    path = fleet.write()
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "readinessProbe" not in line))
    code, out, err = fleet.run("up", str(path), "--detach")
    assert code == 0, err
    assert out.count("is an origin without readinessProbe") == 1
    warnings = fleet.status()["warnings"]
    assert f"{path}:16: Pod/app: spec.containers[0]: container" in str(warnings)


def test_an_origin_that_does_not_answer_is_a_warning(fleet: fleets.Fleet) -> None:
    path = fleet.write()
    text = path.read_text().split("---")[0]
    url = f'{{url: "http://127.0.0.1:{fleet.port}"}}'
    path.write_text(text.replace(f"{{service: app, port: {fleet.port}}}", url))
    fleet.up(path)

    def is_warned() -> bool:
        return "does not answer yet" in str(fleet.status()["warnings"])

    fleets.until("a warning", is_warned)


def test_what_a_killed_supervisor_leaves_serves_and_is_found(fleet: fleets.Fleet) -> None:
    path = fleet.write()
    fleet.up(path)
    old, address = fleet.pids(), fleet.address()
    os.kill(int(str(fleet.status()["supervisor_pid"])), signal.SIGKILL)
    assert fleets.get(address, "/still")[0] == 200
    code, _, err = fleet.run("status")
    assert (code, "but 5 of its processes still run and serve" in err) == (1, True)
    assert "alongside down --project photos" in err
    fleet.up(path)
    assert not set(old.values()) & set(fleet.left())
    assert sorted(fleet.left()) == sorted(fleet.pids().values())
    os.kill(int(str(fleet.status()["supervisor_pid"])), signal.SIGKILL)
    assert fleet.run("down")[0] == 0
    assert not fleet.left()


def test_the_foreground_ends_all_in_order_at_an_interrupt(fleet: fleets.Fleet) -> None:
    process = fleet.start("up", str(fleet.write()), "--json")
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("ready"):
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=fleets.DEADLINE_S)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, err) == (0, "")
    assert not fleet.left()
    log = (Path(fleet.home) / "supervisor.log").read_text()
    events = [json.loads(line) for line in log.splitlines()]
    stopped = [event["process"] for event in events if event["event"] == "stop"]
    assert stopped == ["photos-router-0", "photos-2-0", "photos-1-0", "photos-0-0", "app"]


def test_growing_and_shrinking_under_load_fails_no_request(fleet: fleets.Fleet) -> None:
    fleet.up(fleet.write(shards=3))
    before = fleet.pids()
    host, _, port = fleet.address().rpartition(":")
    with steady.Load((host, int(port)), targets=500) as load:
        for shards in (4, 3, 4):
            fleet.up(fleet.write(shards=shards))
            fleets.until("more load", load.more(50))
    assert load.failed == []
    after = fleet.pids()
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"photos-3-0"}


SLOW = """\
apiVersion: v1
kind: Pod
metadata: {name: slow}
spec:
  containers:
  - name: main
    image: sleeper
    command: [sleep, "600"]
    readinessProbe: {exec: {command: ["false"]}, periodSeconds: 1}
"""


def test_who_interrupts_a_detached_start_is_told_that_it_goes_on(fleet: fleets.Fleet) -> None:
    path = fleet.write(name="slow.yaml")
    path.write_text(SLOW)
    with fleet.start("up", "slow.yaml", "--detach") as up:
        assert up.stdout is not None
        assert up.stdout.readline() == "start slow\n"
        up.send_signal(signal.SIGINT)
        _, err = up.communicate(timeout=fleets.DEADLINE_S)
    told = 'alongside up: interrupted; project "photos" goes on: alongside status --project photos'
    assert (up.returncode, told in err) == (130, True), err
    assert "slow" in fleet.processes()
