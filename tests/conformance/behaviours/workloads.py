"""Workloads: Deployments, StatefulSets, Jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import values, writing
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
        "fewer replicas end the others",
        lambda world: _scaled(world, 3),
        _scaled_check,
        phase="changed",
        changed=lambda world: _scaled(world, 1),
    ),
)
