"""Rules of what others call: ports, routes, their answers and fields."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from alongside.contract.compare import changes, described, quantities

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alongside.contract import promise
    from alongside.contract.compare import pairs

_BREAKING, _NOTICE, _INFO = changes.Severity
_rule = functools.partial(changes.rule, hurts=changes.Direction.CALLS)


_BESIDE = "add what is new beside it"

PORT_REMOVED = _rule(
    "port-removed",
    _BREAKING,
    "nobody listens there any more",
    "port-added",
    instead="go on listening until nobody connects",
)
PORT_ADDED = _rule("port-added", _INFO, "something new can be reached", "port-removed")
PORT_NUMBER_CHANGED = _rule(
    "port-number-changed",
    _BREAKING,
    "who connects to the usual number finds nobody, or somebody else",
    instead="keep the number, which users may change by themselves",
)
PORT_NUMBER_DROPPED = _rule(
    "port-number-dropped",
    _BREAKING,
    "there is no usual number any more",
    "port-number-given",
    instead="keep the number",
)
PORT_NUMBER_GIVEN = _rule(
    "port-number-given", _INFO, "there is a usual number", "port-number-dropped"
)
PORT_PROTOCOL_CHANGED = _rule(
    "port-protocol-changed",
    _BREAKING,
    "who connects is not understood",
    instead="open another port for the other protocol; where only the words changed, accept the "
    "change with a note",
)
PORT_PARAMETER_CHANGED = _rule(
    "port-parameter-changed",
    _BREAKING,
    "another parameter says where it listens",
    instead="keep the parameter that did, if only as an alias",
)
ROUTE_REMOVED = _rule(
    "route-removed",
    _BREAKING,
    "the call is no longer answered",
    "route-added",
    instead="go on answering it, if only by way of what took its place",
)
ROUTE_ADDED = _rule("route-added", _INFO, "another call is answered", "route-removed")
ANSWER_REMOVED = _rule(
    "answer-removed",
    _BREAKING,
    "who waits for that status waits in vain",
    "answer-added",
    instead="go on answering with it",
)
ANSWER_ADDED = _rule(
    "answer-added",
    _NOTICE,
    "a status is answered that callers may not expect",
    "answer-removed",
    instead="see that callers treat it as its class (4xx, 5xx)",
)
ANSWER_CHANGED = _rule(
    "answer-meaning-changed",
    _BREAKING,
    "the same status tells something else",
    instead="use another status; where only the words changed, accept the change with a note",
)
FIELD_REMOVED = _rule(
    "field-removed",
    _BREAKING,
    "who reads it finds nothing",
    "field-added",
    instead=f"keep it; {_BESIDE}",
)
FIELD_ADDED = _rule("field-added", _INFO, "an answer says more", "field-removed")
FIELD_TYPE_CHANGED = _rule(
    "field-type-changed",
    _BREAKING,
    "who reads it gets a value of another type",
    instead=f"keep it as it was; {_BESIDE}",
)
FIELD_UNIT_CHANGED = changes.Rule(
    id="field-unit-changed",
    severity=_BREAKING,
    hurts=changes.Direction.CALLS,
    says="the same number means something else, which nobody notices",
    instead="keep the field as it was, and add one that has the new unit in its name",
    mirrors=("field-unit-changed",),
    is_waivable=False,
)
RULES = (
    PORT_REMOVED,
    PORT_ADDED,
    PORT_NUMBER_CHANGED,
    PORT_NUMBER_DROPPED,
    PORT_NUMBER_GIVEN,
    PORT_PROTOCOL_CHANGED,
    PORT_PARAMETER_CHANGED,
    ROUTE_REMOVED,
    ROUTE_ADDED,
    ANSWER_REMOVED,
    ANSWER_ADDED,
    ANSWER_CHANGED,
    FIELD_REMOVED,
    FIELD_ADDED,
    FIELD_TYPE_CHANGED,
    FIELD_UNIT_CHANGED,
)


def judge(
    old: promise.Contract, new: promise.Contract, parameters: pairs.Parameters
) -> Iterator[changes.Change]:
    """Yield every change of ports and of calls."""
    yield from _ports(old.ports, new.ports, parameters)
    routes = changes.matched(_by_door(old.routes), _by_door(new.routes))
    for where, route in routes.gone:
        yield changes.Change(ROUTE_REMOVED, f"route {where}", route.description, "")
    for where, route in routes.come:
        yield changes.Change(ROUTE_ADDED, f"route {where}", "", route.description)
    for where, before, after in routes.kept:
        yield from _answers(where, before, after)
        yield from _fields(where, before, after)


def _ports(
    old: Sequence[promise.Port], new: Sequence[promise.Port], parameters: pairs.Parameters
) -> Iterator[changes.Change]:
    ports = changes.matched(
        *(changes.named((one.name, one) for one in each) for each in (old, new))
    )
    for name, port in ports.gone:
        yield changes.Change(PORT_REMOVED, f"port {name}", port.description, "")
    for name, port in ports.come:
        yield changes.Change(PORT_ADDED, f"port {name}", "", port.description)
    for name, before, after in ports.kept:
        yield from _port(f"port {name}", before, after, parameters)


def _port(
    where: str, old: promise.Port, new: promise.Port, parameters: pairs.Parameters
) -> Iterator[changes.Change]:
    if old.number != new.number:
        if old.number is None:
            rule = PORT_NUMBER_GIVEN
        else:
            rule = PORT_NUMBER_DROPPED if new.number is None else PORT_NUMBER_CHANGED
        yield changes.Change(rule, where, str(old.number or ""), str(new.number or ""))
    if not changes.same_words(old.protocol, new.protocol):
        yield changes.Change(PORT_PROTOCOL_CHANGED, where, old.protocol, new.protocol)
    is_renamed = parameters.is_pair(old.parameter, new.parameter)
    if old.parameter != new.parameter and not is_renamed:
        yield changes.Change(PORT_PARAMETER_CHANGED, where, old.parameter, new.parameter)


def _by_door(routes: Sequence[promise.Route]) -> dict[str, promise.Route]:
    """Return each call at each door by its name; one at two doors can be gone at one."""
    return changes.named(
        (f"{route.method} {route.path} at {door.strip()}", route)
        for route in routes
        for door in route.door.split(",")
    )


def _answers(where: str, old: promise.Route, new: promise.Route) -> Iterator[changes.Change]:
    before = changes.named((str(one.status), one.meaning) for one in old.answers)
    after = changes.named((str(one.status), one.meaning) for one in new.answers)
    answers = changes.matched(before, after)
    for status, meaning in answers.gone:
        yield changes.Change(ANSWER_REMOVED, f"answer {status} of {where}", meaning, "")
    for status, meaning in answers.come:
        yield changes.Change(ANSWER_ADDED, f"answer {status} of {where}", "", meaning)
    for status, was, now in answers.kept:
        if not changes.same_words(was, now):
            yield changes.Change(ANSWER_CHANGED, f"answer {status} of {where}", was, now)


def _fields(where: str, old: promise.Route, new: promise.Route) -> Iterator[changes.Change]:
    before = changes.named((one.path, one) for one in old.fields)
    after = changes.named((one.path, one) for one in new.fields)
    fields = changes.matched(before, after)
    for path, field in fields.gone:
        yield changes.Change(FIELD_REMOVED, f"field {path} of {where}", _shown(field), "")
    for path, field in fields.come:
        yield changes.Change(FIELD_ADDED, f"field {path} of {where}", "", _shown(field))
    for path, was, now in fields.kept:
        place = f"field {path} of {where}"
        if was.type != now.type:
            yield changes.Change(FIELD_TYPE_CHANGED, place, was.type, now.type)
        is_unsaid = not was.unit and not now.unit
        is_other = is_unsaid and described.units(was.type) != described.units(now.type)
        if is_other or quantities.unit_of(was.unit) != quantities.unit_of(now.unit):
            yield changes.Change(FIELD_UNIT_CHANGED, place, _shown(was), _shown(now))


def _shown(field: promise.Field) -> str:
    return f"{field.type} in {field.unit}" if field.unit else field.type
