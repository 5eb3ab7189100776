"""Name errors by what the reader can do about them.

AlongsideError                        something of ours failed; exit code 1
├── UsageError(*problems)             fix the input: a flag, a variable, a file; exit code 2
│   └── AddressTakenError             choose another address or stop its owner; exit code 3
├── TemporaryError(retry_after_s)     wait and try again; exit code 1
├── PermanentError                    trying again does not help; exit code 1
└── PeerError(side, retry)            the other end is at fault; exit code 1

A message says what, which value, and what to do:
`listener "web": 127.0.0.1:80 is taken; choose another port or stop its owner`.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, Literal


class ExitCode(int, Enum):
    """What a command of ours ends with."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    ADDRESS_TAKEN = 3


class AlongsideError(Exception):
    """Something of ours failed; the base of every error we raise on purpose."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED


class UsageError(AlongsideError):
    """The input is wrong; it holds every mistake found, not only the first."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(self, *problems: str) -> None:
        """Take one sentence for each mistake, each with its remedy; at least one."""
        if not problems:
            raise ValueError("a UsageError needs at least one problem")
        super().__init__("\n".join(problems))
        self.problems: tuple[str, ...] = problems


class AddressTakenError(UsageError):
    """An address we were told to listen on belongs to someone else."""

    exit_code: ClassVar[ExitCode] = ExitCode.ADDRESS_TAKEN


class TemporaryError(AlongsideError):
    """It may work later: a full disk, a starting peer, a busy lock."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        """Take the message and the shortest wait that makes sense, in seconds."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PermanentError(AlongsideError):
    """Trying again does not help until someone changes something."""


Side = Literal["client", "upstream", "self"]


class PeerError(AlongsideError):
    """The other end of a connection broke its promise."""

    def __init__(self, message: str, *, side: Side, retry: bool) -> None:
        """Take the message, whose fault it is, and whether another try is safe."""
        super().__init__(message)
        self.side = side
        self.retry = retry
