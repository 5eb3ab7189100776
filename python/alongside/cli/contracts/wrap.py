"""`alongside contract wrap`: check a program's environment, then become the program."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import environment, errors
from alongside.cli import options
from alongside.components.wrap import wrapping
from alongside.contract.catalogue import wrap

if TYPE_CHECKING:
    from collections.abc import Sequence


_NAME = "alongside contract wrap"
_COERCED = "LC_CTYPE"
_AT_START = Path("/proc/self/environ")


def _start(words: Sequence[str], variables: environment.Environment) -> int:
    """Become the program, or say under the whole name of the command why not."""
    try:
        wrapping.start(words, _as_given(variables))
    except errors.AlongsideError as error:
        is_usage = isinstance(error, errors.UsageError)
        lines = [*str(error).splitlines(), *([f"see {_NAME} --help"] if is_usage else [])]
        sys.stderr.write("".join(f"{_NAME}: {line}\n" for line in lines))
        return int(error.exit_code)
    return int(errors.ExitCode.DONE)


def _as_given(variables: environment.Environment) -> environment.Environment:
    """Return the variables with the one as it was that Python sets for itself, or without it."""
    try:
        at_start = _AT_START.read_bytes().split(b"\0")
    except OSError:
        return variables
    begin = f"{_COERCED}=".encode()
    given = [os.fsdecode(one.removeprefix(begin)) for one in at_start if one.startswith(begin)]
    others = {name: text for name, text in variables.items() if name != _COERCED}
    return environment.Environment(others | ({_COERCED: given[0]} if given else {}))


command = options.ProgramCommand(wrap.CONTRACT, _start)
