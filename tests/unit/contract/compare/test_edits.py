"""Every edit of one field is judged as the table below says; a field without a verdict fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from tests.unit.contract.compare import edits, mirrors

from alongside.contract import catalogue, promise, written
from alongside.contract.compare import changes, described, versions, whole

Kind = promise.Kind
Verdict = str | Callable[[promise.Parameter], str]
UNBOUNDED = {Kind.BOOLEAN, Kind.CHOICE, Kind.URL, Kind.CIDR, Kind.NODE, Kind.REPLICA}
TEXTS = {Kind.CHOICE, Kind.ADDRESS, Kind.URL, Kind.PATH, Kind.CIDR, Kind.NODE, Kind.REPLICA}
SPLITTABLE = {Kind.TEXT, Kind.PATH, Kind.NODE, Kind.REPLICA}
WIDER = {
    *((Kind.PORT, kind) for kind in (Kind.INTEGER, Kind.NUMBER, Kind.TEXT)),
    *((Kind.INTEGER, kind) for kind in (Kind.NUMBER, Kind.TEXT)),
    (Kind.NUMBER, Kind.TEXT),
    *((kind, Kind.TEXT) for kind in TEXTS),
}


def becomes(new: Kind) -> Verdict:
    def verdict(parameter: promise.Parameter) -> str:
        old = parameter.kind
        is_number = old in {Kind.INTEGER, Kind.NUMBER}
        if old in {Kind.DURATION, Kind.SIZE} or (is_number and new in {Kind.DURATION, Kind.SIZE}):
            return "unit"
        is_other = old is not Kind.PATH and new is Kind.TEXT
        is_bounded = is_other and parameter.maximum is not None
        return "info" if (old, new) in WIDER and not is_bounded else "breaking"

    return verdict


def bounded(verdict: str) -> Verdict:
    return lambda parameter: "none" if parameter.kind in UNBOUNDED else verdict


def minimum_unsaid(parameter: promise.Parameter) -> str:
    if parameter.kind in UNBOUNDED:
        return "none"
    if parameter.minimum == "0" and parameter.kind in {Kind.DURATION, Kind.ADDRESS}:
        return "breaking"  # zero has to be allowed expressly
    implied = {
        **dict.fromkeys((Kind.TEXT, Kind.PATH, Kind.PORT), "1"),
        Kind.SIZE: "0B",
        Kind.DURATION: "1ms",
    }
    return "none" if implied.get(parameter.kind) == parameter.minimum else "info"


def unless(is_so: Callable[[promise.Parameter], bool], otherwise: str, verdict: str) -> Verdict:
    return lambda parameter: otherwise if is_so(parameter) else verdict


def is_argument(parameter: promise.Parameter) -> bool:
    return parameter.is_argument


def named(parameter: promise.Parameter) -> str:
    has_names = parameter.own_flag is not None and parameter.own_variable is not None
    return "info" if has_names or parameter.is_argument else "breaking"


def choices_removed(parameter: promise.Parameter) -> str:
    # A URL without schemes may have both.
    return "info" if parameter.kind is Kind.URL else "breaking"


def choices_added(parameter: promise.Parameter) -> str:
    if parameter.kind is Kind.URL and not parameter.choices:
        return "breaking"
    return "info" if parameter.kind in {Kind.CHOICE, Kind.URL} else "none"


def splits(parameter: promise.Parameter) -> str:
    has_variable = not parameter.is_argument and parameter.own_variable != ""
    return "breaking" if parameter.kind in SPLITTABLE and has_variable else "info"


def undescribed(parameter: promise.Parameter) -> str:
    is_number = parameter.kind in {Kind.INTEGER, Kind.NUMBER} and not parameter.unit
    return "unit" if is_number and described.units(parameter.description) else "none"


def placed(parameter: promise.Parameter) -> str:
    # It takes the place of another argument, which counted something else.
    return "unit" if parameter.unit else "breaking"


def two_arguments(contract: promise.Contract) -> bool:
    return sum(one.is_argument for one in contract.parameters) > 1


NONE = {"changed": "none", "said": "none", "unsaid": "none"}
BREAKING = {"changed": "breaking", "said": "breaking", "unsaid": "breaking"}
UNIT = {"changed": "unit", "said": "unit", "unsaid": "unit"}
NOTICE = {"changed": "notice", "said": "notice", "unsaid": "notice"}
PROSE = {"added": "none", "removed": "none", "reversed": "none"}
LIST = {"added": "info", "removed": "breaking", "reversed": "none"}
WATCHED = {**LIST, "added": "notice"}
BOUND = {"said": bounded("breaking")}
VERDICTS: dict[str, dict[str, Verdict]] = {
    "Contract.component": {**BREAKING},
    "Contract.version": {**NONE},
    "Contract.summary": {**NONE},
    "Contract.promise": {**NOTICE},
    "Contract.parameters": {**LIST},
    "Contract.examples": {**PROSE},
    "Contract.ports": {**LIST},
    "Contract.routes": {**LIST},
    "Contract.files": {**LIST},
    "Contract.signals": {**WATCHED},
    "Contract.exits": {**WATCHED},
    "Contract.metrics": {**LIST},
    "Contract.failures": {**LIST, "removed": "notice"},
    "Contract.volumes": {**LIST},
    "Contract.privileges": {"added": "breaking", "removed": "info", "reversed": "none"},
    "Contract.user": {**BREAKING},
    "Contract.precedence": {**LIST, "reversed": "breaking"},
    "Contract.questions": {**PROSE},
    "Contract.own_prefix": {**BREAKING, "emptied": "breaking"},
    "Parameter.name": {"changed": named, "unsaid": named},
    "Parameter.kind": {kind.value: becomes(kind) for kind in Kind},
    "Parameter.description": {**NONE, "unsaid": undescribed},
    "Parameter.example": {**NONE},
    "Parameter.unit": {
        "changed": "unit",
        "unsaid": "unit",
        "said": lambda one: "info" if one.kind in {Kind.DURATION, Kind.SIZE} else "unit",
    },
    "Parameter.default": {
        "said": "breaking",
        "changed": "breaking",
        "unsaid": unless(lambda one: one.default == "false", "none", "breaking"),
    },
    "Parameter.unset": {"said": "none", "changed": "breaking", "unsaid": "none"},
    "Parameter.is_required": {"on": "breaking", "off": "info"},
    "Parameter.is_repeated": {"on": splits, "off": "breaking"},
    "Parameter.is_secret": {"on": "notice", "off": "breaking"},
    "Parameter.is_argument": {"on": placed, "off": "breaking"},
    "Parameter.minimum": {
        **BOUND,
        "raised": bounded("breaking"),
        "lowered": bounded("info"),
        "unsaid": minimum_unsaid,
    },
    "Parameter.maximum": {
        **BOUND,
        "raised": bounded("info"),
        "lowered": bounded("breaking"),
        "unsaid": bounded("info"),
    },
    "Parameter.choices": {
        "added": choices_added,
        "removed": choices_removed,
        "reversed": "none",
    },
    "Parameter.group": {**NONE},
    "Parameter.aliases": {**LIST},
    "Parameter.since": {**NONE},
    "Parameter.deprecated": {"said": "notice", "unsaid": "info"},
    "Parameter.own_flag": {
        **BREAKING,
        "said": unless(is_argument, "none", "breaking"),
        "emptied": unless(is_argument, "none", "breaking"),
    },
    "Parameter.own_variable": {
        **BREAKING,
        "said": unless(is_argument, "info", "breaking"),
        "emptied": unless(is_argument, "none", "breaking"),
    },
    "Alias.name": {**BREAKING},
    "Alias.unit": {**UNIT},
    "Alias.deprecated": {"said": "notice", "unsaid": "info"},
    "Deprecation.since": {**NONE},
    "Deprecation.until": {"changed": "info", "unsaid": "breaking"},
    "Deprecation.instead": {**NONE},
    "Port.name": {**BREAKING},
    "Port.parameter": {**BREAKING},
    "Port.protocol": {**BREAKING},
    "Port.description": {**NONE},
    "Port.number": {"said": "info", "changed": "breaking", "unsaid": "breaking"},
    "Route.door": {**BREAKING},
    "Route.method": {**BREAKING},
    "Route.path": {**BREAKING},
    "Route.description": {**NONE},
    "Route.answers": {**WATCHED},
    "Route.fields": {**LIST},
    "Answer.status": {**BREAKING},
    "Answer.meaning": {**BREAKING},
    "Field.path": {**BREAKING},
    "Field.type": {**BREAKING},
    "Field.unit": {**UNIT},
    "File.path": {**BREAKING},
    "File.access": {**BREAKING},
    "File.description": {**NONE},
    "File.owner": {**BREAKING},
    "File.mode": {**BREAKING, "said": "info"},
    "File.publication": {**BREAKING, "said": "info"},
    "Volume.path": {**BREAKING},
    "Volume.description": {**NONE},
    "Volume.is_required": {"on": "breaking", "off": "info"},
    "Privilege.name": {**BREAKING},
    "Privilege.description": {**NONE},
    "Signal.name": {**BREAKING},
    "Signal.effect": {**BREAKING},
    "Exit.code": {**BREAKING},
    "Exit.meaning": {**BREAKING},
    "Metric.name": {**BREAKING},
    "Metric.type": {**BREAKING},
    "Metric.labels": {**WATCHED},
    "Metric.description": {**NONE},
    "Failure.fault": {**NOTICE},
    "Failure.effect": {**NOTICE},
    "Failure.seen": {**NOTICE},
}
"""What each edit must be judged as at worst; `unit` is breaking and never waived."""


def expected(contract: promise.Contract, edit: edits.Edit) -> str:
    owner, field, word = edit.key
    if (owner, field, word) == ("Contract", "parameters", "reversed") and two_arguments(contract):
        return "breaking"
    verdict = VERDICTS[f"{owner}.{field}"][word]
    if isinstance(verdict, str):
        return verdict
    assert isinstance(edit.part, promise.Parameter)
    return verdict(edit.part)


def judged(old: promise.Contract, new: promise.Contract) -> str:
    found = [one for one in whole.compare(old, new) if one.rule is not versions.NOT_BUMPED]
    if any(not one.rule.is_waivable for one in found):
        return "unit"
    order = [severity.value for severity in changes.Severity]
    return min((one.rule.severity.value for one in found), key=order.index, default="none")


CONTRACTS = {
    "full": edits.FULL,
    **{
        name: dataclasses.replace(catalogue.contract_of(name), version="1.0.0")
        for name in catalogue.NAMES
    },
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_edit_of_one_field_is_judged_as_it_should(name: str) -> None:
    contract = CONTRACTS[name]
    wrong = [
        f"{edit.key} of {edit.part}: {found}, not {expected(contract, edit)}"
        for edit in edits.of(contract)
        if (found := judged(contract, edit.contract)) != expected(contract, edit)
    ]
    assert wrong == []


def test_every_edit_undone_is_found_by_a_mirror() -> None:
    wrong = [
        (edit.key, missing)
        for edit in edits.of(edits.FULL)
        if (missing := mirrors.missing(edits.FULL, edit.contract))
    ]
    assert wrong == []


def test_every_field_has_a_verdict_and_is_edited() -> None:
    fields = {
        f"{part.__name__}.{field.name}"
        for part in promise.PARTS
        for field in dataclasses.fields(part)
    }
    assert set(VERDICTS) == fields
    assert {f"{edit.key[0]}.{edit.key[1]}" for edit in edits.of(edits.FULL)} == fields


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_has_not_changed_from_itself(name: str) -> None:
    contract = CONTRACTS[name]
    assert whole.compare(contract, contract) == ()
    again = written.from_text(written.to_text(contract), "again")
    assert whole.compare(contract, again) == ()
    assert whole.compare(again, contract) == ()
