"""Show a project's state as a table for people, one row a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import console, table, text

from alongside.base import units

if TYPE_CHECKING:
    from alongside.server import status

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
    is_terminal = console.Console().is_terminal
    console.Console(width=None if is_terminal else WIDTH_OF_FILES).print(whole(state))


def whole(state: status.Status) -> console.Group:
    """Return caches, processes and warnings of a project."""
    parts: list[console.RenderableType] = [
        text.Text(
            f'cache "{cache["name"]}" at http://{cache["address"]}, '
            f"{len(cache['shards'])} shards by {cache['function']}({cache['key']}), "
            f"{units.format_size(cache['memory_bytes'])} each, origin {cache['origin']}"
        )
        for cache in state["caches"]
    ]
    parts.append(processes(state))
    parts += [text.Text(f"warning: {warning}", style="yellow") for warning in state["warnings"]]
    return console.Group(*parts)


def processes(state: status.Status) -> table.Table:
    """Return the table of processes."""
    shown = table.Table(box=None, pad_edge=False)
    for name in ("name", "role", "state", "pid", "address", "restarts", "req/s", "hits"):
        is_number = name in {"pid", "restarts", "req/s", "hits"}
        shown.add_column(name, justify="right" if is_number else "left", no_wrap=True)
    for process in state["processes"]:
        reason = f" ({process['reason']})" if process["reason"] else ""
        rate, ratio = process["requests_per_s"], process["hit_ratio"]
        shown.add_row(
            process["name"],
            process["role"],
            text.Text(process["state"] + reason, style=_STYLES.get(process["state"], "")),
            str(process["pid"] or "-"),
            process["address"] or "-",
            str(process["restarts"]),
            f"{rate:.1f}" if rate is not None else "-",
            f"{ratio:.1%}" if ratio is not None else "-",
        )
    return shown
