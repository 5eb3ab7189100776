"""Ask the data-plane processes that can be used what they count, now and then."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.server import traffic

if TYPE_CHECKING:
    from alongside.base import clock
    from alongside.engines.local import engine

SAMPLE_S_MIN = 0.5
"""Between two readings of one process, so that a rate means something."""
TIMEOUT_S = 2.0
"""For one that does not answer, which must not hold up what is told of the others."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process counted last, and its rates since the reading before."""

    reading: traffic.Reading
    rate: traffic.Rate


class Sampler:
    """The last readings of an engine's data-plane processes."""

    def __init__(self, engine_: engine.Engine, clock_: clock.Clock) -> None:
        """Take the engine whose processes are asked; nothing is asked yet."""
        self._engine = engine_
        self._clock = clock_
        self._samples: dict[str, Sample] = {}
        self._silent: set[str] = set()

    async def sample(self) -> dict[str, Sample]:
        """Return what each process that answers counts; one that does not is left out."""
        names = [
            name
            for name, child in self._engine.children.items()
            if child.process.has_document and child.state == "ready"
        ]
        self._silent.intersection_update(names)
        await asyncio.gather(*[self._ask(name) for name in names])
        return {name: self._samples[name] for name in names if name in self._samples}

    async def _ask(self, name: str) -> None:
        before = self._samples.get(name)
        now_s = self._clock.monotonic_s()
        if before is not None and now_s - before.reading.at_s < SAMPLE_S_MIN:
            return
        try:
            text = await self._engine.admin(name, timeout_s=TIMEOUT_S).metrics()
        except errors.AlongsideError:
            self._samples.pop(name, None)
            self._silent.add(name)
            return
        self._silent.discard(name)
        after = traffic.reading(text, at_s=now_s)
        rate = traffic.rate(before.reading if before is not None else None, after)
        self._samples[name] = Sample(after, rate)

    def is_silent(self, name: str) -> bool:
        """Return whether a process did not answer when it was last asked."""
        return name in self._silent

    def warnings(self) -> list[str]:
        """Return a sentence for each process that did not answer when it was last asked."""
        return [
            f"{name} runs and does not answer; alongside logs {name} may say why"
            for name in sorted(self._silent)
            if name in self._engine.children
        ]
