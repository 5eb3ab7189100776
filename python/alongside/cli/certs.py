"""`alongside certs`: an authority for development, and certificates from it."""

from __future__ import annotations

import datetime
import getpass
import json
import os
import shlex
import socket
import sys
from typing import TYPE_CHECKING

import click

from alongside.base import clock, environment, errors, files, nearest, units

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from alongside.components.authority import issuing, store, trusting

AUTHORITY = "authority"
DAY_S = 86_400
BUNDLE = "bundle.pem"


def opened(variables: environment.Environment) -> store.Store:
    """Return this user's authority, which need not be there yet."""
    # Late, because they load X.509, which no other command needs.
    from alongside.components.authority import store  # noqa: PLC0415
    from alongside.engines.local import folders  # noqa: PLC0415
    from alongside.engines.pods import publishing  # noqa: PLC0415
    from alongside.plan import pods  # noqa: PLC0415

    def publish(folder: Path, content: store.Content) -> object:
        listed = [pods.File(name, data, mode) for name, (data, mode) in content.items()]
        return publishing.publish(folder, listed)

    now_s = clock.SystemClock().wall_s()
    return store.Store(folders.state_of(AUTHORITY, variables), now_s, publish)


def authority_name() -> str:
    """Return what a new authority is called: whose it is, and where."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.geteuid())
    return f"{user}@{socket.gethostname()}"


@click.group("certs")
def command() -> None:
    """Make certificates for development, from an authority of this user alone."""


@command.command("create")
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@click.option("--name", metavar="NAME", help="what it is called; the first HOST by default")
def create(hosts: tuple[str, ...], name: str | None) -> None:
    """Make a certificate for localhost, 127.0.0.1, ::1 and every HOST, with its key.

    The authority is made first where there is none. Nothing is told to trust it: for this there is
    `alongside certs trust`.
    """
    from alongside.components.authority import names  # noqa: PLC0415

    wanted = names.read(hosts)
    called = name if name is not None else names.folder_of(wanted[0])
    names.check_folder(called)
    held = opened(environment.of_process())
    held.begin(authority_name())
    found = held.found(called)
    if found is None:
        found = held.issue(called, wanted)
    elif set(found.told.names) != set(wanted):
        raise errors.UsageError(
            f"{called} is there for {', '.join(found.told.names)}; write --name with another name"
        )
    elif found.is_due(_now_s()):
        found = held.issue(called, wanted)
    click.echo(str(found.folder))
    _remark(
        f"{called} is for {', '.join(found.told.names)}, until {_date(found.told.ends_s)}",
        f"serve it: alongside tls --proxy-port 8000 --certificate-path {_quoted(found.folder)}",
        f"ask it: curl --cacert {_quoted(held.certificate)} https://localhost:8443/",
        "trust it: alongside certs trust",
    )


@command.command("renew")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--if-due", is_flag=True, help="only those with less than a third of their time left")
def renew(names: tuple[str, ...], if_due: bool) -> None:
    """Replace certificates and keys by new ones for the same hosts; all, where no NAME is given.

    Each pair is replaced at once. What serves it takes the new one without a restart.
    """
    held = opened(environment.of_process())
    listed = {one.name: one for one in held.all()}
    problems = [_unknown(name, listed) for name in names if name not in listed]
    if problems:
        raise errors.UsageError(*problems)
    if not listed:
        raise errors.UsageError("there is no certificate; write alongside certs create")
    for name in names or listed:
        found = listed[name]
        if if_due and not found.is_due(_now_s()):
            click.echo(f"{name}: not due, it is good until {_date(found.told.ends_s)}")
            continue
        made = held.issue(name, found.told.names)
        click.echo(f"{name}: renewed, good until {_date(made.told.ends_s)}")


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="write one JSON object")
def show(as_json: bool) -> None:
    """Show the authority and its certificates: hosts, expiry, fingerprint, who is trusted."""
    held = opened(environment.of_process())
    authority = _existing(held)
    rows = list(_rows(held, authority))
    if as_json:
        click.echo(json.dumps({"folder": str(held.folder), "certificates": rows}))
        return
    _write_table(rows)


@command.command("bundle")
@click.option(
    "--system", is_flag=True, help="after what the system believes, for who asks one file"
)
@click.option("--shell", is_flag=True, help="lines for a shell: curl, Python and Node believe it")
def bundle(system: bool, shell: bool) -> None:
    """Write the authority's certificate on stdout, in PEM."""
    held = opened(environment.of_process())
    own = _existing(held).chain.decode()
    if not system and not shell:
        click.echo(own, nl=False)
        return
    whole = _believed(own)
    if system and not shell:
        click.echo(whole, nl=False)
        return
    path = held.folder / BUNDLE
    files.write_atomic(path, whole.encode(), mode=0o644)
    for variable in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        click.echo(f"export {variable}={_quoted(path)}")
    click.echo(f"export NODE_EXTRA_CA_CERTS={_quoted(held.certificate)}")


@command.command("trust")
@click.option("--remove", is_flag=True, help="let nobody believe it any more")
def trust(remove: bool) -> None:
    """Let this machine's programs believe the authority: the system, and browsers of this user.

    What may not be done is printed as a command, and the exit code is 1.
    """
    from alongside.components.authority import issuing, trusting  # noqa: PLC0415

    held = opened(environment.of_process())
    fingerprint = issuing.told(_existing(held).chain).fingerprint
    machine = _machine()
    ways = trusting.ways(machine, held.certificate, fingerprint, is_removal=remove)
    if not ways:
        raise errors.PermanentError(
            "neither update-ca-certificates, trust nor certutil is installed here; install "
            f"ca-certificates, or name {held.certificate} to your programs by hand"
        )
    is_whole = True
    for way in ways:
        done = trusting.Done(way, "needs root") if way.needs_root else trusting.carry_out(way)
        is_whole = is_whole and not done.reason
        word = "believes it no more" if remove else "believes it"
        if done.reason:
            click.echo(f"{way.whom}: not told, {done.reason}; write: {way.by_hand()}")
        else:
            click.echo(f"{way.whom}: {word}")
    if trusting.has_browsers_unserved(machine):
        _remark("browsers have lists of their own here; install libnss3-tools and repeat this")
    if not remove:
        _remark("undo it: alongside certs trust --remove")
    if not is_whole:
        sys.exit(int(errors.ExitCode.FAILED))


def _existing(held: store.Store) -> issuing.Pair:
    found = held.authority()
    if found is None:
        raise errors.UsageError("there is no authority yet; write alongside certs create")
    return found


def _believed(own: str) -> str:
    from alongside.components.authority import trusting  # noqa: PLC0415

    theirs = trusting.bundle(_machine())
    if not theirs:
        raise errors.PermanentError(
            "the system has no list of authorities; install ca-certificates"
        )
    return theirs.rstrip("\n") + "\n" + own


def _machine() -> trusting.Machine:
    from alongside.components.authority import trusting  # noqa: PLC0415

    return trusting.Machine(home=environment.home(environment.of_process()))


def _rows(held: store.Store, authority: issuing.Pair) -> Iterator[dict[str, object]]:
    from alongside.components.authority import issuing, trusting  # noqa: PLC0415

    told = issuing.told(authority.chain)
    is_trusted = trusting.is_believed(_machine(), authority.chain.decode())
    yield _row("(authority)", told, "", is_trusted=is_trusted)
    for one in held.all():
        yield _row(one.name, one.told, one.problem, is_trusted=is_trusted and not one.problem)


def _row(name: str, told: issuing.Told, problem: str, *, is_trusted: bool) -> dict[str, object]:
    return {
        "name": name,
        "hosts": list(told.names) or [told.subject],
        "expires": _date(told.ends_s),
        "days_left": int((told.ends_s - _now_s()) // DAY_S),
        "fingerprint": told.fingerprint,
        "trusted": is_trusted,
        "problem": problem,
    }


def _write_table(rows: Sequence[dict[str, object]]) -> None:
    # Late, because only this needs tables.
    from rich import table  # noqa: PLC0415

    from alongside.cli import showing  # noqa: PLC0415

    shown = table.Table(box=None, pad_edge=False)
    for title in ("name", "hosts", "expires", "days", "trusted", "SHA-256"):
        shown.add_column(title, justify="right" if title == "days" else "left")
    for row in rows:
        hosts = row["hosts"] if isinstance(row["hosts"], list) else []
        trusted = "yes" if row["trusted"] else str(row["problem"] or "no")
        shown.add_row(
            str(row["name"]),
            ", ".join(hosts),
            str(row["expires"]),
            str(row["days_left"]),
            trusted,
            str(row["fingerprint"])[:16],
        )
    showing.put(shown)


def _unknown(name: str, listed: dict[str, store.Issued]) -> str:
    near = nearest.nearest(name, listed)
    hint = f"did you mean {near}?" if near else "write alongside certs show to see all"
    return f"{units.shown(name)} is no certificate here; {hint}"


def _remark(*lines: str) -> None:
    for line in lines:
        click.echo(f"alongside certs: {line}", err=True)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _now_s() -> float:
    return clock.SystemClock().wall_s()


def _date(moment_s: float) -> str:
    return datetime.datetime.fromtimestamp(moment_s, datetime.UTC).strftime("%Y-%m-%d")
