"""Print what pip shall install for development, one requirement a line."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def requirements() -> list[str]:
    """Return every requirement of pyproject.toml, sorted, without duplicates."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    found = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        found += extra
    return sorted(set(found))


if __name__ == "__main__":
    print("\n".join(requirements()))
