"""`alongside init`: find the service that runs here, ask two questions, write the first file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from alongside.base import errors, files
from alongside.engines.processes import facts, services
from alongside.resources import drafting

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE = "alongside.yaml"
PORT = 8080
SHOWN_MAX = 20
WORDS_LENGTH_MAX = 60


@click.command("init")
@click.option("--port", type=click.IntRange(1, 65535), help="of the service; else it is asked")
@click.option("--listen", type=click.IntRange(1, 65535), help="of the cache; else it is asked")
@click.option("--output", metavar="FILE", default=FILE, show_default=True)
@click.option("--force", is_flag=True, help="write over a file that is there")
def command(*, port: int | None, listen: int | None, output: str, force: bool) -> None:
    """Write the first file: a cache before a service that already runs on this machine.

    Two questions are asked: which service, and where clients are to find the cache. Without a
    terminal both come from the flags, or are clear.
    """
    path = Path(output)
    if os.path.exists(path) and not force:  # in a folder that may not be entered it is said below
        raise errors.UsageError(f"{output} is there already; name another --output, or add --force")
    everyone = services.found()
    chosen, number = _chosen([one for one in everyone if not one.is_ours], port)
    wanted = listen or _asked_port(_free(everyone))
    if lack := _lack(wanted, number, everyone):
        raise errors.UsageError(f"{lack}; give the cache another port by --listen")
    if chosen.pid is None:
        click.echo(
            f"port {number} is of user {chosen.user}, whose programs cannot be looked into: the "
            "file says where the service is, not how to start it",
            err=True,
        )
    service = drafting.Service(chosen.words, chosen.folder, number)
    files.write_atomic(path, drafting.draft(service, port=wanted, file=output).encode(), mode=0o600)
    click.echo(f"wrote {output}; next: alongside up {output}")


def _chosen(everyone: Sequence[services.Running], port: int | None) -> tuple[services.Running, int]:
    """Return the service that is meant, and its port."""
    choices = [(one, number) for one in everyone for number in one.ports]
    own = [choice for choice in choices if choice[0].pid is not None]
    if port is not None:
        named = [choice for choice in choices if choice[1] == port]
        if not named:
            raise errors.UsageError(f"--port {port}: nobody listens there{_listed(choices)}")
        return named[0]
    if not choices:
        raise errors.UsageError(
            "no service listens on this machine; start yours, or name its address in a file: see "
            "docs/sharded-cache.md"
        )
    if not sys.stdin.isatty():
        if len(own) == 1:
            return own[0]
        lack = "several services listen here" if own else "no service of this user's listens here"
        raise errors.UsageError(f"{lack}; add --port{_listed(choices)}")
    for at, (one, number) in enumerate(choices[:SHOWN_MAX], 1):
        click.echo(f"  {at}. {_words(one, number)}", err=True)
    last = min(len(choices), SHOWN_MAX)
    answer = click.prompt("Which service?", type=click.IntRange(1, last), default=1, err=True)
    return choices[int(answer) - 1]


def _asked_port(free: int) -> int:
    if not sys.stdin.isatty():
        return free
    question = "At which port are clients to find the cache?"
    return int(click.prompt(question, type=click.IntRange(1, 65535), default=free, err=True))


def _free(everyone: Sequence[services.Running]) -> int:
    taken = {one for running in everyone for one in running.ports}
    return next(one for one in range(PORT, 65536) if one not in taken)


def _lack(wanted: int, served: int, everyone: Sequence[services.Running]) -> str:
    """Return why a cache cannot listen at a port, or nothing."""
    if wanted == served:
        return f"the service listens at {served} itself"
    # A cache of ours that is up may well be the one that this file is to be about.
    owner = next((one for one in everyone if wanted in one.ports and not one.is_ours), None)
    if owner is not None:
        return f"port {wanted} is taken by {_owner(owner)}"
    if not facts.may_listen(wanted):
        return f"this user may not listen at port {wanted}"
    return ""


def _listed(choices: Sequence[tuple[services.Running, int]]) -> str:
    shown = "; ".join(_words(one, number) for one, number in choices[:SHOWN_MAX])
    return f". There are: {shown}" if shown else ""


def _words(one: services.Running, number: int) -> str:
    return f"{number}  {'of ' if one.pid is None else ''}{_owner(one)}"


def _owner(one: services.Running) -> str:
    if one.pid is None:
        return f"user {one.user}"
    return f"{' '.join(one.words)[:WORDS_LENGTH_MAX]} (pid {one.pid})"
