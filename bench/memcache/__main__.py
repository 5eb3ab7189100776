"""Measure, and keep what was measured: `python -m bench.memcache`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench.http import figures, machine, ours, servers
from bench.http import load as http_load
from bench.http.__main__ import MEMORY, commit, say
from bench.memcache import arena, cases, contestants, load, report

RESULT = ours.ROOT / "bench" / "results" / "memcache.json"
FAILURES = (http_load.LoadError, ours.BuildError, servers.ServerError, OSError)


def main(words: list[str]) -> int:
    """Run; return 0, or 1 where nothing can be said about the cost."""
    options = _parser().parse_args(words)
    try:
        about, outcomes = _measure(options)
    except FAILURES as error:
        say(f"bench: {error}")
        return 1
    for line in report.lines(outcomes):
        say(line)
    is_whole = not options.case and not options.busy and not options.pinned
    output: Path | None = options.output or (RESULT if is_whole else None)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(report.text(report.result(about, outcomes)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.memcache", description=__doc__)
    names = [case.name for case in cases.CASES]
    parser.add_argument("--rounds", type=int, default=5, help="rounds that must be undisturbed")
    parser.add_argument("--seconds", type=int, default=3, help="length of one run")
    parser.add_argument("--case", action="append", choices=names, help="only this one; repeatable")
    parser.add_argument("--busy", action="store_true", help="keep rounds in which others worked")
    parser.add_argument("--pinned", action="store_true", help="the proxy on a core of its own")
    parser.add_argument("--binary", type=Path, help="the data plane; else the one that was built")
    parser.add_argument("--output", type=Path, help=f"else {RESULT.relative_to(ours.ROOT)}")
    return parser


def _measure(options: argparse.Namespace) -> tuple[report.About, list[arena.Outcome]]:
    binary = ours.binary(options.binary)
    cores = contestants.Cores.pinned() if options.pinned else contestants.Cores.all()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name)
        version = ours.check_build(binary, machine.pair()[0], folder)
        names = contestants.who(binary, folder)
        if figures.OURS not in names:
            say("this build of ours serves no pools: twemproxy is measured alone")
        plan = arena.Plan(
            rounds=options.rounds,
            seconds=options.seconds,
            names=names,
            cores=cores,
            folder=folder,
            binary=binary,
            load=load.compiled(folder),
            is_strict=not options.busy,
        )
        chosen = [case for case in cases.CASES if not options.case or case.name in options.case]
        outcomes = [arena.measure(case, plan, say) for case in chosen]
    about: report.About = {
        "machine": machine.kind(),
        "commit": commit(),
        "build": "release",
        "version": version,
        "peer": f"{report.TITLE} {contestants.version()}",
        "command": f"python -m bench.memcache {' '.join(sys.argv[1:])}".strip(),
        "cores": "the proxy on one, the rest on another" if options.pinned else "unpinned",
    }
    return about, outcomes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
