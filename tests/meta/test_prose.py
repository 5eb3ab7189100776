"""What is written is true: links lead somewhere, commands exist, no page speaks of one machine."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.meta import prose, tree


@cache
def goals() -> frozenset[str]:
    """Return the goals of the Makefile."""
    return frozenset(re.findall(r"^([a-z][a-z-]*):", tree.text(Path("Makefile")), flags=re.M))


@cache
def commands() -> frozenset[str]:
    """Return the subcommands that `alongside --help` lists."""
    help_text = subprocess.run(
        [sys.executable, "-m", "alongside", "--help"],
        cwd=tree.ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return frozenset(re.findall(r"^  ([a-z]+) ", help_text.partition("Commands:")[2], flags=re.M))


def test_a_word_stands_in_the_lexicon_once_and_in_its_place() -> None:
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", tree.text(Path("LEXICON.md")), flags=re.M)
    words = [row for row in rows if row not in {"word", "---"}]
    assert len(words) > 50
    assert words == sorted(set(words), key=str.casefold)


def test_links_lead_somewhere() -> None:
    pages = tree.named(".md")
    assert [c for p in pages for c in prose.broken_links(tree.ROOT / p, tree.text(p))] == []


def test_commands_in_code_blocks_exist() -> None:
    complaints = [
        complaint
        for page in tree.named(".md")
        for complaint in prose.unknown_commands(
            page, tree.text(page), goals(), lambda name: name in commands()
        )
    ]
    assert complaints == []


def test_nothing_speaks_of_one_machine() -> None:
    exempt = {Path("tests/meta/prose.py"), Path("tests/meta/test_rules_bite.py")}
    # What is packed says anything by chance.
    sources = [path for path in tree.files() if path not in exempt and path.suffix != ".xz"]
    assert [c for path in sources for c in prose.forbidden_words(path, tree.text(path))] == []


def test_the_manual_goals_are_listed_by_help() -> None:
    listed = re.findall(r"^([a-z][a-z-]*):.*## ", tree.text(Path("Makefile")), flags=re.M)
    assert set(listed) == goals()
