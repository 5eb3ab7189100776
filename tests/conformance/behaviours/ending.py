"""Ends: hooks, signals, grace, order, and that nothing is left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.conformance import writing
from tests.conformance.world import Behaviour, World

if TYPE_CHECKING:
    from tests.conformance.values import Value

ON_TERM = "trap 'say {word}; exit 0' TERM; while true; do sleep 0.1; done"


def _term(world: World) -> list[Value]:
    return [writing.pod(world, "term", writing.shell("main", ON_TERM.format(word="SIGTERM")))]


def _term_check(world: World) -> None:
    assert world.lines("term") == ["SIGTERM"]


def _pre_stop(world: World) -> list[Value]:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", writing.SAY + "sleep 0.5; say preStop"]}}}
    main = writing.shell("main", ON_TERM.format(word="SIGTERM"), lifecycle=hook)
    return [writing.pod(world, "pre-stop", main)]


def _pre_stop_check(world: World) -> None:
    assert world.lines("pre-stop") == ["preStop", "SIGTERM"]


def _stubborn(world: World) -> list[Value]:
    script = "trap 'say ignored' TERM; while true; do sleep 0.1; say \"$(date +%s.%N)\"; done"
    return [writing.pod(world, "stubborn", writing.shell("main", script), grace=1)]


def _stubborn_check(world: World) -> None:
    lines = world.lines("stubborn")
    told = lines.index("ignored")
    assert float(lines[-1]) - float(lines[told - 1]) >= 0.5  # of its grace of one second


def _at_once(world: World) -> list[Value]:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", writing.SAY + "sleep 1; say preStop"]}}}
    main = writing.shell("main", ON_TERM.format(word="SIGTERM"), lifecycle=hook)
    return [writing.pod(world, "at-once", main, grace=0)]


def _at_once_check(world: World) -> None:
    assert world.lines("at-once") == []


def _slow_hook(world: World) -> list[Value]:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", writing.SAY + "say begins; sleep 300"]}}}
    main = writing.shell("main", ON_TERM.format(word="SIGTERM"), lifecycle=hook)
    # A busy engine takes some of it to begin the hook.
    return [writing.pod(world, "slow-hook", main, grace=10)]


def _slow_hook_check(world: World) -> None:
    # Told to end when the hook had its time, with two seconds more to do it in.
    assert world.lines("slow-hook") == ["begins", "SIGTERM"]


def _reverse(world: World) -> list[Value]:
    sidecars = [
        writing.shell(name, ON_TERM.format(word=f"{name} ends"), restartPolicy="Always")
        for name in ("first", "second")
    ]
    main = writing.shell(
        "main", "trap 'sleep 0.5; say main ends; exit 0' TERM; while true; do sleep 0.1; done"
    )
    # When the grace is over all are told at once, which a busy machine must not bring about.
    return [writing.pod(world, "reverse", main, initContainers=sidecars, grace=60)]


def _reverse_check(world: World) -> None:
    assert world.lines("reverse") == ["main ends", "second ends", "first ends"]


def _family(world: World) -> list[Value]:
    script = """
import subprocess
for words in (["sleep", "98765"], ["setsid", "sleep", "98764"]):
    subprocess.Popen(words)
say("family"); signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); signal.pause()
"""
    return [writing.pod(world, "family", writing.python("main", script))]


def _family_check(world: World) -> None:
    assert world.lines("family") == ["family"]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        assert not {b"98765", b"98764"}.intersection(words), path


BEHAVIOURS = (
    Behaviour("a program gets SIGTERM", _term, _term_check, phase="down"),
    Behaviour("preStop comes before SIGTERM", _pre_stop, _pre_stop_check, phase="down"),
    Behaviour(
        "what ignores SIGTERM is killed after its grace", _stubborn, _stubborn_check, phase="down"
    ),
    Behaviour("without grace a program is killed at once", _at_once, _at_once_check, phase="down"),
    Behaviour(
        "a preStop has no more time than the grace, and SIGTERM comes all the same",
        _slow_hook,
        _slow_hook_check,
        phase="down",
    ),
    Behaviour("sidecars end last, in reverse order", _reverse, _reverse_check, phase="down"),
    Behaviour(
        "children and daemons end with their container", _family, _family_check, phase="down"
    ),
)
