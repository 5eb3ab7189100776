"""Configuration: variables, words, folders, limits."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from tests.conformance import writing
from tests.conformance.world import Behaviour, World

if TYPE_CHECKING:
    from tests.conformance.values import Value


def _expansion(world: World) -> list[Value]:
    env = [
        {"name": "A", "value": "one"},
        {"name": "B", "value": "$(A)-two"},
        {"name": "C", "value": "$$(A) $(NONE)"},
    ]
    main = writing.shell("main", f'say "$B" "$C" "$1" "$2"; {writing.WAIT}', env=env)
    main["args"] = ["name", "$(B)!", "plain"]
    return [writing.pod(world, "expansion", main)]


def _expansion_check(world: World) -> None:
    world.until_line("expansion", "one-two $(A) $(NONE) one-two! plain")


def _references(world: World) -> list[Value]:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings"},
        "data": {"colour": "red", "SIZE": "big"},
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "keys"},
        "data": {"token": base64.b64encode(b"t0ken").decode()},
    }
    env = [
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
        {
            "name": "MISSING",
            "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "none", "optional": True}},
        },
    ]
    main = writing.shell(
        "main",
        f'say "$COLOUR $TOKEN $X_SIZE ${{MISSING-unset}}"; {writing.WAIT}',
        env=env,
        envFrom=[{"prefix": "X_", "configMapRef": {"name": "settings"}}],
    )
    return [config, secret, writing.pod(world, "references", main)]


def _references_check(world: World) -> None:
    world.until_line("references", "red t0ken big unset")


def _fields(world: World) -> list[Value]:
    def field(name: str, path: str) -> Value:
        return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}

    env = [
        field("NAME", "metadata.name"),
        field("TIER", "metadata.labels['tier']"),
        field("ADDRESS", "status.podIP"),
        {"name": "URL", "value": "http://$(ADDRESS)/"},
        {
            "name": "MEMORY",
            "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
        },
    ]
    script = """
import ipaddress
ipaddress.ip_address(os.environ["ADDRESS"])
same = os.environ["URL"] == "http://" + os.environ["ADDRESS"] + "/"
say(os.environ["NAME"], os.environ["TIER"], same, os.environ["MEMORY"]); signal.pause()
"""
    main = writing.python(
        "main", script, env=env, resources={"limits": {"memory": "256Mi", "cpu": "500m"}}
    )
    return [writing.pod(world, "fields", main, labels={"tier": "front"})]


def _fields_check(world: World) -> None:
    world.until_line("fields", "fields front True 256")


def _directory(world: World) -> list[Value]:
    main = writing.shell("main", f'say "$(pwd)"; {writing.WAIT}', workingDir="/usr/share")
    return [writing.pod(world, "directory", main)]


def _directory_check(world: World) -> None:
    world.until_line("directory", "/usr/share")


def _memory(world: World) -> list[Value]:
    script = 'say("main"); block = bytearray(512 * 2**20); say("survived"); signal.pause()'
    main = writing.python("main", script, resources={"limits": {"memory": "64Mi"}})
    return [writing.pod(world, "out-of-memory", main, restartPolicy="Never")]


def _memory_check(world: World) -> None:
    world.until("it has ended", lambda: world.pod("out-of-memory").get("state") == "ended")
    assert world.lines("out-of-memory") == ["main"]
    assert world.container("out-of-memory", "main")["reason"] == "OOMKilled"


def _logs(world: World) -> list[Value]:
    return [
        writing.pod(
            world,
            "logs",
            writing.shell("one", f"echo out of one; {writing.WAIT}"),
            writing.shell("two", f"echo out of two >&2; {writing.WAIT}"),
        )
    ]


def _logs_check(world: World) -> None:
    def log(name: str) -> str:
        return world.run("logs", f"logs/{name}", "--project", "conformance").stdout

    world.until("the one's log", lambda: "out of one" in log("one"))
    world.until("the other's log", lambda: "out of two" in log("two"))
    assert "two" not in log("one")


def _next_start(world: World, word: str) -> list[Value]:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "words"},
        "data": {"WORD": word},
    }
    main = writing.shell("main", f'say "$WORD" "$1"; {writing.FOREVER}')
    main |= {"args": ["name", "$(WORD)"], "envFrom": [{"configMapRef": {"name": "words"}}]}
    return [config, writing.pod(world, "next-start", main, grace=1)]


def _next_start_check(world: World) -> None:
    assert world.lines("next-start") == ["one one"]
    world.kill("next-start", "main")
    world.until("it runs again", lambda: world.lines("next-start")[1:])
    assert world.lines("next-start") == ["one one", "two two"]


BEHAVIOURS = (
    Behaviour(
        "$(NAME) in variables and words, and args behind the command", _expansion, _expansion_check
    ),
    Behaviour("variables from ConfigMaps and Secrets", _references, _references_check),
    Behaviour("variables from the pod's fields and limits", _fields, _fields_check),
    Behaviour("a container starts in its folder", _directory, _directory_check),
    Behaviour(
        "a memory limit ends what exceeds it, and says so", _memory, _memory_check, is_ready=False
    ),
    Behaviour("each container has its own log", _logs, _logs_check),
    Behaviour(
        "a changed ConfigMap reaches variables and words with the next start",
        lambda world: _next_start(world, "one"),
        _next_start_check,
        phase="changed",
        changed=lambda world: _next_start(world, "two"),
    ),
)
