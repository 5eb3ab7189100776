"""Every dependency is written down with its version and its reason."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from scripts import dependency_table
from tests.meta import test_crates, tree

PAGE = tree.text(Path("docs/dependencies.md"))


def versions() -> dict[str, str]:
    """Return the version in each row of the page."""
    return dict(re.findall(r"^\| `([^`]+)` \| ([^ |]*) ", PAGE, flags=re.M))


def test_every_direct_dependency_has_a_row_and_a_reason() -> None:
    rust = [name for name in dependency_table.rust_direct() if name in locked()]
    wanted = {*dependency_table.python_direct(), *rust}
    assert set(versions()) == wanted
    assert [name for name, reason in dependency_table.reasons(PAGE).items() if not reason] == []


def test_the_versions_are_those_that_are_held() -> None:
    held = {**locked(), **dependency_table.constraints()}
    stale = {name: held.get(name) for name, version in versions().items() if held[name] != version}
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
