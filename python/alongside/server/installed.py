"""Look whether the servers of a plan are installed, before anything of it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.engines.runtimes.host import packages
from alongside.plan import pooling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alongside.plan import shape


def check(plan: shape.Plan, environment: Mapping[str, str]) -> None:
    """Refuse a plan whose servers this machine does not have.

    Raises:
        errors.UsageError: each that is missing, with who wants it and the command that brings it.
    """
    found = []
    for pool in plan.pools:
        why = packages.missing(pooling.PROGRAMS[pool.protocol], environment, "")
        if why is not None:
            found.append(f"{pool.place}: {why}")
    if found:
        raise errors.UsageError(*found)
