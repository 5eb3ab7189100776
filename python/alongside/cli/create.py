"""`alongside create`: write the ConfigMap or Secret that files and words make, as kubectl does."""

from __future__ import annotations

import json

import click
import yaml

from alongside.base import environment, errors, units
from alongside.resources import creating
from alongside.resources.kubernetes import values

FORMATS = ("yaml", "json")


@click.group("create")
def command() -> None:
    """Write resources from files, for `up` and for kubectl."""


@command.command("configmap")
@click.argument("name")
@click.option("--from-file", "paths", multiple=True, metavar="[KEY=]PATH", help="a file or folder")
@click.option("--from-literal", "words", multiple=True, metavar="KEY=VALUE", help="a value")
@click.option("--from-env-file", "lists", multiple=True, metavar="PATH", help="lines NAME=VALUE")
@click.option("--namespace", "-n", default="", metavar="NAME", help="for a cluster")
@click.option("--output", "-o", "shape", type=click.Choice(FORMATS), default="yaml")
@click.option("--dry-run", metavar="WORD", hidden=True, help="nothing is sent anywhere anyway")
def configmap(  # noqa: PLR0913 - one argument an option, which click names
    *,
    name: str,
    paths: tuple[str, ...],
    words: tuple[str, ...],
    lists: tuple[str, ...],
    namespace: str,
    shape: str,
    dry_run: str | None,
) -> None:
    """Write the ConfigMap NAME on stdout, ready for `alongside up` or `kubectl apply`.

    The options may be repeated, and are those of `kubectl create configmap`. A file's key is its
    name; what is no UTF-8 text becomes binaryData. Nothing is sent anywhere.
    """
    _check_name(name)
    if lists and (paths or words):
        raise errors.UsageError(
            "--from-env-file stands alone, as in kubectl; leave --from-file and --from-literal out"
        )
    data = creating.Data()
    for one in paths:
        data.add_file(one)
    for one in words:
        data.add_literal(one)
    for one in lists:
        data.add_variables(one, environment.of_process())
    made = creating.config_map(name, data, namespace=namespace)
    _write(made, shape)


@command.group("secret")
def secret() -> None:
    """Write Secrets; who reads them reads what is in them."""


@secret.command("tls")
@click.argument("name")
@click.option("--cert", required=True, metavar="PATH", help="the certificate's chain, in PEM")
@click.option("--key", required=True, metavar="PATH", help="its key, in PEM")
@click.option("--namespace", "-n", default="", metavar="NAME", help="for a cluster")
@click.option("--output", "-o", "shape", type=click.Choice(FORMATS), default="yaml")
@click.option("--dry-run", metavar="WORD", hidden=True, help="nothing is sent anywhere anyway")
def tls(*, name: str, cert: str, key: str, namespace: str, shape: str, dry_run: str | None) -> None:
    """Write the Secret NAME with `tls.crt` and `tls.key` on stdout, as `kubectl create secret tls`.

    It holds the key: keep what you write it to from others, as by `umask 077`.
    """
    _check_name(name)
    _write(creating.tls_secret(name, cert=cert, key=key, namespace=namespace), shape)


def _check_name(name: str) -> None:
    if not values.is_subdomain(name):
        raise errors.UsageError(
            f"{units.shown(name)} is not a name; write at most 253 of a-z, 0-9, - and ., "
            "beginning and ending with a letter or digit"
        )


def _write(made: dict[str, object], shape: str) -> None:
    click.echo(json.dumps(made, indent=4) if shape == "json" else _yaml(made).rstrip())


class _Dumper(yaml.SafeDumper):
    """A dumper that writes texts of several lines as such, where YAML can."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_block = "\n" in text and not any(line.endswith(" ") for line in text.split("\n"))
    style = "|" if is_block else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _yaml(value: dict[str, object]) -> str:
    # A text with tabs or controls is quoted by the dumper itself, whatever style is asked for.
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
