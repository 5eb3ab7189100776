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
        name="engine",
        kind=promise.Kind.CHOICE,
        description="what runs the pods: processes of this machine, namespaces of their own, "
        "containers of a Docker or Podman engine; auto takes the first of them in which no two "
        "pods need one address",
        example="namespaces",
        default="auto",
        choices=("auto", "process", "namespaces", "docker"),
    ),
    promise.Parameter(
        name="console",
        kind=promise.Kind.ADDRESS,
        description="where the project's page is served, to who has its token; port 0 lets the "
        "system choose one; only this machine's loopback is allowed, since it is not encrypted",
        example="127.0.0.1:9000",
        default="127.0.0.1:0",
        minimum="0",
    ),
    promise.Parameter(
        name="images",
        kind=promise.Kind.PATH,
        description="a YAML file that says which program of this machine stands for an image, as "
        "`example/app: [program, argument]`, where there are no images; a container's own command "
        "comes before it, the annotation `alongside.dev/command.CONTAINER` before both",
        example="images.yaml",
        unset="well-known images and those of alongside stand for their programs",
        is_repeated=True,
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
        description="time for what is not ready to become so; a restart has limits of its own, "
        "and what was told to end has its own time",
        example="1m",
        default="1m",
        minimum="100ms",
        maximum="24h",
    ),
    promise.Parameter(
        name="stop_timeout",
        kind=promise.Kind.DURATION,
        description="time for a pod's process to end after SIGTERM before it is killed, where the "
        "pod has no terminationGracePeriodSeconds; routers and nodes get their cache's "
        "drainTimeout and 5s",
        example="30s",
        default="30s",
        minimum="100ms",
        maximum="1h",
    ),
)

_FAILURES = (
    promise.Failure(
        "A file is empty, has comments alone, or all of them together hold no resource",
        "nothing is started, and nothing that runs is touched: `alongside down` stops it",
        "one line with file and remedy; exit code 2",
    ),
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
        "A container that is an origin has no readinessProbe",
        "it counts as ready when it is started, as in Kubernetes, and may be asked before it "
        "answers: what misses meanwhile is answered with an error",
        "one line with file, line and the probe to add, shown by `up` and `alongside status`",
    ),
    promise.Failure(
        "Two pods, or a pod and a cache, need one address of this machine",
        "with `--engine auto` pods get a network of their own, in namespaces or in Docker; where "
        "this machine allows neither, or with `--engine process`, nothing is started, and nothing "
        "that runs is touched",
        "`up` says which engine it took and why, or one line with file, line, field, both owners "
        "and remedy; exit code 2",
    ),
    promise.Failure(
        "Nothing says which program of this machine stands for an image, where there are none",
        "nothing is started, and nothing that runs is touched",
        "one line with file, line, field and what to write where; exit code 2",
    ),
    promise.Failure(
        "A pod cannot run here: a program, volume, user or limit is missing or not permitted",
        "nothing is started, and nothing that runs is touched",
        "one line for each reason with file, line, field and remedy; exit code 2",
    ),
    promise.Failure(
        "The same project is up with another engine than asked for",
        "it keeps the engine that it has, and nothing is touched; `auto` keeps it too",
        "one line naming both, and `alongside down`; exit code 2",
    ),
    promise.Failure(
        "A Service cannot be served",
        "pods run all the same; it is tried again each second",
        "a warning in `alongside status`",
    ),
    promise.Failure(
        "A Deployment's new pods do not become ready",
        "its old ones serve on, but those that were unready themselves; where no new pod has an "
        "address beside the old ones, they are replaced one by one, and the next only when the "
        "last is ready",
        "`alongside status` shows both; exit code 1 after ready-timeout",
    ),
    promise.Failure(
        "A StatefulSet's pod does not become ready",
        "those after it are not started or replaced until it is",
        "`alongside status` says who waits for whom; exit code 1 after ready-timeout",
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
        "at each moment one of them listens: the new one opens before the old one closes, and who "
        "came to the old one is let in before its process is told to stop. Who comes later waits "
        "for the successor. Only where that process lets nobody in for a second, or Linux is older "
        "than 5.7 and `alongside` not root, are those reset that wait in the old one",
        "no client",
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
        "A node dies, freezes or is started again",
        "routers find that out by themselves and answer from the shard's other replicas, else "
        "from where `fallback` says; who has served starts again within a second, begins empty, "
        "warms up from its siblings, and gets a smaller part of the requests meanwhile",
        "no client; of a frozen node answers up to 2s late. `alongside status`: share, warmth, and "
        "how often it was left",
    ),
    promise.Failure(
        "All replicas of a shard are gone",
        "its requests go where `fallback` says: the origin, the next shard, or nowhere",
        "client: slower answers, or 503. `alongside status` counts what fell back; `alongside "
        "explain` says who would answer now",
    ),
    promise.Failure(
        "A router is killed",
        "routers of a cache share one listening socket, so that new connections are served by the "
        "others, or wait for its successor where it is alone; connections that it had are cut",
        "clients that it was serving: a cut connection. `alongside status` shows the restart",
    ),
    promise.Failure(
        "The ambassador of a pod is killed",
        "it is started again in the pod, after 0.1s at first, while the pod's other containers "
        "run on; the pod counts as unready meanwhile",
        "the pod: cut and refused connections. `alongside status` shows the restart",
    ),
    promise.Failure(
        "A memcached or Redis of a sharded cache dies, freezes or is started again",
        "it begins empty, and routers use it again when it answers a look of theirs; meanwhile its "
        "keys fail at once, or go to the others where `eject` says so",
        "of a command with many keys the others' values come; else `SERVER_ERROR` or `-ERR`, on a "
        "connection that stays. `alongside status` shows who has left it",
    ),
    promise.Failure(
        "A program that a sharded cache stands on, memcached or redis-server, is not installed",
        "nothing is started, and nothing that runs is touched",
        "one line with file, line, field and the command that installs it; exit code 2",
    ),
    promise.Failure(
        "More requests come than `limits` allow",
        "up to `queue` of them wait up to `queueTimeout`; the others are answered at once",
        "client: 503 with `Retry-After`. `alongside_http_shed_total` names the limit",
    ),
    promise.Failure(
        "An answer breaks off in the middle",
        "up to `buffer` nobody was told anything yet, and it is asked for again; a longer one "
        "goes on from another replica or the origin where its ETag is strong, else it is cut",
        "client: a whole answer, or a cut connection. `alongside status` counts what was resumed",
    ),
    promise.Failure(
        "A node does not take a purge",
        "the others forget at once; it is told again, after 0.5s and later every 2s, until it has "
        "forgotten, or its process was replaced, and the others once more after it; however many "
        "do not answer, each is told by itself. Up to 1024 purges are kept for a node, in memory: "
        "they are lost with the supervisor, and the next one begins every process anew, with "
        "nothing to forget",
        "`alongside purge` names who has yet to forget, `alongside status` warns of it; exit code "
        "1 where one was not kept",
    ),
    promise.Failure(
        "`alongside restart` is called, or `up` brings a new version of the data plane",
        "nodes and routers get successors on the same sockets, which serve as soon as their "
        "predecessors let nobody in any more; these finish what they have, for up to "
        "`drainTimeout`. Of a shard one replica "
        "at a time, and the next when the last is warm, or ready for 60s; at most two shards, one "
        "router, one application at once. An application is stopped, then started",
        "no client whose answer or tunnel ends in that time, but of an application's own absence. "
        "The command and `alongside status` show "
        "each step",
    ),
    promise.Failure(
        "A successor fails, or is not ready within 30s",
        "it is ended, and its predecessor serves on; it is tried three times, then the restart "
        "stops and leaves the rest as it was. What of it ends by itself is started as it was, too: "
        "the data plane that something runs is kept until nothing does",
        "`restart` and `up` wait for the end, however long; stderr: the reason, the last log "
        "lines, what runs on and what to mend; exit code 1; a warning in `alongside status`",
    ),
    promise.Failure(
        "Something that is not being restarted fails during a restart",
        "nothing else of its shard, or of its cache's routers, begins until it can be used again; "
        "after 5m, and the longest time that a process may take to stop, the restart stops",
        "`alongside status` says what is waited for; exit code 1 where it stops",
    ),
    promise.Failure(
        "The supervisor ends during a restart",
        "what serves goes on, and the next `up` or `down` finds all incarnations; one that was "
        "about to take over in that moment ends its predecessor and serves by itself, after 2s "
        "also where that one is frozen; the restart is not "
        "resumed: it is asked for again. Where only the command is interrupted, it goes on",
        "exit code 1 of `restart` and `up`; 130 and one line where they are interrupted",
    ),
    promise.Failure(
        "A second restart is asked for",
        "it is refused; what a new version of the data plane needs is restarted after the first",
        "one line with how far the first is; exit code 1. Each command tells of its own restart, "
        "`up` also of one that waits for another",
    ),
    promise.Failure(
        "The supervisor is of another version than the command",
        "it goes on; it takes a new data plane for what it runs, and stays itself as it is",
        "a warning in `alongside status`; `alongside down`, then `up`, replaces it",
    ),
    promise.Failure(
        "A process does not become ready within ready-timeout",
        "it is left running and named",
        "stderr: its name and its last log lines; exit code 1",
    ),
    promise.Failure(
        "A Job fails: more often than its `backoffLimit`, or past its `activeDeadlineSeconds`",
        "what still runs of it is ended in order and stays to be seen; nothing of it starts again "
        "until its file changes",
        "a warning in `alongside status` and the pods' reasons; `up` waits no longer for it: exit "
        "code 1",
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
        "`up` only when its files and all addresses are right: what these processes hold is free. "
        "They get 10s, whatever `drainTimeout` and stop-timeout say, since nobody serves meanwhile",
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
        "that one is told to end with SIGTERM like the rest, and killed after the same time",
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
        "it and all it started are killed: of a pod after its terminationGracePeriodSeconds, else "
        "after stop-timeout; a router or node 5s after its cache's `drainTimeout`",
        "`alongside down` names it",
    ),
    promise.Failure(
        "A router or node ends while answers or tunnels go through it: it is removed or restarted, "
        "or moves to another address",
        "it lets nobody in any more and has `drainTimeout`, as its last document said, for what it "
        "has; then it cuts that and ends. A process of the same name begins when it is gone, but "
        "for a successor on the same sockets: until then who comes to another address waits. "
        "Another `drainTimeout` restarts nothing, and is none of what ends already",
        "client: a whole answer, or a cut connection after that time. `up` and `restart` wait for "
        "it and call it no failure; the process's log says `connections_cut`",
    ),
    promise.Failure(
        "`alongside down` is called, or a supervisor in the foreground is told to end, while "
        "answers or tunnels go through a cache",
        "nobody is let in any more; first routers get `drainTimeout` for what they have, then "
        "nodes, then pods are told to end and get their own time",
        "client: a whole answer, or a cut connection. `alongside down` returns when all is gone. A "
        "second SIGINT or SIGTERM to the foreground kills what is left",
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
    precedence=("flag", "variable", "default"),
    summary="Run what resource files ask for, on this machine",
    promise=(
        "Everything the files ask for runs on this machine, started in the order "
        "they need each other, restarted when they end, stopped in reverse. Changing shards, "
        "replicas, routers, key, function, memory, origin or terms of a sharded cache in the file "
        "and running the command again restarts nothing that stays and fails no request that ends "
        "within the cache's `drainTimeout`, or within 5s where it came from an origin of the files "
        "that goes; with ketama it moves no key between shards that stay. A new node is ready "
        "before a router names it, and a new origin of the file is ready before it is asked. Of "
        "memcache and Redis it is the same, but that a server whose memory changes is started "
        "anew, and holds nothing then. A file with a mistake changes nothing at all.\n\n"
        "In the foreground the command shows a live table and ends everything at SIGINT, or when "
        "its terminal is closed; with "
        "`--detach` a supervisor stays, which `status`, `logs`, `explain`, `purge`, `restart` and "
        "`down` speak to. The files of the state folder are not part of the promise."
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
            "journal, documents, volumes of pods; logs, the supervisor's too, of at most 8Mi each "
            "beside one older copy",
            mode="0700",
            publication="rename",
        ),
        promise.File(
            "`$XDG_RUNTIME_DIR/alongside/PROJECT`",
            "makes, removes",
            "UNIX sockets; without that variable `run` in the state folder",
            mode="0700",
        ),
    ),
    signals=(
        promise.Signal("SIGINT, SIGTERM, SIGHUP", "stops everything in reverse order, then ends"),
        promise.Signal("one of them again", "kills what is left and ends"),
    ),
    exits=(
        promise.Exit(0, "everything was started, or stopped when told to"),
        promise.Exit(1, "something failed to start, to become ready or to be restarted"),
        promise.Exit(
            2, "wrong usage or a wrong file: every mistake is listed, nothing was touched"
        ),
        promise.Exit(3, "an address is taken: nothing was touched"),
    ),
    failures=_FAILURES,
)
