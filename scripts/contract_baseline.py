"""Keep the promises that were made: schema/contracts holds each component's contract as accepted.

python scripts/contract_baseline.py            say what changed since; 1 where something breaks
python scripts/contract_baseline.py --accept   take today's contracts as the promise from now on

Between two acceptances `make test` refuses what breaks, unless schema/contracts/NAME.waivers.yaml
accepts it with a note. Accepting removes that file: what it told is then part of the promise.
A component whose promise was never released begins anew when its file is removed first.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from alongside.base import errors, files, release
from alongside.contract import catalogue, promise, written
from alongside.contract.compare import shown, waivers, whole

FOLDER = Path(__file__).resolve().parent.parent / "schema" / "contracts"


def now(component: str) -> promise.Contract:
    """Return today's contract of a component."""
    return dataclasses.replace(catalogue.contract_of(component), version=release.version())


def accepted(component: str, folder: Path = FOLDER) -> promise.Contract | None:
    """Return the contract that was accepted last; None where a component is new."""
    path = folder / f"{component}.json"
    content = files.read_if_exists(path, bytes_max=written.BYTES_MAX)
    return None if content is None else written.from_text(content.decode(), path.name)


def verdict(old: promise.Contract, new: promise.Contract, folder: Path = FOLDER) -> waivers.Verdict:
    """Return what changed since a contract was accepted, given its component's waivers."""
    path = waivers_of(old.component, folder)
    content = files.read_if_exists(path, bytes_max=waivers.BYTES_MAX)
    noted = () if content is None else waivers.read(content.decode(), path.name)
    return waivers.judge(whole.compare(old, new), noted)


def waivers_of(component: str, folder: Path = FOLDER) -> Path:
    """Return where what breaks is accepted; there need be no such file."""
    return folder / f"{component}.waivers.yaml"


def told(old: promise.Contract, new: promise.Contract, found: waivers.Verdict) -> list[str]:
    """Return what to print about a component."""
    lines = [line.text for line in shown.lines(old, new, found)]
    place = waivers_of(old.component).name
    lines += [f"{place}: {waivers.refusal(one)}" for one in found.refused]
    lines += [f"{place}: {one.rule} of {one.where} did not happen" for one in found.unused]
    return lines


def main(arguments: list[str]) -> int:
    """Show what changed, or accept it; return the exit code."""
    if arguments not in ([], ["--accept"]):
        print(__doc__, file=sys.stderr)
        return int(errors.ExitCode.USAGE)
    is_compatible = True
    for component in catalogue.NAMES:
        old, new = accepted(component), now(component)
        if old is not None:
            found = verdict(old, new)
            is_compatible = is_compatible and found.is_compatible and not found.unused
            print("\n".join(told(old, new, found)))
    if not is_compatible:
        print("not accepted: something breaks, or a waiver waives nothing", file=sys.stderr)
        return int(errors.ExitCode.FAILED)
    if arguments:
        for component in catalogue.NAMES:
            text = written.to_text(now(component))
            files.write_atomic(FOLDER / f"{component}.json", text.encode(), mode=0o644)
            waivers_of(component).unlink(missing_ok=True)
    return int(errors.ExitCode.DONE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
