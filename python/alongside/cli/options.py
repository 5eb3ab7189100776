"""Make a click command out of a contract: help, usage and completion; the words are read by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alongside.base import environment
from alongside.cli import table
from alongside.contract import page, promise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    _Complete = Callable[[click.Context, click.Parameter, str], list[str]]
    Start = Callable[[Sequence[str], environment.Environment], int | None]


class ContractCommand(click.Command):
    """A command whose options are the parameters of a contract.

    Click shows the options; their words go unread to `start`, which reads them by the contract
    (`flags.read`, `values.resolve`), so that every mistake is reported at once.
    """

    def __init__(self, contract: promise.Contract, start: Start) -> None:
        """Take the contract and what runs with the words and the environment."""
        super().__init__(
            name=contract.component,
            help=_help(contract),
            short_help=contract.summary,
            params=[_option(contract, parameter) for parameter in contract.parameters],
            context_settings={
                "help_option_names": list(table.HELP_FLAGS),
                "max_content_width": 100,
            },
        )
        self._contract = contract
        self._start = start

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words as they are, unless help is asked for."""
        before_dashes = args[: args.index("--")] if "--" in args else args
        is_asked = any(flag in before_dashes for flag in table.HELP_FLAGS)
        if is_asked and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()
        ctx.args = list(args)
        return ctx.args

    def invoke(self, ctx: click.Context) -> int | None:
        """Run with the words; return the exit code, None for 0."""
        return self._start(ctx.args, environment.of_process())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by the groups of the contract."""
        for group in dict.fromkeys(parameter.group for parameter in self._contract.parameters):
            rows = [
                (_usage(parameter), _option_help(self._contract, parameter))
                for parameter in self._contract.parameters
                if parameter.group == group
            ]
            with formatter.section(group):
                formatter.write_dl(rows)


class ProgramCommand(ContractCommand):
    """One whose usage shows the dashes that part our words from a program's."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return what stands behind the command's name in its usage."""
        return ["[OPTIONS]", "--", "PROGRAM..."]


def _option(contract: promise.Contract, parameter: promise.Parameter) -> click.Parameter:
    if parameter.is_argument:
        return click.Argument(
            [parameter.name],
            nargs=-1,
            metavar=_usage(parameter),
            type=_type(parameter),
            shell_complete=_completer(parameter),
        )
    return click.Option(
        [parameter.flag, parameter.name],
        type=_type(parameter),
        shell_complete=_completer(parameter),
        multiple=parameter.kind is not promise.Kind.BOOLEAN,
        is_flag=parameter.kind is promise.Kind.BOOLEAN,
        help=_option_help(contract, parameter),
    )


def _completer(parameter: promise.Parameter) -> _Complete | None:
    """Return what offers a shell the values that a parameter may have, or samples of them."""
    if parameter.kind is promise.Kind.PATH:
        return None  # by its type
    samples = tuple(filter(None, (parameter.default, parameter.example)))
    offered = dict.fromkeys(parameter.choices if _is_choice(parameter) else samples)

    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
        return [text for text in offered if text.startswith(begun)]

    return complete


def _type(parameter: promise.Parameter) -> click.Path | None:
    """Return what click has to know of a value, which is whether a shell completes files."""
    return click.Path() if parameter.kind is promise.Kind.PATH else None


def _is_choice(parameter: promise.Parameter) -> bool:
    return parameter.kind is promise.Kind.CHOICE


def _usage(parameter: promise.Parameter) -> str:
    if parameter.is_argument:
        return f"{parameter.flag}..." if parameter.is_repeated else parameter.flag
    if parameter.kind is promise.Kind.BOOLEAN:
        return parameter.flag
    return f"{parameter.flag} {parameter.kind.value.upper()}"


def _option_help(contract: promise.Contract, parameter: promise.Parameter) -> str:
    notes = [
        "required" if parameter.is_required else "",
        "repeatable" if parameter.is_repeated else "",
        f"default {parameter.default}" if parameter.default is not None else "",
        f"unset: {parameter.unset}" if parameter.unset else "",
        page.range_shown(parameter).replace("`", ""),
        f"for example {parameter.example}" if parameter.example != parameter.default else "",
        contract.variable(parameter) or "",
        f"also {', '.join(alias.name for alias in parameter.aliases)}" if parameter.aliases else "",
        _goes(parameter.deprecated),
    ]
    return f"{parameter.description}  [{'; '.join(note for note in notes if note)}]"


def _goes(deprecated: promise.Deprecation | None) -> str:
    if deprecated is None:
        return ""
    instead = f"; use {deprecated.instead}" if deprecated.instead else ""
    return f"goes with version {deprecated.until}{instead}"


def _help(contract: promise.Contract) -> str:
    examples = "\n\n".join(f"\b\n{example}" for example in contract.examples)
    return f"{contract.summary}.\n\n{examples}"
