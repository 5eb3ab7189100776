"""Read YAML documents into plain values that remember the line of every key and item.

Aliases are expanded within a bound, so that a few lines cannot become gigabytes; tags other than
the plain ones, merge keys and duplicate keys are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import yaml
from yaml.constructor import ConstructorError, SafeConstructor

from alongside.resources import problems, texts

DEPTH_MAX = 32
NODES_MAX = 20_000
DOCUMENTS_MAX = 1000

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({f"{_TAG}str", f"{_TAG}timestamp", f"{_TAG}value"})


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its values, and the line (from 1) of each path in it."""

    file: str
    value: Value = field(repr=False)
    """Not shown: it may be a Secret's."""
    lines: dict[problems.Path, int]

    def line(self, path: problems.Path) -> int:
        """Return the line of a path, or of the nearest part above it that was written."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def has(self, path: problems.Path) -> bool:
        """Return whether something was written at a path."""
        return path in self.lines

    def part(self, path: problems.Path) -> Document:
        """Return what stands at a path as a document of its own, such as an item of a List."""
        depth = len(path)
        inner = {at[depth:]: line for at, line in self.lines.items() if at[:depth] == path}
        return Document(self.file, self.value_at(path), inner)

    def value_at(self, path: problems.Path) -> Value:
        """Return what stands at a path."""
        value = self.value
        for key in path:
            if isinstance(value, dict):
                value = value[str(key)]
            elif isinstance(value, list):
                value = value[int(key)]
        return value


class _Mark(Protocol):
    @property
    def line(self) -> int: ...


class _RefusedError(Exception):
    """The document cannot be read further; the problem is already noted."""


@dataclass(slots=True)
class _Reader:
    file: str
    found: list[problems.Problem] = field(default_factory=list)
    lines: dict[problems.Path, int] = field(default_factory=dict)
    nodes: int = 0

    def refuse(self, mark: _Mark | None, path: problems.Path, message: str) -> None:
        line = mark.line + 1 if mark is not None else 1
        text = problems.field_text(path)
        self.found.append(problems.Problem(self.file, line, "", text, message))

    def value(self, node: yaml.Node, path: problems.Path) -> Value:
        self.nodes += 1
        if self.nodes > NODES_MAX or len(path) > DEPTH_MAX:
            self.refuse(
                node.start_mark,
                (),
                f"more than {NODES_MAX} values or {DEPTH_MAX} levels, aliases included; "
                "write less in one file, and no alias inside an alias",
            )
            raise _RefusedError
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, at)) for at, item in enumerate(node.value)]
        return self.scalar(node, path)

    def mapping(self, node: yaml.MappingNode, path: problems.Path) -> dict[str, Value]:
        result: dict[str, Value] = {}
        for key_node, value_node in node.value:
            key = self.key(key_node, path)
            if key is None:
                continue
            if key in result:
                self.refuse(
                    key_node.start_mark,
                    (*path, key),
                    f"written twice, first in line {self.lines[*path, key]}; keep one of the two",
                )
                continue
            self.lines[*path, key] = key_node.start_mark.line + 1
            result[key] = self.value(value_node, (*path, key))
        return result

    def key(self, node: yaml.Node, path: problems.Path) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}merge":
            self.refuse(node.start_mark, path, "merge keys (<<) are not read; write the fields out")
            return None
        if not isinstance(node, yaml.ScalarNode):
            self.refuse(node.start_mark, path, "a key must be a text; write a name")
            return None
        return str(node.value)

    def scalar(self, node: yaml.Node, path: problems.Path) -> Value:
        text = str(node.value)
        if isinstance(node, yaml.ScalarNode):
            try:
                return _plain_value(node, text)
            except (ConstructorError, ValueError, KeyError):
                pass
        self.refuse(
            node.start_mark,
            path,
            f"it has the tag {node.tag}; write a plain text, number or list",
        )
        return None


def _plain_value(node: yaml.ScalarNode, text: str) -> Value:
    constructor = SafeConstructor()
    value: Value = text
    match node.tag.removeprefix(_TAG):
        case "null":
            value = None
        case "bool":
            value = bool(constructor.construct_yaml_bool(node))
        case "int" | "float" if ":" in text:
            pass  # 10:20 is a text here, not YAML 1.1's base 60
        case "int":
            value = int(constructor.construct_yaml_int(node))
        case "float":
            value = float(constructor.construct_yaml_float(node))
        case _ if node.tag not in _TEXT_TAGS:
            raise ValueError(node.tag)
        case _:
            pass
    return value


def documents(text: str, *, file: str) -> list[Document]:
    """Return the documents of a file in order; empty ones are left out.

    Raises:
        problems.ResourceError: no YAML, too large or deep, duplicate keys, foreign tags.
    """
    reader = _Reader(file)
    result: list[Document] = []
    try:
        _check_bounds(text, reader)
        for root in yaml.compose_all(text, Loader=yaml.SafeLoader):
            if root is None or (isinstance(root, yaml.ScalarNode) and root.value in {"", "~"}):
                continue
            reader.lines = {}
            value = reader.value(root, ())
            result.append(Document(file, value, reader.lines))
    except yaml.MarkedYAMLError as error:
        what = " ".join(part for part in (error.context, error.problem) if part)
        reader.refuse(error.problem_mark, (), f"not YAML: {what}; check indentation and quotes")
    except yaml.YAMLError as error:
        reader.refuse(None, (), f"not YAML: {str(error).splitlines()[0]}; save it as UTF-8 text")
    except _RefusedError:
        pass
    if reader.found:
        raise problems.ResourceError(reader.found)
    return result


def _check_bounds(text: str, reader: _Reader) -> None:
    if len(text.encode("utf-8", "surrogateescape")) > texts.BYTES_MAX:
        reader.refuse(None, (), f"larger than {texts.BYTES_MAX} bytes; split it into several files")
        raise _RefusedError
    depth = nodes = started = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        nodes += isinstance(event, yaml.NodeEvent)
        started += isinstance(event, yaml.DocumentStartEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX or nodes > 2 * NODES_MAX or started > DOCUMENTS_MAX:
            reader.refuse(
                event.start_mark,
                (),
                f"more than {DEPTH_MAX} levels, {NODES_MAX} values or {DOCUMENTS_MAX} documents; "
                "write less in one file",
            )
            raise _RefusedError
