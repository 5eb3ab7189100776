"""Write the resources of a behaviour: pods whose containers leave lines that a test reads.

In:    scripts of a shell or of Python.
Out:   resources as plain values; each container has the folder of lines at /lines, named by $LINES.
Not:   running them (world.py), judging them (behaviours).
Next:  the behaviours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tests.conformance import values
    from tests.conformance.values import Value

IMAGE = "localhost/alongside-conformance:1"

SAY = 'say() { echo "$*" >> "$LINES/$POD"; }; '
"""A shell function that leaves one line; a short append is whole."""


def shell(name: str, script: str, **fields: values.Free) -> Value:
    """Return a container that runs a script of sh, in which `say WORDS` leaves a line."""
    return container(name, ["sh", "-c", SAY + script], **fields)


def python(name: str, script: str, **fields: values.Free) -> Value:
    """Return a container that runs Python, in which `say("WORDS")` leaves a line."""
    prelude = (
        "import os, socket, sys, time, signal\n"
        "def say(*words):\n"
        '    path = os.environ["LINES"] + "/" + os.environ["POD"]\n'
        '    open(path, "a").write(" ".join(map(str, words)) + "\\n")\n'
    )
    return container(name, ["python3", "-c", prelude + script], **fields)


def container(name: str, command: list[str], **fields: values.Free) -> Value:
    """Return a container with the folder of lines."""
    env = [{"name": "LINES", "value": "/lines"}, *fields.pop("env", [])]
    mounts = [{"name": "lines", "mountPath": "/lines"}, *fields.pop("volumeMounts", [])]
    return {
        "name": name,
        "image": IMAGE,
        "command": command,
        "env": env,
        "volumeMounts": mounts,
        **fields,
    }


def spec(*containers: Value, lines: str, pod: str, **fields: values.Free) -> Value:
    """Return a pod's spec; `pod` names its file of lines."""
    volumes = [{"name": "lines", "hostPath": {"path": lines}}, *fields.pop("volumes", [])]
    every = [*fields.get("initContainers", []), *containers]
    for one in every:
        one["env"] = [{"name": "POD", "value": pod}, *one["env"]]
    return {
        "containers": list(containers),
        "volumes": volumes,
        "terminationGracePeriodSeconds": fields.pop("grace", 5),
        **fields,
    }


def exec_(script: str, **fields: values.Free) -> Value:
    """Return a probe by a script of sh, looked at often.

    Its time is for a Docker engine on a busy machine.
    """
    limits = {"periodSeconds": 1, "timeoutSeconds": 10}
    return {"exec": {"command": ["sh", "-c", script]}, **limits, **fields}


FOREVER = "while true; do sleep 0.1; done"
WAIT = "trap 'exit 0' TERM; while true; do sleep 0.1; done"
"""As `FOREVER`, and ends at SIGTERM even as process 1 of a container."""


def pod(
    world: HasLines,
    name: str,
    *containers: Value,
    labels: Value | None = None,
    **fields: values.Free,
) -> Value:
    """Return a Pod of containers; further fields are its spec's."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": spec(*containers, lines=world.lines_folder, pod=name, **fields),
    }


def template(world: HasLines, name: str, *containers: Value, **fields: values.Free) -> Value:
    """Return a workload's template; all its pods leave their lines in one file."""
    return {
        "metadata": {"labels": {"app": name}},
        "spec": spec(*containers, lines=world.lines_folder, pod=name, **fields),
    }


class HasLines(Protocol):
    """What a world is here."""

    @property
    def lines_folder(self) -> str:
        """The folder of lines on this machine."""
