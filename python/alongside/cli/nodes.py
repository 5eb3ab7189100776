"""Start one native node by flags: what `alongside route`, `cache` and `tls` share."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from alongside.base import clock, environment, log
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
    resolved = values.gather(contract, words, variables)
    binary = find(variables)
    made = document_of(resolved)
    content = json.dumps(made.to_json()).encode()
    checking.check(content, resolved)
    if any(listener.tls is not None for listener in made.listeners):
        checking.check_files(binary, content, resolved)
    say(resolved)
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
    resolved = values.gather(contract, words, variables)
    content = json.dumps(document_of(resolved).to_json()).encode()
    checking.check(content, resolved)
    return content


def find(variables: environment.Environment) -> str:
    """Return the path of the data plane's binary; raises as `launch.find`."""
    return launch.find(variables, program=sys.argv[0], interpreter=sys.executable)


def say(resolved: values.Values) -> log.Log:
    """Log what a component was told; return its log."""
    lines = log.Log(clock.SystemClock()).bind(component=resolved.contract.component)
    for warning in resolved.warnings():
        lines.warning("name_goes", told=warning)
    lines.info("effective_values", values=resolved.effective())
    return lines
