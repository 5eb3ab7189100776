"""What the pages show works, and what can be set or refused is in them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import bench_table
from tests.meta import prose, tree

from alongside.resources import reading, texts

BINARY = Path(sys.executable).parent / "alongside-dataplane"
SCHEMA = Path("schema/dataplane.v1.json")


def blocks(language: str) -> list[tuple[str, str]]:
    """Return each code block of a language in any page, with a name for it."""
    return [
        (f"{page}-{number}", block)
        for page in tree.named(".md")
        for number, (found, block) in enumerate(prose.FENCE.findall(tree.text(page)))
        if found == language
    ]


@pytest.mark.parametrize(("name", "block"), blocks("yaml"))
def test_yaml_blocks_are_resources(name: str, block: str) -> None:
    if "apiVersion:" not in block:
        pytest.skip("a fragment")
    assert reading.read([texts.Source(name, str(tree.ROOT), block)]).warnings == ()


@pytest.mark.parametrize(("name", "block"), blocks("json"))
def test_json_blocks_are_documents(name: str, block: str, tmp_path: Path) -> None:
    if "schema" not in json.loads(block):
        pytest.skip("not a document")
    path = tmp_path / "document.json"
    path.write_text(block)
    done = subprocess.run([BINARY, "--check", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{name}: {done.stderr}"


def test_every_field_of_the_document_is_in_its_page() -> None:
    page = tree.text(Path("docs/document.md"))
    schema = json.loads(tree.text(SCHEMA))
    types = [schema, *schema["$defs"].values()]
    names = {name for one in types for name in one.get("properties", {})}
    assert len(names) > 30
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_every_reason_of_a_refusal_is_in_its_page() -> None:
    source = tree.text(Path("rust/protocols/src/refusal.rs"))
    page = tree.text(Path("docs/refusals.md"))
    words = set(re.findall(r'Reason::\w+ => "(\w+)"', source))
    assert words == set(re.findall(r"^\| `(\w+)` \| \d+ ", page, flags=re.M))


def test_the_table_of_costs_is_what_was_measured() -> None:
    page = tree.text(Path("README.md"))
    assert bench_table.render(page, bench_table.read()) == page


def test_a_missed_budget_is_said_to_be_missed() -> None:
    measured: bench_table.Measured = {
        "what": "hit",
        "ratio": 0.61,
        "low": 0.58,
        "high": 0.66,
        "budget": 0.6,
        "unit": "× nginx",
    }
    assert "**missed**" in bench_table.row(measured)
    assert "**missed**" not in bench_table.row({**measured, "ratio": 0.6})
