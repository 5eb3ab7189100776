"""Expand `$(NAME)` as Kubernetes does, now where the value is known and at the start where not.

A text that names nothing late is plain after planning. One that does keeps `$(NAME)` of what is
late, and each `$` that is meant as such is doubled in it, so that filling it in is exact.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from alongside.plan import pods

POD_ADDRESSES = frozenset({"field:status.podIP", "field:status.podIPs"})
HOST_ADDRESSES = frozenset({"field:status.hostIP", "field:status.hostIPs"})
VOLUME_PREFIX = "ALONGSIDE_VOLUME_"
_NAMED = re.compile(r"(?=\$\(([^)]*)\))")
_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")


def expanded(
    text: str,
    known: Mapping[str, str],
    late: Collection[str] = (),
    watched: Collection[str] | None = None,
) -> str:
    """Return a text with `$(NAME)` of what is known replaced; unknown ones stay, `$$` is `$`.

    Args:
        text: as a user wrote it.
        known: values of today.
        late: names that stand for something at this place, which `filled` gets to know.
        watched: all names that `filled` replaces in this container; without them, `late`.
    """
    plain, kept = "", ""
    at = 0
    for match in _REFERENCE.finditer(text):
        before = text[at : match.start()]
        at = match.end()
        is_late = match[1] is not None and match[1] in late and match[1] not in known
        meant = "$" if match[0] == "$$" else known.get(match[1], match[0])
        plain += before + meant
        kept += _doubled(before) + (match[0] if is_late else _doubled(meant))
    plain += text[at:]
    kept += _doubled(text[at:])
    return kept if has_late(plain, late if watched is None else watched) else plain


def literal(text: str, late: Collection[str]) -> str:
    """Return a value that nothing is replaced in, such as a ConfigMap's, as `filled` leaves it."""
    return _doubled(text) if has_late(text, late) else text


def has_late(text: str, late: Collection[str]) -> bool:
    """Return whether a text names what is known only at the start."""
    return any(name in late for name in named(text))


def named(text: str) -> set[str]:
    """Return all that stands between `$(` and `)`, be it meant as a name or not."""
    return set(_NAMED.findall(text)) if "$(" in text else set()


def filled(
    container: pods.Container, *, address: str, host: str, given: Mapping[str, str] | None = None
) -> pods.Container:
    """Return a container as it is started: its variables, command and arguments are plain texts.

    Args:
        container: as planned.
        address: the pod's IP address.
        host: this machine's, as seen from the pod.
        given: other variables that the engine sets: Services' links, folders of volumes.
    """
    late = frozenset(container.late)
    known = {name: value for name, value in (given or {}).items() if name in late}
    variables = []
    for variable in container.variables:
        value = _filled(variable.value, known, late)
        if not value and variable.written in POD_ADDRESSES:
            value = address
        elif not value and variable.written in HOST_ADDRESSES:
            value = host
        if variable.name in late:
            known[variable.name] = value
        variables.append(replace(variable, value=value))
    return replace(
        container,
        variables=tuple(variables),
        command=tuple(_filled(text, known, late) for text in container.command),
        args=tuple(_filled(text, known, late) for text in container.args),
        late=(),
    )


def of_volume(name: str) -> str:
    """Return the variable that says where a volume is, for engines that cannot put it in place."""
    return VOLUME_PREFIX + _shouted(name)


def links(service: pods.Service, address: str) -> dict[str, str]:
    """Return the variables by which Kubernetes tells containers of a Service; none if headless.

    Source:
        makeLinkVariables of Kubernetes' pkg/kubelet/envvars.
    """
    if service.is_headless or not service.ports:
        return {}
    name = _shouted(service.name)
    shown = f"[{address}]" if ":" in address else address
    first = service.ports[0].number
    result = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(first)}
    for port in service.ports:
        if port.name:
            result[f"{name}_SERVICE_PORT_{_shouted(port.name)}"] = str(port.number)
    result[f"{name}_PORT"] = f"tcp://{shown}:{first}"
    for port in service.ports:
        prefix = f"{name}_PORT_{port.number}_TCP"
        result[prefix] = f"tcp://{shown}:{port.number}"
        result |= {f"{prefix}_PROTO": "tcp", f"{prefix}_PORT": str(port.number)}
        result[f"{prefix}_ADDR"] = address
    return result


def _filled(text: str, known: Mapping[str, str], late: Collection[str]) -> str:
    if not has_late(text, late):
        return text
    return _REFERENCE.sub(
        lambda match: "$" if match[0] == "$$" else known.get(match[1], match[0]), text
    )


def _doubled(text: str) -> str:
    return text.replace("$", "$$")


def _shouted(name: str) -> str:
    return name.upper().replace("-", "_").replace(".", "_")
