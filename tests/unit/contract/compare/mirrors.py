"""Tell whether what changed is found by a mirror of its rule when it is undone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from alongside.contract.compare import changes, whole

if TYPE_CHECKING:
    from alongside.contract import promise


def missing(old: promise.Contract, new: promise.Contract) -> list[str]:
    """Return the changes, either way, whose opposite is not found at the same place."""
    there, back = whole.compare(old, new), whole.compare(new, old)
    return [*_missing(there, back), *_missing(back, there)]


def _missing(there: Sequence[changes.Change], back: Sequence[changes.Change]) -> list[str]:
    found = {(one.rule.id, _turned(one.where)) for one in back}
    return [
        f"{one.rule.id} at {one.where}"
        for one in there
        if one.rule.mirrors and not any((mirror, one.where) in found for mirror in one.rule.mirrors)
    ]


def _turned(where: str) -> str:
    return re.sub(r"parameter (\S*) -> (\S*)", r"parameter \2 -> \1", where)
