"""Say why pods cannot run in an engine, before anything is started."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING

from alongside.dockerd import answers
from alongside.engines.runtimes.docker import facts, image, programs, specs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from alongside.dockerd import client
    from alongside.plan import pods


_ELSEWHERE = (
    "its ambassador reaches servers by their UNIX sockets, which do not lead into this engine's "
    "machine; use --engine process"
)


def problems(
    asked: client.Client, wanted: Sequence[pods.Pod], labels: dict[str, str]
) -> Iterator[str]:
    """Yield what is wrong: `place: path: what; remedy`. Each image is asked for once.

    Args:
        asked: the engine.
        wanted: the pods.
        labels: of what is made in order to look into an image, and removed again.

    Raises:
        errors.AlongsideError: the engine does not answer.
    """
    known: dict[str, answers.Json] = {}
    info = answers.record(asked.get("/info").value())
    is_rootless = facts.is_rootless(info)
    look = programs.Look(asked, labels)
    try:
        for pod in wanted:
            where = pod.place or f"Pod/{pod.name}"
            for one, path in _places(pod.containers):
                if one.is_ours:
                    if facts.is_elsewhere(info):
                        yield f"{where}: {_ELSEWHERE}"
                    continue
                if not one.image:
                    yield f"{where}: {path}.image: is missing; the docker engine runs images"
                    continue
                if one.image not in known:
                    known[one.image] = _config(asked, one.image)
                yield from _of_container(one, known[one.image], f"{where}: {path}", look)
            if pod.uses_host_network and is_rootless:
                yield (
                    f"{where}: spec.hostNetwork: is not this machine's network in a rootless "
                    "engine; use the system's engine, or --engine process"
                )
    finally:
        look.close()


def _places(containers: Iterable[pods.Container]) -> Iterator[tuple[pods.Container, str]]:
    """Yield containers with their paths; of those that nobody wrote the path is empty."""
    counts = {"initContainers": 0, "containers": 0}
    for one in containers:
        if one.is_ours:
            yield one, ""
            continue
        key = "containers" if one.kind == "main" else "initContainers"
        yield one, f"spec.{key}[{counts[key]}]"
        counts[key] += 1


def _config(asked: client.Client, name: str) -> answers.Json:
    quoted = urllib.parse.quote(name, safe="/:@")
    return answers.record(asked.get(f"/images/{quoted}/json").value())


def _of_container(
    one: pods.Container, found: answers.Json, path: str, look: programs.Look
) -> Iterator[str]:
    if "Id" not in found:
        if one.pull == "never":
            yield f"{path}.image: {image.missing(one.image)}"
        return
    config = answers.record(found, "Config")
    has_words = config.get("Entrypoint") or config.get("Cmd")
    if not (one.command or one.args or has_words):
        yield f'{path}.command: is missing, and image "{one.image}" names no command; write one'
    if one.command and not look.has(one, config):
        yield (
            f'{path}.command[0]: "{one.command[0]}" is not in image "{one.image}"; write what '
            "the image has"
        )
    if one.memory_bytes is not None and one.memory_bytes < specs.MEMORY_BYTES_MIN:
        yield (
            f"{path}.resources.limits.memory: {one.memory_bytes} bytes are less than an engine "
            "accepts; write 6Mi or more"
        )
