"""Workloads: Deployments, StatefulSets, Jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import values, writing
from tests.conformance.behaviours import services, sharing
from tests.conformance.world import Behaviour, World

if TYPE_CHECKING:
    from tests.conformance.values import Value


def _workload(kind: str, name: str, template: Value, **fields: values.Free) -> Value:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, **fields},
    }


def _names(world: World, prefix: str) -> list[str]:
    return sorted(
        one["name"]
        for one in world.status()["processes"]
        if one["name"].startswith(prefix) and one["state"] == "ready"
    )


def _deployment(world: World, replicas: int = 3, word: str = "first") -> list[Value]:
    main = writing.shell("main", f"say {word}; {writing.WAIT}")
    return [
        _workload("Deployment", "many", writing.template(world, "many", main), replicas=replicas)
    ]


def _deployment_check(world: World) -> None:
    world.until("three run", lambda: len(_names(world, "many-")) == 3)
    assert world.lines("many") == ["first"] * 3


def _rolled_check(world: World) -> None:
    world.until("all are new", lambda: world.lines("rolled").count("second") == 3)
    world.until("no old one is there", lambda: len(_names(world, "rolled-")) == 3)


def _rolled(world: World, word: str) -> list[Value]:
    main = writing.shell("main", f"say {word}; {writing.WAIT}")
    template = writing.template(world, "rolled", main)
    return [_workload("Deployment", "rolled", template, replicas=3)]


def _scaled(world: World, replicas: int) -> list[Value]:
    main = writing.shell("main", writing.WAIT)
    return [
        _workload(
            "Deployment", "scaled", writing.template(world, "scaled", main), replicas=replicas
        )
    ]


def _scaled_check(world: World) -> None:
    world.until("one is left", lambda: len(_names(world, "scaled-")) == 1)


def _ordered(world: World) -> list[Value]:
    main = writing.shell(
        "main",
        'say "$NAME starts"; sleep 0.5; touch "$LINES/$NAME.up"; say "$NAME is up"; '
        + writing.WAIT,
        env=[{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        readinessProbe=writing.exec_('test -e "$LINES/$NAME.up"'),
    )
    return [
        _workload(
            "StatefulSet",
            "ordered",
            writing.template(world, "ordered", main),
            replicas=3,
            serviceName="ordered",
        )
    ]


def _ordered_check(world: World) -> None:
    world.until_line("ordered", "ordered-2 is up")
    assert world.lines("ordered") == [
        f"ordered-{at} {what}" for at in range(3) for what in ("starts", "is up")
    ]


def _turned(world: World, word: str) -> list[Value]:
    script = f'trap \'say "$NAME ends"; exit 0\' TERM; say "$NAME {word}"; '
    script += f'touch "$LINES/$NAME.{word}"; '
    main = writing.shell(
        "main",
        script + writing.FOREVER,
        env=[{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        # Without it the next one's turn comes as soon as this one is started, before its line.
        readinessProbe=writing.exec_(f'test -e "$LINES/$NAME.{word}"'),
    )
    template = writing.template(world, "turned", main)
    fields = {"replicas": 2, "serviceName": "turned"}
    return [_workload("StatefulSet", "turned", template, **fields)]


def _turned_check(world: World) -> None:
    world.until_line("turned", "turned-0 second")
    assert world.lines("turned") == [
        *("turned-0 first", "turned-1 first"),
        *("turned-1 ends", "turned-1 second", "turned-0 ends", "turned-0 second"),
    ]


def _parallel(world: World) -> list[Value]:
    # Nobody ends before two have begun.
    wait = 'until [ "$(ls "$LINES"/begun.* | wc -l)" -ge 2 ]; do sleep 0.05; done'
    script = f'say begins; mktemp "$LINES/begun.XXXXXX"; {wait}; say ends'
    main = writing.shell("main", script)
    template = writing.template(world, "parallel", main, restartPolicy="Never")
    return [_made_job("parallel", template, completions=3, parallelism=2)]


def _parallel_check(world: World) -> None:
    lines = world.lines
    world.until("all have ended", lambda: lines("parallel").count("ends") == 3)
    assert lines("parallel").count("begins") == 3
    running = 0
    for line in lines("parallel"):
        running += 1 if line == "begins" else -1
        assert running <= 2


def _steady(world: World, word: str) -> list[Value]:
    main = sharing.server("main", 7000, word)
    # Who was chosen before its end was known is served still.
    hook = {"preStop": {"exec": {"command": ["sleep", "2"]}}}
    probe = {"tcpSocket": {"port": 7000}, "periodSeconds": 1, "timeoutSeconds": 10}
    main |= {"readinessProbe": probe, "lifecycle": hook}
    template = writing.template(world, "steady", main)
    ask = """
host, port, last = os.environ["STEADY_SERVICE_HOST"], int(os.environ["STEADY_SERVICE_PORT"]), ""
while True:
    try: now = socket.create_connection((host, port), timeout=20).makefile().read().strip() or "cut"
    except OSError as error: now = f"refused: {error}"
    if now != last and (last or now == "first"): say(now); last = now
    time.sleep(0.02)
"""
    workload = _workload("Deployment", "steady", template, replicas=2)
    asker = writing.pod(world, "steady-asker", writing.python("main", ask), grace=1)
    return [services.service("steady", world.port("steady"), 7000), workload, asker]


def _steady_check(world: World) -> None:
    world.until("all are new", lambda: world.lines("steady-asker")[-1:] == ["second"])
    world.until("no old one is there", lambda: len(_names(world, "steady-")) == 3)
    assert set(world.lines("steady-asker")) == {"first", "second"}


def _made_job(name: str, template: Value, **fields: values.Free) -> Value:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": template, **fields},
    }


def _job(world: World) -> list[Value]:
    main = writing.shell("main", 'say main; test "$(grep -c main "$LINES/$POD")" -ge 2')
    template = writing.template(world, "job", main, restartPolicy="OnFailure")
    return [_made_job("job", template, backoffLimit=3)]


def _job_check(world: World) -> None:
    world.until("it ran twice", lambda: world.lines("job") == ["main", "main"])
    world.until(
        "it has ended",
        lambda: any(
            one["name"].startswith("job-") and one["state"] == "ended"
            for one in world.status()["processes"]
        ),
    )


def _failing(world: World, name: str, policy: str) -> list[Value]:
    main = writing.shell(
        "main",
        'test -e "$SCRATCH/old" && say old; touch "$SCRATCH/old"; say main; exit 1',
        env=[{"name": "SCRATCH", "value": "/scratch"}],
        volumeMounts=[{"name": "scratch", "mountPath": "/scratch"}],
    )
    fields = {"restartPolicy": policy, "volumes": [{"name": "scratch", "emptyDir": {}}]}
    template = writing.template(world, name, main, **fields)
    return [_made_job(name, template, backoffLimit=2)]


def _has_failed(world: World, pod: str, reason: str) -> bool:
    found = world.pod(pod)
    is_failed = (found.get("phase"), found.get("state")) == ("Failed", "ended")
    return is_failed and reason in found["reason"]


def _never_check(world: World) -> None:
    reason = "BackoffLimitExceeded: Job/failing failed 3 times"
    world.until("it has failed", lambda: _has_failed(world, "failing-0", reason))
    assert world.lines("failing") == ["main"] * 3  # each in a new pod
    assert any(reason in one for one in world.status()["warnings"])


def _on_failure_check(world: World) -> None:
    reason = "BackoffLimitExceeded: Job/restarting failed 3 times"
    world.until("it has failed", lambda: _has_failed(world, "restarting-0", reason))
    assert world.lines("restarting") == ["main", "old", "main", "old", "main"]
    assert world.container("restarting-0", "main")["restarts"] == 2


def _deadline(world: World) -> list[Value]:
    main = writing.shell("main", writing.WAIT)
    template = writing.template(world, "deadline", main, restartPolicy="OnFailure")
    fields = {"completions": 2, "parallelism": 2, "activeDeadlineSeconds": 3}
    return [_made_job("deadline", template, **fields)]


def _deadline_check(world: World) -> None:
    for pod in ("deadline-0", "deadline-1"):
        reason = "DeadlineExceeded: Job/deadline was active longer than 3s"
        world.until(f"{pod} has ended", lambda: _has_failed(world, pod, reason))  # noqa: B023


BEHAVIOURS = (
    Behaviour("a Deployment runs its replicas", _deployment, _deployment_check),
    Behaviour("a StatefulSet starts one by one", _ordered, _ordered_check),
    Behaviour("a Job runs to success", _job, _job_check),
    Behaviour("a Job runs as many pods at once as it may", _parallel, _parallel_check),
    Behaviour(
        "a Job whose pods fail has new ones up to its limit",
        lambda world: _failing(world, "failing", "Never"),
        _never_check,
        is_ready=False,
    ),
    Behaviour(
        "a Job whose container fails starts it again up to its limit",
        lambda world: _failing(world, "restarting", "OnFailure"),
        _on_failure_check,
        is_ready=False,
    ),
    Behaviour("a Job's deadline ends all its pods", _deadline, _deadline_check, is_ready=False),
    Behaviour(
        "a Deployment's change replaces its pods",
        lambda world: _rolled(world, "first"),
        _rolled_check,
        phase="changed",
        changed=lambda world: _rolled(world, "second"),
    ),
    Behaviour(
        "a StatefulSet's change replaces its pods one by one, the last first",
        lambda world: _turned(world, "first"),
        _turned_check,
        phase="changed",
        changed=lambda world: _turned(world, "second"),
    ),
    Behaviour(
        "a Service answers all through its Deployment's change",
        lambda world: _steady(world, "first"),
        _steady_check,
        phase="changed",
        changed=lambda world: _steady(world, "second"),
        engines=sharing.ISOLATED,
    ),
    Behaviour(
        "fewer replicas end the others",
        lambda world: _scaled(world, 3),
        _scaled_check,
        phase="changed",
        changed=lambda world: _scaled(world, 1),
    ),
)
