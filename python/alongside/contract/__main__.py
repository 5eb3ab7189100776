"""Write the pages of all contracts into a folder, or check that they are as written.

python -m alongside.contract [--check] docs/contracts
"""

from __future__ import annotations

import sys
from pathlib import Path

from alongside.base import errors, files
from alongside.contract import catalogue, page

_PAGE_BYTES_MAX = 1_000_000
_REMARK = "Written by `python -m alongside.contract docs/contracts`; edit the catalogue."


def stale(folder: Path) -> list[Path]:
    """Return the pages in a folder that differ from their contracts, or are missing."""
    return [
        path
        for path, content in pages(folder).items()
        if files.read_if_exists(path, bytes_max=_PAGE_BYTES_MAX) != content
    ]


def pages(folder: Path) -> dict[Path, bytes]:
    """Return the content of every page by its path."""
    return {folder / f"{name}.md": _page(name).encode() for name in catalogue.NAMES}


def _page(name: str) -> str:
    contract = catalogue.contract_of(name)
    return page.render(contract, title=catalogue.title(name), remark=_REMARK)


def main(arguments: list[str]) -> int:
    """Write or check the pages; return the exit code."""
    is_check = "--check" in arguments
    folders = [Path(argument) for argument in arguments if argument != "--check"]
    if len(folders) != 1:
        sys.stderr.write("usage: python -m alongside.contract [--check] FOLDER\n")
        return int(errors.ExitCode.USAGE)
    if is_check:
        old = stale(folders[0])
        for path in old:
            sys.stderr.write(f"{path} is stale; run python -m alongside.contract {folders[0]}\n")
        return int(errors.ExitCode.FAILED if old else errors.ExitCode.DONE)
    for path, content in pages(folders[0]).items():
        files.write_atomic(path, content, mode=0o644)
    return int(errors.ExitCode.DONE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
