"""Say what a contract's file still lacks: empty texts, defaults that do not fit, open questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alongside.base import errors
from alongside.contract import kinds, promise, written
from alongside.contract.drafting import checking

if TYPE_CHECKING:
    from collections.abc import Iterator

    import yaml

Path = tuple[str | int, ...]


def check(text: str, place: str) -> tuple[promise.Contract, list[checking.Finding]]:
    """Return the contract that a file holds, and what it lacks, in the order of its lines.

    Raises:
        errors.UsageError: it is no contract.
    """
    contract = written.from_text(text, place)
    lines = _lines(text)
    found = [(_line(lines, path), told) for path, told in _findings(contract)]
    ordered = sorted(found, key=lambda one: one[0])
    return contract, [checking.Finding(f"{place}:{line}", told) for line, told in ordered]


def _findings(contract: promise.Contract) -> Iterator[tuple[Path, str]]:
    if not contract.summary:
        yield ("summary",), "summary is empty; say in one sentence what it is for"
    if not contract.promise:
        yield ("promise",), "promise is empty; say what may be relied upon, and what may not"
    for at, parameter in enumerate(contract.parameters):
        named = contract.variable(parameter) or parameter.flag or parameter.name
        for field, told in _parameter(parameter):
            yield ("parameters", at, field), f"{named}: {told}"
    known = {parameter.name for parameter in contract.parameters}
    for at, port in enumerate(contract.ports):
        if port.parameter and port.parameter not in known:
            told = f"port {port.name}: {port.parameter} is no parameter; name one or leave it out"
            yield ("ports", at, "parameter"), told
        if not port.description:
            yield ("ports", at, "description"), f"port {port.name}: is not described; say what for"
    yield from _described(contract)
    for at, question in enumerate(contract.questions):
        yield ("questions", at), f"is not answered: {question}"


def _described(contract: promise.Contract) -> Iterator[tuple[Path, str]]:
    for at, signal in enumerate(contract.signals):
        if not signal.effect:
            yield ("signals", at, "effect"), f"{signal.name}: has no effect; say what it does"
    for at, code in enumerate(contract.exits):
        if not code.meaning:
            told = f"exit code {code.code}: has no meaning; say when it ends with it"
            yield ("exits", at, "meaning"), told
    for at, volume in enumerate(contract.volumes):
        if not volume.description:
            told = f"volume {volume.path}: is not described; say what it holds"
            yield ("volumes", at, "description"), told


def _parameter(parameter: promise.Parameter) -> Iterator[tuple[str, str]]:
    if not parameter.description:
        yield "description", "is not described; say in one sentence what it does"
    if not parameter.example:
        yield "example", "has no example; write one"
    if parameter.is_required and parameter.default is not None:
        yield "required", "is required and has a default; keep one"
    if parameter.is_secret and parameter.default is not None:
        yield "default", "is a secret with a default that everyone can read; leave it out"
    has_meaning = parameter.is_required or parameter.default is not None or parameter.unset
    if not has_meaning:
        yield "name", "is neither required nor has it a default; say what unset means"
    for field, text in (("default", parameter.default), ("example", parameter.example)):
        try:
            if text:
                kinds.read_foreign(text, parameter)
        except errors.UsageError as error:
            yield from ((field, f"{field}: {problem}") for problem in error.problems)
    if parameter.kind is promise.Kind.CHOICE and not parameter.choices:
        yield "type", "is a choice of nothing; list its choices"


def _lines(text: str) -> dict[Path, int]:
    """Return the line of every node of a YAML text that was read before, by its path."""
    # Late: who starts a component needs none of it.
    import yaml  # noqa: PLC0415

    found: dict[Path, int] = {}
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    stack: list[tuple[Path, yaml.Node]] = [((), root)] if root is not None else []
    while stack:
        path, node = stack.pop()
        found.setdefault(path, node.start_mark.line + 1)
        if len(path) >= 4:
            continue
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                found[*path, str(key.value)] = key.start_mark.line + 1
                stack.append(((*path, str(key.value)), value))
        elif isinstance(node, yaml.SequenceNode):
            stack += [((*path, at), member) for at, member in enumerate(node.value)]
    return found


def _line(lines: dict[Path, int], path: Path) -> int:
    """Return the line of a path, or of the nearest thing around it that stands in the file."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)
