"""A supervisor runs pods on a runtime as their files and their workloads say, on real processes."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.unit.engines.pods import bare

from alongside.base import clock, environment, errors, log
from alongside.engines.local import engine, folders, hosting
from alongside.resources import texts
from alongside.server import control, journal, orders, status, supervisor

if TYPE_CHECKING:
    from alongside.engines.pods import runtime
    from alongside.plan import choosing

DEADLINE_S = 30.0
SLEEP = json.dumps([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
DONE = json.dumps([sys.executable, "-S", "-c", ""])
STATEFUL_SET = f"""\
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec:
  serviceName: db
  replicas: 2
  selector: {{matchLabels: {{app: db}}}}
  template:
    metadata: {{labels: {{app: db}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{{name: db, command: {SLEEP}}}]
"""
DEPLOYMENT = f"""\
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: app
        command: {SLEEP}
        env: [{{name: WORD, value: "1"}}]
        ports: [{{containerPort: 8000}}]
      - {{name: beside, command: {SLEEP}}}
"""
SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8000}]
"""
HOST_PORT = f"""\
---
apiVersion: v1
kind: Pod
metadata: {{name: edge}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {{name: app, command: {SLEEP}, ports: [{{containerPort: 9000, hostPort: 80}}]}}
"""


class Remembering(bare.Runtime):
    """A runtime that remembers in which order it was asked, and for which Services."""

    def __init__(self) -> None:
        super().__init__()
        self.story: list[str] = []
        self.backends: list[tuple[str, ...]] = []
        self.promised: frozenset[int] = frozenset()
        self.at_creation: dict[str, frozenset[int]] = {}

    async def open(self) -> None:
        """Remember it."""
        self.faults.meet("open")
        self.story.append("open")

    async def create(self, room: runtime.Room) -> bare.Sandbox:
        """Remember it."""
        self.story.append(f"create {room.pod.name}")
        self.at_creation[room.pod.name] = self.promised
        return await super().create(room)

    async def serve(self, services: Sequence[runtime.Served]) -> None:
        """Remember the pods behind the first port of the first Service, and what it leaves."""
        self.story.append("serve")
        self.promised = services[0].promised if services else frozenset()
        self.backends.append(services[0].backends[0] if services else ())

    def problems(self, wanted: Sequence[object]) -> list[str]:
        """Return what is put."""
        try:
            self.faults.meet("problems")
        except errors.AlongsideError as error:
            return [str(error)]
        return []

    def addresses(self) -> Mapping[str, str]:
        """Return where the one Service is."""
        return {"web:80": "127.0.0.1:8080"} if self.backends else {}

    async def close(self) -> None:
        """Remember it."""
        self.story.append("close")


class Yard:
    """A project on that runtime."""

    def __init__(self, folder: Path) -> None:
        self.clock = clock.SystemClock()
        self.runtime = Remembering()
        places = folders.Folders(folder / "state", folder / "run")
        places.make()
        setting = engine.Setting("p", places, Path("/none"), environment.Environment())
        wake = asyncio.Event()
        log_ = log.Log(self.clock, stream=io.StringIO())
        ground = hosting.Ground("namespaces", self.runtime, bare.Volumes(folder / "volumes"))
        self.engine = engine.Engine(setting, self.clock, wake.set, log_, ground=ground)
        self.watched = supervisor.Supervisor(self.engine, self.clock, log_, epoch=1, wake=wake)
        self.control = control.Control(self.watched, self.clock)

    async def apply(self, text: str, wish: choosing.Wish = "auto") -> orders.Applied:
        """Make files the goal, as the control API does."""
        order = orders.Order((texts.Source("f.yaml", "/", text),), engine=wish)
        value = json.loads(json.dumps(order.to_json()))
        return await self.control.apply(orders.from_json(value))

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so, for a limited time."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not is_so():
            assert time.monotonic() < deadline_s, self.engine.children
            await self.clock.sleep(0.01)

    async def ready(self) -> None:
        """Wait until all is as planned."""
        await self.until(self.watched.is_ready)

    async def status(self) -> status.Status:
        """Return what `status` shows."""
        return await status.of(self.watched, now_s=self.clock.monotonic_s())


def play(folder: Path, scenario: Callable[[Yard], Awaitable[None]]) -> Yard:
    """Run a scenario with a supervisor that works; all is ended afterwards."""

    async def whole() -> Yard:
        yard = Yard(folder)
        loops = asyncio.create_task(yard.watched.run())
        try:
            await scenario(yard)
        finally:
            loops.cancel()
            await asyncio.gather(loops, return_exceptions=True)
            await yard.watched.close()
        assert yard.runtime.alive() == []
        return yard

    return asyncio.run(whole())


def created(yard: Yard) -> list[str]:
    return [line.split()[1] for line in yard.runtime.story if line.startswith("create ")]


def test_pods_start_in_their_order_on_an_open_runtime_that_knows_the_services(
    tmp_path: Path,
) -> None:
    async def scenario(yard: Yard) -> None:
        applied = await yard.apply(STATEFUL_SET + DEPLOYMENT + SERVICE)
        assert (applied.engine, applied.engine_reason) == (
            "namespaces",
            "the project is up with it",
        )
        await yard.ready()
        assert yard.runtime.story[:2] == ["open", "serve"]
        names = created(yard)
        assert names.index("db-0") < names.index("db-1")
        await yard.until(lambda: len(yard.runtime.backends[-1]) == 2)

    yard = play(tmp_path, scenario)
    assert yard.runtime.story[-1] == "close"


def test_status_shows_pods_with_their_containers_and_services(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        await yard.apply(DEPLOYMENT + SERVICE)
        await yard.ready()
        state = await yard.status()
        assert (state["engine"], state["services"]) == (
            "namespaces",
            {"web": {"80": "127.0.0.1:8080"}},
        )
        pod, _ = state["processes"]
        assert (pod["state"], pod["phase"], pod["group"]) == ("ready", "Running", "Deployment/web")
        assert [(one["name"], one["state"], one["ready"]) for one in pod["containers"]] == [
            ("app", "running", True),
            ("beside", "running", True),
        ]
        assert pod["pid"] == int(pod["containers"][0]["id"])
        assert pod["address"] == "127.0.0.1"
        path = yard.engine.setting.folders.journal
        await yard.until(lambda: journal.read(path).engine == "namespaces")

    yard = play(tmp_path, scenario)
    assert journal.read(yard.engine.setting.folders.journal).engine == ""


def test_a_service_leaves_its_number_to_a_pod_as_long_as_that_is_there(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        running = yard.runtime
        await yard.apply(DEPLOYMENT + SERVICE)
        await yard.ready()
        assert running.promised == frozenset()
        await yard.apply(DEPLOYMENT + SERVICE + HOST_PORT)
        await yard.ready()
        assert running.promised == {80}
        assert running.at_creation["edge"] == {80}
        edge, seen = running.sandboxes[-1], list[frozenset[int]]()

        async def remove() -> None:
            seen.append(running.promised)
            await bare.Sandbox.remove(edge)

        edge.remove = remove  # type: ignore[method-assign]
        await yard.apply(DEPLOYMENT + SERVICE)
        await yard.until(lambda: running.promised == frozenset())
        assert seen == [frozenset({80})]

    play(tmp_path, scenario)


def test_a_refused_plan_lets_services_answer_where_they_do(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        await yard.apply(DEPLOYMENT + SERVICE)
        await yard.ready()
        yard.runtime.faults.put("problems", errors.PermanentError("no such command"))
        with pytest.raises(errors.UsageError, match="no such command"):
            await yard.apply(DEPLOYMENT + SERVICE + HOST_PORT)
        await yard.until(lambda: len(yard.runtime.backends[-1]) == 2)
        os.kill(yard.runtime.sandboxes[0].all[0].process.pid, signal.SIGKILL)
        told = len(yard.runtime.backends)
        await yard.until(lambda: len(yard.runtime.backends) > told)
        assert yard.runtime.promised == frozenset()

    play(tmp_path, scenario)


def test_a_pod_that_is_to_end_leaves_its_services_before_it_is_told(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        await yard.apply(DEPLOYMENT + SERVICE)
        await yard.ready()
        await yard.until(lambda: len(yard.runtime.backends[-1]) == 2)
        seen: list[int] = []
        for sandbox in yard.runtime.sandboxes:
            for running in sandbox.all:
                running.faults.coming["signal"] = []
        before = yard.runtime.backends[-1]
        (name, *_) = yard.engine.pods()
        child = yard.engine.pods()[name]
        stop = child.stop

        async def stopping() -> bool:
            seen.append(len(yard.runtime.backends[-1]))
            return await stop()

        child.stop = stopping  # type: ignore[method-assign]
        yard.engine.stop(name)
        await yard.until(lambda: bool(seen))
        assert (len(before), seen) == (2, [1])

    play(tmp_path, scenario)


def test_a_new_template_has_new_pods_ready_before_old_ones_go(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        await yard.apply(DEPLOYMENT + SERVICE)
        await yard.ready()
        old = set(yard.engine.children)
        await yard.until(lambda: len(yard.runtime.backends[-1]) == 2)
        begun = len(yard.runtime.backends)
        await yard.apply(DEPLOYMENT.replace('"1"', '"2"') + SERVICE)
        await yard.ready()
        assert not old & set(yard.engine.children)
        assert min(len(one) for one in yard.runtime.backends[begun:]) >= 2
        assert max(len(one) for one in yard.runtime.backends[begun:]) <= 3

    play(tmp_path, scenario)


def test_a_job_that_succeeded_makes_the_project_ready(tmp_path: Path) -> None:
    job = f"""\
apiVersion: batch/v1
kind: Job
metadata: {{name: work}}
spec:
  completions: 2
  parallelism: 1
  template:
    spec: {{restartPolicy: Never, containers: [{{name: w, command: {DONE}}}]}}
"""

    async def scenario(yard: Yard) -> None:
        await yard.apply(job)
        pods = yard.engine.pods
        await yard.until(lambda: [one.phase for one in pods().values()] == ["Succeeded"] * 2)
        assert created(yard) == ["work-0", "work-1"]
        await yard.ready()

    play(tmp_path, scenario)


def test_a_smaller_deployment_ends_what_is_not_ready_at_once(tmp_path: Path) -> None:
    never = "readinessProbe: {exec: {command: ['false']}}"
    wanted = DEPLOYMENT.replace("replicas: 2", "replicas: 3").replace(
        "      - {name: beside", f"        {never}\n      - {{name: beside"
    )

    async def scenario(yard: Yard) -> None:
        await yard.apply(wanted)
        await yard.until(lambda: len(yard.runtime.alive()) == 6)
        await yard.apply(wanted.replace("replicas: 3", "replicas: 1"))
        await yard.until(lambda: len(yard.engine.pods()) == 1)
        assert [one.state for one in yard.engine.pods().values()] == ["starting"]

    play(tmp_path, scenario)


def test_a_changed_config_map_reaches_words_and_variables_with_the_next_start(
    tmp_path: Path,
) -> None:
    marks = tmp_path / "marks"
    text = (
        "import os, sys, time\n"
        f"print(os.environ['WORD'], sys.argv[1], file=open({str(marks)!r}, 'a'), flush=True)\n"
        "time.sleep(600)"
    )
    reference = {"name": "WORD", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "word"}}}
    container = {
        "name": "w",
        "command": [sys.executable, "-S", "-c", text, "$(WORD)"],
        "env": [reference],
    }
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}

    def files(word: str) -> str:
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}}
        return json.dumps({**config, "data": {"word": word}}) + "\n---\n" + json.dumps(pod)

    async def scenario(yard: Yard) -> None:
        await yard.apply(files("one"))
        await yard.until(lambda: marks.exists() and marks.read_text() == "one one\n")
        await yard.ready()
        assert (await yard.apply(files("two"))).changes == ()
        pid = int(yard.engine.pods()["p"].containers()[0].identity)
        os.kill(pid, signal.SIGKILL)
        await yard.until(lambda: marks.read_text() == "one one\ntwo two\n")

    play(tmp_path, scenario)


def job(command: str, restart: str, **fields: object) -> str:
    """Return a Job whose pods run a command."""
    spec = {"restartPolicy": restart, "terminationGracePeriodSeconds": 1}
    template = {"spec": {**spec, "containers": [{"name": "w", "command": json.loads(command)}]}}
    return json.dumps(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "work"},
            "spec": {**fields, "template": template},
        }
    )


def counting(path: Path, *, enough: int) -> str:
    """Return a command that leaves a mark each time, and succeeds when there are enough."""
    text = (
        f"import sys; out = open({str(path)!r}, 'a+'); out.write('x'); out.flush(); out.seek(0)\n"
        f"sys.exit(len(out.read()) < {enough})"
    )
    return json.dumps([sys.executable, "-S", "-c", text])


@pytest.mark.parametrize("restart", ["Never", "OnFailure"])
def test_a_job_is_tried_as_often_as_its_limit_says_and_then_failed(
    tmp_path: Path, restart: str
) -> None:
    async def scenario(yard: Yard) -> None:
        await yard.apply(job(counting(tmp_path / "marks", enough=99), restart, backoffLimit=2))
        await yard.until(lambda: bool(yard.engine.failed_jobs()))
        await yard.until(lambda: yard.engine.pods()["work-0"].state == "ended")
        assert (tmp_path / "marks").read_text() == "xxx"
        assert len(created(yard)) == (3 if restart == "Never" else 1)
        state = await status.of(yard.watched, now_s=0.0)
        (shown,) = state["processes"]
        assert (shown["phase"], shown["state"]) == ("Failed", "ended")
        assert "BackoffLimitExceeded: Job/work failed 3 times" in shown["reason"]
        assert any("BackoffLimitExceeded" in one for one in state["warnings"])
        assert not state["ready"]
        assert yard.engine.failed_jobs().keys() == {"Job/work"}

    play(tmp_path, scenario)


def test_a_job_that_fails_at_first_succeeds_in_a_new_pod(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        await yard.apply(job(counting(tmp_path / "marks", enough=3), "Never"))
        await yard.until((tmp_path / "marks").exists)
        await yard.until(lambda: (tmp_path / "marks").read_text() == "xxx")
        await yard.ready()
        assert created(yard) == ["work-0"] * 3
        pods = yard.engine.pods()
        await yard.until(lambda: pods["work-0"].phase == "Succeeded")

    play(tmp_path, scenario)


def test_the_deadline_of_a_job_ends_all_its_pods_and_lets_none_follow(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        wanted = job(
            SLEEP, "Never", activeDeadlineSeconds=1, completions=3, parallelism=2, backoffLimit=6
        )
        await yard.apply(wanted)
        pods = yard.engine.pods
        await yard.until(lambda: [one.phase for one in pods().values()] == ["Failed"] * 2)
        state = await status.of(yard.watched, now_s=0.0)
        reasons = [one["reason"] for one in state["processes"]]
        assert reasons == ["DeadlineExceeded: Job/work was active longer than 1s"] * 3
        yard.watched.reconcile()
        assert created(yard) == ["work-0", "work-1"]

    play(tmp_path, scenario)


def test_another_limit_lets_a_failed_job_go_on(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        command = counting(tmp_path / "marks", enough=3)
        await yard.apply(job(command, "Never", backoffLimit=0))
        await yard.until(lambda: bool(yard.engine.failed_jobs()))
        applied = await yard.apply(job(command, "Never", backoffLimit=3))
        assert applied.changes == ("configure Job/work",)
        await yard.until(lambda: (tmp_path / "marks").read_text() == "xxx")
        await yard.ready()
        assert yard.engine.failed_jobs() == {}

    play(tmp_path, scenario)


def test_what_cannot_run_or_needs_another_engine_changes_nothing(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        await yard.apply(STATEFUL_SET)
        await yard.ready()
        before = dict(yard.engine.children)
        with pytest.raises(errors.UsageError, match='"p" is up with --engine namespaces'):
            await yard.apply(DEPLOYMENT, "docker")
        yard.runtime.faults.put("problems", errors.PermanentError("f.yaml:1: Pod/x: no; mend"))
        with pytest.raises(errors.UsageError, match="Pod/x: no; mend"):
            await yard.apply(DEPLOYMENT)
        yard.watched.reconcile()
        assert yard.engine.children == before

    play(tmp_path, scenario)


def test_a_runtime_that_does_not_open_refuses_the_files_and_is_closed(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        yard.runtime.faults.put("open", errors.PermanentError("no network; be root"))
        with pytest.raises(errors.PermanentError, match="no network; be root"):
            await yard.apply(STATEFUL_SET)
        assert (yard.runtime.story, yard.watched.plan.processes) == (["close"], ())
        await yard.apply(STATEFUL_SET)
        await yard.ready()

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("db-0", "db-0.log"),
        ("db-0/db", "db-0.log"),
        ("POD", "POD.app.log"),
        ("POD/beside", "POD.beside.log"),
    ],
)
def test_logs_are_those_of_a_container(tmp_path: Path, name: str, expected: str) -> None:
    async def scenario(yard: Yard) -> None:
        await yard.apply(STATEFUL_SET + DEPLOYMENT)
        pod = next(one.name for one in yard.watched.plan.processes if one.name.startswith("web"))
        path = yard.control._log_of(name.replace("POD", pod))
        assert path.name == expected.replace("POD", pod)
        with pytest.raises(errors.UsageError, match=f'no container "x" in {pod}; write one of'):
            yard.control._log_of(f"{pod}/x")
        with pytest.raises(errors.UsageError, match='no process "x"; write one of db-0'):
            yard.control._log_of("x")

    play(tmp_path, scenario)
