"""`nutcracker`: the ambassador under twemproxy's name, with its flags and what they mean there.

Its own words for its exit codes hold as well: 1 for what is wrong, never 2.
"""

from __future__ import annotations

import getopt
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from alongside.base import environment, errors, release, units
from alongside.cli import ambassador, daemon
from alongside.components.dataplane.nutcracker import addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alongside.components.dataplane.nutcracker import documents

VERSION = "0.5.0"
"""The version of twemproxy whose flags, file and figures these are."""
CONFIGS = ("/etc/nutcracker/nutcracker.yml", "conf/nutcracker.yml")
"""Where the file is looked for when none is named: Debian's place, then twemproxy's own."""
STATS_PORT, STATS_ADDRESS = 22_222, "0.0.0.0"  # noqa: S104 - as twemproxy has it
MBUF_MIN, MBUF_MAX = 512, 16 * 2**20

_LONG = {
    "help": "h",
    "version": "V",
    "test-conf": "t",
    "daemonize": "d",
    "describe-stats": "D",
    "verbose": "v",
    "output": "o",
    "conf-file": "c",
    "stats-port": "s",
    "stats-interval": "i",
    "stats-addr": "a",
    "pid-file": "p",
    "mbuf-size": "m",
}
_NAMES = {"--config": "-c", "--stats-port": "-s", "--stats-address": "-a"}
"""The flags here of what the ambassador calls otherwise."""
_SHORT = "hVtdDv:o:c:s:i:a:p:m:"
_IGNORED = (signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2)
"""Sent to twemproxy for its log's level, or for nothing; left alone they would stop or end us."""
_NUMBERS = {
    "v": (0, 2**31),
    "s": (1, addresses.PORT_MAX),
    "i": (0, 2**31),
    "m": (MBUF_MIN, MBUF_MAX),
}

USAGE = f"""\
Usage: nutcracker [-hVtdD] [-c FILE] [-s PORT] [-a ADDRESS] [-o FILE] [-p FILE]
                  [-v N] [-i MS] [-m BYTES]

  -c, --conf-file FILE      pools and servers ({CONFIGS[0]})
  -s, --stats-port PORT     where figures are read ({STATS_PORT})
  -a, --stats-addr ADDRESS  on which address of this machine ({STATS_ADDRESS})
  -t, --test-conf           say whether the file is right, and what is odd in it, and end
  -d, --daemonize           go on in the background, when what is listened on is bound
  -o, --output FILE         where log lines are added (stderr)
  -p, --pid-file FILE       where the process's number is written (nowhere)
  -D, --describe-stats      say what the figures are, and end
  -V, --version             say the version, and end
  -h, --help                say this, and end
  -v, --verbose N           read, without effect: log lines have one level
  -i, --stats-interval MS   read, without effect: figures are of the moment they are read
  -m, --mbuf-size BYTES     read, without effect: buffers have the size they need

Everything else that alongside's ambassador can be told goes by variables, such as
AMBASSADOR_STATUS=127.0.0.1:9090; `alongside ambassador --help` lists them.
"""

FIGURES = {
    "pool stats": {
        "client_eof": "connections that clients ended",
        "client_err": "connections of clients that broke, or were closed for what they sent",
        "client_connections": "connections of clients now",
        "server_ejects": "times that a server was left out",
        "forward_error": "commands, or parts of them, that no server got",
        "fragments": "parts that commands with several keys were made into",
    },
    "server stats": {
        "server_eof": "connections that the server ended",
        "server_err": "connections to the server that failed",
        "server_timedout": "connections closed because the server was silent",
        "server_connections": "connections to the server now",
        "server_ejected_at": "when it was last left out, in microseconds since 1970",
        "requests": "commands, or parts of them, that were sent",
        "request_bytes": "bytes of them",
        "responses": "answers",
        "response_bytes": "bytes of them",
        "in_queue": "commands that wait to be sent now",
        "in_queue_bytes": "bytes of them",
        "out_queue": "commands that wait for answers now",
        "out_queue_bytes": "bytes of them",
    },
}
"""What `-D` says, by the names that the figures have in their JSON."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a command line of twemproxy's says: the last value of each flag."""

    flags: frozenset[str]
    values: dict[str, str]

    def value(self, flag: str) -> str | None:
        """Return what a flag was given; None where it was not."""
        return self.values.get(flag)


def main() -> NoReturn:
    """Run the command line of this process and end it with the exit code."""
    sys.exit(run(sys.argv[1:], environment.of_process()))


def run(words: Sequence[str], variables: environment.Environment) -> int:
    """Run a command line and return its exit code, 0 or 1, unless it becomes the data plane."""
    try:
        told = read(words)
    except errors.UsageError as error:
        _say(*(f"nutcracker: {problem}" for problem in error.problems), USAGE.rstrip("\n"))
        return int(errors.ExitCode.FAILED)
    if told.flags & {"h", "V", "D"}:
        _describe(told)
        return int(errors.ExitCode.DONE)
    config = told.value("c") or next(filter(os.path.exists, CONFIGS), CONFIGS[0])
    try:
        _start(told, config, variables)
    except errors.AlongsideError as error:
        problems = error.problems if isinstance(error, errors.UsageError) else [str(error)]
        _say(*(f"nutcracker: {_translated(problem)}" for problem in problems))
        if "t" in told.flags:
            _say(f"nutcracker: configuration file '{config}' syntax is invalid")
        return int(errors.ExitCode.FAILED)
    except KeyboardInterrupt:
        return int(errors.ExitCode.FAILED)
    _say(f"nutcracker: configuration file '{config}' syntax is ok")
    return int(errors.ExitCode.DONE)


def read(words: Sequence[str]) -> Told:
    """Return what a command line says, as twemproxy's own reading has it; words beside are left.

    Raises:
        errors.UsageError: a flag is not known, has no value, or a bad one.
    """
    long = [f"{name}=" if f"{flag}:" in _SHORT else name for name, flag in _LONG.items()]
    try:
        found, _ = getopt.gnu_getopt(list(words), _SHORT, long)
    except getopt.GetoptError as error:
        raise errors.UsageError(error.msg) from error
    pairs = [(_LONG.get(flag.lstrip("-"), flag.lstrip("-")), text) for flag, text in found]
    values = {flag: text for flag, text in pairs if f"{flag}:" in _SHORT}
    problems = []
    for flag, text in values.items():
        least, most = _NUMBERS.get(flag, (0, 0))
        is_number = text.isascii() and text.isdigit() and len(text) <= 10
        if flag in _NUMBERS and not (is_number and least <= int(text) <= most):
            problems.append(
                f"-{flag}: {units.shown(text)} is no number from {least} to {most}; write one"
            )
    if problems:
        raise errors.UsageError(*problems)
    return Told(frozenset(flag for flag, _ in pairs), values)


def _start(told: Told, config: str, variables: environment.Environment) -> None:
    """Become the data plane; return where only the file was to be tested."""
    words = [
        f"--config={config}",
        f"--stats-port={told.value('s') or STATS_PORT}",
        f"--stats-address={told.value('a') or STATS_ADDRESS}",
    ]
    if "t" in told.flags:
        ambassador.start([*words, "--lint"], variables, tell=_tell)
        return

    def before(made: documents.Made) -> dict[str, str]:
        return _settle(told, made)

    ambassador.start(words, variables, before=before)


def _tell(text: str) -> None:
    sys.stdout.write("".join(_translated(line) for line in text.splitlines(keepends=True)))


def _translated(line: str) -> str:
    """Return a line that may begin with one of the ambassador's flags as it is said here."""
    flag, colon, rest = line.partition(":")
    return f"{_NAMES.get(flag, flag)}{colon}{rest}"


def _settle(told: Told, made: documents.Made) -> dict[str, str]:
    """Do what -o, -d and -p ask for; return what the data plane finds among its variables."""
    for one in _IGNORED:
        signal.signal(one, signal.SIG_IGN)
    output, pid = told.value("o"), told.value("p")
    log = None if output is None else daemon.open_log(output)
    if pid is not None:
        daemon.check_writable("-p", pid)
    more: dict[str, str] = {}
    if "d" in told.flags:
        listeners = made.document.listeners
        sockets = daemon.bind(listeners)
        more = daemon.leave([one.name for one in listeners], sockets, log)
    elif log is not None:
        daemon.write_to(log)
    if pid is not None:
        daemon.write_pid(pid)
    return more


def _describe(told: Told) -> None:
    _say(f"This is nutcracker-{VERSION}, as alongside {release.version()} has it")
    if "h" in told.flags:
        _say("", USAGE.rstrip("\n"))
    if "D" in told.flags:
        for title, figures in FIGURES.items():
            lines = [f'  {name:<20}"{text}"' for name, text in figures.items()]
            _say("", f"{title}:", *lines)


def _say(*lines: str) -> None:
    sys.stderr.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
