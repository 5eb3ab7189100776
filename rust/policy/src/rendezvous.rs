//! Where misses of one key meet: each key has an order of its shard's replicas, the same in every process.
//!
//! Each replica has a weight for each key, and the heaviest is the first. A replica that comes or goes changes the first
//! place only of the keys that it takes or leaves, and load spreads evenly.
//!
//! # Source
//!
//! Thaler and Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM Transactions on Networking 6(1), 1998. The
//! hash is FNV-1a with 64 bits (Fowler, Noll, Vo), finished by the mixer of splitmix64 (Steele, Lea, Flood, 2014), as
//! FNV alone spreads the last byte badly.

/// The hash of a key or a node's id. It is part of what nodes of one fleet agree on: it must not change within a version of
/// the document.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    mix(fnv)
}

/// Return the place of the replica where a key's misses meet: the first of its order that `is_usable`.
///
/// Args: `key` is the hash of the evaluated key, `nodes` are those of the replicas' ids, in any order. O(n).
pub fn first(key: u64, nodes: &[u64], is_usable: impl Fn(usize) -> bool) -> Option<usize> {
    nodes
        .iter()
        .enumerate()
        .filter(|(at, _)| is_usable(*at))
        .max_by_key(|(_, node)| weight(key, **node))
        .map(|(at, _)| at)
}

/// Return the places of all replicas in a key's order, the first one first. O(n) for each; at most 64, allocates nothing.
pub fn order(key: u64, nodes: &[u64]) -> impl Iterator<Item = usize> {
    let mut seen = 0_u64;
    std::iter::from_fn(move || {
        let at = first(key, &nodes[..nodes.len().min(64)], |at| seen & (1 << at) == 0)?;
        seen |= 1 << at;
        Some(at)
    })
}

// Where two weigh the same, the id decides and not the place: processes list the replicas differently.
fn weight(key: u64, node: u64) -> (u64, u64) {
    (mix(key ^ node), node)
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Vec<u64> {
        (0..count).map(|at| hash(format!("photos-0-{at}").as_bytes())).collect()
    }

    #[test]
    fn hashes_as_it_always_did() {
        assert_eq!(hash(b""), mix(0xcbf2_9ce4_8422_2325));
        // splitmix64 with the seed 0 begins so; FNV's own test has this for "a".
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
        assert_eq!(hash(b"a"), mix(0xaf63_dc4c_8601_ec8c));
    }

    #[test]
    fn gives_each_replica_its_part_of_keys_that_differ_little() {
        for count in 2..=5 {
            let nodes = ids(count);
            for keys in [0..100_000_u64, 7 << 40..(7 << 40) + 100_000] {
                let mut taken = vec![0_u32; count];
                keys.for_each(|key| taken[first(key, &nodes, |_| true).unwrap()] += 1);
                let even = 100_000 / u32::try_from(count).unwrap();
                assert!(taken.iter().all(|&part| part.abs_diff(even) < even / 20), "{taken:?}");
            }
        }
    }

    #[test]
    fn moves_only_the_keys_of_the_replica_that_is_gone_to_the_next_of_their_order() {
        let nodes = ids(4);
        for key in 0..10_000 {
            let list: Vec<usize> = order(key, &nodes).collect();
            for gone in 0..4 {
                let found = first(key, &nodes, |at| at != gone);
                assert_eq!(found, Some(if list[0] == gone { list[1] } else { list[0] }));
            }
        }
    }

    #[test]
    fn orders_by_ids_whatever_place_they_are_listed_at() {
        let nodes = ids(5);
        let turned: Vec<u64> = nodes.iter().rev().copied().collect();
        for key in 0..1_000 {
            let list: Vec<u64> = order(key, &nodes).map(|at| nodes[at]).collect();
            let other: Vec<u64> = order(key, &turned).map(|at| turned[at]).collect();
            assert_eq!(list, other);
            assert_eq!(list.len(), 5);
        }
    }

    #[test]
    fn has_no_place_where_nobody_is_usable() {
        assert_eq!(first(1, &ids(3), |_| false), None);
        assert_eq!(order(1, &[]).next(), None);
    }
}
