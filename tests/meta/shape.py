"""Rules about the shape of source: sizes, introductions, names. Each returns what breaks it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePath

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
EMPTY_NAMES = frozenset(
    {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}
)
INTRODUCTION = ("In:", "Out:", "Not:", "Next:")


def code_lines(name: PurePath, source: str) -> int:
    """Return a file's lines without its inline Rust tests."""
    if name.suffix == ".rs":
        source = re.split(r"^#\[cfg\(test\)\]\s*(?:mod|use) ", source, maxsplit=1, flags=re.M)[0]
    return len(source.splitlines())


def is_measured(name: PurePath, source: str) -> bool:
    """Tell whether sizes apply: not to tests, not to what a generator wrote."""
    is_test = "tests" in name.parts or name.stem == "tests" or name.stem.endswith("_tests")
    return not is_test and not re.search("(?i)generated (by|from)", source[:300])


def long_file(name: PurePath, source: str) -> Iterator[str]:
    """Yield a complaint where a file has outgrown a room."""
    lines = code_lines(name, source)
    if is_measured(name, source) and lines > FILE_LINES_MAX:
        yield f"{name}: {lines} lines without tests; split it by subject at {FILE_LINES_MAX}"


def long_functions(name: PurePath, source: str) -> Iterator[str]:
    """Yield a complaint for each Python function whose body, docstring apart, is too long."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
        if lines > FUNCTION_LINES_MAX:
            yield f"{name}: {node.name} has {lines} lines; {FUNCTION_LINES_MAX} are allowed"


def missing_introduction(name: PurePath, source: str) -> Iterator[str]:
    """Yield a complaint where a room's first file does not open with the four lines, in order."""
    if name.suffix == ".rs":
        opening = re.match(r"(?://!.*\n)+", source)
        prose = opening[0].replace("//! ", "") if opening else ""
    else:
        prose = ast.get_docstring(ast.parse(source)) or ""
    found = tuple(re.findall(r"^(In:|Out:|Not:|Next:)", prose, flags=re.M))
    if found != INTRODUCTION:
        yield f"{name}: a room opens with {' '.join(INTRODUCTION)}; found {found or 'none'}"


def empty_name(name: PurePath) -> Iterator[str]:
    """Yield a complaint where a path says nothing about what is in it."""
    for part in (*name.parts[:-1], name.stem):
        if EMPTY_NAMES & set(re.split(r"[_\-.]", part.lower())):
            yield f"{name}: {part!r} says nothing; name what it holds"
