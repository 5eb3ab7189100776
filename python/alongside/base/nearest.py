"""Find the known word that a misspelt one was probably meant to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word most like `word` (letters' case set aside), None where none is near."""
    # Late, because it is only needed to word an error.
    import difflib  # noqa: PLC0415

    by_folded = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word[:200].casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None
