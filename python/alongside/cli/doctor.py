"""`alongside doctor`: say what this machine allows, and what to do about the rest."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import table, text

from alongside.base import environment, errors, release
from alongside.cli import showing
from alongside.components.dataplane import launch
from alongside.engines.local import folders
from alongside.engines.processes import facts
from alongside.engines.runtimes.docker import facts as docker_facts
from alongside.engines.runtimes.namespaces import facts as namespaces_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

PROGRAMS = {
    "git": "git",
    "memcached": "memcached",
    "redis-server": "redis-server",
    "nginx": "nginx-light",
    "nutcracker": "nutcracker",
}
"""What images are mapped to where there are no images, and Debian's packages."""
VERSION_S_MAX = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """What belongs together, and whether it can be used as a whole."""

    name: str
    is_usable: bool
    facts: tuple[facts.Fact, ...]


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="write one JSON object")
def command(*, as_json: bool) -> int:
    """Say what this machine allows: engines, limits, programs; each lack with its remedy.

    Nothing is changed. The exit code is 0 if pods can run here by at least one engine.
    """
    variables = environment.of_process()
    sections = asyncio.run(_sections(variables))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(section) for section in sections]))
    else:
        _show(sections)
    engines = [section for section in sections if section.name.startswith("engine ")]
    is_fine = sections[0].is_usable and any(section.is_usable for section in engines)
    return int(errors.ExitCode.DONE if is_fine else errors.ExitCode.FAILED)


async def _sections(variables: environment.Environment) -> list[Section]:
    installed = (_python(), _data_plane(variables), _folders(variables))
    process = facts.of_processes(variables)
    inside, engine = await asyncio.gather(
        namespaces_facts.facts(variables), docker_facts.facts(variables)
    )
    return [
        Section("this installation", all(one.is_there for one in installed), installed),
        Section("engine process", _has(process, "supervision"), process),
        _engine("namespaces", inside),
        _engine("docker", engine),
        Section("programs", True, facts.of_programs(PROGRAMS, variables)),
    ]


def _engine(name: str, found: Sequence[facts.Fact]) -> Section:
    """Return what was found out about an engine.

    The fact of its own name is about all of it, and stands there only where it adds a reason.
    """
    said = {one.reason for one in found if one.name != name}
    return Section(
        f"engine {name}",
        _has(found, name),
        tuple(one for one in found if one.name != name or _adds(one, said)),
    )


def _adds(fact: facts.Fact, said: AbstractSet[str]) -> bool:
    return not fact.is_there and fact.reason not in said


def _has(found: Sequence[facts.Fact], name: str) -> bool:
    return any(one.is_there for one in found if one.name == name)


def _python() -> facts.Fact:
    return facts.Fact(
        "alongside",
        True,
        f"{release.version()}, Python {platform.python_version()}, {sys.platform}",
    )


def _data_plane(variables: environment.Environment) -> facts.Fact:
    """Return whether the data plane's binary is there, runs here, and is of our version."""
    try:
        path = launch.find(variables, program=sys.argv[0], interpreter=sys.executable)
    except errors.UsageError as error:
        reason, _, _ = str(error).partition(";")
        return facts.Fact(launch.BINARY, False, reason, f"unset {launch.VARIABLE}")
    except errors.AlongsideError as error:
        return facts.Fact(
            launch.BINARY, False, str(error), "pip install --force-reinstall alongside"
        )
    try:
        # Our own binary, which a user named or the wheel brought.
        ran = subprocess.run(  # noqa: S603
            [path, "--version"], capture_output=True, text=True, check=False, timeout=VERSION_S_MAX
        )
        said = (ran.stdout or ran.stderr).strip().splitlines()
    except (OSError, subprocess.TimeoutExpired) as error:
        return facts.Fact(
            launch.BINARY,
            False,
            f"{path} does not run: {error}",
            "install the wheel for this machine",
        )
    is_ours = bool(said) and said[0].split()[-1] == release.version()
    return facts.Fact(
        launch.BINARY,
        ran.returncode == 0 and is_ours,
        f"{Path(path)}: {said[0] if said else 'it says nothing'}",
        "" if is_ours else f"install the wheel of alongside {release.version()} again",
    )


def _folders(variables: environment.Environment) -> facts.Fact:
    """Return whether what runs can be kept account of; nothing is made."""
    try:
        places = folders.of_project("x", variables)
    except errors.AlongsideError as error:
        lack = str(error)
    else:
        lack = places.lack()
    if lack:
        reason, _, remedy = lack.partition("; ")
        return facts.Fact("folders", False, reason, remedy)
    return facts.Fact("folders", True, f"logs and volumes are kept below {places.state.parent}")


def _show(sections: Sequence[Section]) -> None:
    shown = table.Table(box=None, show_header=False, pad_edge=False)
    for section in sections:
        style = "bold green" if section.is_usable else "bold red"
        word = "can be used" if section.is_usable else "cannot be used"
        shown.add_row(text.Text(section.name, style), text.Text(word, style), "")
        for one in section.facts:
            mark, style = ("yes", "green") if one.is_there else ("no", "yellow")
            said = one.reason + (f"\n→ {one.remedy}" if one.remedy else "")
            shown.add_row(f"  {one.name}", text.Text(mark, style), text.Text(said))
    showing.put(shown)
