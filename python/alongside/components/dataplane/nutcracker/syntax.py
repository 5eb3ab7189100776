"""Read the YAML of a `nutcracker.yaml` as far as twemproxy reads YAML: names, values and lines.

Two levels of `name:` and a list under `servers:` are all there is. What YAML has beside (flow,
anchors, tags, several documents) twemproxy refuses, so it is refused here too: a file that is good
here is good there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alongside.components.dataplane.nutcracker import faults

FILE_BYTES_MAX = 2**20
DEPTH_MAX = 8
"""More levels are refused unread; a good file has three."""
EVENTS_MAX = 200_000

LIST = "servers"
"""The one directive whose value is a list."""

_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml, which twemproxy reads with too, where PyYAML has it."""


@dataclass(frozen=True, slots=True)
class Text:
    """A word as it is written, and its line from 1."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A directive: one value, or the items of its list."""

    key: Text
    values: tuple[Text, ...]
    is_whole: bool = True
    """Whether nothing of it was refused."""


@dataclass(frozen=True, slots=True)
class Section:
    """A pool: its name and its directives, in their order."""

    name: Text
    entries: tuple[Entry, ...]


_WORD = re.compile(r"[!-9;<>-~]*")
MORE = " …"
"""Stands for what is not shown."""


def shown(name: str) -> str:
    """Return what of a name may be shown: its first word.

    Behind it may stand a password, where somebody forgot the colon behind `redis_auth`.
    """
    word = _WORD.match(name)
    first = "" if word is None else word[0]
    return first if first == name else first + MORE


class _RefusedError(Exception):
    """It cannot be read further; the mistake is noted."""


def sections(content: bytes, found: faults.Faults) -> list[Section]:
    """Return the pools of a file in its order; mistakes are noted in `found`."""
    try:
        text = _decoded(content, found)
        _check_features(text, found)
        root = yaml.compose(text, Loader=_LOADER)
    except _RefusedError:
        return []
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        line = 1 if mark is None else mark.line + 1
        found.add(line, f"not YAML: {what}", "check indentation, colons and quotes")
        return []
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        what = (str(error) or type(error).__name__).splitlines()[0]
        found.add(1, f"not YAML: {what}", "save it as plain text in UTF-8")
        return []
    if not isinstance(root, yaml.MappingNode):
        found.add(1, "there is no pool", "write NAME: and its directives, indented, beneath it")
        return []
    return list(_sections(root, found))


def _decoded(content: bytes, found: faults.Faults) -> str:
    if len(content) > FILE_BYTES_MAX:
        found.add(1, f"larger than {FILE_BYTES_MAX} bytes", "split it over several ambassadors")
        raise _RefusedError
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found.add(line, "not UTF-8", "save it as plain text in UTF-8")
        raise _RefusedError from error


def _check_features(text: str, found: faults.Faults) -> None:
    """Refuse what twemproxy refuses to read; raise where it is so, or where it is too much."""
    depth = documents = refused = 0
    for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        line = 1 if event.start_mark is None else event.start_mark.line + 1
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX or count > EVENTS_MAX:
            found.add(line, "too deep, or too long", "write pools, directives and servers alone")
            raise _RefusedError
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            found.add(line, "a second document begins", "put its pools into the first one")
            raise _RefusedError
        for what, remedy in _foreign(event):
            found.add(line, what, remedy)
            refused += 1
    if refused:
        raise _RefusedError


def _foreign(event: yaml.Event) -> Iterator[tuple[str, str]]:
    """Yield what of YAML an event uses that twemproxy does not read, and what to do about it."""
    if isinstance(event, yaml.DocumentStartEvent | yaml.DocumentEndEvent) and event.explicit:
        mark = "---" if isinstance(event, yaml.DocumentStartEvent) else "..."
        yield f"{mark} is not read by twemproxy", "leave the line out"
    if isinstance(event, yaml.CollectionStartEvent) and event.flow_style:
        yield "brackets and braces are not read by twemproxy", "write one entry a line, indented"
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        yield "anchors and aliases are not read by twemproxy", "write the value out"
    if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag:
        yield "tags are not read by twemproxy", "leave out what begins with !"


def _sections(root: yaml.MappingNode, found: faults.Faults) -> Iterator[Section]:
    for key, value in root.value:
        name = _text(key)
        if not isinstance(key, yaml.ScalarNode) or not name.text:
            found.add(name.line, "a pool has no name", "write one, such as memcache:")
        elif not isinstance(value, yaml.MappingNode):
            found.add(
                name.line,
                f"{shown(name.text)}: has no directives",
                "write listen: and servers: beneath it, indented",
            )
        else:
            yield Section(name, tuple(_entries(name.text, value, found)))


def _entries(pool: str, node: yaml.MappingNode, found: faults.Faults) -> Iterator[Entry]:
    for key, value in node.value:
        name = _text(key)
        if isinstance(value, yaml.SequenceNode) and name.text == LIST:
            items = [item for item in value.value if isinstance(item, yaml.ScalarNode)]
            for other in value.value:
                if not isinstance(other, yaml.ScalarNode):
                    line = other.start_mark.line + 1
                    what = f"{pool}.{LIST}: this is no line of text"
                    found.add(line, what, "write HOST:PORT:WEIGHT without blanks after colons")
            is_whole = len(items) == len(value.value)
            yield Entry(name, tuple(_text(item) for item in items), is_whole)
        elif not isinstance(key, yaml.ScalarNode):
            found.add(name.line, f"{pool}: a directive has no name", "write one, such as hash:")
        elif name.text == LIST:
            found.add(
                name.line,
                f"{pool}.{LIST}: is no list",
                "write each server into a line of its own, after a dash",
            )
            yield Entry(name, (), is_whole=False)
        elif isinstance(value, yaml.ScalarNode):
            yield Entry(name, (_text(value),))
        else:
            found.add(
                name.line, f"{pool}.{shown(name.text)}: is no single value", "write one beside it"
            )


def _text(node: yaml.Node) -> Text:
    text = node.value if isinstance(node, yaml.ScalarNode) else ""
    return Text(str(text), node.start_mark.line + 1)
