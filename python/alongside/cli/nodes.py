"""Start one native node by flags: what `alongside route` and `alongside cache` share."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from alongside.base import clock, environment, log
from alongside.components.dataplane import checking, launch
from alongside.contract import flags, promise, values

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
    resolved = values.resolve(contract, flags.read(contract, words), variables)
    binary = launch.find(variables, program=sys.argv[0], interpreter=sys.executable)
    content = json.dumps(document_of(resolved).to_json()).encode()
    checking.check(content, contract, resolved)
    log.Log(clock.SystemClock()).info(
        "effective_values", component=contract.component, values=resolved.effective()
    )
    launch.become(binary, content)
