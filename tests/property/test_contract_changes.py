"""Any number of edits of a contract is found, and found again when it is undone."""

from __future__ import annotations

import itertools
import random

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.contract.compare import edits, mirrors

from alongside.contract import promise, written
from alongside.contract.compare import whole


def edited(contract: promise.Contract, seed: int) -> promise.Contract:
    """Return a contract after an edit that a seed chooses."""
    count = sum(1 for _ in edits.of(contract))
    at = random.Random(seed).randrange(count)  # noqa: S311 - a choice, not a secret
    return next(itertools.islice(edits.of(contract), at, None)).contract


@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=5))
def test_edits_are_mirrored_when_they_are_undone(seeds: list[int]) -> None:
    contract = edits.FULL
    for seed in seeds:
        contract = edited(contract, seed)
    assume(written.faults(contract) == [])
    assert whole.compare(contract, contract) == ()
    assert mirrors.missing(edits.FULL, contract) == []
