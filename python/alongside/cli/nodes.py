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
    binary = launch.find(variables, program=sys.argv[0], interpreter=sys.executable)
    content = json.dumps(document_of(resolved).to_json()).encode()
    checking.check(content, resolved)
    lines = log.Log(clock.SystemClock()).bind(component=contract.component)
    for warning in resolved.warnings():
        lines.warning("name_goes", told=warning)
    lines.info("effective_values", values=resolved.effective())
    launch.become(binary, content)
