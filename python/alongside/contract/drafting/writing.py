"""Write a draft as YAML that a person completes: where each thing was found, what is to be asked.

The order is that of `promise`; what is at its default is left out. `written.from_text` reads it.
"""

from __future__ import annotations

import dataclasses
import re
from enum import Enum
from typing import TYPE_CHECKING

from alongside.contract import promise, written

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alongside.contract.drafting import drafting

_PLAIN = re.compile(r"[A-Za-z/][\w ./@+()=;?-]*")
"""What YAML takes for a text without quotes, unless it is one of its words."""
_YAML_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_ALWAYS = {
    promise.Contract: ("component", "summary", "promise", "parameters"),
    promise.Parameter: ("name", "kind", "description", "example"),
}
"""The fields that every such thing has to have, empty or not."""


def text(draft: drafting.Draft, source: str) -> str:
    """Return a draft as commented YAML; equal drafts give equal texts.

    Args:
        draft: what was found out.
        source: what it was drafted from, for the first line.
    """
    head = (
        f"# A draft of a contract, made from {comment(source)}.",
        "# Complete what is empty or guessed, answer the questions at the end and take them off;",
        "# then `alongside contract check` says what is left.",
        f"contract: {written.FORMAT}",
    )
    return "\n".join((*head, *_fields(draft.contract, 0, draft))) + "\n"


def comment(said: str) -> str:
    """Return a text as one line of a comment."""
    return "".join(letter if letter.isprintable() else " " for letter in said)[:500]


def _fields(part: object, indent: int, draft: drafting.Draft) -> Iterator[str]:
    if not dataclasses.is_dataclass(part):
        return
    pad = " " * indent
    for field in dataclasses.fields(part):
        value: object = getattr(part, field.name)
        is_needed = field.name in _ALWAYS.get(type(part), ()) or (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if value == field.default and not is_needed:
            continue
        name = promise.written_name(field.name)
        if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            yield f"{pad}{name}:"
            for member in value:
                yield from _member(member, indent + 2, draft)
        elif isinstance(value, tuple) and field.name == "questions":
            yield f"{pad}{name}:"
            yield from (f"{pad}  - {scalar(one)}" for one in value)
        else:
            yield f"{pad}{name}: {_value(value)}"


def _member(member: object, indent: int, draft: drafting.Draft) -> Iterator[str]:
    pad = " " * indent
    if isinstance(member, promise.Parameter):
        place = draft.places.get(member.name, "")
        yield from (f"{pad}# {comment(place)}",) if place else ()
        question = draft.questions.get(member.name, "")
        yield from (f"{pad}# ? {comment(question)}",) if question else ()
    lines = list(_fields(member, 0, draft))
    yield from (f"{pad}{'- ' if at == 0 else '  '}{line}" for at, line in enumerate(lines))


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Enum():
            return scalar(str(value.value))
        case tuple():
            return _row(value)
        case int() | float():
            return str(value)
        case None:
            return "null"
        case _:
            return scalar(str(value))


def _row(values: Sequence[object]) -> str:
    return "[" + ", ".join(_value(value) for value in values) + "]"


def scalar(text: str) -> str:
    """Return a text as YAML reads it back, on one line."""
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS and text == text.strip()
    if is_plain:
        return text
    # Late: drafts alone need it. A line without an end, so that nothing is folded.
    import yaml  # noqa: PLC0415

    dumped: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9)
    return dumped.strip()
