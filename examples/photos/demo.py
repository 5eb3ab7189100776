"""Show what a sharded cache buys the photo service, and prove the figures.

In:    photos.yaml; a seed, a number of requests; the `alongside` command.
Out:   progress, three tables, a file of figures on request; 1 where a figure is not as foretold.
Not:   a benchmark: client, caches and service share this machine's cores.
Next:  `alongside up photos.yaml` keeps it running.
"""

import argparse
import asyncio
import collections
import dataclasses
import json
import os
import random
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import report
import stack
import trials
from rich import console, markup, progress

from alongside.base import clock, errors
from alongside.lab import figures, findings, forecast, load, popularity

HERE = Path(__file__).parent
WIDTHS = (160, 240, 320, 480, 640, 800)  # pixels; an object is a photo at a width
EXPONENT = 0.9  # of Zipf's law
ENTRY_BYTES = 1024  # what holding an object takes beside its body: head, key, place in the order
CACHED_S_MAX = 45.0  # of the second phase, so that all ends within 90 s
TIMEOUT_S = 20.0
INTERRUPTED = 130

Sent = tuple[list[load.Record], int]
"""A load's records, and how many pictures the service was asked for meanwhile."""


@dataclasses.dataclass(frozen=True, slots=True)
class Traffic:
    """The requests of the demo: which object each asks for, and the objects' paths by number."""

    law: popularity.Zipf
    seed: int
    paths: list[str]
    trace: list[int]


class Knobs(argparse.Namespace):
    """What the command line says."""

    file: Path
    seconds: float
    requests: int
    connections: int
    seed: int
    json: Path | None
    keep: bool
    trial_seconds: int
    alongside: list[str]


def traffic(photos: list[str], *, seed: int, requests: int) -> Traffic:
    """Return seeded requests over all photos at all widths; which is popular is drawn as well."""
    paths = [f"/photos/{photo}?width={width}" for photo in photos for width in WIDTHS]
    random.Random(seed).shuffle(paths)  # noqa: S311 - a trace to repeat, not a secret
    law = popularity.Zipf(objects=len(paths), exponent=EXPONENT)
    return Traffic(law, seed, paths, law.trace(seed=seed, requests=requests))


def measure(started: stack.Stack, given: Knobs, shown: progress.Progress) -> findings.Findings:
    """Run both phases on a started stack and return what they showed."""
    made = traffic(started.photos(), seed=given.seed, requests=given.requests)
    ledger = load.Ledger()

    def send(name: str, address: stack.Address, seconds_max: float) -> Sent:
        plan = load.Plan(
            host=address.host,
            port=address.port,
            paths=[made.paths[number] for number in made.trace],
            connections=given.connections,
            timeout_s=TIMEOUT_S,
            seconds_max=seconds_max,
        )
        task = shown.add_task(name, total=len(plan.paths))

        def seen(_: load.Record) -> None:
            shown.advance(task)

        before = started.views()
        records = asyncio.run(load.run(plan, ledger=ledger, time=clock.SystemClock(), seen=seen))
        shown.update(task, total=len(records))
        return records, started.views() - before

    straight = send("without cache", started.origin, given.seconds)
    before = started.shards()
    cached = send("with cache", started.cache, CACHED_S_MAX)
    served = {name: node.since(before[name]) for name, node in started.shards().items()}
    found = conclude(started, made, ledger, (straight, cached), served)
    if not given.trial_seconds or started.replicas < 2:
        return found
    # What was sent is warm by now; the rest of the trace is not asked for.
    paths = [made.paths[number] for number in made.trace[: found.cached.load.requests]]
    address = started.cache
    plan = load.Plan(address.host, address.port, paths, given.connections, timeout_s=TIMEOUT_S)
    task = shown.add_task("", total=3)

    def tell(name: str) -> None:
        shown.update(task, description=name)
        shown.advance(task)

    tried = trials.run(started, plan, ledger, after_s=float(given.trial_seconds), tell=tell)
    return dataclasses.replace(found, unnoticed=tried[:-1], alone=tried[-1])


def conclude(
    started: stack.Stack,
    made: Traffic,
    ledger: load.Ledger,
    sent: tuple[Sent, Sent],
    nodes: dict[str, stack.Node],
) -> findings.Findings:
    """Return the figures of both loads beside what the trace foretells."""
    straight, cached = (findings.Phase(figures.summary(records), asked) for records, asked in sent)
    trace = made.trace[: cached.load.requests]  # a load sends from the start, without gaps
    placed = started.placed(made.paths)
    requests = collections.Counter(placed[number] for number in trace)
    keys = collections.Counter(placed[number] for number in set(trace))
    law = made.law
    return findings.Findings(
        traffic=f"{law.objects} objects, Zipf {law.exponent}, seed {made.seed}",
        distinct=len(set(trace)),
        straight=straight,
        cached=cached,
        foretold=forecast.of_shards(
            trace,
            shares=law.probabilities(),
            sizes=held_bytes(made.paths, ledger),
            shards=placed,
            capacity_bytes=started.shard_bytes,
        ),
        shards=[
            findings.Shard(
                name=name,
                replicas=started.replicas,
                keys=keys[at],
                requests=requests[at],
                served=nodes[name].served,
                objects=nodes[name].objects,
                stored_bytes=nodes[name].stored_bytes,
                memory_bytes=nodes[name].memory_bytes,
            )
            for at, name in enumerate(started.shard_names)
        ],
        strays=ledger.mixed_up(),
    )


def held_bytes(paths: list[str], ledger: load.Ledger) -> list[int]:
    """Return what holding each object takes; one that was never asked for is of mean size."""
    known = {path: page.body_bytes for path, page in ledger.pages.items()}
    mean = sum(known.values()) // max(1, len(known))
    return [ENTRY_BYTES + known.get(path, mean) for path in paths]


def show(given: Knobs, found: findings.Findings) -> int:
    """Print the tables and the verdict, write the figures, return the exit code."""
    out = console.Console()
    out.print(report.phases(found), report.shards(found))
    if found.alone is not None:
        out.print(report.trials([*found.unnoticed, found.alone]))
    if given.json is not None:
        given.json.write_text(json.dumps(found.as_json(), indent=2) + "\n")
    problems = found.problems()
    for problem in problems:
        out.print(f"[red]wrong:[/red] {markup.escape(problem)}", soft_wrap=True, highlight=False)
    next_step = (
        f"down --project {stack.PROJECT}" if given.keep else f"up {os.path.relpath(given.file)}"
    )
    word = "It keeps running; to end it:" if given.keep else "To keep it running:"
    out.print(f"{word}\n  {path_to_python()}alongside {next_step}", soft_wrap=True, highlight=False)
    return 1 if problems else 0


def path_to_python() -> str:
    """Return the words that make a shell find this Python first; none where it does already."""
    folder = str(Path(sys.executable).parent)
    return "" if shutil.which("python") == f"{folder}/python" else f"PATH={folder}:$PATH "


def run(given: Knobs) -> int:
    """Run the demo and return its exit code; what it started ends with it unless kept."""
    started = stack.Stack(given.file, given.alongside)
    started.refuse_to_share()
    is_kept = False
    columns = (*progress.Progress.get_default_columns(), progress.TimeElapsedColumn())
    try:
        with progress.Progress(*columns, console=console.Console(stderr=True)) as shown:
            task = shown.add_task("making photos, starting", total=None)
            started.up()
            shown.update(task, total=1, completed=1)
            found = measure(started, given, shown)
        is_kept = given.keep
        return show(given, found)
    finally:
        if not is_kept:
            started.down()


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers in a range."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return int(text)

    return read


def knobs() -> Knobs:
    """Return what the command line says."""
    flags = argparse.ArgumentParser(
        description="Show what a sharded cache buys the photo service.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = flags.add_argument
    add("--file", type=Path, default=HERE / "photos.yaml", help="what to run")
    add("--seconds", type=whole_number(1, 60), default=15, help="longest time without the cache")
    add(
        "--requests", type=whole_number(1, 1_000_000), default=20_000, help="to send with the cache"
    )
    add("--connections", type=whole_number(1, 256), default=16, help="clients at once")
    add(
        "--seed",
        type=whole_number(0, 2**32),
        default=1,
        help="the same seed sends the same requests",
    )
    add(
        "--trial-seconds",
        type=whole_number(0, 60),
        default=8,
        help="how long to look after a kill and a restart; 0 for neither",
    )
    add("--json", type=Path, metavar="FILE", help="write the figures there as well")
    add("--keep", action="store_true", help="leave everything running")
    add(
        "--alongside",
        type=shlex.split,
        metavar="COMMAND",
        default=[sys.executable, "-m", "alongside"],
        help="the command to call",
    )
    return flags.parse_args(namespace=Knobs())


def main() -> int:
    """Run the demo; 130 where it was interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(knobs())
    except (stack.StackError, errors.AlongsideError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
