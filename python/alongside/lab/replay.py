"""Say what a cache gives for a trace, without any of the code that caches.

In:    a trace of object numbers, sizes in bytes, a capacity in bytes, a popularity.
Out:   hit ratios: of a cache that holds everything, of an exact LRU, of Che's approximation.
Not:   freshness, concurrency, any eviction of ours.
Next:  the demo's exit code compares a measured hit ratio with these.
"""

import collections
import math
from collections.abc import Sequence


def unbounded(trace: Sequence[int]) -> float:
    """Return the hit ratio of a cache that holds everything: 1 - distinct/requests; 0 if empty."""
    return 1.0 - len(set(trace)) / len(trace) if trace else 0.0


def lru(trace: Sequence[int], *, sizes: Sequence[int], capacity_bytes: int) -> float:
    """Return the hit ratio of an exact LRU cache that starts empty.

    Args:
        trace: object numbers in the order asked for.
        sizes: bytes of each object, by number.
        capacity_bytes: objects leave, the least recently used first, until the rest fit; an object
            larger than this is never held.
    """
    held: collections.OrderedDict[int, None] = collections.OrderedDict()
    held_bytes = hits = 0
    for item in trace:
        if item in held:
            hits += 1
            held.move_to_end(item)
        elif sizes[item] <= capacity_bytes:
            held[item] = None
            held_bytes += sizes[item]
            while held_bytes > capacity_bytes:
                gone, _ = held.popitem(last=False)
                held_bytes -= sizes[gone]
    return hits / len(trace) if trace else 0.0


def che(
    probabilities: Sequence[float],
    *,
    sizes: Sequence[int],
    capacity_bytes: int,
    requests: int | None = None,
) -> float:
    """Return Che's approximation of an LRU cache's hit ratio for independent requests.

    An object is held while it was asked for within the last T requests (the characteristic time); T
    is where the expected bytes held equal the capacity. Equal sizes give the published form.

    Args:
        probabilities: share of the requests of each object; where the cache sees only some of
            the objects, theirs alone, and the result is their part of the hit ratio.
        sizes: bytes of each object, by number.
        capacity_bytes: of the cache.
        requests: the length of a trace on a cache that starts empty; None for the steady state.

    Source:
        Che, Tung, Wang 2002; Fricker, Robert, Roberts 2012 (general sizes, why it is accurate).
    """
    sized = [
        (share, size)
        for share, size in zip(probabilities, sizes, strict=True)
        if share > 0.0 and size <= capacity_bytes
    ]
    time = _characteristic_time(sized, capacity_bytes)
    if requests is None:
        return math.fsum(share * -math.expm1(-share * time) for share, _ in sized)
    return math.fsum(share * _held(share, time, requests) for share, _ in sized)


def _characteristic_time(sized: Sequence[tuple[float, int]], capacity_bytes: int) -> float:
    """Return T in requests: expected bytes held grow with it; infinite where everything fits."""
    if sum(size for _, size in sized) <= capacity_bytes:
        return math.inf

    def held_bytes(time: float) -> float:
        return math.fsum(size * -math.expm1(-share * time) for share, size in sized)

    low, high = 0.0, 1.0
    while held_bytes(high) < capacity_bytes:
        low, high = high, high * 2.0
    for _ in range(60):  # halving: relative error below 2^-52
        middle = (low + high) / 2.0
        low, high = (middle, high) if held_bytes(middle) < capacity_bytes else (low, middle)
    return high


def _held(share: float, time: float, requests: int) -> float:
    """Return the mean probability, over requests 0 … N-1, that an object is already held.

    At request n it is the probability that one of the last min(n, T) requests asked for it.
    """
    filling = min(float(requests), time)
    absent = -math.expm1(-share * filling) / -math.expm1(-share)  # sum of e^(-share n), n < filling
    if time < requests:
        absent += (requests - time) * math.exp(-share * time)
    return 1.0 - absent / requests
