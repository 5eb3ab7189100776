"""Start one native node by flags: what `alongside route`, `cache` and `tls` share."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from alongside.base import clock, environment, errors, log
from alongside.components.dataplane import checking, launch
from alongside.contract import promise, values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alongside import document

    DocumentOf = Callable[[values.Values], document.Document]


def become(
    contract: promise.Contract,
    document_of: DocumentOf,
    words: Sequence[str],
    variables: environment.Environment,
) -> None:
    """Check a node's values, log them, and become the data plane with their document.

    Raises:
        errors.UsageError: every mistake of flags and environment at once.
        errors.PermanentError: the binary is missing or cannot be run.
    """
    given = values.look(contract, words, variables)
    binary = find(variables)
    content = _document(given, document_of, binary)
    say(given)
    launch.become(binary, content)


def render(
    contract: promise.Contract,
    document_of: DocumentOf,
    words: Sequence[str],
    variables: environment.Environment,
) -> bytes:
    """Return the document that a node with these words would serve, as JSON.

    Raises:
        errors.UsageError: every mistake of flags and environment at once.
    """
    return _document(values.look(contract, words, variables), document_of, None)


def find(variables: environment.Environment) -> str:
    """Return the path of the data plane's binary; raises as `launch.find`."""
    return launch.find(variables, program=sys.argv[0], interpreter=sys.executable)


def say(given: values.Values, level: log.Level = "info") -> log.Log:
    """Log what a component was told; return its log, which writes lines from a level on."""
    lines = log.Log(clock.SystemClock(), level=level).bind(component=given.contract.component)
    for warning in given.warnings():
        lines.warning("name_goes", told=warning)
    lines.info("effective_values", values=given.effective())
    return lines


def _document(given: values.Values, document_of: DocumentOf, binary: str | None) -> bytes:
    """Return the document of values as JSON, when all of them and the files they name are right.

    Files are looked at where there is a binary to do that. A name that nobody knows hides no other
    mistake: all are said at once, as far as they can be found without what is wrong already.
    """
    problems = list(given.problems)
    try:
        made = document_of(given)
        content = json.dumps(made.to_json()).encode()
        checking.check(content, given)
        if binary is not None and any(listener.tls is not None for listener in made.listeners):
            checking.check_files(binary, content, given)
    except errors.UsageError as error:
        problems.extend(error.problems)
    if problems:
        raise errors.UsageError(*dict.fromkeys(problems))
    return content
