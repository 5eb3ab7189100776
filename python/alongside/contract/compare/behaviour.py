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


_WORDS = "where only the words changed, accept the change with a note"

SIGNAL_REMOVED = changes.rule(
    "signal-removed",
    _BREAKING,
    "the signal is no longer understood; most end a process that does not",
    "signal-added",
    hurts=_RUNS,
    instead="go on understanding it",
)
SIGNAL_ADDED = changes.rule(
    "signal-added",
    _NOTICE,
    "the signal does something new, where it did what the system does by itself",
    "signal-removed",
    hurts=_RUNS,
    instead="see whether anybody sends it",
)
SIGNAL_CHANGED = changes.rule(
    "signal-effect-changed",
    _BREAKING,
    "the signal does something else",
    hurts=_RUNS,
    instead=f"use another signal; {_WORDS}",
)
EXIT_REMOVED = changes.rule(
    "exit-removed",
    _BREAKING,
    "who waits for that exit code waits in vain",
    "exit-added",
    hurts=_WATCHES,
    instead="go on ending with it",
)
EXIT_ADDED = changes.rule(
    "exit-added",
    _NOTICE,
    "it may end with a code that nobody knows",
    "exit-removed",
    hurts=_WATCHES,
    instead="see what restarts it by its exit code",
)
EXIT_CHANGED = changes.rule(
    "exit-meaning-changed",
    _BREAKING,
    "the same exit code means something else",
    hurts=_WATCHES,
    instead=f"use another code; {_WORDS}",
)
METRIC_REMOVED = changes.rule(
    "metric-removed",
    _BREAKING,
    "charts stay empty, and alarms stay silent",
    "metric-added",
    hurts=_WATCHES,
    instead="go on counting it under the old name",
)
METRIC_ADDED = changes.rule(
    "metric-added", _INFO, "something new is counted", "metric-removed", hurts=_WATCHES
)
METRIC_TYPE_CHANGED = changes.rule(
    "metric-type-changed",
    _BREAKING,
    "queries that were right for the old type are wrong",
    hurts=_WATCHES,
    instead="count it under a new name",
)
LABEL_REMOVED = changes.rule(
    "metric-label-removed",
    _BREAKING,
    "queries that choose or group by the label find nothing",
    "metric-label-added",
    hurts=_WATCHES,
    instead="keep the label",
)
LABEL_ADDED = changes.rule(
    "metric-label-added",
    _NOTICE,
    "one series becomes several, which queries have to add up",
    "metric-label-removed",
    hurts=_WATCHES,
    instead="see that queries sum over it",
)
FAILURE_REMOVED = changes.rule(
    "failure-removed",
    _NOTICE,
    "it is no longer said what happens then",
    "failure-added",
    hurts=_WATCHES,
    instead="see whether it can still happen",
)
FAILURE_ADDED = changes.rule(
    "failure-added", _INFO, "it is said what happens then", "failure-removed", hurts=_WATCHES
)
FAILURE_CHANGED = changes.rule(
    "failure-changed",
    _NOTICE,
    "something else happens then, or somebody else sees it, as the words say",
    hurts=_WATCHES,
    instead="see whether anybody relies on what happened before",
)
PROMISE_CHANGED = changes.rule(
    "promise-reworded",
    _NOTICE,
    "the promise has other words, which no rule can weigh",
    hurts=_STARTS,
    instead="read both",
)
PRECEDENCE_CHANGED = changes.rule(
    "precedence-changed",
    _BREAKING,
    "where a value is given twice, the other one wins",
    hurts=_STARTS,
    instead="keep the order",
)
SOURCE_REMOVED = changes.rule(
    "source-removed",
    _BREAKING,
    "values can no longer come from there",
    "source-added",
    hurts=_STARTS,
    instead="go on reading it",
)
SOURCE_ADDED = changes.rule(
    "source-added", _INFO, "values may also come from there", "source-removed", hurts=_STARTS
)
PREFIX_CHANGED = changes.rule(
    "prefix-changed",
    _BREAKING,
    "unknown variables that begin with the new prefix are refused",
    hurts=_STARTS,
    instead="keep the prefix; new variables can be aliases",
)
PREFIX_DROPPED = changes.rule(
    "prefix-dropped",
    _NOTICE,
    "a misspelt variable is no longer refused",
    "prefix-introduced",
    hurts=_STARTS,
    instead="check variables elsewhere",
)
PREFIX_INTRODUCED = changes.rule(
    "prefix-introduced",
    _BREAKING,
    "unknown variables that begin with the prefix are refused, where they were ignored",
    "prefix-dropped",
    hurts=_STARTS,
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
