"""Restarts: policies, back-off, reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import writing
from tests.conformance.behaviours import services, sharing
from tests.conformance.world import Behaviour, World

if TYPE_CHECKING:
    from tests.conformance.values import Value


def _ending(world: World, name: str, policy: str, script: str) -> list[Value]:
    main = writing.shell("main", f"say main; {script}")
    return [writing.pod(world, name, main, restartPolicy=policy)]


def _always(world: World) -> list[Value]:
    return _ending(world, "always", "Always", "exit 0")


def _always_check(world: World) -> None:
    world.until("it ran three times", lambda: len(world.lines("always")) >= 3)
    found = world.container("always", "main")
    assert found["restarts"] >= 2


def _on_failure(world: World) -> list[Value]:
    return _ending(world, "on-failure", "OnFailure", 'test "$(grep -c main "$LINES/$POD")" -ge 2')


def _on_failure_check(world: World) -> None:
    world.until("it has ended", lambda: world.pod("on-failure").get("state") == "ended")
    assert world.lines("on-failure") == ["main", "main"]
    assert world.container("on-failure", "main")["reason"] == "Completed"


def _never(world: World) -> list[Value]:
    return _ending(world, "never", "Never", "exit 7")


def _never_check(world: World) -> None:
    world.until("it has ended", lambda: world.pod("never").get("state") == "ended")
    assert world.lines("never") == ["main"]
    found = world.container("never", "main")
    assert (found["exit_code"], found["reason"]) == (7, "Error")


def _growing(world: World) -> list[Value]:
    main = writing.python("main", "say(time.monotonic()); sys.exit(1)")
    return [writing.pod(world, "backoff", main)]


def _growing_check(world: World) -> None:
    world.until("it ran seven times", lambda: len(world.lines("backoff")) >= 7)
    at = [float(line) for line in world.lines("backoff")]
    assert at[6] - at[5] >= 3.2  # 0.1 s, doubled five times; a busy machine makes it longer
    world.until(
        "it says so",
        lambda: world.container("backoff", "main")["reason"] in {"CrashLoopBackOff", "Error"},
    )


def _killed(world: World) -> list[Value]:
    return [
        writing.pod(
            world,
            "killed",
            writing.python("main", 'say("main"); signal.pause()'),
            writing.shell("other", f"say other; {writing.WAIT}"),
        )
    ]


def _killed_check(world: World) -> None:
    world.until("both run", lambda: sorted(world.lines("killed")) == ["main", "other"])
    world.kill("killed", "main")
    world.until("it runs again", lambda: world.lines("killed").count("main") == 2)
    found = world.container("killed", "main")
    assert (found["restarts"], found["exit_code"]) == (1, 137)
    assert world.lines("killed").count("other") == 1
    assert world.container("killed", "other")["restarts"] == 0


def _sidecar_ends(world: World) -> list[Value]:
    sidecar = writing.shell("sidecar", "say sidecar; sleep 0.5", restartPolicy="Always")
    main = writing.shell("main", f"say main; {writing.WAIT}")
    return [writing.pod(world, "sidecar-ends", main, initContainers=[sidecar])]


def _sidecar_ends_check(world: World) -> None:
    world.until("it runs again", lambda: world.lines("sidecar-ends").count("sidecar") >= 2)
    assert world.lines("sidecar-ends").count("main") == 1


def _complete(world: World) -> list[Value]:
    sidecar = writing.shell(
        "sidecar",
        "trap 'say sidecar ends; exit 0' TERM; while true; do sleep 0.1; done",
        restartPolicy="Always",
    )
    main = writing.shell("main", "say main")
    return [
        writing.pod(world, "complete", main, initContainers=[sidecar], restartPolicy="OnFailure")
    ]


def _complete_check(world: World) -> None:
    world.until("it has ended", lambda: world.pod("complete").get("state") == "ended")
    assert world.lines("complete") == ["main", "sidecar ends"]


def _surroundings(world: World) -> list[Value]:
    main = sharing.server("main", 7000, "hello")
    main["command"][-1] = main["command"][-1].replace("\nlistener", '\nsay("main")\nlistener')
    init = writing.shell("init", "say init")
    sidecar = writing.shell(
        "sidecar",
        f'rm -f "$LINES/$POD.up"; sleep 0.5; say sidecar; touch "$LINES/$POD.up"; {writing.WAIT}',
        restartPolicy="Always",
        startupProbe=writing.exec_('test -e "$LINES/$POD.up"', failureThreshold=60),
    )
    pod = writing.pod(
        world,
        "surroundings",
        main,
        labels={"app": "surroundings"},
        initContainers=[init, sidecar],
        terminationGracePeriodSeconds=5,
    )
    return [services.service("surroundings", world.port("surroundings"), "word"), pod]


def _surroundings_check(world: World) -> None:
    address = world.address("surroundings", world.port("surroundings"))

    def until_served(*begun: str) -> None:
        world.until("it began in order", lambda: world.lines("surroundings") == list(begun))
        world.until("it is ready", lambda: world.pod("surroundings")["state"] == "ready")
        world.until("its Service answers", lambda: world.ask(address) == "hello")

    begun = ("init", "sidecar", "main")
    until_served(*begun)
    world.kill_surroundings("surroundings")
    until_served(*begun, *begun)
    assert world.container("surroundings", "main")["restarts"] == 1


BEHAVIOURS = (
    Behaviour(
        "Always starts again what ended with success", _always, _always_check, is_ready=False
    ),
    Behaviour("OnFailure starts again until success", _on_failure, _on_failure_check),
    Behaviour(
        "Never starts nothing again, and says why it ended", _never, _never_check, is_ready=False
    ),
    Behaviour("back-off grows", _growing, _growing_check, is_ready=False),
    Behaviour("kill -9 of a container restarts it alone", _killed, _killed_check),
    Behaviour(
        "a sidecar that ends is started again, alone",
        _sidecar_ends,
        _sidecar_ends_check,
        is_ready=False,
    ),
    Behaviour("a pod that has succeeded ends its sidecars", _complete, _complete_check),
    Behaviour(
        "kill -9 of a pod's surroundings begins it anew, init containers first",
        _surroundings,
        _surroundings_check,
        engines=sharing.ISOLATED,
    ),
)
