"""List the contracts of our components, one file each.

In:    the words of `contract.promise`.
Out:   `route.CONTRACT`, `cache.CONTRACT`, `up.CONTRACT`; `NAMES` lists them.
Not:   anything that runs; what is said here is kept by components and the data plane.
Next:  cli reads flags by these; docs/contracts holds their pages.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alongside.contract import promise

NAMES = ("ambassador", "cache", "route", "run", "tls", "up", "wrap")
"""The components that have a contract; each is a module of this package."""


@dataclass(frozen=True, slots=True)
class Beside:
    """How a component stands in front of a program, or of another component."""

    asks: str
    """The parameter that says what it stands in front of."""
    told: str = "{address}"
    """That parameter's value, of where this listens, HOST:PORT."""
    scheme: str = "http"
    """What its clients speak with it."""
    instead: tuple[str, ...] = ()
    """Parameters that say it in another way."""


BESIDE = {
    "cache": Beside("origin", told="http://{address}"),
    "tls": Beside("proxy_port", scheme="https", instead=("proxy_socket",)),
}
"""The components that `run` puts in front of a program."""

COMMANDS = {"wrap": "contract wrap"}
"""The command of a component, where it is not its name."""


def contract_of(component: str) -> promise.Contract:
    """Return the contract of a component; raise ImportError where there is none of that name."""
    module = importlib.import_module(f"alongside.contract.catalogue.{component}")
    contract: promise.Contract = module.CONTRACT
    return contract


def title(word: str) -> str:
    """Return the heading of a page: a component's command; empty for what is none of ours."""
    return f"alongside {COMMANDS.get(word, word)}" if word in NAMES else ""
