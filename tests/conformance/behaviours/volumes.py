"""Volumes: shared, published, kept and read-only."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from tests.conformance import values, writing
from tests.conformance.world import Behaviour, World

if TYPE_CHECKING:
    from tests.conformance.values import Value

ISOLATED = ("namespaces", "docker")


def _mount(name: str, path: str, **fields: values.Free) -> Value:
    return {"name": name, "mountPath": path, **fields}


def _empty(world: World) -> list[Value]:
    def one(name: str, own: str, other: str) -> Value:
        script = (
            f'echo {own} > "$SHARED/{own}"; until test -s "$SHARED/{other}"; do sleep 0.05; done; '
            f'say {name} $(cat "$SHARED/{other}"); {writing.WAIT}'
        )
        return writing.shell(
            name,
            script,
            env=[{"name": "SHARED", "value": "/shared"}],
            volumeMounts=[_mount("shared", "/shared")],
        )

    return [
        writing.pod(
            world,
            "empty",
            one("first", "a", "b"),
            one("second", "b", "a"),
            volumes=[{"name": "shared", "emptyDir": {}}],
        )
    ]


def _empty_check(world: World) -> None:
    world.until_line("empty", "first b")
    world.until_line("empty", "second a")


def _kept(world: World) -> list[Value]:
    script = f'say "found $(ls "$DATA")"; touch "$DATA/kept"; {writing.WAIT}'
    main = writing.shell(
        "main",
        script,
        env=[{"name": "DATA", "value": "/data"}],
        volumeMounts=[_mount("data", "/data")],
    )
    return [writing.pod(world, "kept", main, volumes=[{"name": "data", "emptyDir": {}}])]


def _kept_check(world: World) -> None:
    world.until("it found nothing", lambda: world.lines("kept")[:1] == ["found "])
    world.kill("kept", "main")
    world.until("it found its file", lambda: world.lines("kept")[1:2] == ["found kept"])


def _memory(world: World) -> list[Value]:
    main = writing.shell(
        "main",
        f'echo x > "$MEMORY/x"; say "$(cat "$MEMORY/x")"; {writing.WAIT}',
        env=[{"name": "MEMORY", "value": "/memory"}],
        volumeMounts=[_mount("memory", "/memory")],
    )
    volume = {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    return [writing.pod(world, "memory", main, volumes=[volume])]


def _memory_check(world: World) -> None:
    world.until_line("memory", "x")


def _config(world: World) -> list[Value]:
    data = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "files"},
        "data": {"one": "first\n", "two.sh": "#!/bin/sh\necho second\n"},
        "binaryData": {"raw": base64.b64encode(b"\x00\xff").decode()},
    }
    script = (
        'say "$(cat "$ALL/one")"; say "$(ls "$ALL" | tr "\\n" " ")"; say "$("$SOME/deep/run")"; '
        f'say "$(ls "$SOME")"; say "$(wc -c < "$ALL/raw")"; {writing.WAIT}'
    )
    main = writing.shell(
        "main",
        script,
        env=[{"name": "ALL", "value": "/etc/all"}, {"name": "SOME", "value": "/etc/some"}],
        volumeMounts=[_mount("all", "/etc/all"), _mount("some", "/etc/some")],
    )
    some = {"name": "files", "items": [{"key": "two.sh", "path": "deep/run", "mode": 0o755}]}
    volumes = [{"name": "all", "configMap": {"name": "files"}}, {"name": "some", "configMap": some}]
    return [data, writing.pod(world, "config", main, volumes=volumes)]


def _config_check(world: World) -> None:
    world.until_line("config", "2")
    assert world.lines("config") == ["first", "one raw two.sh ", "second", "deep", "2"]


def _secret(world: World) -> list[Value]:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "hidden"},
        "data": {"password": base64.b64encode(b"open").decode()},
        "stringData": {"user": "me"},
    }
    main = writing.shell(
        "main",
        'cd "$SECRET"; say "$(cat user):$(cat password):$(stat -L -c %a password)"; '
        + writing.WAIT,
        env=[{"name": "SECRET", "value": "/etc/hidden"}],
        volumeMounts=[_mount("hidden", "/etc/hidden", readOnly=True)],
    )
    volume = {"name": "hidden", "secret": {"secretName": "hidden", "defaultMode": 0o400}}
    return [secret, writing.pod(world, "secret", main, volumes=[volume])]


def _secret_check(world: World) -> None:
    world.until_line("secret", "me:open:400")
    assert "open" not in world.run("status", "--project", "conformance", "--json").stdout


def _downward(world: World) -> list[Value]:
    items = [
        {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
    ]
    main = writing.shell(
        "main",
        f'say "$(cat "$POD_FILES/name") $(cat "$POD_FILES/labels")"; {writing.WAIT}',
        env=[{"name": "POD_FILES", "value": "/etc/pod"}],
        volumeMounts=[_mount("pod", "/etc/pod")],
    )
    return [
        writing.pod(
            world,
            "downward",
            main,
            labels={"tier": "front"},
            volumes=[{"name": "pod", "downwardAPI": {"items": items}}],
        )
    ]


def _downward_check(world: World) -> None:
    world.until_line("downward", 'downward tier="front"')


def _read_only(world: World) -> list[Value]:
    main = writing.shell(
        "main",
        "touch /kept/x && say wrote || say refused; "
        f"touch /new && say root written || say root refused; {writing.WAIT}",
        volumeMounts=[_mount("kept", "/kept", readOnly=True)],
        securityContext={"readOnlyRootFilesystem": True},
    )
    return [writing.pod(world, "read-only", main, volumes=[{"name": "kept", "emptyDir": {}}])]


def _read_only_check(world: World) -> None:
    world.until_line("read-only", "root refused")
    assert world.lines("read-only") == ["refused", "root refused"]


def _sub_path(world: World) -> list[Value]:
    first = writing.shell(
        "first",
        'mkdir -p "$ALL/inner"; echo deep > "$ALL/inner/file"',
        env=[{"name": "ALL", "value": "/all"}],
        volumeMounts=[_mount("data", "/all")],
    )
    main = writing.shell(
        "main",
        f'say "$(cat "$INNER/file")"; {writing.WAIT}',
        env=[{"name": "INNER", "value": "/inner"}],
        volumeMounts=[_mount("data", "/inner", subPath="inner")],
    )
    return [
        writing.pod(
            world,
            "sub-path",
            main,
            initContainers=[first],
            volumes=[{"name": "data", "emptyDir": {}}],
        )
    ]


def _sub_path_check(world: World) -> None:
    world.until_line("sub-path", "deep")


def _hidden_host(world: World) -> list[Value]:
    main = writing.shell(
        "main",
        f'mkdir -p /var/lib/new; touch /var/lib/new/x; say "$(ls /var/lib/new)"; {writing.WAIT}',
        volumeMounts=[_mount("data", "/var/lib/new/inner")],
    )
    return [writing.pod(world, "mount-point", main, volumes=[{"name": "data", "emptyDir": {}}])]


def _hidden_host_check(world: World) -> None:
    world.until("it wrote", lambda: world.lines("mount-point"))
    assert not os.path.exists("/var/lib/new")


def _live(world: World, text: str) -> list[Value]:
    data = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "live"},
        "data": {"one": text, "two": text},
    }
    script = """
seen = None
def read(name, folder):
    opened = os.open(name, os.O_RDONLY, dir_fd=folder)
    try: return os.read(opened, 100).decode()
    finally: os.close(opened)
while True:
    folder = os.open(os.environ["LIVE"] + "/..data", os.O_RDONLY)
    found = read("one", folder), read("two", folder)
    os.close(folder)
    if found != seen: say(os.environ["WORD"], *found); seen = found
    time.sleep(0.02)
"""
    main = writing.python(
        "main",
        script,
        env=[
            {"name": "LIVE", "value": "/etc/live"},
            {"name": "WORD", "valueFrom": {"configMapKeyRef": {"name": "live", "key": "one"}}},
        ],
        volumeMounts=[_mount("live", "/etc/live")],
    )
    volume = {"name": "live", "configMap": {"name": "live"}}
    return [data, writing.pod(world, "live", main, volumes=[volume])]


def _live_check(world: World) -> None:
    world.until_line("live", "old new new")
    assert world.lines("live") == ["old old old", "old new new"]
    assert world.container("live", "main")["restarts"] == 0


def _live_secret(world: World, text: str) -> list[Value]:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "live-secret"},
        "stringData": {"token": text},
    }
    script = 'while true; do now="$(cat "$LIVE/token")"; '
    script += 'test "$now" = "$last" || say "$now"; last="$now"; sleep 0.05; done'
    main = writing.shell(
        "main",
        script,
        env=[{"name": "LIVE", "value": "/etc/live"}],
        volumeMounts=[_mount("live", "/etc/live")],
    )
    volume = {"name": "live", "secret": {"secretName": "live-secret"}}
    return [secret, writing.pod(world, "live-secret", main, volumes=[volume], grace=1)]


def _live_secret_check(world: World) -> None:
    world.until_line("live-secret", "new")
    assert world.lines("live-secret") == ["old", "new"]
    assert world.container("live-secret", "main")["restarts"] == 0


BEHAVIOURS = (
    Behaviour("an emptyDir is shared by containers", _empty, _empty_check),
    Behaviour("an emptyDir outlives a container's restart", _kept, _kept_check),
    Behaviour("an emptyDir in memory", _memory, _memory_check),
    Behaviour(
        "a ConfigMap's keys are files, with paths and modes of their own", _config, _config_check
    ),
    Behaviour(
        "a Secret's keys are files with its mode, and no output shows them", _secret, _secret_check
    ),
    Behaviour("the downward API's files", _downward, _downward_check),
    Behaviour(
        "what is read-only refuses to be written", _read_only, _read_only_check, engines=ISOLATED
    ),
    Behaviour("a folder of a volume by subPath", _sub_path, _sub_path_check),
    Behaviour(
        "a mount point never appears on the machine",
        _hidden_host,
        _hidden_host_check,
        engines=ISOLATED,
    ),
    Behaviour(
        "a changed ConfigMap is published whole, without a restart; variables stay",
        lambda world: _live(world, "old"),
        _live_check,
        phase="changed",
        changed=lambda world: _live(world, "new"),
    ),
    Behaviour(
        "a changed Secret is published without a restart",
        lambda world: _live_secret(world, "old"),
        _live_secret_check,
        phase="changed",
        changed=lambda world: _live_secret(world, "new"),
    ),
)
