"""`alongside ambassador`: read twemproxy's file, say what is odd, then become the data plane."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from alongside.base import clock
from alongside.cli import nodes
from alongside.components.dataplane import checking, launch
from alongside.components.dataplane.nutcracker import documents, secrets
from alongside.contract import values
from alongside.contract.catalogue import ambassador

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alongside.base import environment, log

CONTRACT = ambassador.CONTRACT


@dataclass(frozen=True, slots=True)
class Settled:
    """What was settled just before the data plane begins, and what it is told of that."""

    variables: dict[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    """Of its command line."""
    shown: tuple[str, ...] = ()
    """The command line that others see before its own; none where it is no other program's."""


def start(
    words: Sequence[str],
    variables: environment.Environment,
    *,
    before: Callable[[documents.Made], Settled] | None = None,
    tell: Callable[[str], object] | None = None,
    level: log.Level = "info",
) -> None:
    """Become the data plane by the words after the command's name, or only say what is odd.

    Args:
        words: flags of the contract.
        variables: the whole environment.
        before: what is done when all is right, just before.
        tell: takes the lines of `--lint`; by default stdout does.
        level: which of the log lines are written.

    Raises:
        errors.UsageError: every mistake of flags, environment and file at once.
        errors.PermanentError: the binary is missing or cannot be run; a password cannot be handed
            over.
    """
    resolved = values.gather(CONTRACT, words, variables)
    binary = nodes.find(variables)
    if resolved.is_on("lint"):
        # A look at a file leaves no password behind.
        with tempfile.TemporaryDirectory() as folder:
            made, _ = _looked_at(resolved, variables, binary, secrets_folder=Path(folder))
        (tell or sys.stdout.write)("".join(f"{line}\n" for line in made.told(is_whole=True)))
        return
    # Before it is read: what changes meanwhile is read again.
    made_of = launch.state(resolved.text("config"))
    made, content = _looked_at(resolved, variables, binary)
    settled = Settled() if before is None else before(made)
    lines = nodes.say(resolved, level)
    for line in made.told(is_whole=False):
        lines.warning("odd", told=line)
    followed = launch.Followed(_rendering(words), os.path.abspath(made.file), made_of)

    def execute(path: str, arguments: list[str]) -> NoReturn:
        environ = variables.with_variables(settled.variables)
        os.execve(path, arguments, environ)  # noqa: S606 - our own binary

    more = (*followed.words(), *settled.words)
    launch.become(binary, content, more=more, shown=settled.shown, execute=execute)


def _looked_at(
    resolved: values.Values,
    variables: environment.Environment,
    binary: str,
    *,
    secrets_folder: Path | None = None,
) -> tuple[documents.Made, bytes]:
    """Do what `checked` does, hand the passwords over, and look at the files of TLS."""
    made, content = checked(resolved, variables, secrets_folder=secrets_folder)
    hand_over(made)
    if any(listener.tls is not None for listener in made.document.listeners):
        checking.check_files(
            binary, content, resolved, place_of=lambda path: made.place(path, resolved)
        )
    return made, content


def checked(
    resolved: values.Values,
    variables: environment.Environment,
    *,
    secrets_folder: Path | None = None,
) -> tuple[documents.Made, bytes]:
    """Return what is made of the values, and the document as JSON, which was checked.

    Args:
        resolved: the values.
        variables: the whole environment.
        secrets_folder: where passwords are to be handed over; by default where they are told to be.

    Raises:
        errors.UsageError: every mistake, each with the line of the file or the flag.
    """

    def folder() -> Path:
        if secrets_folder is not None:
            return secrets_folder
        if resolved.is_set("secrets"):
            return Path(os.path.abspath(resolved.text("secrets")))
        return secrets.usual_folder(variables)

    # It goes up also where the clock on the wall is set back.
    generation = int(clock.SystemClock().monotonic_s() * 1e6)
    made = documents.of_ambassador(resolved, generation=generation, secrets_folder=folder)
    content = json.dumps(made.document.to_json()).encode()
    checking.check(content, resolved, place_of=lambda path: made.place(path, resolved))
    return made, content


def hand_over(made: documents.Made) -> None:
    """Write the passwords that a document names by their files.

    Raises:
        errors.PermanentError, errors.TemporaryError: they cannot be written.
    """
    for secret in made.secrets:
        secrets.make_folder(secret.folder)
        secret.write()


def render(words: Sequence[str], variables: environment.Environment) -> bytes:
    """Return the document that `start` would serve; passwords that it names are handed over.

    Raises:
        errors.UsageError: every mistake of flags, environment and file at once.
        errors.PermanentError, errors.TemporaryError: a password cannot be handed over.
    """
    made, content = checked(values.gather(CONTRACT, words, variables), variables)
    hand_over(made)
    return content


def _rendering(words: Sequence[str]) -> tuple[str, ...]:
    """Return the command that makes the next documents, by the same words and this very alongside.

    The script is run where there is one: it may know where the package stands when its interpreter
    alone does not.
    """
    script = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "alongside")
    is_there = os.path.isfile(script) and os.access(script, os.X_OK)
    own = (script,) if is_there else (sys.executable, "-m", "alongside")
    return (*own, "render", CONTRACT.component, *words)
