"""Check a program's surroundings, write its configuration, and become it; all or nothing."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, TypedDict, cast

from alongside.base import clock, environment, errors, files, log, units
from alongside.components.wrap import bounding, surroundings, targets
from alongside.contract import kinds, promise, values, written
from alongside.contract.catalogue import wrap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alongside.components.wrap import quantities
    from alongside.contract import flags


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """Everything that is known to be right before anything is done."""

    files: tuple[tuple[Path, bytes, int], ...]
    program: str
    words: tuple[str, ...]
    variables: dict[str, str]
    values: values.Values
    suspicions: tuple[str, ...]


class _Answer(TypedDict):
    """What `filling.fill` found, as it comes out of the child."""

    texts: list[str]
    have_secrets: list[bool]
    problems: list[str]


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
    for warning in plan.suspicions:
        lines.warning("flag_misspelt", told=warning)
    lines.info("effective_values", values=plan.values.effective())
    _become(plan, execute)


def _planned(words: Sequence[str], variables: environment.Environment) -> _Plan:
    """Return what to do, or raise every mistake of all parts at once."""
    own, rest = _parted(words)
    ours = values.gather(wrap.CONTRACT, [*own, *(["--", rest[0]] if rest else [])], variables)
    contract = surroundings.judged(_contract(ours.text("contract")))
    problems: list[str] = []
    said = surroundings.given(contract, rest[1:])
    heeded = surroundings.heeded(contract, variables)
    resolved = _resolved(contract, said, heeded, problems)
    changes: dict[str, str | None] = {}
    seen: dict[str, quantities.Value] | None = None
    if resolved is not None:
        changes, wrong = surroundings.variables_of(resolved, variables)
        problems += wrong
        seen = surroundings.in_templates(resolved, said, heeded)
    program = _program(ours.text("program"), variables, problems)
    pairs = targets.pairs(ours.texts("template"), problems)
    filled = _filled(pairs, contract, seen, ours.duration_s("template_timeout"), problems)
    if problems or resolved is None:
        raise errors.UsageError(*problems)
    passed = {name: text for name, text in {**variables, **changes}.items() if text is not None}
    suspicions = surroundings.suspected(contract, rest[1:])
    return _Plan(filled, program, tuple(rest), passed, resolved, suspicions)


def _parted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return our words and the program's, which stand after `--`.

    Raises:
        errors.UsageError: the program stands there without it.
    """
    at = 0
    while at < len(words) and words[at] != "--":
        word = words[at]
        if not word.startswith("-"):
            shown = units.shown(word)
            raise errors.UsageError(f"{shown}: is not expected here; write -- before the program")
        has_next = "=" not in word and at + 1 < len(words) and words[at + 1] != "--"
        at += 2 if has_next and not words[at + 1].startswith("-") else 1
    return list(words[:at]), list(words[at + 1 :])


def _contract(path: str) -> promise.Contract:
    content = files.read_bounded(Path(path), bytes_max=written.BYTES_MAX)
    return written.from_text(content.decode("utf-8", "replace"), path)


def _resolved(
    contract: promise.Contract,
    said: flags.Flags,
    variables: environment.Environment,
    problems: list[str],
) -> values.Values | None:
    try:
        return values.resolve(contract, said, variables, read=kinds.read_foreign)
    except errors.UsageError as error:
        problems += error.problems
        return None


def _program(name: str, variables: environment.Environment, problems: list[str]) -> str:
    found = shutil.which(name, path=variables.get("PATH", os.defpath))
    if found is None:
        problems.append(f"{units.shown(name)}: is no program that can be run; name one")
    return found or name


def _filled(
    pairs: Sequence[targets.Pair],
    contract: promise.Contract,
    seen: Mapping[str, quantities.Value] | None,
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

    def work() -> object:
        return dataclasses.asdict(filling.fill(templates, names, seen, secrets))

    try:
        answer = cast("_Answer", bounding.run(work, timeout_s=timeout_s))
    except errors.UsageError as error:
        listed = ", ".join(str(pair.source) for pair in pairs)
        problems += [f"--template {listed}: {problem}" for problem in error.problems]
        return ()
    problems += answer["problems"]
    if answer["problems"] or seen is None:
        return ()
    return tuple(
        (pair.target, text.encode("utf-8", "surrogateescape"), targets.mode(pair.target, secret))
        for pair, text, secret in zip(pairs, answer["texts"], answer["have_secrets"], strict=True)
    )


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
