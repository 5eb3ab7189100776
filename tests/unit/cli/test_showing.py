"""The table shows pods with their containers, and where Services are reached."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

from rich import console

from alongside.cli import showing

if TYPE_CHECKING:
    from alongside.server import status


def container(name: str, **more: object) -> dict[str, object]:
    plain = {"kind": "main", "state": "running", "reason": "", "message": "", "ready": True}
    return {"name": name, **plain, "started": True, "restarts": 0, "id": "7", **more}


def process(name: str, *containers: dict[str, object], **more: object) -> dict[str, object]:
    numbers = ("requests_per_s", "hit_ratio", "in_flight", "share_ratio", "warmth_ratio")
    plain = {"role": "app", "state": "ready", "pid": 1, "address": "127.0.0.1:80", "restarts": 0}
    unknown = dict.fromkeys(numbers)
    return {"name": name, **plain, "reason": "", **unknown, "containers": list(containers), **more}


def shown(*processes: dict[str, object], **more: object) -> list[str]:
    state = {"caches": [], "warnings": [], "restart": None, "processes": list(processes), **more}
    stream = io.StringIO()
    whole = showing.whole(cast("status.Status", state))
    console.Console(file=stream, width=200).print(whole)
    return [" ".join(line.split()) for line in stream.getvalue().splitlines()]


def test_several_containers_of_a_pod_have_a_row_each() -> None:
    beside = container(
        "beside", ready=False, state="waiting", reason="CrashLoopBackOff", restarts=3, id=""
    )
    lines = shown(process("web", container("app"), beside), process("one", container("app")))
    assert lines[1:] == [
        "web app ready 1 127.0.0.1:80 0 - - - - -",
        "app main ready 7 0",
        "beside main waiting (CrashLoopBackOff) - 3",
        "one app ready 1 127.0.0.1:80 0 - - - - -",
    ]


def test_services_are_named_with_their_addresses() -> None:
    services = {"web": {"80": "127.0.0.1:8080", "443": "127.0.0.1:443"}}
    lines = shown(engine="namespaces", engine_reason="it was asked for", services=services)
    assert lines[:2] == [
        "engine namespaces: it was asked for",
        'service "web" at 127.0.0.1:8080 (port 80), 127.0.0.1:443',
    ]


def test_a_cache_of_memcache_is_told_with_who_was_left() -> None:
    servers = [
        {"name": "sessions-0", "left": {"sessions-router-0": "down"}, "in_flight": 0},
        {"name": "sessions-1", "left": {}, "in_flight": 2},
    ]
    pool = {
        "name": "sessions",
        "protocol": "memcache",
        "access": "ambassador",
        "address": "127.0.0.1:11211",
        "function": "ketama",
        "hash": "fnv1a_64",
        "memory_bytes": 64 * 2**20,
        "routers": ["sessions-router-0"],
        "servers": servers,
        "requests_per_s": 7.0,
        "clients": 1,
    }
    lines = shown(process("sessions-0", address="unix:/run/p/sessions-0.sock"), pools=[pool])
    assert lines[:3] == [
        'cache "sessions" (memcache) at 127.0.0.1:11211',
        "2 servers by ketama(fnv1a_64), 64Mi each, 1 router at localhost",
        "7.0 commands/s, 1 client, sessions-0 left",
    ]
    assert "unix:…/sessions-0.sock" in lines[-1]
    for pods, told in ((["web"], "a pod"), (["web-0", "web-1"], "each of 2 pods")):
        line = shown(pools=[{**pool, "pods": pods}])[1]
        assert line.endswith(f"1 router at localhost, and one in {told}")


def test_a_router_that_has_just_begun_is_not_said_to_be_silent() -> None:
    cache: dict[str, object] = {
        "name": "photos",
        "address": "127.0.0.1:8080",
        "origin": "127.0.0.1:8000",
        "function": "ketama",
        "key": "request.uri",
        "memory_bytes": 64 * 2**20,
        "routers": ["photos-router-0"],
        "shards": [{"name": "photos-0", "replicas": ["photos-0-0"]}],
        **dict.fromkeys(("requests_per_s", "hit_ratio", "spared_ratio")),
        "retries": {},
        "fallbacks": {},
        "resumed": 0,
    }
    for condition, is_silent, told in (
        ("ready", False, "no figures yet"),
        ("ready", True, "no router answers"),
        ("waiting", False, "no router answers"),
    ):
        router = process("photos-router-0", state=condition, silent=is_silent)
        lines = shown(router, caches=[cache])
        assert lines[2] == told
