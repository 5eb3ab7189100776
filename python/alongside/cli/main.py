"""The `alongside` command: choose a command, load its file alone, turn errors into exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from alongside.base import environment, errors
from alongside.cli import table

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED = 130
"""What shells expect of a command that Ctrl-C ended."""


def main() -> NoReturn:
    """Run the command line of this process and end it with the exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; every error becomes lines on stderr."""
    try:
        return _dispatch(arguments)
    except errors.UsageError as error:
        name = _called(arguments)
        return _fail(name, [*error.problems, f"see {name} --help"], error.exit_code)
    except errors.AlongsideError as error:
        return _fail(_called(arguments), str(error).splitlines(), error.exit_code)
    except PermissionError as error:
        if error.filename is None:
            raise
        # Met where nobody looked for it, such as below a folder that this user may not enter.
        path = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename
        remedy = "be who may, or name another place"
        lines = [f"this user may not use {path}: {error.strerror}; {remedy}"]
        return _fail(_called(arguments), lines, errors.ExitCode.FAILED)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads us any more; keep the interpreter from saying so
        return int(errors.ExitCode.FAILED)


def _dispatch(arguments: Sequence[str]) -> int:
    is_node = bool(arguments) and arguments[0] in table.NODES
    if is_node and not any(word in table.HELP_FLAGS for word in arguments):
        module = importlib.import_module(table.module_of(arguments[0]))
        module.start(arguments[1:], environment.of_process())
        return int(errors.ExitCode.DONE)
    # Late, because the commands above start in half the time without click.
    from alongside.cli import group  # noqa: PLC0415

    return group.run(arguments)


def _called(arguments: Sequence[str]) -> str:
    """Return the name under which the command of a command line has its help."""
    at = next((at for at, word in enumerate(arguments) if word in table.COMMANDS), None)
    if at is None:
        return "alongside"
    if arguments[at] in table.NODES:
        return f"alongside {arguments[at]}"
    from alongside.cli import group  # noqa: PLC0415 - late, as above

    return group.path_of(arguments[at:])


def _fail(name: str, lines: Sequence[str], code: errors.ExitCode) -> int:
    sys.stderr.write("".join(f"{name}: {line}\n" for line in lines))
    return int(code)
