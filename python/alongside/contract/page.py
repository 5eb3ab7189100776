"""Write the reference page of a contract as Markdown; docs/contracts holds those of our own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from alongside.contract import promise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_UNITS = {
    promise.Kind.DURATION: "Durations are written with `ms`, `s`, `m` or `h`: `500ms`, `1m30s`.",
    promise.Kind.SIZE: "Sizes are written with `B`, `k`, `M`, `G` (powers of 1000) or `Ki`, `Mi`, "
    "`Gi` (powers of 1024): `64Ki`, `256Mi`.",
}
_BARE = {
    "ms": "milliseconds",
    "s": "seconds",
    "m": "minutes",
    "h": "hours",
    "B": "bytes",
    "%": "percent",
}


def render(contract: promise.Contract, *, title: str = "", remark: str = "") -> str:
    """Return the whole page; equal contracts give equal bytes.

    Args:
        contract: what the page tells.
        title: its heading; the component's name where empty.
        remark: what who edits the page should know; readers do not see it.
    """
    return "\n".join(_lines(contract, title, remark)).rstrip("\n") + "\n"


def _lines(contract: promise.Contract, title: str, remark: str) -> Iterator[str]:
    yield from (f"# {title or contract.component}", "")
    if contract.summary:
        yield from (f"{contract.summary}.", "")
    if contract.version:
        yield from (f"Version {contract.version}.", "")
    if remark:
        yield from (f"<!-- {remark} -->", "")
    if contract.promise:
        yield from (contract.promise, "")
    for example in contract.examples:
        yield from ("```sh", example, "```", "")
    yield from _parameters(contract)
    yield from _table(
        "What goes wrong",
        ("what goes wrong", "what happens", "who sees what"),
        [(failure.fault, failure.effect, failure.seen) for failure in contract.failures],
    )
    yield from _outside(contract)
    yield from _surroundings(contract)
    if contract.questions:
        yield from ("## Open questions", "")
        yield from (f"- {question}" for question in contract.questions)
        yield ""


def _outside(contract: promise.Contract) -> Iterator[str]:
    """Yield what others call, read and are told."""
    yield from _table(
        "Ports",
        ("name", "number", "parameter", "speaks", "for"),
        [
            (
                p.name,
                str(p.number) if p.number is not None else "",
                f"`{p.parameter}`" if p.parameter else "",
                p.protocol,
                p.description,
            )
            for p in contract.ports
        ],
    )
    yield from _table(
        "Calls it answers itself",
        ("door", "call", "answer", "status", "fields"),
        [(r.door, f"`{r.method} {r.path}`", r.description, *_answer(r)) for r in contract.routes],
    )
    yield from _table(
        "Files",
        ("path", "access", "what", "owner", "mode", "replaced"),
        [
            (f.path, f.access, f.description, f.owner, f.mode and f"`{f.mode}`", f.publication)
            for f in contract.files
        ],
    )
    yield from _table(
        "Signals", ("signal", "effect"), [(s.name, s.effect) for s in contract.signals]
    )
    yield from _table(
        "Exit codes", ("code", "meaning"), [(str(e.code), e.meaning) for e in contract.exits]
    )
    yield from _table(
        "Metrics",
        ("name", "type", "labels", "what"),
        [(f"`{m.name}`", m.type, _words(m.labels), m.description) for m in contract.metrics],
    )


def _surroundings(contract: promise.Contract) -> Iterator[str]:
    """Yield what it needs of the place where it runs."""
    yield from _table(
        "Volumes",
        ("path", "what", "needed"),
        [
            (f"`{v.path}`", v.description, "required" if v.is_required else "")
            for v in contract.volumes
        ],
    )
    yield from _table(
        "Privileges", ("what", "why"), [(p.name, p.description) for p in contract.privileges]
    )
    if contract.user:
        yield from ("## User", "", f"It runs as user `{contract.user}`.", "")


def _answer(route: promise.Route) -> tuple[str, str]:
    statuses = [f"{answer.status}: {answer.meaning}" for answer in route.answers]
    fields = [
        f"`{field.path}` ({field.type}{f', {field.unit}' if field.unit else ''})"
        for field in route.fields
    ]
    return "; ".join(statuses), ", ".join(fields)


def _parameters(contract: promise.Contract) -> Iterator[str]:
    if not contract.parameters:
        return
    for group in dict.fromkeys(parameter.group for parameter in contract.parameters):
        members = [p for p in contract.parameters if p.group == group]
        yield from _table(
            group,
            ("flag", "variable", "type", "default", "range", "what", "example"),
            [_row(contract, parameter) for parameter in members],
        )
    yield from _rules(contract)
    kinds = {parameter.kind for parameter in contract.parameters}
    yield from (text for kind, text in _UNITS.items() if kind in kinds)
    yield ""


def _rules(contract: promise.Contract) -> Iterator[str]:
    """Yield how values are chosen and what is refused, for all parameters alike."""
    order = _order(contract)
    steps = [f"the {one} over the {other}" for one, other in itertools.pairwise(order)]
    if steps:
        steps[0] = f"A {order[0]} wins over {'its' if order[0] == 'flag' else 'the'} {order[1]}"
        yield (", and " if len(steps) == 2 else ", ").join(steps) + "."
    if any(parameter.is_repeated for parameter in contract.parameters):
        yield "In a variable, repeated values are separated by blanks or commas."
    if contract.prefix:
        also = "A value without a unit, a misspelt flag and an" if "flag" in order else "An"
        verb = "are errors" if "flag" in order else "is an error"
        yield f"{also} unknown variable that begins with `{contract.prefix}` {verb}."


def _order(contract: promise.Contract) -> list[str]:
    """Return where values may come from, the strongest first, as far as the contract has such."""
    there = {
        "flag": any(p.flag and not p.is_argument for p in contract.parameters),
        "variable": any(contract.variable(p) for p in contract.parameters),
        "file": promise.PARAMETERS_FILE in contract.parameters,
        "default": True,
    }
    return [source for source in contract.precedence if there.get(source, True)]


def _row(contract: promise.Contract, parameter: promise.Parameter) -> tuple[str, ...]:
    variable = contract.variable(parameter)
    flags = [parameter.flag, *(one.name for one in parameter.aliases if one.is_flag)]
    names = [variable or "", *(one.name for one in parameter.aliases if not one.is_flag)]
    return (
        _words([flag for flag in flags if flag]),
        _words([name for name in names if name]),
        _type(parameter),
        default_shown(parameter),
        range_shown(parameter),
        _what(parameter),
        f"`{parameter.example}`",
    )


def _type(parameter: promise.Parameter) -> str:
    unit = parameter.unit
    words = [
        parameter.kind.value,
        f"a bare number counts {_BARE.get(unit, f'`{unit}`')}" if unit else "",
        "repeated" if parameter.is_repeated else "",
        "secret" if parameter.is_secret else "",
    ]
    return ", ".join(filter(None, words))


def _what(parameter: promise.Parameter) -> str:
    notes = [f"since {parameter.since}"] if parameter.since else []
    if parameter.deprecated:
        notes.append(_goes("goes", parameter.deprecated))
    for alias in parameter.aliases:
        unit = _BARE.get(alias.unit, f"`{alias.unit}`") if alias.unit else ""
        notes += [f"a bare number in `{alias.name}` counts {unit}"] if unit else []
        notes += [_goes(f"`{alias.name}` goes", alias.deprecated)] if alias.deprecated else []
    return "; ".join([parameter.description, *notes])


def _goes(what: str, deprecated: promise.Deprecation) -> str:
    instead = f", use {deprecated.instead}" if deprecated.instead else ""
    return f"**{what} with {deprecated.until}**{instead}"


def default_shown(parameter: promise.Parameter) -> str:
    """Return what help and page say of a parameter that is not given."""
    if parameter.default is not None:
        return f"`{parameter.default}`"
    return "**required**" if parameter.is_required else parameter.unset


def range_shown(parameter: promise.Parameter) -> str:
    """Return the values allowed: words, or bounds in the parameter's notation; may be empty."""
    match parameter.kind:
        case promise.Kind.ADDRESS:
            return "port 0 allowed" if parameter.minimum == "0" else ""
        case promise.Kind.URL:
            return _words([f"{scheme}://" for scheme in parameter.choices])
        case promise.Kind.CHOICE:
            return _words(parameter.choices)
        case promise.Kind.TEXT | promise.Kind.PATH:
            bounds = parameter.bounds
            return f"{bounds} bytes long" if bounds else ""
        case _:
            return parameter.bounds


def _words(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield a table; columns in which nothing stands are left out."""
    if not rows:
        return
    used = [at for at in range(len(heads)) if any(row[at] for row in rows)]
    yield from (f"## {title}", "")
    yield _line([heads[at] for at in used])
    yield _line(["---" for _ in used])
    yield from (_line([_cell(row[at]) for at in used]) for row in rows)
    yield ""


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\r", " ").replace("\n", " ")
