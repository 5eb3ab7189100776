"""Measure, and keep what was measured: `python -m bench.http`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.http import arena, cases, figures, load, machine, ours, peers, report, servers

RESULT = ours.ROOT / "bench" / "results" / "http.json"
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
FAILURES = (arena.BusyError, load.LoadError, ours.BuildError, servers.ServerError, OSError)


def main(words: list[str]) -> int:
    """Run; return 0, or 1 where nothing can be said about the cost."""
    options = _parser().parse_args(words)
    try:
        result = _measure(options)
    except FAILURES as error:
        say(f"bench: {error}")
        return 1
    for line in report.lines(result):
        say(line)
    whole = not options.case and not options.busy
    output: Path | None = options.output or (RESULT if whole else None)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(report.text(result))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.http", description=__doc__)
    names = [case.name for case in cases.CASES]
    parser.add_argument("--rounds", type=int, default=5, help="rounds that must be undisturbed")
    parser.add_argument("--seconds", type=int, default=3, help="length of one run")
    parser.add_argument("--case", action="append", choices=names, help="only this one; repeatable")
    parser.add_argument("--busy", action="store_true", help="keep rounds in which others worked")
    parser.add_argument("--binary", type=Path, help="the data plane; else the one that was built")
    parser.add_argument("--prototype", type=Path, help="one more peer: LISTEN UPSTREAM,… [cache]")
    parser.add_argument("--output", type=Path, help=f"else {RESULT.relative_to(ours.ROOT)}")
    return parser


def _measure(options: argparse.Namespace) -> report.Result:
    cores = machine.pair()
    binary = ours.binary(options.binary)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name)
        version = ours.check_build(binary, cores[0], folder)
        plan = arena.Plan(
            rounds=options.rounds,
            seconds=options.seconds,
            cores=cores,
            folder=folder,
            binary=binary,
            prototype=options.prototype and options.prototype.resolve(),
            is_strict=not options.busy,
        )
        chosen = [case for case in cases.CASES if not options.case or case.name in options.case]
        outcomes = [arena.measure(case, plan, say) for case in chosen]
    about = report.About(
        machine=machine.kind(),
        commit=commit(),
        version=version,
        command=_command(options),
        peers={figures.OURS: version, **_peers()},
        rounds=plan.rounds,
        seconds=plan.seconds,
    )
    return report.result(about, outcomes)


def _peers() -> dict[str, str]:
    asked = {cases.NGINX: ("nginx", "-v"), cases.VARNISH: ("varnishd", "-V"), "wrk": ("wrk", "-v")}
    asked[cases.HAPROXY] = ("haproxy", "-v")
    return {name: peers.version(*how) for name, how in asked.items() if peers.is_installed(how[0])}


def _command(options: argparse.Namespace) -> str:
    """Return the command that repeats a run, without what is a place on this machine."""
    words = ["python -m bench.http"]
    words += [f"--case {name}" for name in options.case or ()]
    words += [f"--rounds {options.rounds}", f"--seconds {options.seconds}"]
    words += ["--busy"] if options.busy else []
    return " ".join(words)


def commit() -> str:
    """Return the commit that was measured, marked where the sources have changed since."""
    git = ["git", "-C", str(ours.ROOT)]
    head = subprocess.run(
        [*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=False
    )
    sources = ["rust", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "bench"]
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", *sources],
        capture_output=True,
        text=True,
        check=False,
    )
    name = head.stdout.strip() or "unknown"
    return f"{name} with changes" if changed.stdout.strip() else name


def say(line: str) -> None:
    """Print a line at once, so that a run can be watched."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
