"""Build the models' fields as Kubernetes has them: exact spelling, ports by number or name."""

from __future__ import annotations

import re
from typing import Annotated

import pydantic

from alongside.resources import fields

GRACE_S_MAX = 3600
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_SHARE = re.compile(r"(100|[0-9]{1,2})%")
SUBDOMAIN_MAX = 253

Seconds = Annotated[int, pydantic.Field(ge=0, le=86_400)]
PositiveSeconds = Annotated[int, pydantic.Field(ge=1, le=86_400)]
Deadline = Annotated[int, pydantic.Field(ge=1, le=10 * 366 * 86_400)]
Threshold = Annotated[int, pydantic.Field(ge=1, le=1000)]
Grace = Annotated[int, pydantic.Field(ge=0, le=GRACE_S_MAX)]
UserId = Annotated[int, pydantic.Field(ge=0, le=2**31 - 1)]


class Model(fields.Model):
    """What Kubernetes' users write; unlike ours it has no second spelling of a field."""

    model_config = pydantic.ConfigDict(populate_by_name=False)


def _environment_name(value: str) -> str:
    if not value or "=" in value or "\0" in value:
        raise ValueError(f"{fields.shown(value)} is not a variable's name; write it without =")
    return value


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("it holds a NUL character, which no process can be given; leave it out")
    return value


def _port_reference(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{fields.shown(value)} is no port; write its number or name")  # noqa: TRY004
    if isinstance(value, int) and not 1 <= value <= 65535:
        raise ValueError(f"{value} is no port; write 1 to 65535 or a port's name")
    if isinstance(value, str) and not any(letter.isalpha() for letter in value):
        raise ValueError(
            f"{fields.shown(value)} is no port's name, which has a letter; write a name, or a "
            "number without quotes"
        )
    return value


def _absolute(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f"{fields.shown(value)} is not absolute; write a path that begins with /")
    return _without_parents(value)


def _relative(value: str) -> str:
    if value.startswith("/"):
        raise ValueError(f"{fields.shown(value)} is absolute; write it without the first /")
    return _without_parents(value)


def _without_parents(value: str) -> str:
    if ".." in value.split("/"):
        raise ValueError(f"{fields.shown(value)} leads upwards; write it without ..")
    return _no_nul(value)


def is_key(value: str) -> bool:
    """Return whether a text may be a key of a ConfigMap or Secret, and a file's name."""
    return bool(_KEY.fullmatch(value)) and value != "." and not value.startswith("..")


def is_subdomain(value: str) -> bool:
    """Return whether a text may be the name of most resources."""
    return len(value) <= SUBDOMAIN_MAX and bool(_SUBDOMAIN.fullmatch(value))


def key(value: str) -> str:
    """Return a key of a ConfigMap or Secret, which is also a file's name.

    Raises:
        ValueError: it is none.
    """
    if not is_key(value):
        raise ValueError(
            f"{fields.shown(value)} is not a key; write at most 253 of a-z, A-Z, 0-9, -, _ and ."
        )
    return value


def _subdomain(value: str) -> str:
    if not is_subdomain(value):
        raise ValueError(
            f"{fields.shown(value)} is not a name; write at most {SUBDOMAIN_MAX} of a-z, 0-9, - "
            "and ., beginning and ending with a letter or digit"
        )
    return value


def _share(value: object) -> object:
    is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if not is_number and not (isinstance(value, str) and _SHARE.fullmatch(value)):
        raise ValueError(
            f"{fields.shown(value)} is no number of pods; write one such as 1, or a part such as "
            '"25%"'
        )
    return value


def _mode(value: int) -> int:
    if not 0 <= value <= 0o777:
        raise ValueError(f"{value} is no file mode; write 0000 to 0777, with the leading 0")
    return value


Text = Annotated[str, pydantic.AfterValidator(_no_nul)]
EnvironmentName = Annotated[str, pydantic.AfterValidator(_environment_name)]
PortReference = Annotated[int | str, pydantic.PlainValidator(_port_reference)]
AbsolutePath = Annotated[str, pydantic.AfterValidator(_absolute)]
RelativePath = Annotated[str, pydantic.AfterValidator(_relative)]
Key = Annotated[str, pydantic.AfterValidator(key)]
Subdomain = Annotated[str, pydantic.AfterValidator(_subdomain)]
Share = Annotated[int | str, pydantic.PlainValidator(_share)]
"""A number of pods, or a part of them, as `25%`."""
Mode = Annotated[int, pydantic.AfterValidator(_mode)]
