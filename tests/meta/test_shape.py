"""The tree keeps its shape: sizes, introductions, names."""

from __future__ import annotations

from pathlib import Path

from tests.meta import shape, tree


def rooms() -> list[Path]:
    """Return the file that introduces each Python package and each crate."""
    packages = [path for path in tree.named(".py") if path.match("python/alongside/**/__init__.py")]
    packages += [Path("python/alongside/__init__.py")]
    crates = {path.parent for path in tree.files() if path.match("rust/*/Cargo.toml")}
    firsts = [crate / "src" / name for crate in crates for name in ("lib.rs", "main.rs")]
    return sorted({*packages, *(first for first in firsts if first in tree.files())})


def test_files_fit_in_a_room() -> None:
    sources = tree.named(".py", ".rs", ".sh")
    assert [c for path in sources for c in shape.long_file(path, tree.text(path))] == []


def test_functions_fit_on_a_page() -> None:
    sources = tree.named(".py")
    assert [c for path in sources for c in shape.long_functions(path, tree.text(path))] == []


def test_every_room_introduces_itself() -> None:
    assert rooms()
    assert [c for path in rooms() for c in shape.missing_introduction(path, tree.text(path))] == []


def test_names_say_what_is_inside() -> None:
    assert [c for path in tree.files() for c in shape.empty_name(path)] == []
