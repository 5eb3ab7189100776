//! What must hold of every pool: the order of its file, ejections, tags, balance, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use alongside_placement::twemproxy::{
    Continuum, ContinuumError, Distribution, Hash, MODULA_WEIGHT_MAX, NAME_BYTES_MAX, Server, Signedness, Terms,
};
use md5::{Digest, Md5};
use proptest::prelude::*;

const KEYS: u32 = 300;

fn terms(distribution: Distribution) -> Terms {
    Terms { hash: Hash::Fnv1a_64, signedness: Signedness::Signed, distribution, tag: None }
}

fn pool(distribution: Distribution, servers: &[Server]) -> Continuum {
    Continuum::new(terms(distribution), servers).unwrap()
}

fn key(number: u32) -> Vec<u8> {
    format!("user:{number}:name").into_bytes()
}

/// Two to twelve servers of several kinds of names.
fn some_servers(weights: std::ops::RangeInclusive<u32>) -> impl Strategy<Value = Vec<Server>> {
    let name = prop_oneof!["[a-z]{1,12}-[0-9]{1,3}", "10\\.0\\.[0-9]{1,2}\\.[0-9]{1,2}:[1-9][0-9]{3}", "[ -~]{1,20}"];
    prop::collection::btree_map(name, weights, 2..12)
        .prop_map(|named| named.into_iter().map(|(name, weight)| Server { name, weight }).collect::<Vec<_>>())
        .prop_shuffle()
}

fn some_hash() -> impl Strategy<Value = Hash> {
    prop::sample::select(&Hash::ALL[..])
}

fn some_signedness() -> impl Strategy<Value = Signedness> {
    prop::sample::select(&[Signedness::Signed, Signedness::Unsigned][..])
}

/// A hash that takes in byte after byte, as the decision defines it, in one plain loop; the key is not empty.
fn plain(hash: Hash, key: &[u8], signedness: Signedness) -> u32 {
    let wide = |byte: u8| match signedness {
        Signedness::Signed => i64::from(byte.cast_signed()).cast_unsigned(),
        Signedness::Unsigned => u64::from(byte),
    };
    let (mut low, mut long) = match hash {
        Hash::Fnv1_32 | Hash::Fnv1a_32 => (2_166_136_261_u32, 0),
        Hash::Fnv1a_64 => (0x8422_2325, 0),
        _ => (0, 0xcbf2_9ce4_8422_2325_u64),
    };
    for &byte in key {
        let (to_64, to_32) = (wide(byte), wide(byte) as u32);
        match hash {
            Hash::Fnv1_64 => long = long.wrapping_mul(0x0100_0000_01b3) ^ to_64,
            Hash::Fnv1a_64 => low = (low ^ to_32).wrapping_mul(0x1b3),
            Hash::Fnv1_32 => low = low.wrapping_mul(16_777_619) ^ to_32,
            Hash::Fnv1a_32 => low = (low ^ to_32).wrapping_mul(16_777_619),
            _ => {
                low = low.wrapping_add(to_32);
                low = low.wrapping_add(low << 10);
                low ^= low >> 6;
            }
        }
    }
    match hash {
        Hash::Fnv1_64 => long as u32,
        Hash::OneAtATime => {
            low = low.wrapping_add(low << 3);
            low ^= low >> 11;
            low.wrapping_add(low << 15)
        }
        _ => low,
    }
}

const FOLDED: [Hash; 5] = [Hash::OneAtATime, Hash::Fnv1_64, Hash::Fnv1a_64, Hash::Fnv1_32, Hash::Fnv1a_32];

proptest! {
    #[test]
    fn eight_bytes_at_once_are_hashed_as_one_after_the_other(
        high in prop::collection::vec(0x80_u8.., 1..40), any in prop::collection::vec(any::<u8>(), 1..40),
        signedness in some_signedness()
    ) {
        for key in [&high, &any, &[high.as_slice(), &any].concat()] {
            for hash in FOLDED {
                prop_assert_eq!(hash.of(key, signedness), plain(hash, key, signedness), "{} of {:?}", hash, key);
            }
        }
    }
}

/// A quarter of the usual cases, for each makes several rings.
fn fewer() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / 4, ..usual }
}

proptest! {
    #![proptest_config(fewer())]

    #[test]
    fn the_order_of_the_file_does_not_matter(all in some_servers(1..=4), turn in 0_usize..12) {
        let mut turned = all.clone();
        turned.rotate_left(turn % all.len());
        turned[1..].reverse();
        for distribution in Distribution::ALL {
            let (one, other) = (pool(distribution, &all), pool(distribution, &turned));
            for number in 0..KEYS {
                let key = key(number);
                prop_assert_eq!(&all[one.server(&key, number)], &turned[other.server(&key, number)]);
            }
        }
    }

    #[test]
    fn a_server_is_chosen_among_the_live_wherever_there_is_one(
        all in some_servers(1..=1000), live in prop::collection::vec(any::<bool>(), 12)
    ) {
        for distribution in Distribution::ALL {
            let Some(left) = pool(distribution, &all).among(|index| live[index]) else {
                prop_assert!(!live[..all.len()].contains(&true));
                continue;
            };
            let points = left.points();
            for number in 0..KEYS {
                let index = left.server(&key(number), number);
                prop_assert!(live[index], "an ejected server was chosen");
                prop_assert!(points[index] > 0, "a server without a point was chosen");
            }
        }
    }

    #[test]
    fn what_is_left_is_the_pool_of_those_who_are_left(all in some_servers(1..=9), gone in 0_usize..12) {
        let gone = gone % all.len();
        let mut others = all.clone();
        others.remove(gone);
        for distribution in Distribution::ALL {
            let left = pool(distribution, &all).among(|index| index != gone).unwrap();
            let smaller = pool(distribution, &others);
            for number in 0..KEYS {
                let key = key(number);
                prop_assert_eq!(&all[left.server(&key, number)], &others[smaller.server(&key, number)]);
            }
        }
    }

    #[test]
    fn those_who_return_have_their_keys_again(all in some_servers(1..=9), gone in 0_usize..12) {
        let whole = pool(Distribution::Ketama, &all);
        let back = whole.among(|index| index != gone % all.len()).unwrap().among(|_| true).unwrap();
        for number in 0..KEYS {
            prop_assert_eq!(whole.server(&key(number), 0), back.server(&key(number), 0));
        }
        prop_assert_eq!(whole.points(), back.points());
    }

    #[test]
    fn of_few_equal_servers_only_keys_of_the_ejected_move(all in some_servers(1..=1), gone in 0_usize..12) {
        let gone = gone % all.len();
        let whole = pool(Distribution::Ketama, &all);
        let left = whole.among(|index| index != gone).unwrap();
        for number in 0..KEYS {
            let (first, then) = (whole.server(&key(number), 0), left.server(&key(number), 0));
            prop_assert!(first == gone || first == then);
        }
    }

    #[test]
    fn keys_spread_by_weight(all in some_servers(1..=4)) {
        let weight = f64::from(all.iter().map(|server| server.weight).sum::<u32>());
        for distribution in [Distribution::Ketama, Distribution::Modula] {
            let terms = Terms { hash: Hash::Md5, ..terms(distribution) };
            let placed = Continuum::new(terms, &all).unwrap();
            let mut counts = vec![0_u32; all.len()];
            (0..KEYS).for_each(|number| counts[placed.server(&key(number), 0)] += 1);
            for (server, count) in all.iter().zip(counts) {
                let ideal = f64::from(KEYS * server.weight) / weight;
                prop_assert!((f64::from(count) - ideal).abs() < ideal * 0.6 + 40.0, "{count} keys; the ideal is {ideal}");
            }
        }
    }

    #[test]
    fn random_chooses_by_its_number_alone(all in some_servers(1..=9), key in any::<Vec<u8>>(), start in any::<u32>()) {
        let placed = pool(Distribution::Random, &all);
        let start = start / 2;
        let mut chosen: Vec<_> = (start..start + all.len() as u32).map(|random| placed.server(&key, random)).collect();
        chosen.sort_unstable();
        prop_assert_eq!(chosen, (0..all.len()).collect::<Vec<_>>());
    }
}

proptest! {
    #[test]
    fn any_bytes_have_a_hash_and_plain_ones_the_same_on_every_processor(
        hash in some_hash(), signedness in some_signedness(), bytes in prop::collection::vec(any::<u8>(), 0..300)
    ) {
        let found = hash.of(&bytes, signedness);
        prop_assert!(hash != Hash::Crc32 || found < 1 << 15);
        if bytes.is_ascii() {
            prop_assert_eq!(hash.of(&bytes, Signedness::Signed), hash.of(&bytes, Signedness::Unsigned));
        }
    }

    #[test]
    fn of_plain_bytes_the_default_is_half_of_the_standard_fnv(key in "[ -~]{1,60}") {
        let standard = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        prop_assert_eq!(Hash::Fnv1a_64.of(key.as_bytes(), Signedness::Signed), standard as u32);
    }

    #[test]
    fn keys_with_one_tag_are_together(
        inside in "[a-z0-9{]{1,20}", around in prop::array::uniform4("[a-z0-9:]{0,10}"), hash in some_hash()
    ) {
        let terms = Terms { hash, tag: Some(*b"{}"), ..terms(Distribution::Ketama) };
        let servers = ["a", "b", "c"].map(|name| Server { name: name.to_owned(), weight: 1 });
        let placed = Continuum::new(terms, &servers).unwrap();
        let [one, other] = [&around[..2], &around[2..]].map(|ends| format!("{}{{{inside}}}{}", ends[0], ends[1]));
        prop_assert_eq!(placed.tagged(one.as_bytes()), inside.as_bytes());
        prop_assert_eq!(placed.hash(one.as_bytes()), hash.of(inside.as_bytes(), Signedness::Signed));
        prop_assert_eq!(placed.server(one.as_bytes(), 0), placed.server(other.as_bytes(), 0));
    }
}

proptest! {
    #[test]
    fn many_keys_have_the_servers_that_each_has_alone(
        all in some_servers(1..=9),
        hash in prop_oneof![Just(Hash::Fnv1a_64), some_hash()],
        signedness in some_signedness(),
        distribution in prop::sample::select(&[Distribution::Ketama, Distribution::Modula][..]),
        tag in prop::option::of(Just(*b"{}")),
        keys in prop::collection::vec(any::<Vec<u8>>(), 0..50),
        gone in 0_usize..12,
    ) {
        let terms = Terms { hash, signedness, distribution, tag };
        let pool = Continuum::new(terms, &all).unwrap();
        for pool in [pool.among(|index| index != gone % all.len()).unwrap(), pool] {
            let mut found = vec![7];
            pool.servers(keys.iter().map(Vec::as_slice), &mut found);
            let alone: Vec<u32> = keys.iter().map(|key| pool.server(key, 0) as u32).collect();
            prop_assert_eq!(&found[1..], alone);
        }
    }
}

/// A ring as it is defined, searched from its start.
fn plain_ring(servers: &[Server], points: &[u32]) -> Vec<(u32, usize)> {
    let mut ring = Vec::new();
    for (index, (server, &count)) in servers.iter().zip(points).enumerate() {
        for number in 0..count / 4 {
            let digest = Md5::digest(format!("{}-{number}", server.name));
            ring.extend(digest.as_chunks::<4>().0.iter().map(|word| (u32::from_le_bytes(*word), index)));
        }
    }
    ring.sort_by_key(|&(hash, index)| (hash, servers[index].name.len(), &servers[index].name));
    ring
}

#[test]
fn a_thousand_servers_are_found_as_by_a_plain_search() {
    let servers: Vec<_> = (0..1000).map(|number| Server { name: format!("cache-{number}"), weight: 1 }).collect();
    let placed = pool(Distribution::Ketama, &servers);
    assert_eq!(placed.points(), vec![160; 1000]);
    let ring = plain_ring(&servers, &placed.points());
    for number in 0..20_000 {
        let hash = placed.hash(&key(number));
        let place = ring.partition_point(|point| point.0 < hash) % ring.len();
        assert_eq!(placed.server(&key(number), 0), ring[place].1);
    }
}

#[test]
fn a_list_that_cannot_be_placed_on_is_refused() {
    type IsExpected = fn(&ContinuumError) -> bool;
    type Case<'c> = (&'c [(&'c str, u32)], Distribution, IsExpected);
    let long = "n".repeat(NAME_BYTES_MAX + 1);
    let cases: [Case; 7] = [
        (&[], Distribution::Ketama, |error| *error == ContinuumError::Empty),
        (&[("a", 1), ("b", 0)], Distribution::Ketama, |error| {
            matches!(error, ContinuumError::NoWeight { index: 1, .. })
        }),
        (&[("a", 1), ("a", 2)], Distribution::Random, |error| {
            matches!(error, ContinuumError::SameName { index: 1, .. })
        }),
        (&[(&long, 1)], Distribution::Ketama, |error| error.index() == Some(0)),
        (&[("a", u32::MAX), ("b", 1)], Distribution::Ketama, |error| error.index().is_none()),
        (&[("a", MODULA_WEIGHT_MAX), ("b", 1)], Distribution::Modula, |error| {
            *error == ContinuumError::TooHeavy { total: (1 << 22) + 1, total_max: 1 << 22 }
        }),
        (&[("a", 0); 65_537], Distribution::Ketama, |error| *error == ContinuumError::TooMany { count: 65_537 }),
    ];
    for (named, distribution, is_expected) in cases {
        let servers: Vec<_> = named.iter().map(|&(name, weight)| Server { name: name.to_owned(), weight }).collect();
        let error = Continuum::new(terms(distribution), &servers).unwrap_err();
        assert!(is_expected(&error), "{error}");
    }
}

#[test]
fn the_largest_weights_that_are_taken_do_not_overflow() {
    let servers = [("a", u32::MAX - 1), ("b", 1)].map(|(name, weight)| Server { name: name.to_owned(), weight });
    assert_eq!(pool(Distribution::Ketama, &servers).points(), [320, 0]);
    let servers =
        [("a", MODULA_WEIGHT_MAX - 1), ("b", 1)].map(|(name, weight)| Server { name: name.to_owned(), weight });
    assert_eq!(pool(Distribution::Modula, &servers).points(), [MODULA_WEIGHT_MAX - 1, 1]);
}
