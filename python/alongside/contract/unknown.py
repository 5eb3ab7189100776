"""Find the variables that look like a component's own and are none, but for Kubernetes' own.

Kubernetes tells every container of the Services beside it, and one may be named as a component is:
`CACHE_SERVICE_HOST` and `CACHE_PORT=tcp://…` are no slips of anybody's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alongside.base import nearest, units

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alongside.base import environment
    from alongside.contract import promise

_SERVICE_VARIABLE = re.compile(
    r"(?:.*_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?"
    r"|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_SERVICE_URL = re.compile(r"(?:tcp|udp|sctp)://")


def problems(
    contract: promise.Contract, names: Sequence[str], variables: environment.Environment
) -> Iterator[str]:
    """Yield a line for each variable with the contract's prefix that no parameter owns.

    Args:
        contract: whose prefix it is; without one there is nothing to find.
        names: the variables of its parameters, aliases too.
        variables: the whole environment.
    """
    if not contract.prefix:
        return
    for name in sorted(variables):
        if not name.startswith(contract.prefix) or name in names:
            continue
        if _is_injected(contract.prefix, name, variables[name]):
            continue
        near = nearest.nearest(name, names)
        hint = f"did you mean {near}?" if near else "unset it"
        yield f"{units.shown(name)}: is no variable of {contract.component}; {hint}"


def is_service_url(name: str, value: str) -> bool:
    """Return whether it is the one form that no parameter of ours could mean."""
    return f"_{name}".endswith("_PORT") and _SERVICE_URL.match(value) is not None


def _is_injected(prefix: str, name: str, value: str) -> bool:
    """Return whether Kubernetes sets this variable for a Service, which may be named like us."""
    if is_service_url(name, value):
        return True
    return name.startswith(prefix) and bool(_SERVICE_VARIABLE.fullmatch(name.removeprefix(prefix)))
