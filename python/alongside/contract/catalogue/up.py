"""The contract of `alongside up`: run what resource files ask for, on this machine."""

from __future__ import annotations

from alongside.contract import promise

_PARAMETERS = (
    promise.Parameter(
        name="file",
        kind=promise.Kind.PATH,
        description="a YAML file of resources; several are read as one",
        example="photos.yaml",
        is_required=True,
        is_repeated=True,
        is_argument=True,
    ),
    promise.Parameter(
        name="project",
        kind=promise.Kind.TEXT,
        description="name that keeps this run apart from others on the machine",
        example="photos",
        unset="the name of the folder that holds the first file",
        maximum="40",
    ),
    promise.Parameter(
        name="detach",
        kind=promise.Kind.BOOLEAN,
        description="return when everything is ready and leave it running",
        example="true",
        default="false",
    ),
    promise.Parameter(
        name="json",
        kind=promise.Kind.BOOLEAN,
        description="write what happens as JSON lines on stdout instead of a table",
        example="true",
        default="false",
    ),
    promise.Parameter(
        name="ready_timeout",
        kind=promise.Kind.DURATION,
        description="time for everything to become ready",
        example="1m",
        default="1m",
        minimum="100ms",
        maximum="24h",
    ),
    promise.Parameter(
        name="stop_timeout",
        kind=promise.Kind.DURATION,
        description="time for each process to end after SIGTERM before it is killed, where its "
        "own resource does not say",
        example="30s",
        default="30s",
        minimum="100ms",
        maximum="1h",
    ),
)

_FAILURES = (
    promise.Failure(
        "A file has a wrong type, an unknown field, a number without a unit, or no shards",
        "nothing is started, and nothing that runs is touched",
        "one line for every mistake with file, line, field and remedy; exit code 2",
    ),
    promise.Failure(
        "An origin names no Service or Pod of the files",
        "nothing is started, and nothing that runs is touched",
        "one line with file, line and the nearest known name; exit code 2",
    ),
    promise.Failure(
        "A probe names a port that its container does not declare",
        "nothing is started, and nothing that runs is touched; a number needs no declaration",
        "one line with file, line, field and the nearest declared name; exit code 2",
    ),
    promise.Failure(
        "An address that the files ask for is taken by another program",
        "nothing is started, and nothing that runs is touched",
        "one line naming the address and, where it can be seen, its owner; exit code 3",
    ),
    promise.Failure(
        "An address that the files ask for is taken by a process of this project",
        "it is no reason to refuse: the listener is opened when that process has left, and what "
        "serves at the old address does so until then",
        "a warning in `alongside status` naming the address and who still has it",
    ),
    promise.Failure(
        "A listener moves between addresses that overlap, as by `expose: local` and `public`",
        "the old one listens until its process is told to stop; then it closes, and the new one "
        "opens some microseconds later. A connection made between the two is refused, one that "
        "was not yet accepted is reset; all later ones wait for the successor",
        "nobody but such a client",
    ),
    promise.Failure(
        "The origin does not answer yet",
        "everything is started; requests that miss are answered with an error until it does",
        "a warning in `alongside status`",
    ),
    promise.Failure(
        "A process ends by itself",
        "it is started again, after a growing wait where it keeps ending; the listening socket of "
        "a node or router stays open, so that connections wait instead of being refused",
        "`alongside status` shows restarts and the last exit code",
    ),
    promise.Failure(
        "A process does not become ready within ready-timeout",
        "it is left running and named",
        "stderr: its name and its last log lines; exit code 1",
    ),
    promise.Failure(
        "The same project is already up",
        "this command attaches to it and applies only the difference between the files",
        "the changes as a list; requests in flight are not touched",
    ),
    promise.Failure(
        "Several commands bring up the same project at once",
        "one of them becomes its supervisor and the others attach to it; one whose files are "
        "refused ends nothing of the others",
        "each its own result and exit code",
    ),
    promise.Failure(
        "A folder of the same name has brought up the project, and --project is not given",
        "nothing is touched; `down` and `purge` refuse it as well",
        "one line naming both folders and the remedy; exit code 2",
    ),
    promise.Failure(
        "The supervisor is killed",
        "the processes go on serving; the next `up` or `down` finds them and ends them first, an "
        "`up` only when its files and all addresses are right: what these processes hold is free",
        "`alongside status` says that no supervisor answers, and how many processes still serve",
    ),
    promise.Failure(
        "The supervisor does not answer: its control socket was removed, or it hangs",
        "everything goes on; `down` sends it SIGTERM, at which it stops all in order, and ends it "
        "and all it ran where nothing stops for 15s more than the longest grace period",
        "`alongside status`, `up` and `down` name its process id; exit code of `up` is 1",
    ),
    promise.Failure(
        "A process started another that left its process group",
        "that one is told to end with SIGTERM like the rest, and killed after stop-timeout",
        "`alongside down` names the process where something of it was killed",
    ),
    promise.Failure(
        "The supervisor meets a fault of its own while it watches a process",
        "what runs of the process is ended, and it is started again after a growing wait, as if "
        "it had failed itself; a fault of a probe ends nothing, and the probe is tried again",
        "`alongside status` shows the fault; the supervisor's log holds its traceback",
    ),
    promise.Failure(
        "A process ignores SIGTERM",
        "it and all it started are killed after stop-timeout",
        "`alongside down` names it",
    ),
    promise.Failure(
        "The disk is full",
        "what runs goes on with its last documents; each process whose file cannot be written "
        "waits alone, and is tried again every 2s until there is room",
        "a warning in `alongside status` naming the file; exit code 1 after ready-timeout",
    ),
)

CONTRACT = promise.Contract(
    component="up",
    summary="Run what resource files ask for, on this machine",
    promise=(
        "Everything the files ask for runs as processes of this machine, started in the order "
        "they need each other, restarted when they end, stopped in reverse. Growing or shrinking "
        "a sharded cache in the file and running the command again fails no request and, with "
        "ketama, moves no key between nodes that stay. A file with a mistake changes nothing at "
        "all.\n\n"
        "In the foreground the command shows a live table and ends everything at SIGINT, or when "
        "its terminal is closed; with "
        "`--detach` a supervisor stays, which `status`, `logs`, `explain`, `purge` and `down` "
        "speak to. The files of the state folder are not part of the promise."
    ),
    parameters=_PARAMETERS,
    examples=("alongside up photos.yaml", "alongside up --detach --project photos photos.yaml"),
    ports=(
        promise.Port(
            "control",
            "project",
            "HTTP/1.1 on a UNIX socket",
            "the control API, `$XDG_RUNTIME_DIR/alongside/PROJECT/control.sock`, mode 0600",
        ),
    ),
    files=(
        promise.File(
            "`$XDG_STATE_HOME/alongside/PROJECT`",
            "makes, writes",
            "journal and documents, replaced by rename; logs, the supervisor's too, of at most "
            "8Mi each beside one older copy; mode 0700",
        ),
        promise.File(
            "`$XDG_RUNTIME_DIR/alongside/PROJECT`",
            "makes, removes",
            "UNIX sockets; mode 0700; without that variable `run` in the state folder",
        ),
    ),
    signals=(
        promise.Signal("SIGINT, SIGTERM, SIGHUP", "stops everything in reverse order, then ends"),
        promise.Signal("one of them again", "kills what is left and ends"),
    ),
    exits=(
        promise.Exit(0, "everything was started, or stopped when told to"),
        promise.Exit(1, "something failed to start or to become ready"),
        promise.Exit(
            2, "wrong usage or a wrong file: every mistake is listed, nothing was touched"
        ),
        promise.Exit(3, "an address is taken: nothing was touched"),
    ),
    failures=_FAILURES,
)
