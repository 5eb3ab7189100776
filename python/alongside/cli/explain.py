"""`alongside explain`: say where a request goes, and why."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from alongside.base import environment, errors
from alongside.cli import projects
from alongside.engines.processes import admin
from alongside.server import client, pooled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@click.command("explain")
@click.argument("name")
@click.argument("url", metavar="URL|KEY")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="repeatable")
@click.option("--ip", "address", metavar="ADDRESS", help="the client's address")
@click.option("--project", metavar="NAME", help="the project; this folder's name by default")
@click.option(
    "--admin",
    "door",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="ask the process that has this admin socket, in place of a project's",
)
@click.option("--json", "as_json", is_flag=True, help="write one JSON object")
def command(  # noqa: PLR0913 - one for each flag
    name: str,
    url: str,
    *,
    headers: tuple[str, ...],
    address: str | None,
    project: str | None,
    door: Path | None,
    as_json: bool,
) -> None:
    """Say key, hash, shard, replicas, address and reason for a request to the cache NAME.

    Of a cache of memcache or Redis, write a key in place of the URL. With --admin, NAME is a pool
    or a route of that process.
    """
    if door is not None and project is not None:
        raise errors.UsageError("--project: the process of --admin is asked; leave one of them out")
    if door is not None:
        if not door.is_socket():
            raise errors.UsageError(
                f"--admin: {door} is no socket; give what the process was given as its --admin"
            )
        answer = asyncio.run(_of_process(admin.Admin(door), name, url, headers, address))
    else:
        places = projects.found(project, environment.of_process())
        try:
            answer = client.Client(places).explain(name, url, headers=headers, address=address)
        except client.NotRunningError as error:
            raise projects.not_running(places) from error
    if as_json:
        click.echo(json.dumps(answer))
        return
    shown = {field: value for field, value in answer.items() if field != "address"}
    width = max(len(field) for field in shown)
    for field, value in shown.items():
        for at, line in enumerate(_lines(value)):
            click.echo(f"{field if at == 0 else '':<{width}}  {line}")


async def _of_process(
    door: admin.Admin, name: str, url: str, headers: Sequence[str], address: str | None
) -> Mapping[str, object]:
    """Return what a process says at its admin door of a request to its pool or route."""
    snapshot = await door.snapshot()
    document = snapshot.get("document")
    pools = _names(snapshot.get("pools"))
    routes = _names(document.get("routes")) if isinstance(document, dict) else []
    if name not in (*pools, *routes):
        known = ", ".join((*pools, *routes))
        remedy = f"write one of {known}" if known else "this process has none"
        raise errors.UsageError(f'no pool or route "{name}"; {remedy}')
    if name in pools:
        if headers or address is not None:
            raise errors.UsageError(
                f'pool "{name}" is of commands that have neither fields nor addresses; leave '
                "--header and --ip out"
            )
        answer = await door.explain([("pool", name), ("key", url)])
        return {"name": name, "key": url, **pooled.placed(answer), "reason": answer.get("why")}
    parameters = [("route", name), ("url", url), *[("header", header) for header in headers]]
    answer = await door.explain(parameters + ([("ip", address)] if address is not None else []))
    return {"name": name, "url": url, **answer}


def _names(told: object) -> list[str]:
    """Return the names of things in a document or snapshot."""
    things = told if isinstance(told, list) else []
    return [str(one["name"]) for one in things if isinstance(one, dict) and "name" in one]


def _lines(value: object) -> list[str]:
    """Return a value for people, a line for each replica."""
    match value:
        case list():
            entries = [_cells(entry) for entry in value]
            widths = [max(map(len, column)) for column in zip(*entries, strict=True)]
            return [
                "  ".join(cell.ljust(wide) for cell, wide in zip(cells, widths, strict=True))
                for cells in entries
            ]
        case None:
            return ["nobody"]
        case _:
            return [str(value)]


def _cells(replica: object) -> list[str]:
    """Return what there is to say about a replica."""
    match replica:
        case {"id": name, "address": address, "not_used": str(reason)}:
            return [str(name), str(address), f"not used: {reason}"]
        case {
            "id": name,
            "address": address,
            "share": float() | int() as share,
            "warmth": float() | int() as warmth,
            "in_flight": count,
        }:
            return [
                str(name),
                str(address),
                f"{share:.0%} share, {warmth:.0%} warm, {count} in flight",
            ]
        case _:
            return [str(replica), "", ""]
