"""Declare what pods are given to read: ConfigMaps and Secrets.

A Secret's values are never shown: not in a mistake about them, nor where a resource is printed.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

import pydantic

from alongside.resources import fields
from alongside.resources.kubernetes import naming, values


def _decoded(value: object) -> bytes:
    """Return what base64 text stands for; a message holds nothing of it."""
    if not isinstance(value, str):
        raise ValueError("its value is not a text; write base64 in quotes")  # noqa: TRY004
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("its value is not base64; encode it, or write it in stringData") from error


def _plain(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("its value is not a text; write it in quotes")  # noqa: TRY004
    return value.encode("utf-8", "surrogateescape")


def _binary(value: object) -> bytes:
    try:
        return _decoded(value)
    except ValueError as error:
        raise ValueError("its value is not base64; encode it, or write it in data") from error


def _mapping(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError("it is not a mapping; write KEY: VALUE")  # noqa: TRY004
    return value


Base64 = Annotated[bytes, pydantic.PlainValidator(_decoded)]
Plain = Annotated[bytes, pydantic.PlainValidator(_plain)]
Binary = Annotated[bytes, pydantic.PlainValidator(_binary)]
Encoded = Annotated[dict[values.Key, Base64], pydantic.BeforeValidator(_mapping)]
Readable = Annotated[dict[values.Key, Plain], pydantic.BeforeValidator(_mapping)]


class ConfigMap(values.Model):
    """Texts and files that pods are given to read."""

    api_version: Literal["v1"]
    kind: Literal["ConfigMap"]
    metadata: naming.DataMetadata
    data: dict[values.Key, str] = pydantic.Field(default_factory=dict)
    binary_data: dict[values.Key, Binary] = pydantic.Field(default_factory=dict)
    immutable: bool = False

    @pydantic.model_validator(mode="after")
    def _distinct(self) -> ConfigMap:
        both = sorted(self.data.keys() & self.binary_data.keys())
        if both:
            raise ValueError(f"{fields.shown(both[0])} is in data and binaryData; keep one")
        return self


class Secret(values.Model):
    """The same, not to be seen by others."""

    api_version: Literal["v1"]
    kind: Literal["Secret"]
    metadata: naming.DataMetadata
    data: Encoded = pydantic.Field(default_factory=dict, repr=False)
    string_data: Readable = pydantic.Field(default_factory=dict, repr=False)
    """In plain words; of a key that is in both, this counts."""
    type: str = "Opaque"
    immutable: bool = False
