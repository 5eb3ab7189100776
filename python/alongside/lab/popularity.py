"""Draw requests by a stated popularity, the same ones for the same seed.

In:    a number of objects, Zipf's exponent, a seed.
Out:   a trace: one object number a request, 0 the most popular.
Not:   time; what the objects are.
Next:  replay says what a cache gives for a trace; load sends it.
"""

import bisect
import dataclasses
import itertools
import random


@dataclasses.dataclass(frozen=True, slots=True)
class Zipf:
    """A popularity law: the object of rank r (from 1) is asked for in proportion to r^-exponent."""

    objects: int
    exponent: float

    def __post_init__(self) -> None:
        if self.objects < 1 or not 0.0 <= self.exponent <= 10.0:
            raise ValueError(
                f"{self.objects} objects, exponent {self.exponent}:"
                " objects start at 1, an exponent is 0 to 10"
            )

    def probabilities(self) -> list[float]:
        """Return each object's share of the requests, the most popular first; they sum to 1."""
        weights = [rank**-self.exponent for rank in range(1, self.objects + 1)]
        total = sum(weights)
        return [weight / total for weight in weights]

    def trace(self, *, seed: int, requests: int) -> list[int]:
        """Return object numbers, 0 to objects - 1, drawn independently; equal for equal seeds."""
        sums = list(itertools.accumulate(self.probabilities()))
        draw = random.Random(seed).random  # noqa: S311 - a trace to repeat, not a secret
        last = self.objects - 1  # the sums may end a rounding below 1
        return [min(bisect.bisect_right(sums, draw()), last) for _ in range(requests)]
