"""Check a program's surroundings, write its configuration, and become it; all or nothing."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, cast

from alongside.base import clock, environment, errors, files, log, units
from alongside.components.wrap import bounding, surroundings
from alongside.contract import promise, values, written
from alongside.contract.catalogue import wrap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TEMPLATE_BYTES_MAX = 1024 * 1024
"""A longer template is none that somebody wrote."""
_MODE = 0o644
_SECRET_MODE = 0o600


@dataclasses.dataclass(frozen=True, slots=True)
class _Pair:
    """A template and where the filled one goes."""

    source: Path
    target: Path
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """Everything that is known to be right before anything is done."""

    files: tuple[tuple[Path, bytes, int], ...]
    program: str
    words: tuple[str, ...]
    variables: dict[str, str]
    values: values.Values


class Execute(Protocol):
    """What replaces this process by another program; `os.execve` outside tests."""

    def __call__(
        self, path: str, arguments: list[str], variables: Mapping[str, str], /
    ) -> NoReturn:
        """Run the program at a path; never return, or raise OSError."""


def start(
    words: Sequence[str],
    variables: environment.Environment,
    *,
    execute: Execute = os.execve,
) -> None:
    """Become the program that the words name, if everything it is given is right.

    Raises:
        errors.UsageError: every mistake at once; nothing was written or started.
        errors.AlongsideError: a file cannot be written, or the program not be run.
    """
    plan = _planned(words, variables)
    for path, content, mode in plan.files:
        files.write_atomic(path, content, mode=mode)
    lines = log.Log(clock.SystemClock()).bind(component=plan.values.contract.component)
    for warning in plan.values.warnings():
        lines.warning("name_goes", told=warning)
    lines.info("effective_values", values=plan.values.effective())
    _become(plan, execute)


def _planned(words: Sequence[str], variables: environment.Environment) -> _Plan:
    """Return what to do, or raise every mistake of all parts at once."""
    at = words.index("--") if "--" in words else len(words)
    own, rest = list(words[:at]), list(words[at + 1 :])
    ours = values.gather(wrap.CONTRACT, [*own, *(["--", rest[0]] if rest else [])], variables)
    contract = surroundings.judged(_contract(ours.text("contract")))
    problems: list[str] = []
    resolved = _resolved(contract, rest[1:], variables, problems)
    changes: dict[str, str] = {}
    if resolved is not None:
        changes, wrong = surroundings.variables_of(resolved, variables)
        problems += wrong
    program = _program(ours.text("program"), variables, problems)
    pairs = [pair for text in ours.texts("template") for pair in _pair(text, problems)]
    filled = _filled(pairs, contract, resolved, ours.duration_s("template_timeout"), problems)
    if problems or resolved is None:
        raise errors.UsageError(*problems)
    return _Plan(filled, program, tuple(rest), {**variables, **changes}, resolved)


def _contract(path: str) -> promise.Contract:
    content = files.read_bounded(Path(path), bytes_max=written.BYTES_MAX)
    return written.from_text(content.decode("utf-8", "replace"), path)


def _resolved(
    contract: promise.Contract,
    words: Sequence[str],
    variables: environment.Environment,
    problems: list[str],
) -> values.Values | None:
    try:
        return values.resolve(contract, surroundings.given(contract, words), variables)
    except errors.UsageError as error:
        problems += error.problems
        return None


def _program(name: str, variables: environment.Environment, problems: list[str]) -> str:
    found = shutil.which(name, path=variables.get("PATH", os.defpath))
    if found is None:
        problems.append(f"{units.shown(name)}: is no program that can be run; name one")
    return found or name


def _pair(text: str, problems: list[str]) -> list[_Pair]:
    """Return a template with its text; none where something is wrong with it."""
    source, colon, target = text.partition(":")
    place = f"--template {units.shown(text)}"
    if not (source and colon and target):
        problems.append(f"{place}: write it as SOURCE:TARGET")
    elif Path(target).is_dir() or not Path(target).parent.is_dir():
        problems.append(f"{place}: {target} is no file in a folder that exists; name one")
    else:
        try:
            content = files.read_bounded(Path(source), bytes_max=TEMPLATE_BYTES_MAX)
            return [_Pair(Path(source), Path(target), content.decode())]
        except UnicodeDecodeError:
            problems.append(f"{place}: {source} is no UTF-8 text; write it as one")
        except errors.UsageError as error:
            problems += [f"{place}: {problem}" for problem in error.problems]
    return []


def _filled(
    pairs: list[_Pair],
    contract: promise.Contract,
    resolved: values.Values | None,
    timeout_s: float,
    problems: list[str],
) -> tuple[tuple[Path, bytes, int], ...]:
    """Return the content and the mode of each file."""
    if not pairs:
        return ()
    # Late: Jinja takes longer to load than all the rest, and most programs need no template.
    from alongside.components.wrap import filling  # noqa: PLC0415

    templates = [filling.Template(str(pair.source), pair.text) for pair in pairs]
    names = [one.name for one in contract.parameters]
    secrets = frozenset(one.name for one in contract.parameters if one.is_secret)
    seen = surroundings.in_templates(resolved) if resolved is not None else None

    def work() -> object:
        return dataclasses.asdict(filling.fill(templates, names, seen, secrets))

    try:
        answer = cast("dict[str, list[str]]", bounding.run(work, timeout_s=timeout_s))
    except errors.UsageError as error:
        listed = ", ".join(str(pair.source) for pair in pairs)
        problems += [f"--template {listed}: {problem}" for problem in error.problems]
        return ()
    problems += answer["problems"]
    if answer["problems"] or resolved is None:
        return ()
    return tuple(
        (pair.target, text.encode("utf-8", "surrogateescape"), _mode(pair.target, bool(secret)))
        for pair, text, secret in zip(pairs, answer["texts"], answer["have_secrets"], strict=True)
    )


def _mode(target: Path, has_secret: bool) -> int:
    """Return the permission bits that a file gets: those it has, or what its content asks for."""
    try:
        return target.stat().st_mode & 0o777
    except OSError:
        return _SECRET_MODE if has_secret else _MODE


def _become(plan: _Plan, execute: Execute) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores these two for itself, and the program would inherit that.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        execute(plan.program, list(plan.words), plan.variables)
    except OSError as error:
        raise errors.PermanentError(
            f"cannot run {plan.program}: {error.strerror}; is it made for this machine?"
        ) from error
