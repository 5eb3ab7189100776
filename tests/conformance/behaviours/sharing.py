"""Sharing: localhost, process ids, names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import values, writing
from tests.conformance.world import Behaviour, World

if TYPE_CHECKING:
    from tests.conformance.values import Value

ISOLATED = ("namespaces", "docker")
EVERY = "0.0.0.0"  # noqa: S104 - in a pod, whose address others connect to
SERVE = """
listener = socket.create_server(("{host}", {port}))
while True:
    connection = listener.accept()[0]; connection.sendall(b"{word}\\n"); connection.close()
"""
ASK = """
while True:
    try:
        connection = socket.create_connection(("{host}", {port}), timeout=1)
        say(connection.makefile().readline().strip()); break
    except OSError: time.sleep(0.1)
while True: signal.pause()
"""


def server(name: str, port: int, word: str, *, host: str = EVERY, **fields: values.Free) -> Value:
    """Return a container that says a word to who connects."""
    return writing.python(
        name,
        SERVE.format(host=host, port=port, word=word),
        ports=[{"containerPort": port, "name": "word"}],
        **fields,
    )


def asker(name: str, host: str, port: int, **fields: values.Free) -> Value:
    """Return a container that leaves what a server says as its line."""
    return writing.python(name, ASK.format(host=host, port=port), **fields)


def _localhost(world: World) -> list[Value]:
    port = world.port("localhost")
    return [
        writing.pod(
            world,
            "localhost",
            server("server", port, "hello", host="127.0.0.1"),
            asker("asker", "localhost", port),
        )
    ]


def _localhost_check(world: World) -> None:
    world.until_line("localhost", "hello")


def _same_port(world: World) -> list[Value]:
    return [
        writing.pod(
            world, f"same-{one}", server("server", 80, one), asker("asker", "127.0.0.1", 80)
        )
        for one in ("one", "two")
    ]


def _same_port_check(world: World) -> None:
    world.until_line("same-one", "one")
    world.until_line("same-two", "two")


def _pids(world: World) -> list[Value]:
    looks = """
while True:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try: words = open(f"/proc/{pid}/cmdline").read().split("\\0")
        except OSError: continue
        if words[0] == "sleep" and words[1:2] == ["4242"]:
            os.kill(int(pid), signal.SIGUSR1); say("signalled")
            while True: signal.pause()
    time.sleep(0.1)
"""
    return [
        writing.pod(
            world,
            "pids",
            writing.shell(
                "sleeper", "say sleeper; sleep 4242; say sleeper was signalled: $?; sleep 1000"
            ),
            writing.python("looker", looks),
            shareProcessNamespace=True,
        )
    ]


def _pids_check(world: World) -> None:
    world.until_line("pids", "signalled")
    world.until_line("pids", "sleeper was signalled: 138")


def _hostname(world: World) -> list[Value]:
    ask = writing.python("main", "say(socket.gethostname()); signal.pause()")
    other = writing.python("main", "say(socket.gethostname()); signal.pause()")
    return [
        writing.pod(world, "named", ask),
        writing.pod(world, "renamed", other, hostname="another"),
    ]


def _hostname_check(world: World) -> None:
    world.until_line("named", "named")
    world.until_line("renamed", "another")


def _aliases(world: World) -> list[Value]:
    ask = writing.python("main", 'say(socket.gethostbyname("far.example")); signal.pause()')
    return [
        writing.pod(
            world,
            "aliases",
            ask,
            hostAliases=[{"ip": "192.0.2.7", "hostnames": ["far.example", "other.example"]}],
        )
    ]


def _aliases_check(world: World) -> None:
    world.until_line("aliases", "192.0.2.7")


BEHAVIOURS = (
    Behaviour("containers of a pod share localhost", _localhost, _localhost_check),
    Behaviour("two pods listen on one port", _same_port, _same_port_check, engines=ISOLATED),
    Behaviour("containers that share process ids see and signal each other", _pids, _pids_check),
    Behaviour("a pod has a host name", _hostname, _hostname_check, engines=ISOLATED),
    Behaviour("hostAliases resolve", _aliases, _aliases_check, engines=ISOLATED),
)
