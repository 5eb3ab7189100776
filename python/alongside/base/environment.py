"""Read the process's environment once; nothing else in the package looks at `os.environ`."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType


class Environment(Mapping[str, str]):
    """Environment variables as a value that cannot change: passed in, never looked up.

    Tests build one from a dict. Its `repr` shows no values, since they may be secret.
    """

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        """Copy the variables; without any, the environment is empty."""
        self._variables = MappingProxyType(dict(variables or {}))

    def __getitem__(self, name: str) -> str:
        """Return a variable's value; raise KeyError where it is not set."""
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names in the order they were given."""
        return iter(self._variables)

    def __len__(self) -> int:
        """Return how many variables are set."""
        return len(self._variables)

    def __repr__(self) -> str:
        return f"Environment({len(self)} variables)"

    def with_variables(self, variables: Mapping[str, str]) -> Environment:
        """Return a copy in which the given variables are set, for a child process."""
        return Environment({**self._variables, **variables})


def of_process() -> Environment:
    """Return this process's environment as it is now; called once, by the command line."""
    return Environment(os.environ)


def home(variables: Mapping[str, str]) -> Path:
    """Return this user's home: by `HOME`, else as the machine knows the user, else the root.

    Services and containers often start programs without the variable.
    """
    if told := variables.get("HOME"):
        return Path(told)
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir or "/")
    except KeyError:  # a number that the machine has no name for
        return Path("/")
