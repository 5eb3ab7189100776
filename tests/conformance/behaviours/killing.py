"""Kill -9 of anything: the supervisor, the balancer, the hub's agent, a sidecar, a grandchild."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests import processes
from tests.conformance import world as worlds
from tests.conformance import writing
from tests.conformance.behaviours import services, sharing
from tests.conformance.world import Behaviour, World

if TYPE_CHECKING:
    from tests.conformance.values import Value

ANSWER_S = 30.0
ONCE = """
import fcntl
lock = open("/".join((os.environ["LINES"], "one-at-a-time")), "w")
try: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB); say("main")
except OSError: say("two at once")
"""
"""Leaves whether another one runs still."""


def _served(world: World, name: str, *, before: str = "") -> list[Value]:
    """Return a Service with one pod, which says hello."""
    port = world.port(f"{name}-pod") if world.engine == "process" else 7000
    main = sharing.server("main", port, "hello")
    main["command"][-1] = main["command"][-1].replace("\nlistener", f"{before}\nlistener")
    probe = {"tcpSocket": {"port": port}, "periodSeconds": 1, "timeoutSeconds": 10}
    pod = writing.pod(world, name, {**main, "readinessProbe": probe}, labels={"app": name})
    return [services.service(name, world.port(name), "word"), pod]


def _until_served(world: World, name: str) -> None:
    world.until(f"{name} is ready", lambda: world.pod(name).get("state") == "ready")
    address = world.address(name, world.port(name))
    world.until(f"{name} answers", lambda: world.ask(address) == "hello")


def _supervisor(world: World) -> list[Value]:
    return _served(world, "outlives", before=ONCE)


def _supervisor_check(world: World) -> None:
    _until_served(world, "outlives")
    before = world.container("outlives", "main")["id"]
    lock = world.folder / "s" / "alongside" / worlds.PROJECT / "lock"
    supervisor = int(lock.read_text().split()[0])
    address = world.address("outlives", world.port("outlives"))
    os.kill(supervisor, signal.SIGKILL)
    world.until("the supervisor is gone", lambda: not processes.is_alive(supervisor))
    assert world.ask(address) == "hello", "pods and Services run on without their supervisor"
    world.up("alone")
    _until_served(world, "outlives")
    assert world.container("outlives", "main")["id"] != before
    assert world.lines("outlives") == ["main", "main"]


def _balancer(world: World) -> list[Value]:
    return _served(world, "balanced-anew")


def _balancer_check(world: World) -> None:
    _until_served(world, "balanced-anew")
    address = world.address("balanced-anew", world.port("balanced-anew"))
    if world.engine == "docker":
        _docker(world, "kill", "--signal", "KILL", _balancer_container(world, "balanced-anew"))
    else:
        [pid] = _marked(world, lambda mark: mark.startswith("~/"))
        os.kill(pid, signal.SIGKILL)
        world.until("it is gone", lambda: not processes.is_alive(pid))
        # Whoever comes now is refused by nobody: the socket is kept, and a new one takes it.
        with socket.create_connection(address, timeout=ANSWER_S) as connection:
            assert connection.makefile().readline() == "hello\n"
    _until_served(world, "balanced-anew")
    assert world.container("balanced-anew", "main")["restarts"] == 0


def _agent(world: World) -> list[Value]:
    return _served(world, "agentless", before='\nsay("main")')


def _agent_check(world: World) -> None:
    _until_served(world, "agentless")
    found: list[int] = []

    def is_there() -> bool:
        found[:] = _marked(world, lambda mark: mark == "~hub")
        return len(found) == 1

    # Whoever stops waiting for its answer ends it, as probes do on a busy machine; the next one
    # who asks starts another.
    world.until("there is an agent", is_there)
    [pid] = found
    os.kill(pid, signal.SIGKILL)
    world.until("it is gone", lambda: not processes.is_alive(pid))
    _until_served(world, "agentless")
    assert world.container("agentless", "main")["restarts"] == 0
    # What is started and probed from now on is so in the same network.
    world.kill("agentless", "main")
    world.until("it runs again", lambda: world.lines("agentless") == ["main", "main"])
    _until_served(world, "agentless")


def _sidecar(world: World) -> list[Value]:
    sidecar = writing.shell("sidecar", f"say sidecar; {writing.WAIT}", restartPolicy="Always")
    main = writing.shell("main", f"say main; {writing.WAIT}")
    init = writing.shell("init", "say init")
    return [writing.pod(world, "sidecar-killed", main, initContainers=[init, sidecar])]


def _sidecar_check(world: World) -> None:
    world.until_line("sidecar-killed", "main")
    world.kill("sidecar-killed", "sidecar")
    world.until(
        "it runs again",
        lambda: world.lines("sidecar-killed") == [*["init", "sidecar", "main"], "sidecar"],
    )
    found = world.container("sidecar-killed", "sidecar")
    assert (found["restarts"], found["exit_code"]) == (1, 137)
    assert world.container("sidecar-killed", "main")["restarts"] == 0


def _init(world: World) -> list[Value]:
    first = writing.shell("first", "say first")
    # By itself, since what waits for a test keeps its pod from having begun; `$$` is a `$` here.
    dying = 'say second; test "$(grep -c second "$LINES/$POD")" -ge 2 || kill -9 $$$$; say goes on'
    main = writing.shell("main", f"say main; {writing.WAIT}")
    inits = [first, writing.shell("second", dying)]
    return [writing.pod(world, "init-killed", main, initContainers=inits)]


def _init_check(world: World) -> None:
    world.until_line("init-killed", "main")
    assert world.lines("init-killed") == ["first", "second", "second", "goes on", "main"]
    assert world.container("init-killed", "second")["restarts"] == 1


def _all(world: World) -> list[Value]:
    service, pod = _served(world, "all-killed", before='\nsay("main")')
    pod["spec"]["initContainers"] = [
        writing.shell("init", "say init", env=[{"name": "POD", "value": "all-killed"}]),
        writing.shell(
            "sidecar",
            f"setsid sleep {_sleep(world, 98761)} & {writing.WAIT}",
            restartPolicy="Always",
            env=[{"name": "POD", "value": "all-killed"}],
        ),
    ]
    return [service, pod]


def _all_check(world: World) -> None:
    _until_served(world, "all-killed")
    before = _sleeping(_sleep(world, 98761))
    world.kill_all("all-killed")
    world.until("what it left is gone", lambda: not processes.is_alive(before))
    # Where a pod has surroundings these went too, so that it begins anew as a whole.
    is_anew = world.engine in sharing.ISOLATED
    begun = ["init", "main", *(["init"] if is_anew else []), "main"]
    world.until("it runs again", lambda: world.lines("all-killed") == begun)
    _until_served(world, "all-killed")


def _sleep(world: World, number: int) -> str:
    """Return a time for `sleep` that no other program here has."""
    return f"{number}.{world.port('sleep')}"


def _grandchild(world: World) -> list[Value]:
    script = f"""
import subprocess
child = subprocess.Popen(["sh", "-c", "sleep {_sleep(world, 98763)}; exit 5"])
subprocess.run(["sh", "-c", "setsid sleep {_sleep(world, 98762)} & exit"])
say("main"); say(child.wait()); signal.pause()
"""
    main = writing.python("main", script)
    return [writing.pod(world, "grandchild", main, shareProcessNamespace=True)]


def _grandchild_check(world: World) -> None:
    world.until_line("grandchild", "main")
    for number in (98763, 98762):
        pid = _sleeping(_sleep(world, number))
        os.kill(pid, signal.SIGKILL)
        world.until("it is reaped", lambda pid=pid: not Path(f"/proc/{pid}").exists())  # type: ignore[misc]
    world.until_line("grandchild", "5")
    assert world.lines("grandchild") == ["main", "5"]
    assert world.container("grandchild", "main")["restarts"] == 0


def _sleeping(seconds: str) -> int:
    wanted = [b"sleep", seconds.encode(), b""]
    found = [path for path in Path("/proc").glob("[0-9]*") if _read(path / "cmdline") == wanted]
    [one] = found
    return int(one.name)


def _marked(world: World, is_meant: Callable[[str], bool]) -> list[int]:
    """Return the processes of a world's project by what their mark says behind its name."""
    home = f"ALONGSIDE_CHILD_HOME={world.folder}/".encode()
    start = f"ALONGSIDE_CHILD={worlds.PROJECT}/".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        carried = _read(path / "environ")
        marks = [one[len(start) :].decode() for one in carried if one.startswith(start)]
        if any(one.startswith(home) for one in carried) and any(map(is_meant, marks)):
            found.append(int(path.name))
    return found


def _read(path: Path) -> list[bytes]:
    with contextlib.suppress(OSError):
        return path.read_bytes().split(b"\0")
    return []


def _balancer_container(world: World, service: str) -> str:
    return _docker(world, "ps", "--quiet", "--filter", f"label=dev.alongside.service={service}")


def _docker(world: World, *words: str) -> str:
    variables = {**os.environ, **world.variables}
    ran = subprocess.run(
        ["docker", *words], env=variables, check=True, capture_output=True, text=True
    )
    return ran.stdout.strip()


BEHAVIOURS = (
    Behaviour(
        "kill -9 of the supervisor lets pods run on, and the next up ends them before it begins",
        _supervisor,
        _supervisor_check,
        phase="alone",
    ),
    # It loses them for all Services where these share one: not while others count on theirs.
    Behaviour(
        "kill -9 of the balancer loses its connections alone",
        _balancer,
        _balancer_check,
        phase="alone",
    ),
    Behaviour(
        "kill -9 of the network's agent is noticed by no pod",
        _agent,
        _agent_check,
        engines=("namespaces",),
    ),
    Behaviour("kill -9 of a sidecar restarts it alone", _sidecar, _sidecar_check),
    Behaviour("kill -9 of an init container runs it again, and none before it", _init, _init_check),
    Behaviour("kill -9 of all that a pod is brings it back", _all, _all_check),
    Behaviour(
        "kill -9 of a grandchild is its parent's matter, and it is reaped",
        _grandchild,
        _grandchild_check,
    ),
)
