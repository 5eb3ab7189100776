"""Fill templates of configuration files with the values of a contract.

A template is Jinja's in its sandbox: it sees the parameters and nothing else, and a name that it
does not know is an error. Durations and sizes print with their units, and filters give the bare
numbers that most programs want: there is no way to print one without saying in which unit.
"""

from __future__ import annotations

import dataclasses
import traceback
from typing import TYPE_CHECKING

import jinja2
from jinja2 import meta, nodes, sandbox

from alongside.base import nearest, units
from alongside.components.wrap import quantities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

OUTPUT_BYTES_MAX = 1024 * 1024
"""A longer configuration file is a loop that went astray."""

_TIMES_S = {"milliseconds": 0.001, "seconds": 1, "minutes": 60, "hours": 3600}
_SIZES_BYTES = {"bytes": 1, "kibibytes": 2**10, "mebibytes": 2**20, "gibibytes": 2**30}


@dataclasses.dataclass(frozen=True, slots=True)
class Template:
    """A template's text and what to call it in messages."""

    name: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Filled:
    """The text of each template, whether it took a secret, and every mistake."""

    texts: tuple[str, ...]
    have_secrets: tuple[bool, ...]
    problems: tuple[str, ...]


class _MistakeError(jinja2.TemplateRuntimeError):
    """What a template does with a value makes no sense; the text says why."""


def fill(
    templates: Sequence[Template],
    names: Sequence[str],
    values: Mapping[str, quantities.Value] | None,
    secrets: frozenset[str] = frozenset(),
) -> Filled:
    """Return the filled templates, or every mistake in them; never raises.

    Args:
        templates: in the order of the answer.
        names: every parameter, so that an unknown one is told from one that is not set.
        values: by parameter; None where they could not be read, so that only names are checked.
        secrets: the parameters that are secret.
    """
    environment = _environment()
    texts: list[str] = []
    marks: list[bool] = []
    problems: list[str] = []
    for template in templates:
        used: set[str] = set()
        try:
            tree = environment.parse(template.text)
            used = meta.find_undeclared_variables(tree) - set(environment.globals)
            unknown = list(_unknown(tree, used - set(names), template.name, names))
            problems += unknown
            marks.append(bool(used & secrets))
            if values is not None and not unknown:
                texts.append(_rendered(environment, template, values))
        except MemoryError:
            raise  # no mistake of one template: the limit was too small for all of them
        except Exception as error:  # what Jinja and the expressions of a template raise has no end
            is_told = isinstance(error, _MistakeError) or not used & secrets
            problems.append(_worded(error, template.name, is_told=is_told))
    return Filled(tuple(texts), tuple(marks), tuple(problems))


class _Unset(jinja2.Undefined):
    """What is not set: `default` and `is defined` know it, `if` passes over it, nothing prints it.

    A name that the contract does not have is a mistake in each of these.
    """

    __slots__ = ()

    def __str__(self) -> str:
        raise self._undefined_exception(self._undefined_message)

    def __iter__(self) -> Iterator[object]:
        raise self._undefined_exception(self._undefined_message)

    def __len__(self) -> int:
        raise self._undefined_exception(self._undefined_message)


def _seen(name: str, value: quantities.Value) -> object:
    if value is not None:
        return value
    hint = f"{name} is not set; write {{% if {name} %}} around it or `| default('…')` behind it"
    return _Unset(hint=hint, name=name, exc=_MistakeError)


def _environment() -> sandbox.SandboxedEnvironment:
    environment = sandbox.ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        finalize=_printed,
        keep_trailing_newline=True,
        autoescape=False,  # a configuration file is no page
        trim_blocks=False,  # the line feed behind {% endif %} may end a setting
    )
    for name in ("lipsum", "cycler", "joiner"):
        environment.globals.pop(name, None)
    environment.filters |= {name: _time_filter(name, unit) for name, unit in _TIMES_S.items()}
    environment.filters |= {name: _size_filter(name, unit) for name, unit in _SIZES_BYTES.items()}
    return environment


def _rendered(
    environment: sandbox.SandboxedEnvironment,
    template: Template,
    values: Mapping[str, quantities.Value],
) -> str:
    code = environment.compile(template.text, filename=template.name)
    made = jinja2.Template.from_code(environment, code, dict(environment.globals))
    parts: list[str] = []
    length = 0
    for part in made.generate({name: _seen(name, value) for name, value in values.items()}):
        parts.append(part)
        length += len(part.encode("utf-8", "surrogateescape"))
        if length > OUTPUT_BYTES_MAX:
            raise _MistakeError(
                f"prints more than {units.format_size(OUTPUT_BYTES_MAX)}; shorten it"
            )
    return "".join(parts)


def _printed(value: object) -> object:
    """Return what stands in the file for a value."""
    match value:
        case None:
            raise _MistakeError("prints nothing; write {% if … %} around it")
        case bool():
            return "true" if value else "false"
        case list():
            return " ".join(str(_printed(one)) for one in value)
        case _:
            return value


def _time_filter(name: str, unit_s: float) -> Callable[[object], str]:
    def number(value: object) -> str:
        if not isinstance(value, quantities.Duration):
            raise _MistakeError(f"{name}: {_shown(value)} is no duration; leave the filter out")
        return f"{value.seconds / unit_s:.9f}".rstrip("0").rstrip(".")

    return number


def _size_filter(name: str, unit_bytes: int) -> Callable[[object], str]:
    def number(value: object) -> str:
        if not isinstance(value, quantities.Size):
            raise _MistakeError(f"{name}: {_shown(value)} is no size; leave the filter out")
        if value.count % unit_bytes:
            raise _MistakeError(f"{name}: {value} is no whole number of them; use a smaller unit")
        return str(value.count // unit_bytes)

    return number


def _shown(value: object) -> str:
    return (
        "what is not set"
        if isinstance(value, _Unset)
        else f"a value of type {type(value).__name__}"
    )


def _unknown(
    tree: nodes.Template, unknown: set[str], place: str, names: Sequence[str]
) -> Iterator[str]:
    for node in tree.find_all(nodes.Name):
        if node.name in unknown:
            unknown.discard(node.name)
            near = nearest.nearest(node.name, names)
            hint = f"did you mean {near}?" if near else "leave it out"
            shown = units.shown(node.name)
            yield f"{place}:{node.lineno}: {shown} is no parameter of the contract; {hint}"


def _worded(error: BaseException, name: str, *, is_told: bool) -> str:
    """Return an error with the line of the template where it happened."""
    line = getattr(error, "lineno", None)
    if line is None:
        frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename == name]
        line = frames[-1].lineno if frames else None
    told = "is nested too deeply" if isinstance(error, RecursionError) else str(error)
    told = told if is_told else "cannot be filled; why is not shown, as it takes a secret"
    remedy = "" if isinstance(error, _MistakeError) else "; correct it"
    place = f"{name}:{line}" if line else name
    return f"{place}: {' '.join(told.split())[:300]}{remedy}"
