"""Show a project's state as a table for people, one row a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich import console, table, text

from alongside.base import release, units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alongside.server import pooled, status

_STYLES = {"ready": "green", "ended": "dim", "waiting": "red", "unready": "yellow"}


WIDTH_OF_FILES = 10_000
"""Where no terminal says how wide it is, a line stays one line, for `grep` and its kin."""


def title(state: status.Status) -> str:
    """Return a line that says which project this is, and whether all of it is as its files say."""
    origin = f" from {state['folder']}" if state["folder"] else ""
    word = "all is ready" if state["ready"] else "not all is ready yet"
    return (
        f'project "{state["project"]}"{origin} (supervisor pid {state["supervisor_pid"]}): {word}'
    )


def write(state: status.Status) -> None:
    """Write a project's state to stdout."""
    put(whole(state))


def write_version(state: status.Status) -> None:
    """Write that a supervisor is of another version than the command, if so."""
    own = release.version()
    if state["version"] != own:
        click.echo(
            f"warning: the supervisor is of version {state['version']}, this command of {own}; "
            "what it runs is restarted by alongside up FILE, it itself by alongside down and up"
        )


def put(shown: console.RenderableType) -> None:
    """Write to stdout, as wide as the terminal; to a file no line is broken."""
    is_terminal = console.Console().is_terminal
    console.Console(width=None if is_terminal else WIDTH_OF_FILES).print(shown)


def whole(state: status.Status) -> console.Group:
    """Return caches, Services, pods, processes and warnings of a project."""
    parts: list[console.RenderableType] = [
        text.Text(_cache(state, cache)) for cache in state["caches"]
    ]
    # An older supervisor knows no pools.
    parts += [text.Text(_pool(state, pool)) for pool in state.get("pools", ())]
    parts += [text.Text(line) for line in _services(state)]
    parts.append(processes(state))
    restart = state.get("restart")  # an older supervisor knows of none
    if restart is not None and restart["outcome"] == "running":
        waits = f"; it {restart['reason']}" if restart["reason"] else ""
        done = f"{restart['done']} of {restart['asked']} done"
        parts.append(text.Text(f"restart ({restart['why']}): {done}{waits}"))
    parts += [text.Text(f"warning: {warning}", style="yellow") for warning in state["warnings"]]
    return console.Group(*parts)


def _cache(state: status.Status, cache: status.CacheStatus) -> str:
    """Return three lines: where it is, how it is made up, how it does."""
    replicas = max(len(shard["replicas"]) for shard in cache["shards"])
    made_of = (
        f"{_count(len(cache['shards']), 'shard')} by {cache['function']}({cache['key']}), "
        f"{_count(replicas, 'replica')} each, {units.format_size(cache['memory_bytes'])} each, "
        f"{_count(len(cache['routers']), 'router')}"
    )
    return (
        f'cache "{cache["name"]}" at http://{cache["address"]}, origin {cache["origin"]}\n'
        f"  {made_of}\n  {', '.join(_told(cache)) or _untold(state, cache['routers'])}"
    )


def _untold(state: status.Status, routers: Sequence[str]) -> str:
    """Return why nothing is known of a cache's routers: who has just begun was not asked yet."""
    asked = {one["name"]: one for one in state["processes"] if one["state"] == "ready"}
    # A supervisor that is older than this command does not say who is silent.
    is_served = any(name in asked and not asked[name].get("silent") for name in routers)
    return "no figures yet" if is_served else "no router answers"


def _pool(state: status.Status, pool: pooled.PoolStatus) -> str:
    """Return three lines of a cache of memcache or Redis, as of another one."""
    is_beside = pool["access"] == "ambassador"
    pods = len(pool.get("pods", ()))  # an older supervisor knows none
    where = f"each of {pods} pods" if pods > 1 else "a pod"
    beside = f", and one in {where}" if pods else ""
    left = [server["name"] for server in pool["servers"] if server["left"]]
    told = []
    if pool["requests_per_s"] is not None:
        told.append(f"{pool['requests_per_s']:.1f} commands/s")
    if pool["clients"] is not None:
        told.append(_count(pool["clients"], "client"))
    if left:
        told.append(f"{', '.join(left)} left")
    return (
        f'cache "{pool["name"]}" ({pool["protocol"]}) at {pool["address"]}\n'
        f"  {_count(len(pool['servers']), 'server')} by {pool['function']}({pool['hash']}), "
        f"{units.format_size(pool['memory_bytes'])} each, "
        f"{_count(len(pool['routers']), 'router')}{' at localhost' * is_beside}{beside}\n"
        f"  {', '.join(told) or _untold(state, pool['routers'])}"
    )


def _services(state: status.Status) -> list[str]:
    """Return what runs the pods, and where each Service is reached."""
    # A supervisor that is older than this command says neither.
    engine, reason = state.get("engine"), state.get("engine_reason", "")
    lines = [f"engine {engine}: {reason}"] if engine else []
    for name, ports in state.get("services", {}).items():
        at = ", ".join(
            address if address.rpartition(":")[2] == port else f"{address} (port {port})"
            for port, address in ports.items()
        )
        lines.append(f'service "{name}" at {at}')
    return lines


def _told(cache: status.CacheStatus) -> list[str]:
    """Return how a cache does, and what it had to do about lost nodes since the start."""
    told = []
    if cache["requests_per_s"] is not None:
        told.append(f"{cache['requests_per_s']:.1f} requests/s")
    if cache["hit_ratio"] is not None:
        told.append(f"{cache['hit_ratio']:.1%} hits")
    if cache["spared_ratio"] is not None:
        told.append(f"{cache['spared_ratio']:.1%} without the origin")
    helped = {
        "tried again": sum(cache["retries"].values()),
        "fell back": sum(cache["fallbacks"].values()),
        "resumed": cache["resumed"],
    }
    return told + [f"{count} {what}" for what, count in helped.items() if count]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


_COLUMNS = (
    *(("name", False), ("role", False), ("state", False), ("pid", True), ("address", False)),
    *(("restarts", True), ("req/s", True), ("hits", True), ("share", True), ("warm", True)),
    ("now", True),
)
"""Names, and whether they hold numbers; `now` is how many requests are in flight."""


def processes(state: status.Status) -> table.Table:
    """Return the table of processes."""
    shown = table.Table(box=None, pad_edge=False)
    for name, is_number in _COLUMNS:
        shown.add_column(name, justify="right" if is_number else "left", no_wrap=True)
    for process in state["processes"]:
        reason = f" ({process['reason']})" if process["reason"] else ""
        rate, share = process["requests_per_s"], process["share_ratio"]
        shown.add_row(
            process["name"],
            process["role"],
            text.Text(process["state"] + reason, style=_STYLES.get(process["state"], "")),
            str(process["pid"] or "-"),
            _address(process["address"]),
            str(process["restarts"]),
            f"{rate:.1f}" if rate is not None else "-",
            _percent(process["hit_ratio"], digits=1),
            text.Text("left", style="yellow") if share == 0 else _percent(share),
            _percent(process["warmth_ratio"]),
            str(process["in_flight"]) if process["in_flight"] is not None else "-",
        )
        listed = process.get("containers", [])
        for container in listed if len(listed) > 1 else ():
            shown.add_row(*_container(container))
    return shown


def _address(address: str | None) -> str:
    """Return an address; of a socket in the project's folder its name is enough for people."""
    if address is not None and address.startswith("unix:"):
        return f"unix:…/{address.rpartition('/')[2]}"
    return address or "-"


def _container(container: status.ContainerStatus) -> tuple[str | text.Text, ...]:
    """Return the row of one of several containers of a pod; its process's columns stay empty."""
    state = "ready" if container["ready"] else container["state"]
    why = container["message"] or container["reason"]
    if state in {"ready", "running"}:
        why = ""
    style = {"ready": "green", "terminated": "dim"}.get(state, "yellow")
    return (
        f"  {container['name']}",
        container["kind"],
        text.Text(f"{state}{f' ({why})' if why else ''}", style=style),
        container["id"][:12] or "-",
        "",
        str(container["restarts"]),
    )


def _percent(ratio: float | None, *, digits: int = 0) -> str:
    return f"{ratio:.{digits}%}" if ratio is not None else "-"
