"""Restart what is asked for, so that nobody misses it.

Who may be away together is told by groups: the replicas of a shard, the routers of a cache, an
application, a server of memcache or Redis. The rules: of a group one at a time, and only while
every other member of it can be used; the next one when the last is ready, warm, and its
predecessor gone; shards go a few at a time, the others one by one, each kind after the other.
Something that is unready by itself is waited for. What could not be restarted is tried again before
anything else is begun. Every wait has a limit, and after it, or after several failures, the rest
stays as it is.

A roll-out is not resumed by another supervisor: it is asked for again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, assert_never

from alongside.base import units

if TYPE_CHECKING:
    from collections.abc import Iterator

Role = Literal["app", "server", "shard", "router"]
ROLES: tuple[Role, ...] = ("app", "server", "shard", "router")
"""In the order in which they are restarted."""
PARALLEL_MAX: Mapping[Role, int] = {"app": 1, "server": 1, "shard": 2, "router": 1}
"""Groups of a role that are under way at once."""
ATTEMPTS_MAX = 3
RETRY_S = 2.0
"""Between two attempts at one process."""
ATTEMPT_S_MAX = 120.0
"""For one attempt to end, beside the time that a process may take to stop."""
READY_S_MAX = 60.0
"""For a restarted process to be ready, and to be so again where it fails by itself."""
SETTLE_S_MAX = 300.0
"""For a restarted process to be of use, however often it is ready in between, and for its
predecessor to be gone, beside the time that this one may take to stop."""
WARM_S_MAX = 60.0
"""For a process that is ready to be warm; then it counts as warm."""
PAUSE_S_MAX = 300.0
"""For what is unready by itself, beside the longest time that anything may take to stop."""
WARM_RATIO = 0.9
"""From here on the warmth of a process is no reason to wait."""


@dataclass(frozen=True, slots=True)
class Group:
    """Processes of which one may be away at a time."""

    name: str
    role: Role
    members: tuple[str, ...]
    asked: frozenset[str]
    """The members to restart."""
    grace_s: float = 0.0
    """How long one of them may take to stop."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a process."""

    incarnation: int
    """Another number after each restart that somebody asked for."""
    is_ready: bool
    restarts: int = 0
    """How often it ended by itself and was started again, in this incarnation."""
    warmth_ratio: float | None = None
    """0 to 1; None where it is not known yet."""
    is_busy: bool = False
    """An action that was begun for it has not ended."""
    failures: int = 0
    """Of the actions begun for it in this roll-out."""
    reason: str = ""
    """Of the last failure, or of being unready."""


Observation = Mapping[str, Seen]
"""What runs; a process that is missing does not run, or is not asked for any more."""


@dataclass(frozen=True, slots=True)
class Replace:
    """Put a successor in charge on the same sockets."""

    name: str


@dataclass(frozen=True, slots=True)
class Restart:
    """Stop it, then start it: it binds its addresses by itself."""

    name: str


Action = Replace | Restart
Stage = Literal["asked", "begun", "settling", "done"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one process is; times are monotonic seconds."""

    stage: Stage = "asked"
    incarnation: int | None = None
    """Of the one to be replaced; None before it was seen."""
    since_s: float = 0.0
    """When the stage began."""
    ready_s: float = 0.0
    """In `settling`: when it was last seen ready, at first when that began."""
    failures: int = 0
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Cold:
    """Since when a run of a process is ready and not warm."""

    run: tuple[int, int]
    """Its incarnation and restarts: a new run is cold anew."""
    since_s: float


@dataclass(frozen=True, slots=True)
class State:
    """A roll-out on its way; `reason` says why it stopped, or what it waits for."""

    groups: tuple[Group, ...]
    progress: Mapping[str, Progress]
    outcome: Literal["running", "done", "failed"] = "running"
    reason: str = ""
    cold: Mapping[str, Cold] = field(default_factory=dict)
    """The processes that are ready and not warm."""
    paused_since_s: float | None = None
    """Since when nothing moves, because of something that fails by itself."""

    def done(self) -> list[str]:
        """Return the processes that are restarted."""
        return [name for name, one in self.progress.items() if one.stage == "done"]

    def begun(self) -> list[str]:
        """Return the processes that were begun and are not restarted."""
        return [name for name, one in self.progress.items() if one.stage != "done" and one.attempts]

    def unchanged(self) -> list[str]:
        """Return the processes that were asked for and are what they were, tried or not."""
        return [name for name, one in self.progress.items() if one.stage == "asked"]


def begin(groups: tuple[Group, ...]) -> State:
    """Return the state before the first step."""
    names = [name for group in _ordered(groups) for name in group.members if name in group.asked]
    return State(groups, {name: Progress() for name in names})


def step(state: State, observation: Observation, now_s: float) -> tuple[State, list[Action]]:
    """Return the next state, and the actions that may begin now.

    Args:
        state: the last one; an ended one stays as it is.
        observation: of every process of the groups that runs.
        now_s: monotonic seconds, never less than before.
    """
    if state.outcome != "running":
        return state, []
    turn = _Turn(state, observation, now_s)
    turn.look()
    if failed := turn.failure():
        return replace(turn.result(), outcome="failed", reason=failed), []
    if all(one.stage == "done" for one in turn.progress.values()):
        return replace(turn.result(), outcome="done", reason=""), []
    actions = turn.begin()
    result = turn.result()
    limit_s = PAUSE_S_MAX + max((group.grace_s for group in state.groups), default=0.0)
    if result.paused_since_s is not None and now_s - result.paused_since_s > limit_s:
        limit = units.format_duration(limit_s)
        return replace(result, outcome="failed", reason=f"{result.reason}, for {limit}"), []
    return result, actions


def regrouped(state: State, groups: tuple[Group, ...]) -> State:
    """Return a roll-out for other groups; what they do not ask for is not restarted any more.

    Who was told to end keeps the time that it was given, so no group's becomes shorter.
    """
    graces_s = {group.name: group.grace_s for group in state.groups}
    groups = tuple(
        replace(group, grace_s=max(group.grace_s, graces_s.get(group.name, 0.0)))
        for group in groups
    )
    asked = {name for group in groups for name in group.asked}
    progress = {name: one for name, one in state.progress.items() if name in asked}
    return replace(state, groups=groups, progress=progress)


class _Turn:
    """One step: `look` notes what happened, `begin` chooses what may begin."""

    def __init__(self, state: State, observation: Observation, now_s: float) -> None:
        self.state = state
        self.observation = observation
        self.now_s = now_s
        self.progress = dict(state.progress)
        self.cold = {
            name: self._cold(name, seen)
            for name, seen in observation.items()
            if seen.is_ready and not _is_warm(seen)
        }
        self.waits: dict[str, bool] = {}
        """Why something does not begin, and whether it is by no doing of ours."""

    def _cold(self, name: str, seen: Seen) -> Cold:
        run = (seen.incarnation, seen.restarts)
        known = self.state.cold.get(name)
        return known if known is not None and known.run == run else Cold(run, self.now_s)

    def look(self) -> None:
        """Note what happened since the last step."""
        for name, before in list(self.progress.items()):
            self.progress[name] = self._looked(name, before, self.observation.get(name))

    def _looked(self, name: str, before: Progress, seen: Seen | None) -> Progress:
        if seen is None:
            return before
        match before.stage:
            case "asked" if before.incarnation not in {None, seen.incarnation}:
                return self._settling(before)  # somebody else restarted it meanwhile
            case "asked":
                return replace(before, incarnation=seen.incarnation)
            case "begun":
                return self._after_attempt(before, seen)
            case "settling":
                ready_s = self.now_s if seen.is_ready else before.ready_s
                is_done = self.is_usable(name) and not seen.is_busy
                return replace(before, ready_s=ready_s, stage="done" if is_done else "settling")
            case "done":
                return before
            case _:
                assert_never(before.stage)

    def _settling(self, before: Progress) -> Progress:
        return replace(before, stage="settling", since_s=self.now_s, ready_s=self.now_s)

    def _after_attempt(self, before: Progress, seen: Seen) -> Progress:
        if seen.incarnation != before.incarnation:
            return self._settling(before)
        if seen.is_busy:
            return before
        if seen.failures > before.failures:
            return replace(before, stage="asked", failures=seen.failures, since_s=self.now_s)
        return before

    def failure(self) -> str:
        """Return why the roll-out has to stop; "" where it goes on."""
        for group in self.state.groups:
            for name in group.members:
                if name in self.progress and (why := self._failure(group, name)):
                    seen = self.observation.get(name)
                    return f"{why}: {seen.reason}" if seen is not None and seen.reason else why
        return ""

    def _failure(self, group: Group, name: str) -> str:
        one = self.progress[name]
        limit_s = ATTEMPT_S_MAX + group.grace_s
        if one.stage == "asked" and one.attempts >= ATTEMPTS_MAX:
            return f"{name} was not restarted in {one.attempts} attempts"
        if one.stage == "begun" and self.now_s - one.since_s > limit_s:
            return f"the restart of {name} did not end within {units.format_duration(limit_s)}"
        if one.stage == "settling" and self.now_s - one.ready_s > READY_S_MAX:
            limit = units.format_duration(READY_S_MAX)
            return f"{name} was restarted, and was not ready within {limit}"
        settle_s_max = SETTLE_S_MAX + group.grace_s
        if one.stage == "settling" and self.now_s - one.since_s > settle_s_max:
            limit = units.format_duration(settle_s_max)
            return f"{name} was restarted, and could not be used within {limit}"
        return ""

    def begin(self) -> list[Action]:
        """Note and return what begins now."""
        role = next(
            role for role in ROLES if any(self._is_open(group) for group in self._groups(role))
        )
        groups = [group for group in self._groups(role) if self._is_open(group)]
        under_way = [group for group in groups if self._is_under_way(group)]
        for group in under_way:
            self._note_under_way(group)
        room = PARALLEL_MAX[role] - len(under_way)
        failed = [group for group in groups if any(map(self._has_failed, group.members))]
        actions: list[Action] = []
        for group in failed or groups:
            if group not in under_way and len(actions) < room and (name := self._next(group)):
                actions.append(self._begun(group, name))
        return actions

    def _has_failed(self, name: str) -> bool:
        one = self.progress.get(name)
        return one is not None and one.stage == "asked" and one.attempts > 0

    def _groups(self, role: Role) -> list[Group]:
        return [group for group in self.state.groups if group.role == role]

    def _stages(self, group: Group) -> list[Stage]:
        return [self.progress[name].stage for name in group.members if name in group.asked]

    def _is_open(self, group: Group) -> bool:
        return any(stage != "done" for stage in self._stages(group))

    def _is_under_way(self, group: Group) -> bool:
        return any(stage in {"begun", "settling"} for stage in self._stages(group))

    def _note_under_way(self, group: Group) -> None:
        for name in group.members:
            one = self.progress.get(name)
            if one is not None and one.stage in {"begun", "settling"}:
                self.waits[f"waits until {self._awaited(name, one)}"] = False

    def _awaited(self, name: str, one: Progress) -> str:
        seen = self.observation.get(name)
        if seen is None or not seen.is_ready or one.stage == "begun":
            return f"{name} is ready"
        if not self.is_usable(name):
            return f"{name} is warm"
        return f"the predecessor of {name} has finished what it has"

    def _next(self, group: Group) -> str | None:
        """Return the member to begin with; None to wait.

        One that failed comes first, then one that nobody can use.
        """
        asked = [name for name in group.members if self._is_asked(group, name)]
        asked.sort(key=lambda name: (not self._has_failed(name), self.is_usable(name)))
        for name in asked:
            missing = [
                other for other in group.members if other != name and not self.is_usable(other)
            ]
            if missing:
                self.waits[f"waits until {', '.join(missing)} can be used"] = True
            elif self._has_failed(name) and self.now_s - self.progress[name].since_s < RETRY_S:
                self.waits[f"tries {name} again"] = False
                return None
            else:
                return name
        return None

    def _is_asked(self, group: Group, name: str) -> bool:
        if name not in group.asked or self.progress[name].stage != "asked":
            return False
        if name not in self.observation:
            self.waits[f"waits until {name} runs"] = True
            return False
        return True

    def _begun(self, group: Group, name: str) -> Action:
        seen, before = self.observation[name], self.progress[name]
        self.progress[name] = replace(
            before,
            stage="begun",
            incarnation=seen.incarnation,
            since_s=self.now_s,
            failures=seen.failures,
            attempts=before.attempts + 1,
        )
        return Restart(name) if group.role in {"app", "server"} else Replace(name)

    def is_usable(self, name: str) -> bool:
        """Return whether a process is ready, and warm or waited for long enough."""
        seen = self.observation.get(name)
        if seen is None or not seen.is_ready:
            return False
        return name not in self.cold or self.now_s - self.cold[name].since_s >= WARM_S_MAX

    def result(self) -> State:
        """Return the state after this step."""
        is_paused = bool(self.waits) and all(self.waits.values())
        since_s = self.state.paused_since_s
        return replace(
            self.state,
            progress=self.progress,
            cold=self.cold,
            reason="; ".join(self.waits),
            paused_since_s=(self.now_s if since_s is None else since_s) if is_paused else None,
        )


def _is_warm(seen: Seen) -> bool:
    return seen.warmth_ratio is not None and seen.warmth_ratio >= WARM_RATIO


def _ordered(groups: tuple[Group, ...]) -> Iterator[Group]:
    for role in ROLES:
        yield from (group for group in groups if group.role == role)
