"""Declare a `ShardedCache` of memcache or Redis: real servers, and what spreads keys over them."""

from __future__ import annotations

import typing
from typing import Annotated, ClassVar, Literal

import pydantic

from alongside import document
from alongside.base import nearest, units
from alongside.resources import caches, fields, kinds, lines
from alongside.resources.kubernetes import naming

MEMORY_BYTES_MIN = 4 * 2**20
"""With less memcached refuses to start, and a Redis would keep nothing."""
MEMORY_BYTES_MAX = 2**40
_MEBI = 2**20
_HOUR_MS = 3_600_000
HASHES: tuple[document.KeyHash, ...] = typing.get_args(document.KeyHash)
_OF_HTTP = "is of protocol http alone; remove it"
_NO_ORIGIN = (
    "is of protocol http alone: clients of memcache and Redis fill the cache themselves; remove it"
)


def _memory(value: int) -> int:
    if value < MEMORY_BYTES_MIN:
        raise ValueError(f"{units.format_size(value)} is too small; write at least 4Mi")
    if value > MEMORY_BYTES_MAX:
        raise ValueError(f"{units.format_size(value)} is out of range; write at most 1024Gi")
    if value % _MEBI:
        whole = units.format_size(value // _MEBI * _MEBI)
        raise ValueError(f"{units.format_size(value)} is finer than 1Mi; write {whole}")
    return value


def _timeout(value: int) -> int:
    if not 1 <= value <= _HOUR_MS:
        raise ValueError(f"{units.format_duration(value / 1000)} is out of range; write 1ms to 1h")
    return value


def _tag(value: str) -> str:
    if len(value) != 2 or not all(" " < one <= "~" for one in value):
        raise ValueError(
            f'{units.shown(value)} is no hash tag; write the two characters around it, as "{{}}"'
        )
    return value


def _one(value: object) -> object:
    if value == 1 and not isinstance(value, bool):
        return value
    raise ValueError(
        f"{fields.shown(value)}: replicas of memcache and Redis are not there yet; write 1, "
        "or more shards"
    )


class Eject(fields.Model):
    """When the keys of a server that fails go to the others; `off` for never."""

    failures: Annotated[int, pydantic.Field(ge=1, le=1000)] | None = 2
    """In a row, after which it is ejected; None where it is off."""
    min_percent: Annotated[int, pydantic.Field(ge=0, le=100)] = 50
    """Of the servers that stay: no further one is ejected, and its keys fail instead."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _of_word(cls, value: object) -> object:
        if value is False or value == "off":  # YAML 1.1 reads `off` as false
            return {"failures": None}
        if not isinstance(value, dict):
            raise ValueError(  # noqa: TRY004
                f"{fields.shown(value)} says not when to eject; write {{failures: 2}} or off"
            )
        return value


class PoolSpec(fields.Model):
    """How such a cache is made up; of a Redis nothing is on disk."""

    ELSEWHERE: ClassVar[dict[str, str]] = {
        "origin": _NO_ORIGIN,
        "key": "is of protocol http alone: a command has its key; remove it, or write hashTag",
        "retries": "is of protocol http alone: no command is sent twice; remove it",
        "fallback": "is of protocol http alone; remove it, or write eject: {failures: 2}",
        **dict.fromkeys(("buffer", "limits", "accessLog", "warmup"), _OF_HTTP),
    }
    protocol: Annotated[Literal["memcache", "redis"], fields.word(*kinds.PROTOCOLS)]
    port: fields.Port | None = None
    """Where clients reach it; without it a free one is chosen and shown by `status`."""
    access: Annotated[Literal["service", "ambassador"], fields.word("service", "ambassador")] = (
        "service"
    )
    """Whether clients share routers, or each machine has its own at `localhost`."""
    expose: Annotated[Literal["local", "public"], fields.word("local", "public")] = "local"
    routers: Annotated[int, pydantic.Field(ge=1, le=caches.ROUTERS_MAX)] = 1
    """Processes that share the address."""
    shards: Annotated[int, pydantic.Field(ge=1, le=kinds.SHARDS_MAX)] = 1
    """Servers; each holds a part of the keys."""
    replicas: Annotated[int, pydantic.BeforeValidator(_one)] = 1
    function: Annotated[
        Literal["modulo", "ketama"],
        fields.word("modulo", "ketama", later=("maglev", "jump", "slices")),
    ] = "ketama"
    hash: Annotated[document.KeyHash, fields.word(*HASHES)] = "fnv1a_64"
    hash_tag: Annotated[str, pydantic.AfterValidator(_tag)] | None = None
    timeout: Annotated[fields.DurationMs, pydantic.AfterValidator(_timeout)] = 1000
    """How long a server may take to answer, in milliseconds; written with a unit."""
    eject: Eject = Eject(failures=None)
    memory: Annotated[fields.SizeBytes, pydantic.AfterValidator(_memory)] = 64 * 2**20
    """Of each server, in bytes; written with a unit."""
    drain_timeout: caches.DrainMs = 10_000

    @pydantic.field_validator("hash")
    @classmethod
    def _not_one_place(cls, value: str, info: pydantic.ValidationInfo) -> str:
        if value == "crc32" and info.data.get("function") == "ketama":
            raise ValueError(
                "crc32 has fifteen bits, so that ketama would give every key to one server; "
                "write crc32a, or function: modulo"
            )
        return value

    @pydantic.field_validator("routers", "expose")
    @classmethod
    def _alone(cls, value: int | str, info: pydantic.ValidationInfo) -> int | str:
        if info.data.get("access") == "ambassador" and value not in {1, "local"}:
            raise ValueError(
                f"{value}: an ambassador is one router at localhost; remove it, or write "
                "access: service"
            )
        return value


class PooledCache(fields.Model):
    """A cache whose keys are spread over servers that are not ours."""

    api_version: Literal["alongside.dev/v1alpha1"]
    kind: Literal["ShardedCache"]
    metadata: naming.Metadata
    spec: PoolSpec


def model(
    value: dict[str, lines.Value],
) -> type[kinds.ShardedCache | PooledCache]:
    """Return what checks a `ShardedCache`: each protocol has fields of its own.

    A misspelt one has those of the nearest, so that nothing else is told than the word.
    """
    spec = value.get("spec")
    protocol = spec.get("protocol") if isinstance(spec, dict) else None
    near = nearest.nearest(protocol, kinds.PROTOCOLS) if isinstance(protocol, str) else protocol
    known = protocol if protocol in kinds.PROTOCOLS else near
    return PooledCache if known in ("memcache", "redis") else kinds.ShardedCache
