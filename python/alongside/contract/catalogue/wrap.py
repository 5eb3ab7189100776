"""The contract of `alongside contract wrap`: check a program's environment, then become it."""

from __future__ import annotations

from alongside.contract import promise

_PARAMETERS = (
    promise.Parameter(
        name="contract",
        kind=promise.Kind.PATH,
        description="file of the contract that the program's environment is checked against",
        example="/etc/contract.yaml",
        is_required=True,
    ),
    promise.Parameter(
        name="template",
        kind=promise.Kind.TEXT,
        description="template of a configuration file and where to write it, as `SOURCE:TARGET`",
        example="/etc/nginx/nginx.conf.j2:/etc/nginx/nginx.conf",
        unset="no file is written",
        is_repeated=True,
    ),
    promise.Parameter(
        name="template_timeout",
        kind=promise.Kind.DURATION,
        description="time to fill all templates; a template that takes longer is given up",
        example="10s",
        default="10s",
        minimum="100ms",
        maximum="1h",
    ),
    promise.Parameter(
        name="program",
        kind=promise.Kind.PATH,
        description="the program to become, after `--`; the words behind it are its own",
        example="nginx",
        is_required=True,
        is_argument=True,
    ),
)

_FAILURES = (
    promise.Failure(
        "A variable has a wrong value, lacks its unit, is missing or misspelt",
        "nothing is started and no file is written",
        "one line for every mistake with the variable and a remedy; exit code 2",
    ),
    promise.Failure(
        "A flag of the program that the contract names has a wrong value",
        "the same; flags that the contract does not name are the program's affair",
        "one line for every mistake; exit code 2",
    ),
    promise.Failure(
        "A flag of the program is one letter away from one that the contract names",
        "the program gets it as it is",
        "a log line `flag_misspelt` with both",
    ),
    promise.Failure(
        "A variable is empty",
        "it counts as not set where its parameter is not required, and the program gets it empty",
        "nobody; of a required parameter one line, exit code 2",
    ),
    promise.Failure(
        "A variable is overruled by a flag, stands beside its alias's value, or is one that "
        "Kubernetes injects for a Service of that name",
        "the program does not get it",
        "nobody",
    ),
    promise.Failure(
        "The program stands there without `--`",
        "nothing is started and no file is written",
        "one line; exit code 2",
    ),
    promise.Failure(
        "A template uses a parameter that the contract does not have, or is no template",
        "the same",
        "one line with file, line and the nearest known name; exit code 2",
    ),
    promise.Failure(
        "A template takes a value that is not set, or prints more than 1 MiB",
        "the same",
        "one line with file and line; exit code 2",
    ),
    promise.Failure(
        "A template does not end",
        "it is given up after the time-out, with at most 512 MiB of memory; nothing is started",
        "one line with the files; exit code 2",
    ),
    promise.Failure(
        "It is ended by a signal while it fills templates",
        "what fills them ends with it; no file is written",
        "nobody",
    ),
    promise.Failure(
        "A target is a folder, a device, a pipe, a template, the target of another template, or "
        "mounted by itself",
        "nothing is started and no file is written",
        "one line for every mistake; exit code 2",
    ),
    promise.Failure(
        "A configuration file cannot be written: the disk is full, the folder cannot be written to",
        "the old file stays as it was, nothing is started; files of other templates may be new",
        "one line with the file; exit code 1",
    ),
    promise.Failure(
        "It is killed while it writes a file",
        "the old file or the new one stands there, never a part of one",
        "nobody; a file `.NAME.….new` may be left beside it",
    ),
    promise.Failure(
        "The program does not exist or may not be executed",
        "no file is written",
        "one line with its name; exit code 2",
    ),
    promise.Failure(
        "The system refuses the program: it is made for another machine, or its interpreter lacks",
        "nothing is started; the files are new",
        "one line with its path; exit code 1",
    ),
    promise.Failure(
        "The contract's file is missing, too large or no contract",
        "nothing is started",
        "one line for every mistake; exit code 2",
    ),
)

CONTRACT = promise.Contract(
    component="wrap",
    summary="Check a program's environment against its contract, then become the program",
    promise="The entrypoint of a container that was made by somebody else. It reads the "
    "environment and the program's flags by the program's own contract, reports all mistakes at "
    "once, fills templates of configuration files, logs the values in force once with secrets "
    "masked, and replaces itself by the program: the same process, so signals and the exit code "
    "are the program's. Of a variable with a unit the program gets a bare number in that unit, "
    "whatever unit the user wrote; what came by an alias stands under the parameter's own variable "
    "alone. What nobody set stays unset: the program has its own default.\n\n"
    "A template is Jinja's, in a sandbox. It sees the parameters by name; a name it does not "
    "know is an error. A duration or size prints with its unit; `seconds`, `milliseconds`, "
    "`minutes`, `bytes`, `kibibytes` and `mebibytes` print the bare number that most programs "
    "want. It sees defaults. What has no value is undefined: `if`, `default` and `is defined` may "
    "ask for it, nothing may print it. A file made of a secret can be read by its owner alone.\n\n"
    "It does not parse the program's output, restart it, or stay in memory.",
    parameters=_PARAMETERS,
    examples=(
        "alongside contract wrap --contract /etc/contract.yaml \\\n"
        "    --template /etc/nginx.conf.j2:/etc/nginx/nginx.conf -- nginx -g 'daemon off;'",
        "WRAP_CONTRACT=/etc/contract.yaml alongside contract wrap -- redis-server",
    ),
    files=(
        promise.File("the contract", "reads", "once, at the start; at most 1 MiB"),
        promise.File("each template", "reads", "once, at the start; at most 1 MiB"),
        promise.File(
            "each target",
            "writes",
            "the filled template; its permission bits stay, a new file has 0644; where it holds a "
            "secret, those of group and others go",
            publication="rename",
        ),
    ),
    signals=(promise.Signal("all", "reach the program, which is the same process"),),
    exits=(
        promise.Exit(0, "the program's own; wrap itself ends with it for `--help` alone"),
        promise.Exit(1, "a file could not be written, or the program not run; nothing started"),
        promise.Exit(2, "wrong usage, environment or template; nothing was started"),
    ),
    failures=_FAILURES,
    precedence=("flag", "variable", "default"),
)
