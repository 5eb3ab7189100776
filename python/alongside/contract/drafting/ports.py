"""Say which ports an image opens, what they most likely speak, and who sets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside.contract import promise
from alongside.contract.drafting import sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alongside.contract.drafting import images

RANGE_MAX = 16
"""A range of more ports stands as one."""

_SPOKEN = {
    22: ("ssh", "SSH"),
    25: ("smtp", "SMTP"),
    53: ("dns", "DNS"),
    80: ("http", "HTTP"),
    443: ("https", "HTTPS"),
    1883: ("mqtt", "MQTT"),
    3306: ("mysql", "MySQL"),
    5432: ("postgresql", "PostgreSQL"),
    5672: ("amqp", "AMQP"),
    6379: ("redis", "RESP"),
    9092: ("kafka", "Kafka"),
    11211: ("memcache", "memcache"),
    27017: ("mongodb", "MongoDB"),
}
"""The ports whose number alone says what they speak."""
_WEB = frozenset({3000, 4000, 5000, 8000, 8008, 8080, 8081, 8443, 8888, 9000, 9090})
"""The ports that most likely speak HTTP."""


def of(
    image: images.Image, parameters: Sequence[tuple[str, promise.Parameter]]
) -> list[tuple[promise.Port, str]]:
    """Return each port with the question it leaves; empty where it leaves none.

    Args:
        image: what exposes them.
        parameters: every parameter with its variable.
    """
    found: list[tuple[promise.Port, str]] = []
    names: set[str] = set()
    for exposed in image.exposed:
        if exposed.last - exposed.first >= RANGE_MAX:
            shown = f"{exposed.first}-{exposed.last}/{exposed.protocol}"
            found.append((_range(exposed), f"Ports {shown}: what are they for?"))
            continue
        for number in range(exposed.first, exposed.last + 1):
            port, question = _port(exposed, number, parameters, names)
            names.add(port.name)
            found.append((port, question))
    return found


def _range(exposed: images.Exposed) -> promise.Port:
    name = f"{exposed.protocol}-{exposed.first}-{exposed.last}"
    return promise.Port(
        name,
        "",
        exposed.protocol.upper(),
        sentences.sentence(exposed.said.comment),
        number=exposed.first,
    )


def _port(
    exposed: images.Exposed,
    number: int,
    parameters: Sequence[tuple[str, promise.Parameter]],
    names: set[str],
) -> tuple[promise.Port, str]:
    name, speaks, question = _spoken(number, exposed.protocol)
    if name in names:
        name = f"{name}-{number}"
    by_variable = [one.name for variable, one in parameters if variable in exposed.variables]
    by_default = [
        one.name
        for _, one in parameters
        if one.kind is promise.Kind.PORT and one.default == str(number)
    ]
    setters = by_variable or by_default
    port = promise.Port(
        name,
        setters[0] if len(setters) == 1 else "",
        speaks,
        sentences.sentence(exposed.said.comment),
        number=number,
    )
    return port, question


def _spoken(number: int, protocol: str) -> tuple[str, str, str]:
    """Return a name, what is spoken, and the question whether that is so."""
    over = "" if protocol == "tcp" else f" over {protocol.upper()}"
    tail = "" if protocol == "tcp" else f"-{protocol}"
    if number in _SPOKEN:
        name, speaks = _SPOKEN[number]
        return name + tail, speaks + over, ""
    if number in _WEB and protocol == "tcp":
        is_secure = number == 8443
        speaks = "HTTPS" if is_secure else "HTTP"
        return speaks.lower(), speaks, f"Port {number}: does it speak {speaks}?"
    question = f"Port {number}/{protocol}: what does it speak?"
    return f"{protocol}-{number}", protocol.upper(), question
