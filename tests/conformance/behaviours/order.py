"""Order: init containers, sidecars, and what starts together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import writing
from tests.conformance.world import Behaviour, World

if TYPE_CHECKING:
    from tests.conformance.values import Value

RUN = f"say main; {writing.WAIT}"


def _inits(world: World) -> list[Value]:
    first = writing.shell("first", "say first begins; sleep 0.3; say first ends")
    second = writing.shell("second", "say second begins; sleep 0.3; say second ends")
    return [writing.pod(world, "inits", writing.shell("main", RUN), initContainers=[first, second])]


def _inits_check(world: World) -> None:
    world.until_line("inits", "main")
    assert world.lines("inits") == [
        *("first begins", "first ends", "second begins", "second ends"),
        "main",
    ]


def _failing_init(world: World) -> list[Value]:
    script = 'say try; test "$(grep -c try "$LINES/$POD")" -ge 3'
    init = writing.shell("init", script)
    return [writing.pod(world, "init-fails", writing.shell("main", RUN), initContainers=[init])]


def _failing_init_check(world: World) -> None:
    world.until_line("init-fails", "main")
    assert world.lines("init-fails") == ["try", "try", "try", "main"]


def _init_for_ever(world: World) -> list[Value]:
    init = writing.shell("init", "say init; exit 3")
    return [
        writing.pod(
            world,
            "init-never",
            writing.shell("main", RUN),
            initContainers=[init],
            restartPolicy="Never",
        )
    ]


def _init_for_ever_check(world: World) -> None:
    world.until("it has ended", lambda: world.pod("init-never").get("state") == "ended")
    assert world.lines("init-never") == ["init"]
    assert world.container("init-never", "init")["exit_code"] == 3


def _sidecar(world: World) -> list[Value]:
    sidecar = writing.shell(
        "sidecar",
        f'say sidecar; sleep 0.5; say answers; touch "$LINES/$POD.up"; {writing.WAIT}',
        restartPolicy="Always",
        startupProbe=writing.exec_('test -e "$LINES/$POD.up"', failureThreshold=60),
    )
    init = writing.shell("init", "say init")
    return [
        writing.pod(world, "sidecar", writing.shell("main", RUN), initContainers=[sidecar, init])
    ]


def _sidecar_check(world: World) -> None:
    world.until_line("sidecar", "main")
    assert world.lines("sidecar") == ["sidecar", "answers", "init", "main"]


def _together(world: World) -> list[Value]:
    def one(name: str, other: str) -> Value:
        meet = (
            f'touch "$LINES/$POD.{name}"; until test -e "$LINES/$POD.{other}"; do sleep 0.05; done'
        )
        return writing.shell(name, f"{meet}; say {name} met; {writing.WAIT}")

    return [writing.pod(world, "together", one("one", "two"), one("two", "one"))]


def _together_check(world: World) -> None:
    world.until_line("together", "one met")
    world.until_line("together", "two met")


def _post_start(world: World) -> list[Value]:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", writing.SAY + "say hook"]}}}
    return [writing.pod(world, "hook", writing.shell("main", RUN, lifecycle=hook))]


def _post_start_check(world: World) -> None:
    world.until_line("hook", "hook")
    world.until_line("hook", "main")
    world.until("it is ready", lambda: world.pod("hook")["state"] == "ready")


def _post_start_fails(world: World) -> list[Value]:
    script = 'test "$(grep -c main "$LINES/$POD")" -ge 2'
    hook = {"postStart": {"exec": {"command": ["sh", "-c", f"sleep 0.2; {script}"]}}}
    return [writing.pod(world, "hook-fails", writing.shell("main", RUN, lifecycle=hook))]


def _post_start_fails_check(world: World) -> None:
    world.until("it is ready", lambda: world.pod("hook-fails").get("state") == "ready")
    assert world.lines("hook-fails") == ["main", "main"]
    assert world.container("hook-fails", "main")["restarts"] == 1


BEHAVIOURS = (
    Behaviour("init containers run one after the other, before the others", _inits, _inits_check),
    Behaviour("an init container that fails is run again", _failing_init, _failing_init_check),
    Behaviour(
        "an init container that fails ends a pod that is never restarted",
        _init_for_ever,
        _init_for_ever_check,
        is_ready=False,
    ),
    Behaviour(
        "a sidecar is started, by its startup probe, before the next", _sidecar, _sidecar_check
    ),
    Behaviour("containers start together", _together, _together_check),
    Behaviour("a postStart hook runs beside its container", _post_start, _post_start_check),
    Behaviour(
        "a postStart hook that fails restarts its container",
        _post_start_fails,
        _post_start_fails_check,
    ),
)
