"""Read the words of a command line by a contract: texts by parameter name, and every mistake.

What the texts mean, and whether one is given too often, `values.resolve` says; so a wrong flag
and a wrong variable are answered alike, all in one go.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from alongside.base import nearest, units
from alongside.contract import promise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class Flags:
    """What a command line said: texts by flag as written, in their order, and its mistakes.

    Texts without a flag stand under the argument's name: `FILE`.
    """

    texts: dict[str, list[str]]
    problems: tuple[str, ...]


def read(contract: promise.Contract, words: Sequence[str]) -> Flags:
    """Return what the words after a command's name say; never raises.

    `--name value` and `--name=value` mean the same; a boolean takes no value, or `=true`,
    `=false`; after `--` every word is an argument. Names are not abbreviated.
    """
    by_flag = dict(_by_flag(contract))
    positional = next((p for p in contract.parameters if p.is_argument), None)
    texts: dict[str, list[str]] = {}
    problems: list[str] = []
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        if word == "--" and positional is not None:
            texts.setdefault(positional.flag, []).extend(reversed(rest))
            break
        flag, equals, text = word.partition("=")
        if flag in by_flag:
            parameter = by_flag[flag]
            given = [text] if equals else _value(parameter, rest, by_flag)
            texts.setdefault(flag, []).extend(given)
            if not given:
                problems.append(f"{flag}: has no value; write {flag} {parameter.example}")
        elif word.startswith("-") and word != "-":
            problems.append(_unknown(contract, flag, by_flag))
            if not equals:
                _drop_value(rest, by_flag)
        elif positional is not None:
            texts.setdefault(positional.flag, []).append(word)
        else:
            what = f"{units.shown(word)}: is not expected here"
            problems.append(f"{what}; every value follows its flag")
    return Flags(texts, tuple(problems))


def _by_flag(contract: promise.Contract) -> Iterator[tuple[str, promise.Parameter]]:
    for parameter in contract.parameters:
        if parameter.flag and not parameter.is_argument:
            yield parameter.flag, parameter
        yield from ((alias.name, parameter) for alias in parameter.aliases if alias.is_flag)


def _value(
    parameter: promise.Parameter, rest: list[str], by_flag: dict[str, promise.Parameter]
) -> list[str]:
    """Take the value after a flag off the rest; empty where the next word is another flag."""
    if parameter.kind is promise.Kind.BOOLEAN:
        return ["true"]
    has_value = bool(rest) and rest[-1].partition("=")[0] not in by_flag
    return [rest.pop()] if has_value else []


def _unknown(contract: promise.Contract, flag: str, known: dict[str, promise.Parameter]) -> str:
    near = nearest.nearest(flag.lstrip("-"), [name.removeprefix("--") for name in known])
    remedy = f"did you mean --{near}?" if near else "leave it out"
    return f"{units.shown(flag)}: is no flag of {contract.component}; {remedy}"


def _drop_value(rest: list[str], by_flag: dict[str, promise.Parameter]) -> None:
    """Pass over the word after an unknown flag: most likely its value, which may be a secret."""
    if rest and not rest[-1].startswith("--") and rest[-1].partition("=")[0] not in by_flag:
        rest.pop()
