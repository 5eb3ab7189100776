"""Rules of behaviour: signals, exit codes, metrics, failures, where values come from.

The words of a signal's effect and of an exit code are their promise: other words are a change,
which is accepted with a note where they mean the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside.contract.compare import changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from alongside.contract import promise

_BREAKING, _NOTICE, _INFO = changes.Severity
_STARTS, _WATCHES = changes.Direction.STARTS, changes.Direction.WATCHES
_RUNS = changes.Direction.RUNS


def _rule(
    name: str,
    severity: changes.Severity,
    hurts: changes.Direction,
    says: str,
    *mirrors: str,
    instead: str = "",
) -> changes.Rule:
    return changes.Rule(
        id=name,
        severity=severity,
        hurts=hurts,
        says=says,
        instead=instead,
        mirrors=mirrors or (name,),
    )


_WORDS = "where only the words changed, accept the change with a note"

SIGNAL_REMOVED = _rule(
    "signal-removed",
    _BREAKING,
    _RUNS,
    "the signal is no longer understood; most end a process that does not",
    "signal-added",
    instead="go on understanding it",
)
SIGNAL_ADDED = _rule(
    "signal-added",
    _NOTICE,
    _RUNS,
    "the signal does something new, where it did what the system does by itself",
    "signal-removed",
    instead="see whether anybody sends it",
)
SIGNAL_CHANGED = _rule(
    "signal-effect-changed",
    _BREAKING,
    _RUNS,
    "the signal does something else",
    instead=f"use another signal; {_WORDS}",
)
EXIT_REMOVED = _rule(
    "exit-removed",
    _BREAKING,
    _WATCHES,
    "who waits for that exit code waits in vain",
    "exit-added",
    instead="go on ending with it",
)
EXIT_ADDED = _rule(
    "exit-added",
    _NOTICE,
    _WATCHES,
    "it may end with a code that nobody knows",
    "exit-removed",
    instead="see what restarts it by its exit code",
)
EXIT_CHANGED = _rule(
    "exit-meaning-changed",
    _BREAKING,
    _WATCHES,
    "the same exit code means something else",
    instead=f"use another code; {_WORDS}",
)
METRIC_REMOVED = _rule(
    "metric-removed",
    _BREAKING,
    _WATCHES,
    "charts stay empty, and alarms stay silent",
    "metric-added",
    instead="go on counting it under the old name",
)
METRIC_ADDED = _rule("metric-added", _INFO, _WATCHES, "something new is counted", "metric-removed")
METRIC_TYPE_CHANGED = _rule(
    "metric-type-changed",
    _BREAKING,
    _WATCHES,
    "queries that were right for the old type are wrong",
    instead="count it under a new name",
)
LABEL_REMOVED = _rule(
    "metric-label-removed",
    _BREAKING,
    _WATCHES,
    "queries that choose or group by the label find nothing",
    "metric-label-added",
    instead="keep the label",
)
LABEL_ADDED = _rule(
    "metric-label-added",
    _NOTICE,
    _WATCHES,
    "one series becomes several, which queries have to add up",
    "metric-label-removed",
    instead="see that queries sum over it",
)
FAILURE_REMOVED = _rule(
    "failure-removed",
    _NOTICE,
    _WATCHES,
    "it is no longer said what happens then",
    "failure-added",
    instead="see whether it can still happen",
)
FAILURE_ADDED = _rule(
    "failure-added", _INFO, _WATCHES, "it is said what happens then", "failure-removed"
)
FAILURE_CHANGED = _rule(
    "failure-changed",
    _NOTICE,
    _WATCHES,
    "something else happens then, or somebody else sees it, as the words say",
    instead="see whether anybody relies on what happened before",
)
PROMISE_CHANGED = _rule(
    "promise-reworded",
    _NOTICE,
    _STARTS,
    "the promise has other words, which no rule can weigh",
    instead="read both",
)
PRECEDENCE_CHANGED = _rule(
    "precedence-changed",
    _BREAKING,
    _STARTS,
    "where a value is given twice, the other one wins",
    instead="keep the order",
)
SOURCE_REMOVED = _rule(
    "source-removed",
    _BREAKING,
    _STARTS,
    "values can no longer come from there",
    "source-added",
    instead="go on reading it",
)
SOURCE_ADDED = _rule(
    "source-added", _INFO, _STARTS, "values may also come from there", "source-removed"
)
PREFIX_CHANGED = _rule(
    "prefix-changed",
    _BREAKING,
    _STARTS,
    "unknown variables that begin with the new prefix are refused",
    instead="keep the prefix; new variables can be aliases",
)
PREFIX_DROPPED = _rule(
    "prefix-dropped",
    _NOTICE,
    _STARTS,
    "a misspelt variable is no longer refused",
    "prefix-introduced",
    instead="check variables elsewhere",
)
PREFIX_INTRODUCED = _rule(
    "prefix-introduced",
    _BREAKING,
    _STARTS,
    "unknown variables that begin with the prefix are refused, where they were ignored",
    "prefix-dropped",
    instead="warn of them for a while",
)
RULES = (
    SIGNAL_REMOVED,
    SIGNAL_ADDED,
    SIGNAL_CHANGED,
    EXIT_REMOVED,
    EXIT_ADDED,
    EXIT_CHANGED,
    METRIC_REMOVED,
    METRIC_ADDED,
    METRIC_TYPE_CHANGED,
    LABEL_REMOVED,
    LABEL_ADDED,
    FAILURE_REMOVED,
    FAILURE_ADDED,
    FAILURE_CHANGED,
    PROMISE_CHANGED,
    PRECEDENCE_CHANGED,
    SOURCE_REMOVED,
    SOURCE_ADDED,
    PREFIX_CHANGED,
    PREFIX_DROPPED,
    PREFIX_INTRODUCED,
)

_Three = tuple[changes.Rule, changes.Rule, changes.Rule]
"""What is gone, what has come, what is other words."""


def judge(old: promise.Contract, new: promise.Contract) -> Iterator[changes.Change]:
    """Yield every change of behaviour."""
    yield from _texts(
        "signal", (SIGNAL_REMOVED, SIGNAL_ADDED, SIGNAL_CHANGED), _signals(old), _signals(new)
    )
    before, after = ({str(one.code): one.meaning for one in each.exits} for each in (old, new))
    yield from _texts("exit", (EXIT_REMOVED, EXIT_ADDED, EXIT_CHANGED), before, after)
    yield from _metrics(old.metrics, new.metrics)
    before, after = (
        {one.fault: f"{one.effect}; {one.seen}" for one in each.failures} for each in (old, new)
    )
    yield from _texts("failure", (FAILURE_REMOVED, FAILURE_ADDED, FAILURE_CHANGED), before, after)
    if not changes.same_words(old.promise, new.promise):
        yield changes.Change(PROMISE_CHANGED, "promise", old.promise, new.promise)
    yield from _sources(old.precedence, new.precedence)
    if old.prefix != new.prefix:
        introduced = PREFIX_CHANGED if old.prefix else PREFIX_INTRODUCED
        rule = introduced if new.prefix else PREFIX_DROPPED
        yield changes.Change(rule, "prefix", old.prefix, new.prefix)


def _texts(
    what: str, rules: _Three, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[changes.Change]:
    gone, come, changed = rules
    texts = changes.matched(old, new)
    for name, text in texts.gone:
        yield changes.Change(gone, f"{what} {name}", text, "")
    for name, text in texts.come:
        yield changes.Change(come, f"{what} {name}", "", text)
    for name, before, after in texts.kept:
        if not changes.same_words(before, after):
            yield changes.Change(changed, f"{what} {name}", before, after)


def _signals(contract: promise.Contract) -> dict[str, str]:
    """Return the effect of each signal; those of one line are several."""
    return {
        name.strip(): signal.effect
        for signal in contract.signals
        for name in signal.name.split(",")
    }


def _metrics(
    old: Sequence[promise.Metric], new: Sequence[promise.Metric]
) -> Iterator[changes.Change]:
    metrics = changes.matched({one.name: one for one in old}, {one.name: one for one in new})
    for name, metric in metrics.gone:
        yield changes.Change(METRIC_REMOVED, f"metric {name}", metric.description, "")
    for name, metric in metrics.come:
        yield changes.Change(METRIC_ADDED, f"metric {name}", "", metric.description)
    for name, before, after in metrics.kept:
        if before.type != after.type:
            yield changes.Change(METRIC_TYPE_CHANGED, f"metric {name}", before.type, after.type)
        labels = changes.matched(dict.fromkeys(before.labels, ""), dict.fromkeys(after.labels, ""))
        for label, _ in labels.gone:
            yield changes.Change(LABEL_REMOVED, f"label {label} of metric {name}", label, "")
        for label, _ in labels.come:
            yield changes.Change(LABEL_ADDED, f"label {label} of metric {name}", "", label)


def _sources(old: Sequence[str], new: Sequence[str]) -> Iterator[changes.Change]:
    for source in old:
        if source not in new:
            yield changes.Change(SOURCE_REMOVED, f"source {source}", source, "")
    for source in new:
        if source not in old:
            yield changes.Change(SOURCE_ADDED, f"source {source}", "", source)
    if [one for one in old if one in new] != [one for one in new if one in old]:
        yield changes.Change(PRECEDENCE_CHANGED, "precedence", " > ".join(old), " > ".join(new))
