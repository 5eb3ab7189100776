"""Read a file of parameters: YAML, names as flags without their dashes, texts as they stand there.

What the texts mean `values.resolve` says, as it does of flags and variables, so that `threads: 2`
and `timeout: 10` are judged alike wherever they stand.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import errors, files, nearest, units
from alongside.contract import promise

if TYPE_CHECKING:
    from collections.abc import Iterator

    import yaml

BYTES_MAX = 1024 * 1024
"""Longer files are refused."""


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """What a file says of one parameter, and where: `cache.yaml:3: memory`."""

    place: str
    texts: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Filed:
    """What a file said: lines by `key_of` their names, and its mistakes."""

    lines: dict[str, Line]
    problems: tuple[str, ...]


_QUOTED = re.compile(r"""'[^'<]{3,}'|"[^"<]{3,}\"""")
"""What a message of the YAML reader quotes of the file: the name of an alias, a tag."""

NONE = Filed({}, ())
"""There is no file."""


def key_of(flag: str) -> str:
    """Return how a parameter is called in a file: its flag without the leading dashes."""
    return flag.lstrip("-")


def read(contract: promise.Contract, path: str, place: str) -> Filed:
    """Return what a file says; never raises.

    Args:
        contract: the names that a file may hold.
        path: the file; nothing but a mapping of names to texts or lists of texts is expected.
        place: the flag or variable that named it, for messages.
    """
    try:
        content = files.read_bounded(Path(path), bytes_max=BYTES_MAX)
        return parse(contract, content, Path(path).name)
    except errors.UsageError as error:
        return Filed({}, tuple(f"{place}: {problem}" for problem in error.problems))


def parse(contract: promise.Contract, content: bytes, name: str) -> Filed:
    """Return what a file's content says, with its mistakes.

    Raises:
        errors.UsageError: it is no YAML at all, or no mapping.
    """
    known = {key_of(flag) for flag in _flags(contract)}
    lines: dict[str, Line] = {}
    problems: list[str] = []
    for key, value in _pairs(content, name):
        place = f"{name}:{key.start_mark.line + 1}: {_name_shown(key)}"
        if not _is_text(key) or key.value not in known:
            near = nearest.nearest(str(key.value), known) if _is_text(key) else None
            remedy = f"did you mean {near}?" if near else "leave it out"
            problems.append(f"{place}: is no parameter of {contract.component}; {remedy}")
        elif key.value in lines:
            problems.append(f"{place}: is set above already; keep one")
        elif (texts := _texts(value)) is None:
            problems.append(f"{place}: is neither a text nor a list of texts; write one of them")
        else:
            lines[key.value] = Line(place, texts)
    return Filed(lines, tuple(problems))


def _flags(contract: promise.Contract) -> Iterator[str]:
    for parameter in contract.parameters:
        if parameter != promise.PARAMETERS_FILE and not parameter.is_argument:
            if parameter.flag:
                yield parameter.flag
            yield from (alias.name for alias in parameter.aliases if alias.is_flag)


def _pairs(content: bytes, name: str) -> list[tuple[yaml.Node, yaml.Node]]:
    # Late: only who uses a file needs it. Nodes, because values must stay the texts they are.
    import yaml  # noqa: PLC0415

    try:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise errors.UsageError(f"{units.shown(name)} is no YAML: {yaml_fault(error)}") from None
    if root is None:
        return []
    if not isinstance(root, yaml.MappingNode):
        raise errors.UsageError(
            f"{units.shown(name)} holds no names; write lines such as memory: 256Mi"
        )
    return list(root.value)


def yaml_fault(error: Exception) -> str:
    """Return what the YAML reader found and where, without the text, which may hold secrets."""
    mark = getattr(error, "problem_mark", None)
    place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    match error:
        case RecursionError():
            return "it is nested too deeply"
        case _ if hasattr(error, "problem"):
            return f"{_QUOTED.sub('…', str(error.problem or 'it ends too early'))}{place}"
        case _ if hasattr(error, "reason") and hasattr(error, "position"):
            return f"character {error.position + 1} is none that may stand in it"
        case _:
            return "a value is not what it says it is"


def _name_shown(key: yaml.Node) -> str:
    if not _is_text(key):
        return "a name"
    is_plain = key.value.isprintable() and 0 < len(key.value) <= units.TEXT_LENGTH_MAX
    return str(key.value) if is_plain else units.shown(key.value)


def _is_text(node: yaml.Node) -> bool:
    return isinstance(node.value, str)


def _texts(node: yaml.Node) -> tuple[str, ...] | None:
    """Return the texts of a value; None where it holds anything but texts."""
    if _is_text(node):
        return ("",) if node.tag == "tag:yaml.org,2002:null" else (node.value,)
    members = node.value if node.tag == "tag:yaml.org,2002:seq" else [None]
    texts = [member.value for member in members if member is not None and _is_text(member)]
    return (tuple(texts) or ("",)) if len(texts) == len(members) else None
