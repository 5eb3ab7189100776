"""Write the reference page of a contract as Markdown; docs/contracts holds the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside.contract import promise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_UNITS = {
    promise.Kind.DURATION: "Durations are written with `ms`, `s`, `m` or `h`: `500ms`, `1m30s`.",
    promise.Kind.SIZE: "Sizes are written with `B`, `k`, `M`, `G` (powers of 1000) or `Ki`, `Mi`, "
    "`Gi` (powers of 1024): `64Ki`, `256Mi`.",
}


def render(contract: promise.Contract) -> str:
    """Return the whole page; equal contracts give equal bytes."""
    return "\n".join(_lines(contract)).rstrip("\n") + "\n"


def _lines(contract: promise.Contract) -> Iterator[str]:
    yield f"# alongside {contract.component}"
    yield ""
    yield f"{contract.summary}."
    yield ""
    yield "<!-- Written by `python -m alongside.contract docs/contracts`; edit the catalogue. -->"
    yield ""
    yield from (contract.promise, "")
    for example in contract.examples:
        yield from ("```sh", example, "```", "")
    yield from _parameters(contract)
    yield from _table(
        "What goes wrong",
        ("what goes wrong", "what happens", "who sees what"),
        [(failure.fault, failure.effect, failure.seen) for failure in contract.failures],
    )
    yield from _table(
        "Ports",
        ("name", "parameter", "speaks", "for"),
        [(p.name, f"`{p.parameter}`", p.protocol, p.description) for p in contract.ports],
    )
    yield from _table(
        "Calls it answers itself",
        ("door", "call", "answer"),
        [(r.door, f"`{r.method} {r.path}`", r.description) for r in contract.routes],
    )
    yield from _table(
        "Files",
        ("path", "access", "what"),
        [(f.path, f.access, f.description) for f in contract.files],
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


def _parameters(contract: promise.Contract) -> Iterator[str]:
    for group in dict.fromkeys(parameter.group for parameter in contract.parameters):
        members = [p for p in contract.parameters if p.group == group]
        yield from _table(
            group,
            ("flag", "variable", "type", "default", "range", "what", "example"),
            [_row(contract, parameter) for parameter in members],
        )
    yield "A flag wins over its variable, and the variable over the default. In a variable,"
    yield "repeated values are separated by blanks or commas. A value without a unit, a misspelt"
    yield f"flag and an unknown variable that begins with `{contract.prefix}` are errors."
    kinds = {parameter.kind for parameter in contract.parameters}
    yield from (text for kind, text in _UNITS.items() if kind in kinds)
    yield ""


def _row(contract: promise.Contract, parameter: promise.Parameter) -> tuple[str, ...]:
    variable = contract.variable(parameter)
    kind = parameter.kind.value + (", repeated" if parameter.is_repeated else "")
    return (
        f"`{parameter.flag}`",
        f"`{variable}`" if variable else "",
        kind + (", secret" if parameter.is_secret else ""),
        default_shown(parameter),
        range_shown(parameter),
        parameter.description,
        f"`{parameter.example}`",
    )


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
    if not rows:
        return
    yield from (f"## {title}", "")
    yield "| " + " | ".join(heads) + " |"
    yield "| " + " | ".join("---" for _ in heads) + " |"
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""
