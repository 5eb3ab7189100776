"""Every edit of one field of a contract, made by walking the classes a contract is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from alongside.contract import promise

Kind = promise.Kind
Part = (
    promise.Contract
    | promise.Parameter
    | promise.Alias
    | promise.Deprecation
    | promise.Port
    | promise.Route
    | promise.Answer
    | promise.Field
    | promise.File
    | promise.Volume
    | promise.Privilege
    | promise.Signal
    | promise.Exit
    | promise.Metric
    | promise.Failure
)
_Made = Iterator[tuple[Part, str, str, object]]
"""The part and field that were edited, what was done, and what holds them now."""


@dataclasses.dataclass(frozen=True)
class Edit:
    """One field of one part, before and after, and the contract it gives."""

    part: Part
    """The dataclass that holds the field, as it was."""
    field: str
    word: str
    """What was done: `said`, `unsaid`, `changed`, `on`, `off`, `added`, `removed`, `raised`, …"""
    contract: promise.Contract

    @property
    def key(self) -> tuple[str, str, str]:
        """Return class, field and what was done, by which a verdict is found."""
        return (type(self.part).__name__, self.field, self.word)


def of(contract: promise.Contract) -> Iterator[Edit]:
    """Yield every edit of every field of a contract and of all its parts."""
    for part, field, word, whole in _of_part(contract):
        assert isinstance(whole, promise.Contract)
        yield Edit(part, field, word, whole)


def _of_part(part: Part) -> _Made:
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        for word, other in _others(part, field.name, str(field.type), value):
            yield part, field.name, word, _with(part, field.name, other)
        for inner, where, word, other in _inside(value):
            yield inner, where, word, _with(part, field.name, other)


def _with(part: Part, name: str, value: object) -> Part:
    return dataclasses.replace(part, **{name: value})  # type: ignore[arg-type]


def _inside(value: object) -> _Made:
    """Yield the edits inside a field, each with the field's new value."""
    if isinstance(value, Part):
        yield from _of_part(value)
    if not isinstance(value, tuple):
        return
    for at, member in enumerate(value):
        if isinstance(member, Part):
            for part, field, word, other in _of_part(member):
                yield part, field, word, (*value[:at], other, *value[at + 1 :])


def _others(part: Part, name: str, annotation: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield what else a field may hold, each with a word for the edit."""
    if isinstance(part, promise.Parameter) and name in {"minimum", "maximum"}:
        yield from _bounds(part, getattr(part, name))
    elif isinstance(part, promise.Parameter) and name == "default":
        yield from _defaults(part, part.default)
    elif isinstance(value, Kind):
        yield from ((other.value, other) for other in Kind if other is not value)
    elif isinstance(value, bool):
        yield ("off", False) if value else ("on", True)
    elif isinstance(value, tuple):
        yield from _members(part, name, value)
    elif isinstance(value, int):
        yield "changed", value + 100
    elif "Deprecation" in annotation:
        gone = promise.Deprecation(since="0.1", until="9.0")
        yield ("said", gone) if value is None else ("unsaid", None)
    elif annotation == "int | None":
        yield "said", 8080
    elif value is None or isinstance(value, str):
        yield from _texts(name, value)
    else:
        raise AssertionError(f"{name} is of a type that nobody edits yet: {annotation}")


_OTHER = {
    **dict.fromkeys(("version", "until", "since"), "9.9.9"),
    "unit": "weeks",
    "own_flag": "--zz",
    "own_variable": "ZZ",
    "own_prefix": "ZZ_",
}


def _texts(name: str, value: str | None) -> Iterator[tuple[str, str | None]]:
    other = _OTHER.get(name, f"{value or ''}x")
    if name == "description":
        other = f"{value}, in other words"
    yield ("changed" if value else "said"), other
    if value is None:
        yield "emptied", ""
    elif value:
        yield "unsaid", ""


def _members(part: Part, name: str, value: tuple[object, ...]) -> Iterator[tuple[str, object]]:
    if value:
        yield "removed", value[1:]
        yield "reversed", value[::-1]
    sample = SAMPLES[f"{type(part).__name__}.{name}"]
    yield "added", (*value, sample)


def _bounds(part: promise.Parameter, value: str | None) -> Iterator[tuple[str, str | None]]:
    notation = {Kind.DURATION: "ms", Kind.SIZE: "B"}.get(part.kind, "")
    if value is None:
        yield "said", f"7{notation}"
        return
    yield "unsaid", None
    yield "raised", {Kind.DURATION: "87600h", Kind.SIZE: "8388608Gi"}.get(part.kind, "9" * 12)
    if value not in {"0", "0B"}:
        yield "lowered", {Kind.DURATION: "0.5ms", Kind.SIZE: "0B"}.get(part.kind, "-5")


def _defaults(part: promise.Parameter, value: str | None) -> Iterator[tuple[str, str | None]]:
    texts = {Kind.DURATION: "77s", Kind.SIZE: "77Mi", Kind.BOOLEAN: "true"}
    yield ("said" if value is None else "changed"), texts.get(part.kind, "77")
    if value is not None:
        yield "unsaid", None


SAMPLES: dict[str, object] = {
    "Contract.parameters": promise.Parameter(
        name="zz", kind=Kind.TEXT, description="zz", example="zz"
    ),
    "Contract.examples": "alongside zz",
    "Contract.ports": promise.Port("zz", "", "HTTP", "zz"),
    "Contract.routes": promise.Route("zz", "GET", "/zz", "zz"),
    "Contract.files": promise.File("/zz", "reads", "zz"),
    "Contract.signals": promise.Signal("SIGZZ", "zz"),
    "Contract.exits": promise.Exit(99, "zz"),
    "Contract.metrics": promise.Metric("zz_total", "counter", (), "zz"),
    "Contract.failures": promise.Failure("zz", "zz", "zz"),
    "Contract.volumes": promise.Volume("/zz", "zz"),
    "Contract.privileges": promise.Privilege("zz", "zz"),
    "Contract.precedence": "zz",
    "Contract.questions": "zz",
    "Parameter.choices": "zz",
    "Parameter.aliases": promise.Alias(name="--zz"),
    "Route.answers": promise.Answer(299, "zz"),
    "Route.fields": promise.Field("zz", "string"),
    "Metric.labels": "zz",
}
"""What is added to each list."""

FULL = promise.Contract(
    component="full",
    version="1.0.0",
    summary="Have something in every field",
    promise="All of it.",
    parameters=(
        promise.Parameter(
            name="choice", kind=Kind.CHOICE, description="x", example="a", choices=("a", "b")
        ),
        promise.Parameter(
            name="wait",
            kind=Kind.DURATION,
            description="waits",
            example="1s",
            unit="s",
            default="1s",
            minimum="1s",
            maximum="1h",
            is_repeated=True,
            group="G",
            since="0.5",
            deprecated=promise.Deprecation(since="0.9", until="3.0", instead="--zz"),
            own_flag="-wait",
            own_variable="WAIT",
            aliases=(
                promise.Alias(name="--old", unit="ms"),
                promise.Alias(name="OLD", deprecated=promise.Deprecation(since="0.9", until="3.0")),
            ),
        ),
        promise.Parameter(
            name="first", kind=Kind.TEXT, description="f", example="f", is_argument=True
        ),
        promise.Parameter(
            name="second",
            kind=Kind.INTEGER,
            description="s",
            example="1",
            is_argument=True,
            is_required=True,
        ),
        promise.Parameter(
            name="count",
            kind=Kind.INTEGER,
            description="c",
            example="1",
            unset="what fits",
            is_secret=True,
        ),
    ),
    examples=("full", "full -wait 1s"),
    ports=(promise.Port("web", "wait", "HTTP", "x", 80), promise.Port("raw", "", "TCP", "x")),
    routes=(
        promise.Route(
            "web",
            "GET",
            "/a",
            "x",
            (promise.Answer(200, "fine"), promise.Answer(503, "drains")),
            (promise.Field("age", "number", "s"), promise.Field("id", "string")),
        ),
        promise.Route("web, raw", "PUT", "/a", "x"),
    ),
    files=(
        promise.File("/a", "writes", "x", "root:root", "0600", "rename"),
        promise.File("/b", "reads", "x"),
    ),
    signals=(promise.Signal("SIGHUP, SIGUSR1", "reloads"), promise.Signal("SIGTERM", "stops")),
    exits=(promise.Exit(0, "done"), promise.Exit(3, "taken")),
    metrics=(
        promise.Metric("a_total", "counter", ("code", "host"), "x"),
        promise.Metric("b", "gauge", (), "x"),
    ),
    failures=(promise.Failure("It burns", "it stops", "smoke"), promise.Failure("b", "c", "d")),
    volumes=(
        promise.Volume("/git", "x", is_required=True),
        promise.Volume("/tmp", "x"),  # noqa: S108 - a path in a contract, which nothing opens
    ),
    privileges=(promise.Privilege("get secrets", "x"), promise.Privilege("b", "x")),
    user="65532",
    precedence=("flag", "variable", "default"),
    questions=("what is it", "why"),
    own_prefix="FULL_",
)
"""A contract in which each field of each class says something somewhere."""
