"""`alongside images build`: make our container images, with a Docker engine or without any."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import tempfile
from pathlib import Path

import click

from alongside.base import environment, errors, units
from alongside.components.dataplane import launch
from alongside.images import build, engine

_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_EPOCH = "SOURCE_DATE_EPOCH"


@click.group("images")
def command() -> None:
    """Make container images of alongside."""


@command.command("build")
@click.option("--only", type=click.Choice(build.NAMES), help="build one of the two images")
@click.option("--base", metavar="FILE|IMAGE", help="what alongside stands on; with Python in it")
@click.option("--output", metavar="DIR", default="dist/images", show_default=True)
@click.option("--tag", metavar="TAG", default="", help="the version by default")
@click.option("--docker", is_flag=True, help="take --base from a Docker engine, load the results")
@click.option("--certificates", metavar="FILE", default=_CERTIFICATES, show_default=True)
@click.option("--source", metavar="URL", default="", help="for the label with the source's URL")
@click.option("--revision", metavar="ID", default="", help="for the label with its revision")
@click.option("--json", "as_json", is_flag=True, help="write one JSON object a line")
def build_command(  # noqa: PLR0913 - one argument an option, which click names
    *,
    only: build.Name | None,
    base: str | None,
    output: str,
    tag: str,
    docker: bool,
    certificates: str,
    source: str,
    revision: str,
    as_json: bool,
) -> None:
    """Write alongside (every component) and alongside-dataplane (the binary alone) as archives.

    `docker load`, `ctr images import` and `skopeo copy` read them. Equal inputs give equal bytes;
    SOURCE_DATE_EPOCH sets the time of every file, which is 1970 otherwise.
    """
    variables = environment.of_process()
    program = launch.find(variables, program=sys.argv[0], interpreter=sys.executable)
    order = build.Order(
        folder=Path(output),
        binary=Path(program),
        certificates=_existing(certificates, "--certificates"),
        tag=_tag(tag),
        source=source,
        revision=revision,
        time_s=_epoch(variables),
    )
    socket = engine.socket_of(variables) if docker else None
    names = [only] if only else list(build.NAMES)
    with tempfile.TemporaryDirectory(prefix="alongside-base-") as folder:
        if base is not None and "alongside" in names:
            order = dataclasses.replace(
                order,
                base=_base(base, socket, Path(folder)),
                base_name=base if socket is not None else "",
            )
        for name in names:
            image = build.build(name, order)
            if socket is not None:
                engine.load(socket, image.path)
            _show(image, as_json=as_json)


def _base(base: str, socket: Path | None, folder: Path) -> Path:
    if socket is None:
        return _existing(base, "--base")
    path = folder / "base.tar"
    engine.save(socket, base, path)
    return path


def _tag(text: str) -> str:
    if text and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", text):
        raise errors.UsageError(
            f"--tag: {units.shown(text)} is no tag; write letters, digits, dots and dashes, "
            "such as 1.2.0"
        )
    return text


def _existing(text: str, option: str) -> Path:
    if not Path(text).is_file():
        raise errors.UsageError(f"{option}: {units.shown(text)} is no file; name one")
    return Path(text)


def _epoch(variables: environment.Environment) -> int:
    text = variables.get(_EPOCH, "0")
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        raise errors.UsageError(
            f"{_EPOCH}: {units.shown(text)} is no number of seconds; write for example 1767225600"
        )
    return int(text)


def _show(image: build.Image, *, as_json: bool) -> None:
    if as_json:
        value = dataclasses.asdict(image) | {"path": str(image.path)}
        click.echo(json.dumps(value))
        return
    size = f"{image.size_bytes / 2**20:.1f} MiB of ours unpacked"
    click.echo(f"{image.name}  {image.path}  {size}  {image.digest}")
