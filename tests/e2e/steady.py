"""Clients that ask all the time and do not retry, so that every failed request is seen.

In:    an address; what each target is answered.
Out:   what failed, in words; how much was asked.
Not:   any pace: each client asks as soon as it has its answer.
Next:  test_succession.py, test_restart.py.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Self

from tests.e2e import wire

WORKERS = 4


class Crowd:
    """Threads that go on until the block ends."""

    def __init__(self, *works: Callable[[], None]) -> None:
        self.is_over = threading.Event()
        self.counts = [0] * len(works)
        """How much each has asked, as it says itself."""
        self._threads = [threading.Thread(target=work) for work in works]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        for thread in self._threads:
            thread.join()

    def more(self, count: int, *, of: int | None = None) -> Callable[[], bool]:
        """Return a condition that holds when each, or the first few, asked so often from now on."""
        goal = [now + count for now in self.counts[:of]]
        return lambda: all(now >= then for now, then in zip(self.counts, goal, strict=False))


class Load(Crowd):
    """Half of the clients keep their connections, half of them open one for each request."""

    def __init__(self, address: wire.Address, targets: int | None = None) -> None:
        super().__init__(*(functools.partial(self._run, at) for at in range(WORKERS)))
        self.address = address
        self.targets = targets
        """How many different ones each client asks for; without it no two are the same."""
        self.failed: list[str] = []

    def _run(self, at: int) -> None:
        while not self.is_over.is_set():
            try:
                with wire.Wire(self.address) as client:
                    self._ask(at, client)
            except (OSError, wire.CutError) as error:
                self.failed.append(f"{'kept' if at % 2 else 'new'} after {self.counts}: {error!r}")

    def _ask(self, at: int, client: wire.Wire) -> None:
        is_kept = True
        while is_kept and not self.is_over.is_set():
            number = self.counts[at] % self.targets if self.targets else self.counts[at]
            self.counts[at] += 1
            target = f"/{at}/{number}"
            got = client.ask(target)
            if (got.status, got.body) != (200, target.encode()):
                self.failed.append(f"{got.status} {got.body[:80]!r}")
            is_kept = bool(at % 2) and got.field("connection") != "close"
