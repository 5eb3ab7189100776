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
    binary = launch.find(variables, program=sys.argv[0], interpreter=sys.executable)
    content = _document(given, document_of, binary)
    lines = log.Log(clock.SystemClock()).bind(component=contract.component)
    for warning in given.warnings():
        lines.warning("name_goes", told=warning)
    lines.info("effective_values", values=given.effective())
    launch.become(binary, content)


def _document(given: values.Values, document_of: DocumentOf, binary: str) -> bytes:
    """Return the document of values as JSON, when all of them and the files they name are right.

    A name that nobody knows hides no other mistake: all are said at once, as far as they can be
    found without what is wrong already.
    """
    problems = list(given.problems)
    try:
        made = document_of(given)
        content = json.dumps(made.to_json()).encode()
        checking.check(content, given)
        if any(listener.tls is not None for listener in made.listeners):
            checking.check_files(binary, content, given)
    except errors.UsageError as error:
        problems.extend(error.problems)
    if problems:
        raise errors.UsageError(*dict.fromkeys(problems))
    return content
