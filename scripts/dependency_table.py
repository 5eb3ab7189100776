"""Bring docs/dependencies.md up to date: every direct dependency, its version and its size.

In:    pyproject.toml, constraints.txt, cargo's metadata, the environment this runs in.
Out:   the two tables of the page, between their marks; reasons are kept as they were written.
Not:   a reason: a new row has none until somebody writes it, and a meta test says so.
Next:  `python scripts/dependency_table.py --write` after a dependency or a version changed.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "dependencies.md"
Row = tuple[str, str, str, str]


def normal(requirement: str) -> str:
    """Return the name in a requirement, as package indexes compare names."""
    found = re.match(r"[\w.-]+", requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def constraints() -> dict[str, str]:
    """Return the version that constraints.txt holds each package to."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {normal(name): version for name, version in pairs}


def python_direct() -> list[str]:
    """Return the names of the Python packages that we ask for, run time first."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    extras = project["project"]["optional-dependencies"]
    groups = [project["project"]["dependencies"], *extras.values()]
    groups.append(project["build-system"]["requires"])
    return list(dict.fromkeys(normal(line) for group in groups for line in group))


def own_bytes(name: str) -> int:
    """Return the bytes of a package's installed files, compiled caches left out."""
    found = metadata.distribution(name).files or []
    paths = (Path(str(path.locate())) for path in found if "__pycache__" not in path.parts)
    return sum(path.stat().st_size for path in paths if path.is_file())


def brought(name: str, seen: set[str]) -> set[str]:
    """Return a package and everything that installing it brings."""
    if name in seen:
        return seen
    try:
        requires = metadata.distribution(name).requires or []
    except metadata.PackageNotFoundError:
        return seen
    seen.add(name)
    for requirement in requires:
        if "extra ==" not in requirement:
            brought(normal(requirement), seen)
    return seen


def python_rows() -> list[Row]:
    """Return name, version, own size and size with what it brings, for each Python package."""
    versions = constraints()
    return [
        (
            name,
            versions[name],
            shown(own_bytes(name)),
            shown(sum(map(own_bytes, brought(name, set())))),
        )
        for name in python_direct()
    ]


@functools.cache
def cargo_tree(name: str) -> tuple[str, ...]:
    """Return the crates that depending on one brings on this system, with itself."""
    told = subprocess.run(
        ["cargo", "tree", "--locked", "--prefix", "none", "-e", "normal,build,dev", "-p", name],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(sorted({line.split()[0] for line in told.splitlines() if line}))


def rust_direct() -> list[str]:
    """Return the names of the foreign crates in the workspace's table."""
    with (ROOT / "Cargo.toml").open("rb") as file:
        table = tomllib.load(file)["workspace"]["dependencies"]
    return [name for name in table if not name.startswith("alongside-")]


def rust_rows() -> list[Row]:
    """Return name, version, source size and how many crates it brings, for each crate in use."""
    told = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    packages = {package["name"]: package for package in json.loads(told)["packages"]}
    rows = []
    for name in rust_direct():
        if name not in packages:
            continue
        source = Path(packages[name]["manifest_path"]).parent / "src"
        size = sum(path.stat().st_size for path in source.rglob("*.rs"))
        crates = str(len(cargo_tree(name)))
        rows.append((name, packages[name]["version"], shown(size), crates))
    return rows


def shown(size: int) -> str:
    """Return bytes as KiB or MiB, for people."""
    return f"{size / 1024:.0f} KiB" if size < 1024**2 else f"{size / 1024**2:.1f} MiB"


def reasons(page: str) -> dict[str, str]:
    """Return the reason that stands in each row of the page."""
    rows = re.findall(r"^\| `([^`]+)` \|.*\| ([^|]*) \|$", page, flags=re.M)
    return {name: reason.strip() for name, reason in rows}


def render(page: str) -> str:
    """Return the page with both tables made anew."""
    headings = {
        "python": ("version", "own size", "with what it brings", python_rows()),
        "rust": ("version", "source", "crates it brings", rust_rows()),
    }
    for mark, (version, own, all_of_it, rows) in headings.items():
        start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
        before, _, rest = page.partition(start)
        old, _, after = rest.partition(end)
        why = reasons(old)  # of this table alone: a package and a crate may share a name
        lines = [f"| name | {version} | {own} | {all_of_it} | reason |", "|---|---|---|---|---|"]
        lines += [f"| `{n}` | {v} | {s} | {a} | {why.get(n, '')} |" for n, v, s, a in rows]
        page = before + start + "\n".join(lines) + "\n" + end + after
    return page


if __name__ == "__main__":
    made = render(PAGE.read_text())
    if "--write" in sys.argv[1:]:
        PAGE.write_text(made)
    else:
        print(made)
