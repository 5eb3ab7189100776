"""Declare our own kinds: what a user writes under `apiVersion: alongside.dev/v1alpha1`."""

from __future__ import annotations

import urllib.parse
from typing import Annotated, ClassVar, Literal

import pydantic

from alongside import native
from alongside.base import errors, units
from alongside.contract import kinds as contract_kinds
from alongside.resources import caches, fields
from alongside.resources.kubernetes import naming

API_VERSION = "alongside.dev/v1alpha1"
SHARDS_MAX = 256
"""Each shard is at least one process here; more belong on more than one machine."""
MEMORY_BYTES_MIN = 2**20
PROTOCOLS = ("http", "memcache", "redis")
LABEL_MAX = 63
"""Characters between two dots of a host name: RFC 1035 section 2.3.4."""


def _key(value: str) -> str:
    try:
        native.Key(value)
    except ValueError as error:
        raise ValueError(f"{units.shown(value)}: {error}") from error
    return value


def _memory(value: int) -> int:
    if value < MEMORY_BYTES_MIN:
        raise ValueError(f"{units.format_size(value)} is too small; write at least 1Mi")
    return value


def _url(value: str) -> str:
    try:
        parts = urllib.parse.urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise ValueError(
            f"{units.shown(value)} is not a URL; write http://HOST or http://HOST:PORT"
        ) from error
    if parts.scheme == "https":
        raise ValueError(f"{units.shown(value)}: https is not there yet; write http://HOST:PORT")
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme != "http" or not parts.hostname or extra or port == 0:
        raise ValueError(
            f"{units.shown(value)} is not an origin; write http://HOST or http://HOST:PORT, "
            "without path, query or user"
        )
    _check_host(value, parts.netloc, port)
    return value


def _check_host(value: str, netloc: str, port: int | None) -> None:
    """Refuse a host that the data plane, or every resolver of names, would refuse later."""
    try:
        contract_kinds.address(netloc if port is not None else f"{netloc}:80")
    except errors.UsageError as error:
        raise ValueError(
            f"{units.shown(value)} has no valid host; write http://HOST or http://HOST:PORT, "
            "such as http://127.0.0.1:8000, http://[::1]:8000 or http://photos.internal"
        ) from error
    host = netloc.partition(":")[0].removesuffix(".")
    if "[" not in netloc and not all(0 < len(label) <= LABEL_MAX for label in host.split(".")):
        raise ValueError(
            f"{units.shown(value)} has no valid host: between its dots stand 1 to {LABEL_MAX} "
            "characters; correct the name"
        )


class Origin(fields.Model):
    """Where a cache gets what it does not have: a Service or pod of the files, or a URL."""

    service: fields.Name | None = None
    port: fields.Port | None = None
    url: Annotated[str, pydantic.AfterValidator(_url)] | None = None

    @pydantic.model_validator(mode="after")
    def _one_of_two(self) -> Origin:
        if (self.url is None) == (self.service is None):
            raise ValueError("write either {service: NAME, port: PORT} or {url: http://HOST:PORT}")
        if self.url is not None and self.port is not None:
            raise ValueError("a url holds its port; write {url: http://HOST:PORT} alone")
        if self.service is not None and self.port is None:
            raise ValueError("the port is missing; write {service: NAME, port: PORT}")
        return self


class ShardedCacheSpec(fields.Model):
    """How a sharded cache is made up; docs and CRD are generated from these fields."""

    ELSEWHERE: ClassVar[dict[str, str]] = dict.fromkeys(
        ("hash", "hashTag", "timeout", "eject"), "is of the protocols memcache and redis; remove it"
    )
    protocol: Annotated[Literal["http"], fields.word(*PROTOCOLS)]
    """What clients and origin speak; the others are in `pools`."""
    origin: Origin
    port: fields.Port | None = None
    """Where clients reach it; without it a free one is chosen and shown by `status`."""
    expose: Annotated[Literal["local", "public"], fields.word("local", "public")] = "local"
    access: Annotated[Literal["service"], fields.word("service", later=("ambassador",))] = "service"
    routers: Annotated[int, pydantic.Field(ge=1, le=caches.ROUTERS_MAX)] = 1
    """Processes that share the address."""
    shards: Annotated[int, pydantic.Field(ge=1, le=SHARDS_MAX)] = 1
    replicas: caches.Scale = caches.Scale(min=1, max=1)
    """Nodes of each shard."""
    key: Annotated[str, pydantic.AfterValidator(_key)] = "request.uri"
    function: Annotated[
        Literal["modulo", "ketama"],
        fields.word("modulo", "ketama", later=("maglev", "jump", "slices")),
    ] = "ketama"
    memory: Annotated[fields.SizeBytes, pydantic.AfterValidator(_memory)] = 256 * 2**20
    """Of each replica, in bytes; written with a unit."""
    buffer: caches.BufferBytes = 64 * 2**10
    """Bytes up to which a router holds an answer whole, so that a node's death is not seen."""
    fallback: Annotated[
        Literal["origin", "next-shard", "error"], fields.word("origin", "next-shard", "error")
    ] = "origin"
    """Where requests go of whose shard no replica can be used."""
    limits: caches.Limits = caches.Limits()
    retries: caches.Retries = caches.Retries()
    access_log: caches.AccessLog | None = None
    warmup: caches.Warmup = caches.Warmup()
    drain_timeout: caches.DrainMs = 10_000


class ShardedCache(fields.Model):
    """A cache whose keys are spread over shards, in front of an origin."""

    api_version: Literal["alongside.dev/v1alpha1"]
    kind: Literal["ShardedCache"]
    metadata: naming.Metadata
    spec: ShardedCacheSpec
