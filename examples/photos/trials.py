"""Kill a cache node, restart everything, and see what clients notice.

In:    a warm stack; the traffic it is warm for.
Out:   one trial for each act; the last is the same kill with one replica, the reason for two.
Not:   judging.
Next:  demo.py shows them as a table.
"""

import asyncio
from collections.abc import Awaitable, Callable

import stack

from alongside.base import clock
from alongside.lab import load, trial

KILL = "a cache node is killed"
RESTART = "all are restarted, one by one"
ALONE = "the same kill with one replica"
BEFORE_S = 2.0


def run(
    started: stack.Stack,
    plan: load.Plan,
    ledger: load.Ledger,
    *,
    after_s: float,
    tell: Callable[[str], None],
) -> list[trial.Trial]:
    """Return what clients saw of each act; `after_s` is how long they look on after it began."""

    def tried(name: str, act: Callable[[], None]) -> trial.Trial:
        tell(name)

        def in_thread() -> Awaitable[None]:
            return asyncio.to_thread(act)

        return asyncio.run(
            trial.run(
                name,
                in_thread,
                plan=plan,
                ledger=ledger,
                time=clock.SystemClock(),
                windows=trial.Windows(before_s=BEFORE_S, after_s=after_s),
            )
        )

    found = [tried(KILL, started.kill_a_node), tried(RESTART, started.restart)]
    started.with_replicas(1)
    found.append(tried(ALONE, started.kill_a_node))
    started.up()
    return found
