"""Make the image of sandboxes and balancers: our binary with what it loads, and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import io
import platform
import tarfile
from typing import TYPE_CHECKING

from alongside.base import errors, libraries, release, units
from alongside.dockerd import answers
from alongside.engines.runtimes.docker import names, specs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from alongside.base import clock
    from alongside.dockerd import engine

BINARY = "usr/local/bin/alongside-dataplane"
_REPOSITORY = "alongside-sandbox"
_PUBLISHED = "alongside-dataplane"
_IDLE = b'{"schema": 1, "epoch": 0, "generation": 0}\n'
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
PULL_S_MAX = 3600.0
"""For a large image by a slow line."""
PULL_SILENT_S_MAX = 300.0
"""An engine unpacks a large layer without a word."""
TOLD_EACH_S = 1.0
LAYERS_MAX = 512
_FORMAT = "1"
"""Of what is made below; another one makes another image."""


async def ensure(asked: engine.Engine, binary: Path, info: answers.Json) -> str:
    """Return the name of our image in the engine, which is made there once for each content.

    No registry is asked. Where this machine is of another kind than the engine's (macOS), the image
    must be there: `alongside images build --docker` on the engine's kind makes it.

    Args:
        asked: the engine.
        binary: the data plane's, of this machine.
        info: what the engine says of itself.

    Raises:
        errors.AlongsideError: it cannot be made; the remedy is named.
    """
    if not _is_ours(info):
        return await _published(asked, info)
    try:
        content = await asyncio.to_thread(_content, binary)
    except OSError as error:
        raise errors.PermanentError(
            f"the data plane cannot be read for its image: {error}; install alongside anew"
        ) from error
    digest = hashlib.sha256(content).hexdigest()[:12]
    name = f"{_REPOSITORY}:{digest}"
    if await has(asked, name):
        return name
    changes = f'ENTRYPOINT ["/{BINARY}"]\nLABEL {names.CONTENT}={digest}'
    params = {"fromSrc": "-", "repo": _REPOSITORY, "tag": digest, "changes": changes}
    answer = (await asked.send("/images/create", content, params=params)).checked(
        f"the engine does not take the image {name}"
    )
    if told := answers.told(answer.content):
        raise errors.PermanentError(f"the engine does not take the image {name}: {told}")
    return name


async def has(asked: engine.Engine, name: str) -> bool:
    """Return whether the engine has an image.

    Raises:
        answers.SilentError: it does not answer.
        answers.RefusedError: it does not tell.
    """
    return bool(await config(asked, name))


async def config(asked: engine.Engine, name: str) -> answers.Json:
    """Return what the engine knows of an image; empty where it has none.

    Raises:
        answers.SilentError: it does not answer.
        answers.RefusedError: it does not tell.
    """
    answer = await asked.ask("GET", f"/images/{name}/json")
    if answer.status == 404:
        return {}
    return answers.record(answer.checked(f'image "{name}"').value())


def missing(name: str) -> str:
    """Return what is wrong where the engine has no image of a name, and what to do."""
    return (
        f'the engine has no image "{name}"; `docker pull` or `docker load` it, or write '
        "`imagePullPolicy: IfNotPresent`"
    )


async def fetch(
    asked: engine.Engine, name: str, clock_: clock.Clock, tell: Callable[[str], None]
) -> None:
    """Pull an image, which a pod asked for.

    Args:
        asked: the engine.
        name: of the image.
        clock_: for the time between two words about it.
        tell: called with how far it is, now and then.

    Raises:
        errors.AlongsideError: the engine or the registry does not give it.
    """
    path, _, last = name.rpartition("/")
    repository, colon, tag = last.partition(":")
    params = {"fromImage": name}
    if "@" not in last:
        whole = f"{path}/{repository}" if path else repository
        params = {"fromImage": whole, "tag": tag if colon else "latest"}
    what, pull = f'image "{name}" cannot be pulled', _Pull(name)
    told_s = -TOLD_EACH_S
    tell(pull.words())
    try:
        async with (
            asyncio.timeout(PULL_S_MAX) as hour,
            asyncio.timeout(PULL_SILENT_S_MAX) as silence,
            asked.stream("POST", "/images/create", params=params) as stream,
        ):
            if stream.status >= 400:
                (await stream.whole()).checked(what)
            loop = asyncio.get_running_loop()
            async for piece in stream.pieces():
                silence.reschedule(loop.time() + PULL_SILENT_S_MAX)
                pull.take(piece)
                if clock_.monotonic_s() - told_s >= TOLD_EACH_S:
                    told_s = clock_.monotonic_s()
                    tell(pull.words())
    except TimeoutError:
        pull.error = "its registry says nothing more"
        if hour.expired():
            pull.error = f"it was not there within {units.format_duration(PULL_S_MAX)}"
    except answers.RefusedError as error:
        pull.error = str(error).removeprefix(f"{what}: ")
    if pull.error:
        raise errors.PermanentError(
            f"{what}: {pull.error}; `docker load` it, see that its registry is reached, or write "
            "another imagePullPolicy"
        )


class _Pull:
    """How far a pull is, by what the engine says of each layer."""

    def __init__(self, name: str) -> None:
        self.error = ""
        self._name = name
        self._lines = answers.Lines()
        self._layers: dict[str, tuple[int, int]] = {}

    def take(self, piece: bytes) -> None:
        for said in self._lines.feed(piece):
            self.error = answers.text(said, "error")[: answers.MESSAGE_LENGTH_MAX] or self.error
            detail, layer = answers.record(said, "progressDetail"), answers.text(said, "id")
            if answers.text(said, "status") == "Downloading" and len(self._layers) < LAYERS_MAX:
                self._layers[layer] = (
                    answers.whole(detail, "current"),
                    answers.whole(detail, "total"),
                )

    def words(self) -> str:
        """Return how far it is, for people."""
        current, total = (
            sum(column) for column in zip((0, 0), *self._layers.values(), strict=True)
        )
        mebibytes = f", {current >> 20} of {total >> 20} MiB" if total else ""
        return f"pulling {self._name}{mebibytes}"


def _is_ours(info: answers.Json) -> bool:
    """Return whether a program of this machine runs in the engine's containers."""
    machine = answers.text(info, "Architecture")
    is_same = _MACHINES.get(machine, machine) == platform.machine()
    return platform.system() == "Linux" and is_same


async def _published(asked: engine.Engine, info: answers.Json) -> str:
    name = f"{_PUBLISHED}:{release.version()}"
    if await has(asked, name):
        return name
    kind = f"{answers.text(info, 'OSType')}/{answers.text(info, 'Architecture')}"
    raise errors.PermanentError(
        f'the engine is {kind} and has no image "{name}", and the data plane of this machine does '
        f"not run there; make it with `alongside images build --docker` on {kind}, or load it"
    )


def _content(binary: Path) -> bytes:
    """Return a root file system as a tar whose bytes depend on the programs alone."""
    files = {BINARY: binary.read_bytes(), specs.IDLE.lstrip("/"): _IDLE}
    for library in libraries.of(binary):
        files[str(library).lstrip("/")] = library.resolve().read_bytes()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(files):
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(files[path]), 0o755
            member.pax_headers = {"comment": _FORMAT}
            archive.addfile(member, io.BytesIO(files[path]))
    return stream.getvalue()
