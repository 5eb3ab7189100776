"""Every dependency is written down with its version and its reason."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from scripts import dependency_table
from tests.meta import test_crates, tree

PAGE = tree.text(Path("docs/dependencies.md"))


def table(mark: str) -> str:
    """Return one of the page's tables: a package and a crate may share a name."""
    return PAGE.partition(f"<!-- {mark} -->")[2].partition(f"<!-- /{mark} -->")[0]


def versions(mark: str) -> dict[str, str]:
    """Return the version in each row of a table."""
    return dict(re.findall(r"^\| `([^`]+)` \| ([^ |]*) ", table(mark), flags=re.M))


def test_every_direct_dependency_has_a_row_and_a_reason() -> None:
    rust = {name for name in dependency_table.rust_direct() if name in locked()}
    assert set(versions("python")) == set(dependency_table.python_direct())
    assert set(versions("rust")) == rust
    for mark in ("python", "rust"):
        reasons = dependency_table.reasons(table(mark))
        assert [name for name, reason in reasons.items() if not reason] == []


@pytest.mark.parametrize("mark", ["python", "rust"])
def test_the_versions_are_those_that_are_held(mark: str) -> None:
    held = locked() if mark == "rust" else dependency_table.constraints()
    told = versions(mark)
    stale = {name: held.get(name) for name, version in told.items() if held[name] != version}
    assert stale == {}, "run scripts/dependency_table.py --write"


def test_what_the_workspace_names_is_used() -> None:
    assert [name for name in dependency_table.rust_direct() if name not in locked()] == []


def test_deny_toml_bans_what_the_meta_test_bans() -> None:
    denied = tomllib.loads(tree.text(Path("deny.toml")))["bans"]["deny"]
    assert {entry["name"] for entry in denied} <= set(test_crates.BANNED_CRATES)


def locked() -> dict[str, str]:
    """Return the version of each crate in Cargo.lock."""
    packages = tomllib.loads(tree.text(Path("Cargo.lock")))["package"]
    return {package["name"]: package["version"] for package in packages}
