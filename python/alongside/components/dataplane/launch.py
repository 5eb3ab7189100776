"""Find the data plane's binary and become it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Protocol

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alongside.base import environment

BINARY = "alongside-dataplane"
VARIABLE = "ALONGSIDE_DATAPLANE"
CHECK_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Followed:
    """A file, and the command that makes a document of it, which the data plane runs anew."""

    command: tuple[str, ...]
    file: str
    made_of: str | None = None
    """What the file was when the first document was made of it, by `state`."""

    def words(self) -> list[str]:
        """Return what the binary is told."""
        more = [] if self.made_of is None else ["--made-of", self.made_of]
        return ["--render", shlex.join(self.command), "--watch", self.file, *more]


def state(file: str) -> str | None:
    """Return what tells a file from what it is later: its time, size and number; None of none."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return f"{found.st_mtime_ns}:{found.st_size}:{found.st_ino}"


class Execute(Protocol):
    """What replaces this process by another program; `os.execv` outside tests."""

    def __call__(self, path: str, arguments: list[str], /) -> NoReturn:
        """Run the program at a path; never return, or raise OSError."""


def find(
    variables: environment.Environment,
    *,
    program: str,
    interpreter: str,
    scripts: Callable[[], str] | None = None,
) -> str:
    """Return the path of the binary.

    Args:
        variables: `ALONGSIDE_DATAPLANE` names the binary outright; `PATH` is searched last.
        program: how this process was called (`sys.argv[0]`); the binary stands beside it.
        interpreter: `sys.executable`; in a virtual environment the binary stands beside it too.
        scripts: tells the folder of installed scripts; by default this installation's.

    Raises:
        errors.UsageError: the named one is no program.
        errors.PermanentError: there is none; the message lists where it was looked for.
    """
    named = variables.get(VARIABLE)
    if named:
        if not _is_program(named):
            raise errors.UsageError(f"{VARIABLE}: {named} is no program; name {BINARY} or unset it")
        return named
    looked: list[str] = []
    for folder in _folders(variables, (program, interpreter), scripts or _scripts):
        looked.append(folder)
        path = os.path.join(folder, BINARY)
        if _is_program(path):
            return path
    raise errors.PermanentError(
        f"{BINARY} is not installed; install the wheel of alongside, or set {VARIABLE}. "
        f"Looked in {', '.join(dict.fromkeys(looked))}"
    )


def become(
    binary: str,
    document: bytes,
    *,
    more: Sequence[str] = (),
    shown: Sequence[str] = (),
    execute: Execute = os.execv,
) -> NoReturn:
    """Replace this process by the data plane with a document; sockets passed to us pass on.

    The document goes by an anonymous file that the binary inherits, so that nothing is left on
    disk and no other process can change it.

    Args:
        binary: the data plane's path.
        document: what is served from the start.
        more: further words of its command line.
        shown: the command line that it goes by, where it stands for another program: tools find a
            process by what it was called with. The binary's own comes behind it.
        execute: what replaces the process.

    Raises:
        errors.PermanentError: the binary cannot be run.
    """
    descriptor = _anonymous_file(document)
    program = [*shown, "--"] if shown else [BINARY]
    try:
        execute(binary, [*program, "--document", f"fd:{descriptor}", *more])
    except OSError as error:
        os.close(descriptor)
        raise errors.PermanentError(
            f"cannot run {binary}: {error.strerror}; install the wheel for this machine"
        ) from error


def problems(binary: str, document: bytes) -> list[tuple[str, str]]:
    """Return what the data plane finds wrong with a document and the files that it names.

    Returns:
        For each problem its path in the document, and what is wrong with the remedy.

    Raises:
        errors.PermanentError: the binary cannot be run, or says something else.
    """
    descriptor = _anonymous_file(document)
    try:
        ran = subprocess.run(  # noqa: S603 - our own binary
            [binary, "--check", f"fd:{descriptor}"],
            pass_fds=[descriptor],
            capture_output=True,
            text=True,
            timeout=CHECK_S_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise errors.PermanentError(f"cannot run {binary}: {error}") from error
    finally:
        os.close(descriptor)
    said = [line.removeprefix(f"{BINARY}: ") for line in ran.stderr.splitlines()]
    found = [line.partition(": ") for line in said if ": " in line]
    if ran.returncode not in {0, 2} or (ran.returncode == 2 and not found):
        raise errors.PermanentError(f"{binary} --check ended with {ran.returncode}: {ran.stderr}")
    return [(path, text) for path, _, text in found] if ran.returncode else []


def _folders(
    variables: environment.Environment, besides: tuple[str, ...], scripts: Callable[[], str]
) -> Iterator[str]:
    yield from (os.path.dirname(path) for path in besides if os.sep in path)
    yield scripts()
    yield from filter(None, variables.get("PATH", "").split(os.pathsep))


def _scripts() -> str:
    # Late: the binary is found beside the program but for unusual installations.
    import sysconfig  # noqa: PLC0415

    return sysconfig.get_path("scripts")


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _anonymous_file(content: bytes) -> int:
    """Return an inheritable descriptor of a file without a name, at its beginning."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("alongside-document", 0)
    else:
        import tempfile  # noqa: PLC0415

        with tempfile.TemporaryFile() as stream:
            descriptor = os.dup(stream.fileno())
    with open(descriptor, "wb", closefd=False) as stream:
        stream.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.set_inheritable(descriptor, True)
    return descriptor
