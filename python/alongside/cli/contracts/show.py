"""`alongside contract show`: write a contract as data, as its page, or for other tools."""

from __future__ import annotations

import json

import click

from alongside.cli.contracts import reading
from alongside.contract import catalogue, exports, page, promise, written

FORMATS = ("json", "yaml", "markdown", "schema", "dockerfile")


@click.command("show")
@click.argument("contract")
@click.option(
    "--format", "shape", type=click.Choice(FORMATS), default="json", help="json by default"
)
def command(contract: str, shape: str) -> None:
    """Write CONTRACT, one of our components by name or a contract's file.

    json and yaml are what `contract diff` reads; markdown is its page; schema is the JSON Schema of
    its file of parameters; dockerfile is ENV, EXPOSE, VOLUME, LABEL and USER lines for an image.
    """
    title = catalogue.title(contract)
    click.echo(_written(reading.contract(contract), shape, title), nl=False)


def _written(contract: promise.Contract, shape: str, title: str) -> str:
    match shape:
        case "yaml":
            import yaml  # noqa: PLC0415 - only this format needs it

            data = written.to_json(contract)
            return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
        case "markdown":
            return page.render(contract, title=title)
        case "schema":
            return json.dumps(exports.parameters_schema(contract), indent=2) + "\n"
        case "dockerfile":
            return exports.dockerfile(contract)
        case _:
            return written.to_text(contract)
