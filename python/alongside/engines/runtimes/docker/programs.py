"""Find out whether an image has a program, without running anything of it."""

from __future__ import annotations

import posixpath
import urllib.parse
from typing import TYPE_CHECKING

from alongside.dockerd import answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alongside.dockerd import client
    from alongside.plan import pods

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What an engine looks through where neither the image nor its user says so."""


class Look:
    """A container of an image that is never started, so that its files can be asked for."""

    def __init__(self, asked: client.Client, labels: dict[str, str]) -> None:
        """Take the engine, and the labels by which what is left of it is found."""
        self._asked = asked
        self._labels = labels
        self._made: dict[str, str] = {}
        self._known: dict[tuple[str, str], bool] = {}

    def has(self, one: pods.Container, config: answers.Json) -> bool:
        """Return whether a container's own command is in its image, or may be in a volume.

        Args:
            one: the container, which has a command.
            config: of its image.
        """
        return any(
            _is_below(path, [mount.path for mount in one.mounts]) or self._is_there(one.image, path)
            for path in _places(one, config)
        )

    def close(self) -> None:
        """Remove the containers."""
        for identity in self._made.values():
            self._asked.ask("DELETE", f"/containers/{identity}", params={"force": "1", "v": "1"})

    def _is_there(self, image: str, path: str) -> bool:
        key = (image, path)
        if key not in self._known:
            archive = f"/containers/{self._container(image)}/archive"
            answer = self._asked.ask("HEAD", archive, params={"path": path})
            self._known[key] = answer.status != 404
        return self._known[key]

    def _container(self, image: str) -> str:
        if image not in self._made:
            body = {"Image": image, "Cmd": ["true"], "Labels": self._labels}
            answer = self._asked.ask("POST", "/containers/create", body=body)
            made = answers.record(answer.checked(f'image "{image}"').value())
            self._made[image] = urllib.parse.quote(answers.text(made, "Id"))
        return self._made[image]


def _places(one: pods.Container, config: answers.Json) -> Iterator[str]:
    """Yield where a container's command would be found."""
    word = one.command[0]
    if "/" in word:
        yield posixpath.join(one.directory or answers.text(config, "WorkingDir") or "/", word)
        return
    variables = dict(text.partition("=")[::2] for text in answers.texts(config, "Env"))
    variables |= {variable.name: variable.value for variable in one.variables}
    for folder in (variables.get("PATH") or PATH).split(":"):
        yield posixpath.join(folder or "/", word)


def _is_below(path: str, mounts: Sequence[str]) -> bool:
    return any(f"{path}/".startswith(f"{mount.rstrip('/')}/") for mount in mounts)
