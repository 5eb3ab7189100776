"""The contract of `alongside run`: one program on this terminal, with components beside it."""

from __future__ import annotations

from alongside.contract import promise

_PARAMETERS = (
    promise.Parameter(
        name="with",
        kind=promise.Kind.TEXT,
        description="a component beside the program, and its parameters: `NAME` or "
        "`NAME:PARAMETER=VALUE,PARAMETER=VALUE`; it is told where the program listens",
        example="cache:memory=64Mi",
        unset="the program stands alone",
        is_repeated=True,
    ),
    promise.Parameter(
        name="port",
        kind=promise.Kind.INTEGER,
        description="the port of the program that components are put in front of, and its `PORT`",
        example="8000",
        unset="`PORT` is a free one, and the components go in front of that, or of the only port "
        "where the program listens",
        minimum="1",
        maximum="65535",
    ),
    promise.Parameter(
        name="stop_timeout",
        kind=promise.Kind.DURATION,
        description="time for a component to end after the program has, before it is killed",
        example="10s",
        default="10s",
        minimum="100ms",
        maximum="1h",
    ),
    promise.Parameter(
        name="program",
        kind=promise.Kind.PATH,
        description="the program, after `--`; the words behind it are its own",
        example="python3",
        is_required=True,
        is_repeated=True,
        is_argument=True,
    ),
)

_FAILURES = (
    promise.Failure(
        "There is no such program, or no such component or parameter",
        "nothing is started",
        "one line for every mistake with the nearest known name; exit code 2",
    ),
    promise.Failure(
        "tls is asked for without a certificate",
        "one for development is made, or renewed where less than a third of its time is left, by "
        "the authority of `alongside certs`; nothing is told to trust it",
        "a line with the URL, and the one that asks it by curl; a half-written authority is "
        "refused with what to remove, exit code 2",
    ),
    promise.Failure(
        "The address that a component is to listen at is taken",
        "nothing is started; where no address is given, a free one is used",
        "one line naming the component, the address and its owner; exit code 3",
    ),
    promise.Failure(
        "The program listens at several ports, and at none that it was told by `PORT`",
        "it runs on; the components wait",
        "one line that lists them, and how to name one by `--port`",
    ),
    promise.Failure(
        "The program listens nowhere",
        "it runs all the same; the components wait until it does",
        "after 5s one line that says so, where there are components",
    ),
    promise.Failure(
        "A component ends by itself",
        "it is started again, after a growing wait; the program runs on",
        "one line with its reason and the path of its log",
    ),
    promise.Failure(
        "The program ends or is killed",
        "the components are told to end, and killed after stop-timeout; what the program started "
        "and left behind is ended too",
        "the program's exit code, 128 and the number where a signal ended it",
    ),
    promise.Failure(
        "The command is sent a signal",
        "the program gets it; what a key of the terminal sends reaches the program itself",
        "what the program makes of it; Ctrl-Z stops both",
    ),
    promise.Failure(
        "The command is killed",
        "on Linux with util-linux's setpriv the kernel sends SIGTERM to the program and the "
        "components; elsewhere they run on",
        "the shell says so",
    ),
)

CONTRACT = promise.Contract(
    component="run",
    precedence=("flag", "variable", "default"),
    summary="Run one program on this terminal, with components beside it",
    promise=(
        "The program runs as if it had been called without us: its input, output, terminal, "
        "signals and exit code are its own, and it has one variable more, `PORT`. Each component "
        "of `--with` stands in front of the port where the program listens, as soon as it does, "
        "and stderr says where. What is needed is checked before anything starts. No file is read "
        "but the components' own; nothing stays when the program has ended, but the components' "
        "logs and certificates for development."
    ),
    parameters=_PARAMETERS,
    examples=(
        "alongside run -- python3 -m http.server 8000",
        "alongside run --with cache:memory=64Mi -- python3 -m http.server 8000",
        "alongside run --with tls -- python3 -m http.server 8000",
    ),
    files=(
        promise.File(
            "`$XDG_STATE_HOME/alongside/authority`",
            "makes, writes",
            "keys and certificates for development, where tls needs them",
            mode="0600",
            publication="rename",
        ),
        promise.File(
            "`$XDG_STATE_HOME/alongside/run/PROGRAM.COMPONENT.log`",
            "makes, writes",
            "what a component says; begun anew by each run",
            mode="0600",
        ),
    ),
    signals=(
        promise.Signal(
            "SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2", "passes it on to the program"
        ),
    ),
    exits=(
        promise.Exit(0, "the program ended with 0"),
        promise.Exit(1, "the program ended with 1, or this machine lacks something"),
        promise.Exit(2, "wrong usage: every mistake is listed, nothing was started"),
        promise.Exit(3, "an address is taken: nothing was started"),
    ),
    failures=_FAILURES,
)
