"""Start our data plane for a measurement: documents, the binary, what build it is."""

from __future__ import annotations

import http.client
import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from bench.http import servers

from alongside import native

NAME = "alongside-dataplane"
ROOT = Path(__file__).resolve().parents[2]
MEMORY_BYTES = 256 * 1024 * 1024
LOOPBACK = "127.0.0.0/8"

Document = dict[str, object]


class BuildError(Exception):
    """The binary is not one whose figures would mean anything."""


def binary(named: Path | None) -> Path:
    """Return the binary: the named one, the environment's, or what cargo built.

    Raises:
        BuildError: there is none.
    """
    beside = Path(sys.executable).with_name(NAME)
    places = [named] if named else [beside, ROOT / "target" / "release" / NAME]
    for place in places:
        if place.is_file():
            return place.resolve()
    raise BuildError(f"no {NAME}; `make build` makes it")


def router(port: int, shards: Sequence[Sequence[int]], origin: int | None = None) -> Document:
    """Return a document that hashes the target over shards, in the same ring as nginx's.

    Each shard is named like its first replica, and each has all there is for replicas: the choice
    among them, probes, judged answers, held answers, a budget for retries.
    """
    route: Document = {
        "name": "main",
        "key": "request.uri",
        "function": "ketama",
        "shards": [
            {"name": f"{servers.HOST}:{ports[0]}", "replicas": _ids(ports)} for ports in shards
        ],
        **({"origin": {"address": f"{servers.HOST}:{origin}"}} if origin is not None else {}),
    }
    nodes = [
        {"id": name, "address": f"{servers.HOST}:{port}"}
        for ports in shards
        for name, port in zip(_ids(ports), ports, strict=True)
    ]
    return {"listeners": [_listener(port)], "nodes": nodes, "routes": [route]}


def _ids(ports: Sequence[int]) -> list[str]:
    """Return the ids of a shard's replicas, which may be at one address."""
    return [f"{servers.HOST}:{ports[0]}/{at}" for at in range(len(ports))]


def cache(
    port: int, origin: int, inner: Sequence[str] = (), siblings: Sequence[int] = ()
) -> Document:
    """Return a document of one cache; `inner` are the networks whose routers it believes."""
    others = [{"id": str(other), "address": f"{servers.HOST}:{other}"} for other in siblings]
    one: Document = {
        **({"replica": {"id": str(port), "siblings": others}} if siblings else {}),
        "name": "main",
        "origin": {"address": f"{servers.HOST}:{origin}"},
        "memory_bytes": MEMORY_BYTES,
    }
    return {"listeners": [{**_listener(port), "inner": list(inner)}], "caches": [one]}


def sidecar(port: int, program: int) -> Document:
    """Return a document that passes everything on to one program."""
    return {
        "listeners": [_listener(port)],
        "programs": [{"name": "main", "address": f"{servers.HOST}:{program}"}],
    }


def sealed(document: Document, pair: Path) -> Document:
    """Return a document whose one listener speaks TLS 1.3 with a pair, in one file."""
    [listener] = cast("list[Document]", document["listeners"])
    tls = {"certificates": [{"name": "main", "path": str(pair)}], "version_min": "1.3"}
    return {**document, "listeners": [{**listener, "tls": tls}]}


def _listener(port: int) -> Document:
    return {"name": "web", "address": f"{servers.HOST}:{port}", "serves": "main"}


def program(name: str, path: Path, document: Document, port: int, folder: Path) -> servers.Program:
    """Return a process that serves a document on a port; both doors open, limits as shipped."""
    doors: Document = {
        "status": {"address": f"{servers.HOST}:0"},
        "admin": {"path": str(folder / f"{name}.sock")},
    }
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"schema": 1, "epoch": 0, "generation": 1, **doors, **document}))
    return servers.Program(name, (str(path), "--document", str(file)), port)


def check_build(path: Path, core: int, folder: Path) -> str:
    """Return the version of a binary after asking it, while it serves, how it was built.

    Raises:
        BuildError: the binary or the extension is a debug build, or does not say what it is.
    """
    if native.build_profile() != "release":
        raise BuildError("the extension is a debug build; `make build` makes a release one")
    port, origin = servers.free_ports(2)
    asked = program("asked", path, cache(port, origin), port, folder)
    with servers.running([asked], core, folder), socket.socket(socket.AF_UNIX) as door:
        servers.wait_for(lambda: door.connect(str(folder / "asked.sock")))
        connection = http.client.HTTPConnection("admin")
        connection.sock = door
        connection.request("GET", "/version")
        return judged(json.load(connection.getresponse()))


def judged(version: dict[str, object]) -> str:
    """Return the version in an answer of `/version`.

    Raises:
        BuildError: it is not that of a release build.
    """
    profile = version.get("profile")
    if profile != "release":
        said = "does not say how it was built" if profile is None else f"is a {profile} build"
        raise BuildError(f"{NAME} {said}; only a release build is measured: `make build`")
    return str(version["version"])
