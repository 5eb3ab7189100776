"""A world of chance for one pod: what it starts crashes, hangs, turns deaf or never comes.

It holds the truth of what runs, and knows nothing of how the steps decide.
"""

from __future__ import annotations

import heapq
import random
import signal
from dataclasses import dataclass, field

from alongside.engines.pods import lifecycle_events as events
from alongside.engines.pods import runtime
from alongside.plan import pods

CALM_S = 900.0
"""From then on nothing fails any more by chance."""
LATENCY_S_MAX = 3.0
REMOVAL_S_MAX = 5 * (LATENCY_S_MAX + 300.0)


@dataclass
class Process:
    """A run of a container, from the moment at which it is asked for."""

    name: str
    attempt: int
    begun_s: float | None = None
    is_deaf: bool = False
    is_open: bool = False
    """Its startup probe and postStart are done, as far as it has them."""
    post_start: bool = False
    told_s: float | None = None
    ending_s: float | None = None
    """Since when anything was done for its end."""
    looking: set[str] = field(default_factory=set)


class World:
    """One seed's pod and all that happens to it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311
        self.now_s = 0.0
        self.pod = self._pod()
        self.trouble = self.chance.choice([0.0, 0.02, 0.1, 0.3])
        self.sandbox: int | None = None
        self.alive: dict[str, Process] = {}
        self.passed: set[str] = set()
        """Init containers that succeeded, and sidecars that were open, in this sandbox."""
        self.codes: dict[str, int] = {}
        """Of the latest end of each container."""
        self.ends: dict[str, tuple[float, float]] = {}
        """When each container's latest run ended, and how long it ran."""
        self.asked_s: float | None = None
        self.grace_s = self.pod.grace_s
        self.is_kept = False
        """A removal failed, so something may be left."""
        self.queue: list[tuple[float, int, events.Event]] = []
        self._count = 0
        self._plan_stops()
        other = random.Random(f"given up {seed}")  # noqa: S311
        if other.random() < 0.2:
            at_s = other.choice([other.uniform(0.0, 10.0), other.uniform(0.0, 1200.0)])
            self.at(at_s, events.GiveUp("its Job failed"))

    def _pod(self) -> pods.Pod:
        chance = self.chance
        restart = chance.choice(["always", "always", "on-failure", "never"])
        kinds = [chance.choice(["init", "sidecar"]) for _ in range(chance.choice([0, 1, 2, 3]))]
        kinds += ["main"] * chance.choice([1, 1, 2, 3])
        return pods.Pod(
            "p",
            tuple(self._container(f"{kind}{n}", kind, restart) for n, kind in enumerate(kinds)),
            grace_s=chance.choice([0.0, 0.5, 5.0, 30.0]),
            deadline_s=chance.choice([None, None, None, chance.uniform(1.0, 1200.0)]),
        )

    def _container(self, name: str, kind: str, restart: str) -> pods.Container:
        chance = self.chance
        hook = pods.Hook(command=("true",))
        return pods.Container(
            name,
            kind,  # type: ignore[arg-type]
            restart="always" if kind == "sidecar" else restart,  # type: ignore[arg-type]
            startup=self._look() if chance.random() < 0.3 else None,
            readiness=self._look() if chance.random() < 0.5 else None,
            liveness=self._look() if chance.random() < 0.4 else None,
            post_start=hook if chance.random() < 0.2 else None,
            pre_stop=hook if chance.random() < 0.3 else None,
        )

    def _look(self) -> pods.Look:
        chance = self.chance
        return pods.Look(
            "tcp",
            80,
            delay_s=chance.choice([0.0, 0.0, 1.0, 20.0]),
            period_s=chance.choice([1.0, 2.0, 10.0]),
            successes=chance.choice([1, 1, 1, 3]),
            failures=chance.choice([1, 3, 30]),
            grace_s=chance.choice([None, None, 1.0, 60.0]),
        )

    def _plan_stops(self) -> None:
        if self.chance.random() < 0.6:
            at_s = self.chance.choice(
                [self.chance.uniform(0.0, 10.0), self.chance.uniform(0, 1200)]
            )
            self.at(at_s, events.Stop(self.grace_s))
            if self.chance.random() < 0.4:
                shorter_s = self.grace_s * self.chance.choice([0.0, 0.5, 2.0])
                self.at(at_s + self.chance.uniform(0.0, 20.0), events.Stop(shorter_s))

    def at(self, at_s: float, event: events.Event) -> None:
        """Let something happen at a moment."""
        self._count += 1
        heapq.heappush(self.queue, (at_s, self._count, event))

    def soon(self, event: events.Event) -> None:
        """Let something happen after a moment of chance."""
        latency_s = 0.0 if self.chance.random() < 0.3 else self.chance.uniform(0.0, LATENCY_S_MAX)
        self.at(self.now_s + latency_s, event)

    def fails(self) -> bool:
        """Return whether something fails by chance."""
        return self.now_s < CALM_S and self.chance.random() < self.trouble

    def next_s(self) -> float | None:
        """Return when the next thing happens."""
        return self.queue[0][0] if self.queue else None

    def take(self, action: events.Action) -> None:
        """Do what the steps ask for, or fail to."""
        match action:
            case events.Create(number):
                failed = events.CreateFailed(number, "no")
                self.soon(failed if self.fails() else events.Created(number))
            case events.Remove(number):
                if not self.fails():
                    self.soon(events.Removed(number))
                else:
                    self.is_kept = True
                    self.soon(events.RemoveFailed(number, "busy"))
            case events.Start(name, attempt):
                self.alive[name] = Process(name, attempt, is_deaf=self.fails())
                begun: events.Event = events.Started(name, attempt)
                if self.fails():
                    is_tried = self.chance.random() < 0.7
                    begun = events.StartFailed(name, attempt, "no", is_tried)
                self.soon(begun)
            case events.Look(name, attempt, kind):
                is_good = not self.fails()
                self.soon(events.Looked(name, attempt, kind, is_good, "no"))
            case events.RunHook(name, attempt, kind):
                hooked = events.Hooked(name, attempt, kind, not self.fails(), "no")
                self.at(self.now_s + self.chance.choice([0.0, 1.0, 40.0]), hooked)
            case events.Signal():
                self._signal(action)
            case events.Say():
                pass

    def _signal(self, action: events.Signal) -> None:
        process = self.alive.get(action.container)
        if process is None or process.attempt != action.attempt:
            return
        is_kill = action.number == signal.SIGKILL
        if process.begun_s is None:
            if is_kill:
                self.soon(events.StartFailed(process.name, process.attempt, "given up"))
        elif is_kill and self.chance.random() < 0.9:
            self.soon(self._exited(process, 137))
        elif not is_kill and not process.is_deaf:
            self.soon(self._exited(process, self.chance.choice([0, 143])))

    def _exited(self, process: Process, code: int) -> events.Event:
        return events.Exited(process.name, process.attempt, runtime.Exit(code))

    def happens(self, event: events.Event) -> bool:
        """Note what happens; return whether it does, since what is gone does nothing any more."""
        match event:
            case events.Stop(grace_s):
                self.asked_s = self.now_s if self.asked_s is None else self.asked_s
                self.grace_s = min(self.grace_s, grace_s)
            case events.Created(number):
                self.sandbox = number
                self.passed = set()
                if self.fails():
                    self.at(self.now_s + self.chance.uniform(0.0, 100.0), events.Lost(number, "x"))
            case events.Removed():
                self._remove()
            case events.Lost():
                if self.sandbox is None or event.number != self.sandbox:
                    return False
                for process in list(self.alive.values()):
                    if process.begun_s is not None and self.chance.random() < 0.5:
                        self.soon(self._exited(process, 137))
            case (
                events.Started()
                | events.StartFailed()
                | events.Exited()
                | events.Looked()
                | events.Hooked()
            ):
                return self._happens_to(event)
            case _:
                pass
        return True

    def _remove(self) -> None:
        for process in self.alive.values():
            self._note_end(process, 137)
        self.alive.clear()
        self.sandbox = None
        self.is_kept = False

    def _note_end(self, process: Process, code: int) -> None:
        ran_s = 0.0 if process.begun_s is None else self.now_s - process.begun_s
        self.ends[process.name] = (self.now_s, ran_s)
        self.codes[process.name] = code

    def _happens_to(
        self,
        event: events.Started | events.StartFailed | events.Exited | events.Looked | events.Hooked,
    ) -> bool:
        process = self.alive.get(event.container)
        if process is None or process.attempt != event.attempt:
            # What ended may still be answered for: the steps have to ignore it.
            return not isinstance(event, events.Started | events.StartFailed | events.Exited)
        container = self.pod.container(event.container)
        assert container is not None
        match event:
            case events.Started():
                if process.begun_s is not None:
                    return False
                self._start(process, container)
            case events.StartFailed():
                if process.begun_s is not None:
                    return False
                if event.is_tried:
                    self._end(process, container, 128)
                else:
                    del self.alive[process.name]
            case events.Exited():
                self._end(process, container, event.exit.code)
            case events.Looked() | events.Hooked():
                self._answered(process, container, event)
        return True

    def _answered(
        self, process: Process, container: pods.Container, event: events.Looked | events.Hooked
    ) -> None:
        process.looking.discard(event.kind)
        if not event.is_good:
            return
        if event.kind == "post_start":
            process.post_start = True
        is_last = "startup" if container.startup is not None else "post_start"
        if event.kind == is_last:
            self._open(process, container)

    def _end(self, process: Process, container: pods.Container, code: int) -> None:
        del self.alive[process.name]
        self._note_end(process, code)
        if code == 0 and container.kind == "init":
            self.passed.add(container.name)

    def _open(self, process: Process, container: pods.Container) -> None:
        if process.ending_s is None and self.asked_s is None:
            process.is_open = True
            if container.kind == "sidecar":
                self.passed.add(container.name)

    def _start(self, process: Process, container: pods.Container) -> None:
        process.begun_s = self.now_s
        has_hook = container.post_start is not None and container.kind != "init"
        process.post_start = not has_hook
        if container.kind == "init" or (not has_hook and container.startup is None):
            self._open(process, container)
        if container.kind == "init" or container.restart != "always":
            code = 1 if self.fails() else 0
            self.at(self.now_s + self.chance.uniform(0.0, 60.0), self._exited(process, code))
        elif self.fails() or self.fails():
            ran_s = self.chance.choice([0.0, 1.0, 60.0, 700.0]) * self.chance.random()
            code = self.chance.choice([0, 1, 139])
            self.at(self.now_s + ran_s, self._exited(process, code))
