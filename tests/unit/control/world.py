"""A world of processes in which everything happens by a seed's chance.

In:    a seed.
Out:   what is observed at each moment; the consequences of actions; the truth about each process.
Not:   any decision.
Next:  test_rollout_simulation.py.
"""

from __future__ import annotations

import dataclasses
import random
from typing import Literal

from alongside.control import rollout

Next = Literal["", "fail", "switch", "drained", "gone", "come"]
Fate = Literal["lives", "fails", "dies", "flaps"]
"""`fails`: no successor of it ever becomes ready. `dies`: its next crash is its last. `flaps`: what
comes after a restart crashes again and again."""
NEVER_S = float("inf")
SUCCESSOR_S_MAX = 30.0
GRACES_S = (5.0, 25.0, 900.0)


@dataclasses.dataclass(slots=True)
class Process:
    """The truth about one process; moments in seconds."""

    name: str
    group: rollout.Group
    fate: Fate = "lives"
    incarnation: int = 0
    restarts: int = 0
    is_there: bool = True
    ready_at_s: float = 0.0
    warm_at_s: float = 0.0
    is_busy: bool = False
    failures: int = 0
    attempts: int = 0
    is_ours: bool = False
    """Away or cold since an action of ours."""
    next_s: float = NEVER_S
    next: Next = ""

    def is_usable(self, now_s: float) -> bool:
        """Return whether it answers and is warm, or was waited for long enough."""
        is_ready = self.is_there and self.ready_at_s <= now_s
        is_warm = self.warm_at_s <= now_s or now_s - self.ready_at_s >= rollout.WARM_S_MAX
        return is_ready and is_warm


class World:
    """Groups by chance, and their processes."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.now_s = 0.0
        self.is_calm = self.chance.random() < 0.25
        self.crash_s = NEVER_S if self.is_calm else self.chance.choice([30.0, 300.0, 3000.0])
        """Mean seconds between two crashes of one process."""
        self.groups = tuple(self._groups())
        self.processes = {
            name: Process(name, group, self._fate())
            for group in self.groups
            for name in group.members
        }

    def _fate(self) -> Fate:
        others: list[Fate] = ["fails", "dies", "flaps"]
        is_lucky = self.is_calm or self.chance.random() > 0.1
        return "lives" if is_lucky else self.chance.choice(others)

    def _groups(self) -> list[rollout.Group]:
        found = [self._group(f"app-{at}", "app", 1) for at in range(self.chance.randint(0, 2))]
        replicas = self.chance.randint(1, 3)
        shards = range(self.chance.randint(1, 4))
        found += [self._group(f"shard-{at}", "shard", replicas) for at in shards]
        caches = range(self.chance.randint(1, 2))
        return found + [
            self._group(f"routers-{at}", "router", self.chance.randint(1, 3)) for at in caches
        ]

    def _group(self, name: str, role: rollout.Role, count: int) -> rollout.Group:
        members = tuple(f"{name}-{at}" for at in range(count))
        is_partial = self.chance.random() < 0.2
        asked = (
            members
            if not is_partial
            else self.chance.sample(members, self.chance.randint(0, count))
        )
        grace_s = self.chance.choice(GRACES_S)
        return rollout.Group(name, role, members, frozenset(asked), grace_s=grace_s)

    def pass_time(self) -> None:
        """Let some seconds go by."""
        passed_s = self.chance.choice([0.5, 2.0, 5.0])
        self.now_s += passed_s
        for process in self.processes.values():
            if process.next_s <= self.now_s:
                self._go_on(process)
            if self.chance.random() < passed_s / self._crash_s(process) and process.is_there:
                process.restarts += 1
                self._start(process, self.chance.choice([1.0, 20.0, 90.0]))
                if process.fate == "dies":
                    process.ready_at_s = NEVER_S
            if process.is_ours and process.is_usable(self.now_s) and process.next == "":
                process.is_ours = False

    def _crash_s(self, process: Process) -> float:
        return 10.0 if process.fate == "flaps" and process.incarnation else self.crash_s

    def _start(self, process: Process, slowest_s: float) -> None:
        """Let a new process come up."""
        process.ready_at_s = self.now_s + self.chance.uniform(0.1, slowest_s)
        if process.fate == "fails" and process.group.role == "app" and process.incarnation:
            process.ready_at_s = NEVER_S
        is_node = process.group.role == "shard"
        process.warm_at_s = process.ready_at_s + (self.chance.uniform(0, 90) if is_node else 0)

    def _go_on(self, process: Process) -> None:
        what, process.next, process.next_s = process.next, "", NEVER_S
        match what:
            case "":
                pass
            case "fail":
                process.failures += 1
                process.is_busy = process.is_ours = False
            case "switch":
                process.incarnation += 1
                self._start(process, 0.1)
                process.ready_at_s = self.now_s
                self._then(process, "drained", self.chance.uniform(0, process.group.grace_s))
            case "drained":
                process.is_busy = False
            case "gone":
                process.is_there = process.is_busy = False
                self._then(process, "come", self.chance.uniform(0.1, 2))
            case "come":
                process.is_there = True
                process.incarnation += 1
                self._start(process, 40.0)

    def _then(self, process: Process, what: Next, in_s: float) -> None:
        process.next, process.next_s = what, self.now_s + in_s

    def take(self, action: rollout.Action) -> None:
        """Begin an action."""
        process = self.processes[action.name]
        process.is_busy = process.is_ours = True
        process.attempts += 1
        if isinstance(action, rollout.Restart):
            process.ready_at_s = NEVER_S
            self._then(process, "gone", self.chance.uniform(0.1, process.group.grace_s))
            return
        takes_s = self.chance.uniform(0.1, 20 if self.is_calm else 33)
        is_in_time = takes_s < SUCCESSOR_S_MAX and process.fate != "fails"
        self._then(process, "switch" if is_in_time else "fail", min(takes_s, SUCCESSOR_S_MAX))

    def observation(self) -> rollout.Observation:
        """Return what anybody can see."""
        return {
            name: rollout.Seen(
                process.incarnation,
                is_ready=process.ready_at_s <= self.now_s,
                restarts=process.restarts,
                warmth_ratio=1.0 if process.warm_at_s <= self.now_s else 0.5,
                is_busy=process.is_busy,
                failures=process.failures,
            )
            for name, process in self.processes.items()
            if process.is_there
        }
