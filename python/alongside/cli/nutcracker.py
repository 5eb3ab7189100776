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

    from alongside.base import log
    from alongside.components.dataplane.nutcracker import documents, reading

VERSION = "0.5.0"
"""The version of twemproxy whose flags, file and figures these are."""
CONFIGS = ("/etc/nutcracker/nutcracker.yml", "conf/nutcracker.yml")
"""Where the file is looked for when none is named: Debian's place, then twemproxy's own."""
STATS_PORT, STATS_ADDRESS = 22_222, "0.0.0.0"  # noqa: S104 - as twemproxy has it
MBUF_MIN, MBUF_MAX = 512, 16 * 2**20
VERBOSITY, VERBOSITY_MAX = 5, 11

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
_IGNORED = (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2)
"""Before the data plane answers them: left alone they would stop or end us."""
_NUMBERS: dict[str, tuple[int, int | None]] = {
    "v": (0, None),
    "s": (1, addresses.PORT_MAX),
    "i": (0, None),
    "m": (MBUF_MIN, MBUF_MAX),
}
_KEEPS_NO_MODULES = "PYTHONDONTWRITEBYTECODE"
"""Tells the Python that reads a changed file to write down no compiled modules."""
_STATS = "twemproxy_stats"
"""What the data plane calls its socket of figures."""

USAGE = f"""\
Usage: nutcracker [-hVtdD] [-c FILE] [-s PORT] [-a ADDRESS] [-o FILE] [-p FILE]
                  [-v N] [-i MS] [-m BYTES]

  -c, --conf-file FILE      pools and servers ({CONFIGS[0]})
  -s, --stats-port PORT     where figures are read ({STATS_PORT})
  -a, --stats-addr ADDRESS  on which address of this machine ({STATS_ADDRESS})
  -t, --test-conf           say whether the file is right, and what is odd in it, and end
  -d, --daemonize           go on in the background, when clients are served
  -o, --output FILE         where log lines are added (stderr); SIGHUP opens it anew
  -p, --pid-file FILE       where the process's number is written while it runs (nowhere)
  -v, --verbose N           how much is logged: 4 only what is odd or wrong, 3 only what is
                            wrong ({VERBOSITY}); SIGTTIN and SIGTTOU make it more and less
  -D, --describe-stats      say what the figures are, and end
  -V, --version             say the version, and end
  -h, --help                say this, and end
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
    words: tuple[str, ...] = ()
    """All of them, as they were given."""

    def value(self, flag: str) -> str | None:
        """Return what a flag was given; None where it was not."""
        return self.values.get(flag)

    @property
    def verbosity(self) -> int:
        """How much is to be logged, from 0 to the most that there is."""
        digits = self.values.get("v", str(VERBOSITY)).lstrip("0")
        return VERBOSITY_MAX if len(digits) > 2 else min(int(digits or "0"), VERBOSITY_MAX)


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
    config = told.values.get("c", next(filter(os.path.exists, CONFIGS), CONFIGS[0]))
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
    problems = [_problem(flag, text) for flag, text in values.items() if flag in _NUMBERS]
    if any(problems):
        raise errors.UsageError(*filter(None, problems))
    return Told(frozenset(flag for flag, _ in pairs), values, tuple(words))


def _problem(flag: str, text: str) -> str:
    """Return what is wrong with a number; nothing where it is right."""
    least, most = _NUMBERS[flag]
    # twemproxy takes any count of digits.
    is_number = text.isascii() and text.isdigit() and (most is None or len(text) <= 10)
    if is_number and (most is None or least <= int(text) <= most):
        return ""
    wanted = f"of {least} or more" if most is None else f"from {least} to {most}"
    return f"-{flag}: {units.shown(text)} is no number {wanted}; write one"


def _start(told: Told, config: str, variables: environment.Environment) -> None:
    """Become the data plane; return where only the file was to be tested."""
    words = [f"--config={config}"]
    stats = [
        f"--stats-port={told.values.get('s', STATS_PORT)}",
        f"--stats-address={told.values.get('a', STATS_ADDRESS)}",
    ]
    if "t" in told.flags:
        # Where nobody names an address, there is none to be called odd.
        more = stats if "a" in told.flags else []
        ambassador.start([*words, *more, "--lint"], variables, tell=_tell)
        return
    words += stats
    for one in _IGNORED:
        signal.signal(one, signal.SIG_IGN)
    if "d" in told.flags:
        # As with twemproxy: everybody may connect to a UNIX socket whose mode is not written. What
        # Python keeps of its modules would be everybody's to change then.
        os.umask(0)
        sys.dont_write_bytecode = True

    def before(made: documents.Made) -> ambassador.Settled:
        return _settle(told, made, passed="LISTEN_FDS" in variables)

    ambassador.start(words, variables, before=before, level=_level(told.verbosity))


def _tell(text: str) -> None:
    sys.stderr.write("".join(_translated(line) for line in text.splitlines(keepends=True)))


def _translated(line: str) -> str:
    """Return a line that may begin with one of the ambassador's flags as it is said here."""
    flag, colon, rest = line.partition(":")
    return f"{_NAMES.get(flag, flag)}{colon}{rest}"


def _settle(told: Told, made: documents.Made, *, passed: bool) -> ambassador.Settled:
    """Do what -o, -d and -p ask for; return what the data plane is told.

    What cannot be is said before anything is written, and while the terminal is there.

    Args:
        told: the command line.
        made: of the file.
        passed: whether sockets were passed to this process.
    """
    for pool in made.pools:
        if pool.listen.path is not None:
            daemon.check_path(pool.listen.path, _place(made, pool))
    wanted = _addresses(made)
    is_leaving = "d" in told.flags
    if not is_leaving and not passed:  # what was passed to us is taken, by ourselves
        daemon.check(wanted)
    sockets = daemon.bind(wanted) if is_leaving else []
    log = daemon.open_log(told.values["o"]) if told.value("o") else None
    held, caller = _held(told, len(sockets)), None
    if is_leaving:
        if held is not None:
            os.close(
                held
            )  # it was the hold of the process that waits; the one that goes on has its own
        caller = daemon.leave(count=len(sockets), shown=_translated)
        held = _held(told, len(sockets))
    if held is not None:
        daemon.write_number(held)
    if caller is not None:
        daemon.let_go(log)
    elif log is not None:
        daemon.write_to(log)
    variables = daemon.passed_on([one.name for one in wanted], sockets)
    if is_leaving:
        variables |= {_KEEPS_NO_MODULES: "1"}
    words = [*_habits(told), *([] if caller is None else ["--tell", f"fd:{caller}"])]
    return ambassador.Settled(variables, tuple(words), (sys.argv[0], *told.words))


def _held(told: Told, count: int) -> int | None:
    pid = told.value("p")
    return None if pid is None else daemon.hold(pid, count=count)


def _addresses(made: documents.Made) -> list[daemon.Address]:
    """Return what the pools of a file listen on, and the port of figures behind it."""
    found = [
        daemon.Address(pool.name, pool.listen.address, _place(made, pool), _place(made, pool))
        for pool in made.pools
        if pool.listen.address is not None
    ]
    stats = made.document.twemproxy_stats
    if stats is not None:
        found.append(daemon.Address(_STATS, stats.address, "-a", "-s"))
    return found


def _place(made: documents.Made, pool: reading.Pool) -> str:
    return f"{made.file}:{pool.line_of('listen')}: {pool.name}.listen"


def _habits(told: Told) -> list[str]:
    """Return the words of the data plane for what tools expect of twemproxy."""
    files = {"--log": told.value("o"), "--pid-file": told.value("p")}
    named = {flag: os.path.abspath(path) for flag, path in files.items() if path}
    words = [word for pair in named.items() for word in pair]
    return [*words, "--verbosity", str(told.verbosity)]


def _level(verbosity: int) -> log.Level:
    """Return which lines are written before the data plane writes its own, by the same steps."""
    levels: dict[int, log.Level] = {VERBOSITY: "info", 4: "warning"}
    return levels.get(min(verbosity, VERBOSITY), "error")


def _describe(told: Told) -> None:
    # The first line is twemproxy's own: it is cut into pieces by who looks for a version.
    _say(f"This is nutcracker-{VERSION}", f"alongside: {release.version()}", "")
    if "h" in told.flags:
        _say(USAGE)
    if "D" in told.flags:
        for title, figures in FIGURES.items():
            lines = [f'  {name:<20}"{text}"' for name, text in figures.items()]
            _say(f"{title}:", *lines, "")


def _say(*lines: str) -> None:
    sys.stderr.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
