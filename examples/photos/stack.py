"""Start, ask and end the photo service behind its cache, by the command as a user would.

In:    photos.yaml; the command to call.
Out:   addresses, the service's own counts, what its cache nodes say, where each path is placed.
Not:   load; judging.
Next:  demo.py drives it.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from alongside.base import environment
from alongside.engines.local import folders
from alongside.engines.processes import admin
from alongside.resources import reading, texts
from alongside.server import client

PROJECT = "photos-demo"  # not this folder's name: that project is its user's
COMMAND_S_MAX = 90.0  # how long one command of ours may take
PAGE_S_MAX = 10.0


class StackError(Exception):
    """The stack is not as it must be; the message says what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where something listens on this machine."""

    host: str
    port: int

    def url(self, target: str) -> str:
        """Return the URL of a target in origin form."""
        return f"http://{self.host}:{self.port}{target}"


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """What cache nodes say they served and hold, and the memory their processes take."""

    served: int
    objects: int
    stored_bytes: int
    memory_bytes: int | None  # not known everywhere

    def since(self, before: "Node") -> "Node":
        """Return this with what was served since an earlier look."""
        return dataclasses.replace(self, served=self.served - before.served)


class Stack:
    """The project of one file, in that file's folder."""

    def __init__(self, file: Path, alongside: list[str]) -> None:
        self._file = file.absolute()
        self._alongside = alongside
        caches = reading.read(texts.load([self._file])).caches
        if len(caches) != 1:
            raise StackError(f"{file} has {len(caches)} ShardedCaches; the demo shows one")
        spec = caches[0].model.spec
        if spec.port is None or spec.origin.port is None:
            raise StackError(f"{file}: the demo needs the cache's port and a Service as its origin")
        self._name = caches[0].name
        self.origin = Address("127.0.0.1", spec.origin.port)
        self.cache = Address("127.0.0.1", spec.port)
        self.shard_bytes = spec.memory
        self.shard_names = [f"{self._name}-{number}" for number in range(spec.shards)]
        self.replicas = spec.replicas.min
        self._folders = folders.of_project(PROJECT, environment.of_process())

    def refuse_to_share(self) -> None:
        """Raise a StackError where the project is up or an address is in use: not ours to end."""
        if client.Client(self._folders).is_up():
            raise StackError(
                f"project {PROJECT} is up already; end it first: alongside down --project {PROJECT}"
            )
        for address in (self.origin, self.cache):
            with contextlib.suppress(OSError):
                socket.create_connection((address.host, address.port), timeout=1.0).close()
                raise StackError(
                    f"{address.host}:{address.port} is already in use; if the photos run already,"
                    " end them first, in this folder: alongside down"
                )

    def up(self) -> None:
        """Start everything; return when it is ready."""
        self._call("up", self._file.name, "--detach")

    def down(self) -> None:
        """End everything that was started."""
        self._call("down")

    def kill_a_node(self) -> None:
        """Kill the first node of the first shard as nothing else would: without a word."""
        name = self._nodes_of(self.shard_names[0])[0]
        os.kill(int(str(self._pids()[name])), signal.SIGKILL)

    def restart(self) -> None:
        """Restart every node and router; return when all have been."""
        self._call("restart", self._name)

    def with_replicas(self, count: int) -> None:
        """Apply the file with another number of replicas; it is written beside and removed."""
        beside = self._file.with_name(f".{self._file.stem}-{count}-replicas.yaml")
        try:
            text = self._file.read_text()
            beside.write_text(
                re.sub(r"^(  replicas:).*$", rf"\1 {count}", text, flags=re.MULTILINE)
            )
            self._call("up", beside.name, "--detach")
        finally:
            beside.unlink(missing_ok=True)

    def photos(self) -> list[str]:
        """Return the ids of the photos, as the service lists them."""
        answer: dict[str, list[str]] = json.loads(_page(self.origin.url("/photos")))
        return answer["photos"]

    def views(self) -> int:
        """Return how many pictures the service was ever asked for, by its own count."""
        answer: dict[str, int] = json.loads(_page(self.origin.url("/stats")))
        return answer["views"]

    def placed(self, paths: list[str]) -> list[int]:
        """Return the shard of each path by number, as the router explains it.

        It is what `alongside explain` prints, asked for without a process for each path.
        """
        door = client.Client(self._folders)
        names = [door.explain(self._name, self.cache.url(path))["shard"] for path in paths]
        return [self.shard_names.index(str(name)) for name in names]

    def shards(self) -> dict[str, Node]:
        """Return what the nodes of each shard say of themselves together, by the shard's name."""
        pids = self._pids()
        texts = asyncio.run(self._metrics())
        return {
            shard: _together([_said(texts[name], pids[name]) for name in self._nodes_of(shard)])
            for shard in self.shard_names
        }

    def _pids(self) -> dict[str, str | int | None]:
        """Return the process ids by name."""
        status: dict[str, list[dict[str, str | int | None]]] = json.loads(
            self._call("status", "--json")
        )
        return {str(process["name"]): process["pid"] for process in status["processes"]}

    def _nodes_of(self, shard: str) -> list[str]:
        """Return the names of a shard's nodes."""
        return [f"{shard}-{number}" for number in range(self.replicas)]

    async def _metrics(self) -> dict[str, str]:
        """Return the metrics page of each cache node, by name."""
        names = [name for shard in self.shard_names for name in self._nodes_of(shard)]
        doors = [admin.Admin(self._folders.admin(name)) for name in names]
        texts = await asyncio.gather(*[door.metrics() for door in doors])
        return dict(zip(names, texts, strict=True))

    def _call(self, *words: str) -> str:
        """Run a command of ours and return what it printed.

        Raises:
            StackError: it failed; the message holds what it said.
        """
        # A pod's `python` is the one that runs this, which has Pillow.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        done = subprocess.run(
            [*self._alongside, *words, "--project", PROJECT],
            cwd=self._file.parent,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
        if done.returncode != 0:
            said = done.stderr.strip() or done.stdout.strip()
            raise StackError(f"alongside {words[0]} ended with {done.returncode}:\n{said}")
        return done.stdout


def _said(text: str, pid: str | int | None) -> Node:
    """Return what a node's metrics page says."""
    return Node(
        served=_metric(text, "alongside_cache_requests_total"),
        objects=_metric(text, "alongside_cache_objects"),
        stored_bytes=_metric(text, "alongside_cache_bytes"),
        memory_bytes=_resident_bytes(pid),
    )


def _together(nodes: list[Node]) -> Node:
    """Return the sum of a shard's nodes; what two of them hold counts twice."""
    memory = [node.memory_bytes for node in nodes if node.memory_bytes is not None]
    return Node(
        served=sum(node.served for node in nodes),
        objects=sum(node.objects for node in nodes),
        stored_bytes=sum(node.stored_bytes for node in nodes),
        memory_bytes=sum(memory) if len(memory) == len(nodes) else None,
    )


def _metric(text: str, family: str) -> int:
    """Return the sum of a family's samples in a Prometheus text; 0 where there are none yet."""
    lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith(family)]
    return sum(int(float(value)) for name, _, value in lines if name.partition("{")[0] == family)


def _resident_bytes(pid: str | int | None) -> int | None:
    """Return the resident memory of a process, None where the system does not say."""
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return None


def _page(url: str) -> str:
    """Return a page of this machine as text."""
    with urllib.request.urlopen(url, timeout=PAGE_S_MAX) as answer:  # noqa: S310 - our own address
        text: str = answer.read().decode()
    return text
