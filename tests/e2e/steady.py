"""Clients that ask all the time and do not retry, so that every failed request is seen.

In:    an address; what each target is answered.
Out:   what failed, in words; how much was asked.
Not:   any pace: each client asks as soon as it has its answer.
Next:  test_succession.py, test_restart.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

from tests.e2e import wire

WORKERS = 4


class Load:
    """Half of the clients keep their connections, half of them open one for each request."""

    def __init__(self, address: wire.Address, targets: int | None = None) -> None:
        self.address = address
        self.targets = targets
        """How many different ones each client asks for; without it no two are the same."""
        self.failed: list[str] = []
        self.counts = [0] * WORKERS
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(at,)) for at in range(WORKERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def more(self, count: int) -> Callable[[], bool]:
        """Return a condition that holds when every client has asked so often from now on."""
        goal = [now + count for now in self.counts]
        return lambda: all(now >= then for now, then in zip(self.counts, goal, strict=True))

    def _run(self, at: int) -> None:
        while not self._is_over.is_set():
            try:
                with wire.Wire(self.address) as client:
                    self._ask(at, client)
            except (OSError, wire.CutError) as error:
                self.failed.append(f"{'kept' if at % 2 else 'new'} after {self.counts}: {error!r}")

    def _ask(self, at: int, client: wire.Wire) -> None:
        is_kept = True
        while is_kept and not self._is_over.is_set():
            number = self.counts[at] % self.targets if self.targets else self.counts[at]
            self.counts[at] += 1
            target = f"/{at}/{number}"
            got = client.ask(target)
            if (got.status, got.body) != (200, target.encode()):
                self.failed.append(f"{got.status} {got.body[:80]!r}")
            is_kept = bool(at % 2) and got.field("connection") != "close"
