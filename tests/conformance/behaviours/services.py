"""Services: addresses, names, and who gets what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.conformance import values, writing
from tests.conformance.behaviours import sharing
from tests.conformance.world import Behaviour, World

if TYPE_CHECKING:
    from tests.conformance.values import Value


def service(name: str, port: int, target: object, **fields: values.Free) -> Value:
    """Return a Service for the pods with the label app: NAME."""
    ports = [{"port": port, "targetPort": target, "name": "word"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports, **fields},
    }


def _port(world: World, key: str) -> int:
    """Return a port for a pod: one for all where pods have addresses of their own."""
    return world.port(key) if world.engine == "process" else 7000


def _balanced(world: World) -> list[Value]:
    pods = [
        writing.pod(
            world,
            f"balanced-{one}",
            sharing.server("server", _port(world, f"balanced-{one}"), one),
            labels={"app": "balanced"},
        )
        for one in ("a", "b", "c")
    ]
    return [service("balanced", world.port("balanced"), "word"), *pods]


def _balanced_check(world: World) -> None:
    address = world.address("balanced", world.port("balanced"))
    found: set[str] = set()

    def all_answered() -> bool:
        found.add(world.ask(address))
        return found >= {"a", "b", "c"}

    world.until(f"all three answer, of which {found} did", all_answered)


def _unready(world: World) -> list[Value]:
    def one(name: str) -> Value:
        probe = writing.exec_(f'test -e "$LINES/unready.{name}"', failureThreshold=1)
        return writing.pod(
            world,
            f"unready-{name}",
            sharing.server("server", _port(world, f"unready-{name}"), name, readinessProbe=probe),
            labels={"app": "unready"},
        )

    return [service("unready", world.port("unready"), "word"), one("a"), one("b")]


def _unready_check(world: World) -> None:
    address = world.address("unready", world.port("unready"))
    assert world.ask(address) == ""
    (Path(world.lines_folder) / "unready.a").touch()
    world.until("the ready one answers", lambda: world.ask(address) == "a")
    assert {world.ask(address) for _ in range(20)} == {"a"}
    (Path(world.lines_folder) / "unready.b").touch()
    world.until("the other one does too", lambda: world.ask(address) == "b")
    (Path(world.lines_folder) / "unready.a").unlink()
    world.until("only the other one does", lambda: {world.ask(address) for _ in range(10)} == {"b"})


def _links(world: World) -> list[Value]:
    port = world.port("linked")
    server = writing.pod(
        world,
        "linked",
        sharing.server("server", _port(world, "linked-pod"), "hello"),
        labels={"app": "linked"},
    )
    script = """
while True:
    try:
        address = os.environ["LINKED_SERVICE_HOST"], int(os.environ["LINKED_SERVICE_PORT"])
        say(socket.create_connection(address, timeout=1).makefile().readline().strip()); break
    except OSError: time.sleep(0.1)
signal.pause()
"""
    return [
        service("linked", port, "word"),
        server,
        writing.pod(world, "links", writing.python("main", script)),
    ]


def _links_check(world: World) -> None:
    world.until_line("links", "hello")


def _names(world: World) -> list[Value]:
    server = writing.pod(
        world, "resolved-pod", sharing.server("server", 7000, "hello"), labels={"app": "resolved"}
    )
    asker = writing.pod(world, "resolver", sharing.asker("main", "resolved", 7001))
    return [service("resolved", 7001, "word"), server, asker]


def _names_check(world: World) -> None:
    world.until_line("resolver", "hello")


def _headless(world: World) -> list[Value]:
    workload = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "members"},
        "spec": {
            "serviceName": "headless",
            "replicas": 2,
            "selector": {"matchLabels": {"app": "headless"}},
            "template": {
                **writing.template(world, "members", sharing.server("server", 7000, "member")),
                "metadata": {"labels": {"app": "headless"}},
            },
        },
    }
    script = """
def resolved(name):
    while True:
        try: return {one[4][0] for one in socket.getaddrinfo(name, 7000, socket.AF_INET)}
        except OSError: time.sleep(0.1)
while len(resolved("headless")) < 2: time.sleep(0.1)
one, two = resolved("members-0.headless"), resolved("members-1.headless")
slip = resolved("headless-0.headless")
say(resolved("headless") == one | two and len(one | two) == 2, slip == one); signal.pause()
"""
    asker = writing.pod(world, "headless-asker", writing.python("main", script))
    return [service("headless", 7000, 7000, clusterIP="None"), workload, asker]


def _headless_check(world: World) -> None:
    world.until_line("headless-asker", "True True")


BEHAVIOURS = (
    Behaviour(
        "a Service spreads connections over its pods, by a port's name", _balanced, _balanced_check
    ),
    Behaviour(
        "a Service sends nothing to a pod that is not ready",
        _unready,
        _unready_check,
        is_ready=False,
    ),
    Behaviour("containers are told of Services by variables", _links, _links_check),
    Behaviour("a Service's name resolves", _names, _names_check, engines=sharing.ISOLATED),
    Behaviour(
        "a headless Service's names are its pods",
        _headless,
        _headless_check,
        engines=sharing.ISOLATED,
    ),
)
