"""Placement promises plans: growth moves keys to the new shard only, order does not matter."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from alongside import native

KEYS = [b"/photos/%d.jpg" % number for number in range(500)]
weights = st.integers(min_value=1, max_value=4)
names = st.from_regex(r"[a-z]{1,8}-[0-9]{1,3}(:[0-9]{1,5})?", fullmatch=True)
shard_lists = st.dictionaries(names, weights, min_size=2, max_size=10)


@given(shard_lists)
def test_a_new_shard_takes_keys_and_no_others_move(named: dict[str, int]) -> None:
    shards = list(named.items())
    newest = len(shards) - 1
    before = native.Placement("ketama", shards[:newest]).shards(KEYS)
    after = native.Placement("ketama", shards).shards(KEYS)
    assert all(new in {old, newest} for old, new in zip(before, after, strict=True))


@given(shard_lists)
def test_ketama_chooses_the_same_name_in_any_order(named: dict[str, int]) -> None:
    shards = sorted(named.items())
    turned = sorted(shards, key=lambda shard: shard[0][::-1])
    assume(shards != turned)
    one, other = (native.Placement("ketama", order).shards(KEYS) for order in (shards, turned))
    assert [shards[index] for index in one] == [turned[index] for index in other]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_key(key: bytes) -> None:
    for function in ("modulo", "ketama"):
        assert native.Placement(function, [("a", 1), ("b", 2)]).shard(key) in {0, 1}
