"""Let this machine's programs believe an authority, or no more: where each of them looks.

Every step is a command that a person could type, so that what cannot be done is printed.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMAND_S_MAX = 120
NICK = "alongside development authority"
"""What the databases of browsers call it; its fingerprint follows."""

_DEBIAN = Path("/usr/local/share/ca-certificates")
_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/ca-bundle.pem"),
)
_DATABASE = "cert9.db"
_UPDATE = "update-ca-certificates"


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """What is asked of a machine."""

    home: Path
    find: Callable[[str], str | None] = shutil.which
    debian: Path = _DEBIAN
    administrators: Path = Path("/usr/sbin")
    """Where programs are that stand on no user's PATH."""
    bundles: tuple[Path, ...] = _BUNDLES


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """How one kind of program is told."""

    whom: str
    commands: tuple[tuple[str, ...], ...]
    needs_root: bool = False

    def by_hand(self) -> str:
        """Return the line that does the same in a shell."""
        before = "sudo " if self.needs_root else ""
        return " && ".join(before + shlex.join(command) for command in self.commands)


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """What came of one way."""

    way: Way
    reason: str
    """Why it was not done; empty where it was."""


def ways(
    machine: Machine, certificate: Path, fingerprint: str, *, is_removal: bool
) -> tuple[Way, ...]:
    """Return how this machine's programs are told, the system first; none where none is known."""
    system = _system(machine, certificate, fingerprint, is_removal=is_removal)
    return (*system, *_browsers(machine, certificate, fingerprint, is_removal=is_removal))


def carry_out(way: Way) -> Done:
    """Run the commands of a way; stop at the first that fails."""
    for command in way.commands:
        try:
            ran = subprocess.run(  # noqa: S603 - commands of ours with paths of ours
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=COMMAND_S_MAX,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Done(way, f"{command[0]}: {error}")
        if ran.returncode != 0:
            last = (ran.stderr.strip() or ran.stdout.strip() or "it failed").splitlines()[-1]
            return Done(way, f"{command[0]}: {last}")
    return Done(way, "")


def is_believed(machine: Machine, pem: str) -> bool:
    """Return whether the system's bundle holds an authority."""
    wanted = "".join(pem.split("-----")[2].split())
    return any(wanted in "".join(text.split()) for text in _contents(machine))


def bundle(machine: Machine) -> str:
    """Return all that the system believes, in PEM; empty where it is not found."""
    return next(_contents(machine), "")


def _contents(machine: Machine) -> Iterator[str]:
    for path in machine.bundles:
        try:
            yield path.read_text()
        except (OSError, UnicodeDecodeError):
            continue


def _system(
    machine: Machine, certificate: Path, fingerprint: str, *, is_removal: bool
) -> Iterator[Way]:
    update = machine.find(_UPDATE)
    if update is None and os.access(machine.administrators / _UPDATE, os.X_OK):
        update = str(machine.administrators / _UPDATE)
    anchor = machine.find("trust")
    if update:
        at = machine.debian / f"alongside-{fingerprint[:16]}.crt"
        put = ("rm", "-f", str(at)) if is_removal else _install(certificate, at)
        needs_root = not os.access(machine.debian, os.W_OK)
        yield Way("the system", (put, (update,)), needs_root=needs_root)
    elif anchor:
        word = "--remove" if is_removal else "--store"
        needs_root = os.geteuid() != 0
        yield Way(
            "the system", ((anchor, "anchor", word, str(certificate)),), needs_root=needs_root
        )


def _install(certificate: Path, at: Path) -> tuple[str, ...]:
    return ("install", "-m", "644", str(certificate), str(at))


def _browsers(
    machine: Machine, certificate: Path, fingerprint: str, *, is_removal: bool
) -> Iterator[Way]:
    certutil = machine.find("certutil")
    if certutil is None:
        return
    nick = f"{NICK} {fingerprint[:16]}"
    chromium = machine.home / ".pki" / "nssdb"
    firefox = sorted((machine.home / ".mozilla" / "firefox").glob(f"*/{_DATABASE}"))
    folders = [
        ("Chromium", chromium),
        *((f"Firefox ({one.parent.name})", one.parent) for one in firefox),
    ]
    for whom, folder in folders:
        database = ("-d", f"sql:{folder}")
        begun = (folder / _DATABASE).exists()
        if is_removal:
            if begun:
                yield Way(whom, ((certutil, *database, "-D", "-n", nick),))
            continue
        made = () if begun else _database(certutil, folder)
        add = (certutil, *database, "-A", "-t", "C,,", "-n", nick, "-i", str(certificate))
        yield Way(whom, (*made, add))


def _database(certutil: str, folder: Path) -> tuple[tuple[str, ...], ...]:
    make = ("mkdir", "-p", "-m", "700", str(folder))
    return (make, (certutil, "-d", f"sql:{folder}", "-N", "--empty-password"))


def has_browsers_unserved(machine: Machine) -> bool:
    """Return whether there are browsers' databases here, and nothing to change them with."""
    homes = (machine.home / ".pki" / "nssdb", machine.home / ".mozilla" / "firefox")
    return machine.find("certutil") is None and any(home.is_dir() for home in homes)
