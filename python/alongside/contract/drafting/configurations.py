"""Read the configuration of a built image, as the OCI image format and Docker's engine have it.

Source:
    OCI image specification 1.1, "config"; the engine's `/images/{name}/json` says the same but
    for the letters' case of nothing that is read here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.contract.drafting import images

if TYPE_CHECKING:
    from collections.abc import Mapping

ENTRIES_MAX = 10_000
"""More variables, labels or ports are none that somebody wrote."""
_PORT = re.compile(r"([0-9]{1,5})(?:/([A-Za-z]+))?")


def image_of(configuration: object, name: str) -> images.Image:
    """Return what an image says of itself.

    Args:
        configuration: JSON data; the interesting part stands under `config` or `Config`.
        name: the image, for places in messages.

    Raises:
        errors.UsageError: it is no configuration of an image.
    """
    whole = _mapping(configuration)
    inner = whole.get("config", whole.get("Config"))
    if not isinstance(inner, dict):
        raise errors.UsageError(f"{name}: holds no configuration of an image; is it one?")
    found = _mapping(inner)
    labels = {key: images.Said(str(text), name) for key, text in _entries(found, "Labels").items()}
    base = labels.get("org.opencontainers.image.base.name")
    return images.Image(
        name=name,
        base=base.text if base else "",
        variables=_variables(found, name),
        arguments={},
        exposed=tuple(_exposed(found, name)),
        labels=labels,
        user=_said(found.get("User"), name),
        volumes=tuple(images.Said(path, name) for path in _entries(found, "Volumes")),
        stop_signal=_said(found.get("StopSignal"), name),
        health=_health(found.get("Healthcheck"), name),
        entrypoint=_command(found.get("Entrypoint"), name),
        command=_command(found.get("Cmd"), name),
        scripts=(),
        triggers=tuple(images.Said(text, name) for text in _texts(found.get("OnBuild"))),
        begun=name,
    )


def _mapping(value: object) -> Mapping[str, object]:
    return {str(key): one for key, one in value.items()} if isinstance(value, dict) else {}


def _entries(found: Mapping[str, object], name: str) -> dict[str, object]:
    entries = list(_mapping(found.get(name)).items())[:ENTRIES_MAX]
    return dict(sorted(entries))


def _texts(value: object) -> list[str]:
    members = value[:ENTRIES_MAX] if isinstance(value, list) else []
    return [member for member in members if isinstance(member, str)]


def _said(value: object, name: str) -> images.Said | None:
    return images.Said(value, name) if isinstance(value, str) and value else None


def _variables(found: Mapping[str, object], name: str) -> dict[str, images.Variable]:
    pairs = (text.partition("=") for text in _texts(found.get("Env")))
    return {key: images.Variable(images.Said(text, name)) for key, _, text in pairs if key}


def _exposed(found: Mapping[str, object], name: str) -> list[images.Exposed]:
    matches = [_PORT.fullmatch(text) for text in _entries(found, "ExposedPorts")]
    ports = [(int(one[1]), (one[2] or "tcp").lower()) for one in matches if one]
    return [
        images.Exposed(number, number, protocol, images.Said(f"{number}/{protocol}", name))
        for number, protocol in sorted(ports)
        if 0 < number <= 65_535
    ]


def _health(value: object, name: str) -> images.Health | None:
    words = _texts(_mapping(value).get("Test"))
    if len(words) < 2 or words[0] not in {"CMD", "CMD-SHELL"}:
        return None
    return images.Health(" ".join(words[1:]), name)


def _command(value: object, name: str) -> images.Command | None:
    words = tuple(_texts(value))
    if not words:
        return None
    is_shell = len(words) == 3 and words[0].endswith("/sh") and words[1] == "-c"
    return images.Command(words[2:] if is_shell else words, is_shell, name)
