"""Declare the parts of a `ShardedCache`: how it scales, what bounds it, what it does on failure."""

from __future__ import annotations

from typing import Annotated

import pydantic

from alongside.base import units
from alongside.resources import fields

REPLICAS_MAX = 16
ROUTERS_MAX = 64
"""Each router is a process here, and opens connections to every node."""
BUFFER_BYTES_MAX = 16 * 2**20
BANDWIDTH_BYTES_MIN = 2**10
BANDWIDTH_BYTES_MAX = 2**40
COUNT_MAX = 2**20
_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000


def between(least: int, most: int) -> pydantic.AfterValidator:
    """Return a check of a size's bounds, which are told with units."""

    def check(value: int) -> int:
        if not least <= value <= most:
            bounds = f"{units.format_size(least)} to {units.format_size(most)}"
            raise ValueError(f"{units.format_size(value)} is out of range; write {bounds}")
        return value

    return pydantic.AfterValidator(check)


def at_most(most_ms: int) -> pydantic.AfterValidator:
    """Return a check of a duration's bound, which is told with its unit."""

    def check(value: int) -> int:
        if value > most_ms:
            most = units.format_duration(most_ms / 1000)
            raise ValueError(
                f"{units.format_duration(value / 1000)} is out of range; write at most {most}"
            )
        return value

    return pydantic.AfterValidator(check)


class Scale(fields.Model):
    """How many nodes serve each shard: a number, or the bounds between which that may change."""

    min: Annotated[int, pydantic.Field(ge=1, le=REPLICAS_MAX)]
    max: Annotated[int, pydantic.Field(ge=1, le=REPLICAS_MAX)]

    @pydantic.model_validator(mode="before")
    @classmethod
    def _of_number(cls, value: object) -> object:
        if isinstance(value, dict):
            return value
        if isinstance(value, bool) or not isinstance(value, int):
            is_digits = isinstance(value, str) and value.strip().isdigit()
            remedy = f"{value} without quotes" if is_digits else "digits such as 2"
            raise ValueError(  # noqa: TRY004
                f"{fields.shown(value)} is not a number of replicas; write {remedy}, "
                "or bounds such as {min: 1, max: 4}"
            )
        if not 1 <= value <= REPLICAS_MAX:
            raise ValueError(f"{value} is out of range; write 1 to {REPLICAS_MAX}")
        return {"min": value, "max": value}

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> Scale:
        if self.min > self.max:
            raise ValueError(
                f"min {self.min} is more than max {self.max}; "
                f"write {{min: {self.max}, max: {self.min}}}"
            )
        return self


class Limits(fields.Model):
    """What bounds the requests of each router."""

    requests: Annotated[int, pydantic.Field(ge=1, le=COUNT_MAX)] = 8192
    """Answered by nodes and the origin at one time."""
    per_node: Annotated[int, pydantic.Field(ge=1, le=COUNT_MAX)] = 4096
    """The same for each node, and for the origin."""
    queue: Annotated[int, pydantic.Field(ge=0, le=COUNT_MAX)] = 1024
    """That may wait for one of these to end; more are answered with 503 at once."""
    queue_timeout: Annotated[fields.DurationMs, at_most(_DAY_MS)] = 1000
    """How long one may wait so, in milliseconds; written with a unit. Then it gets a 503."""


class Retries(fields.Model):
    """How often a request that a node lost is tried again on another."""

    percent: Annotated[int, pydantic.Field(ge=0, le=100)] = 20
    """Of the requests of the last ten seconds, so that retries do not make an overload worse."""
    attempts: Annotated[int, pydantic.Field(ge=1, le=16)] = 3
    """Nodes that one request is sent to at most; the fallback comes on top."""


class AccessLog(fields.Model):
    """A line in the routers' logs for some of the requests."""

    one_in: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = 1
    """One request in so many, chosen by chance."""


class Warmup(fields.Model):
    """What an empty node may copy from its shard's other nodes; `off` for nothing."""

    bandwidth: (
        Annotated[fields.SizeBytes, between(BANDWIDTH_BYTES_MIN, BANDWIDTH_BYTES_MAX)] | None
    ) = 32 * 2**20
    """Bytes a second, written with a unit; nothing where it is off."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _of_word(cls, value: object) -> object:
        if value is False or value == "off":  # YAML 1.1 reads `off` as false
            return {"bandwidth": None}
        if not isinstance(value, dict):
            raise ValueError(  # noqa: TRY004
                f"{fields.shown(value)} is not a warm-up; write {{bandwidth: 32Mi}} or off"
            )
        return value


BufferBytes = Annotated[fields.SizeBytes, between(0, BUFFER_BYTES_MAX)]
DrainMs = Annotated[fields.DurationMs, at_most(_HOUR_MS)]
