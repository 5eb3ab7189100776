"""Play a pod without anything real: time moves when told, and what is asked for is answered."""

from __future__ import annotations

import signal
from collections import deque

from alongside.engines.pods import lifecycle, lifecycle_showing, runtime
from alongside.engines.pods import lifecycle_events as events
from alongside.plan import pods

STEPS_MAX = 100_000
LOOK = pods.Look("tcp", port=80)
HOOK = pods.Hook(command=("true",))


class Stage:
    """A pod from its begin at 0 s; every action is answered at once unless it is held."""

    def __init__(self, pod: pods.Pod, *held: str) -> None:
        self.pod = pod
        self.state = lifecycle.begin(pod, 0.0)
        self.now_s = 0.0
        self.held = set(held)
        """Words of actions that get no answer by themselves: `create`, `start web`, `TERM web`."""
        self.good: dict[str, bool] = {}
        """What a look or hook finds, by its words: `look web liveness`; else it is good."""
        self.codes: dict[str, int] = {}
        """What containers end with when they get SIGTERM."""
        self.story: list[tuple[float, str]] = []
        self.said: list[events.Say] = []
        self._answers: deque[events.Event] = deque()

    def feed(self, *what: events.Event | None) -> None:
        """Step for each event, and for the answers that follow at once."""
        for event in what:
            self._step(event)
            while self._answers:
                self._step(self._answers.popleft())

    def _step(self, event: events.Event | None) -> None:
        self.state, actions = lifecycle.step(self.pod, self.state, event, self.now_s)
        for action in actions:
            if isinstance(action, events.Say):
                self.said.append(action)
                continue
            words = told(action)
            self.story.append((self.now_s, words))
            answer = self._answer(action, words)
            if answer is not None and words not in self.held:
                self._answers.append(answer)

    def _answer(self, action: events.Action, words: str) -> events.Event | None:
        is_good = self.good.get(words, True)
        reason = "" if is_good else "no"
        answer: events.Event | None = None
        match action:
            case events.Create(number):
                answer = events.Created(number)
            case events.Remove(number):
                answer = events.Removed(number)
            case events.Start(name, attempt):
                answer = events.Started(name, attempt)
            case events.Look(name, attempt, look):
                answer = events.Looked(name, attempt, look, is_good, reason)
            case events.RunHook(name, attempt, hook):
                answer = events.Hooked(name, attempt, hook, is_good, reason)
            case events.Signal(name, attempt, number):
                code = self.codes.get(name) if number == signal.SIGTERM else None
                exit_ = runtime.Exit(128 + number, number) if code is None else runtime.Exit(code)
                answer = events.Exited(name, attempt, exit_)
            case events.Say():
                pass
        return answer

    def to(self, at_s: float) -> None:
        """Let time pass up to a moment, with every step that is due."""
        if not self.story and self.now_s == 0.0:
            self.feed(None)
        for _ in range(STEPS_MAX):
            wake_s = lifecycle.next_s(self.state)
            if wake_s is None or wake_s > at_s:
                self.now_s = at_s
                return
            assert wake_s > self.now_s, f"it asks to be called again at once, at {wake_s}"
            self.now_s = wake_s
            self.feed(None)
        raise AssertionError("it never rests")

    def exit(self, name: str, code: int = 0, *, is_out_of_memory: bool = False) -> None:
        """Let a container end by itself, now."""
        attempt = self.state.runs[name].attempt
        exit_ = runtime.Exit(code, is_out_of_memory=is_out_of_memory)
        self.feed(events.Exited(name, attempt, exit_))

    def did(self, *but: str) -> list[str]:
        """Return what was done so far, but looks."""
        return [word for _, word in self.story if not word.startswith(("look", *but))]

    def when(self, words: str) -> list[float]:
        """Return when something was done."""
        return [at_s for at_s, word in self.story if word == words]

    def clear(self) -> None:
        """Forget what was done so far."""
        self.story.clear()
        self.said.clear()

    @property
    def word(self) -> str:
        """The pod's state as a plan has it."""
        return lifecycle_showing.word(self.pod, self.state)

    @property
    def phase(self) -> str:
        """The pod's phase."""
        return lifecycle_showing.phase(self.pod, self.state)

    @property
    def reason(self) -> str:
        """Why the pod is not ready."""
        return lifecycle_showing.reason(self.pod, self.state)

    def status(self, name: str) -> lifecycle_showing.Status:
        """Return the status of a container."""
        found = lifecycle_showing.statuses(self.pod, self.state)
        return next(one for one in found if one.name == name)


def told(action: events.Action) -> str:
    """Return the words of an action."""
    match action:
        case events.Start(name):
            return f"start {name}"
        case events.Look(name, _, kind) | events.RunHook(name, _, kind):
            verb = "look" if isinstance(action, events.Look) else "hook"
            return f"{verb} {name} {kind}"
        case events.Signal(name, _, number):
            return f"{number.name.removeprefix('SIG')} {name}"
        case _:
            return type(action).__name__.lower()
