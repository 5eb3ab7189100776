//! What must hold of every list of shards: growth, order, fail-over, balance.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use alongside_placement::{Function, Placement, PlacementError, Shard};
use proptest::prelude::*;

const KEYS: u32 = 400;

fn shards(named: &[(String, u32)]) -> Vec<Shard> {
    named.iter().map(|(name, weight)| Shard { name: name.clone(), weight: *weight }).collect()
}

fn ring(shards: &[Shard]) -> Placement {
    Placement::new(Function::Ketama, shards).unwrap()
}

fn key(number: u32) -> Vec<u8> {
    format!("/photos/{number}.jpg").into_bytes()
}

/// Two to twelve shards with names of several kinds and weights 1 to 4.
fn some_shards() -> impl Strategy<Value = Vec<Shard>> {
    let name = prop_oneof![
        "[a-z]{1,12}-[0-9]{1,3}",
        "10\\.[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9]{1,2}:[1-9][0-9]{1,3}",
        "[ -~]{1,20}"
    ];
    prop::collection::btree_map(name, 1_u32..=4, 2..12)
        .prop_map(|named| shards(&named.into_iter().collect::<Vec<_>>()))
        .prop_shuffle()
        .prop_filter("names that nginx hashes alike", |shards| Placement::new(Function::Ketama, shards).is_ok())
}

/// A quarter of the usual cases, for each asks hundreds of keys.
fn fewer() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / 4, ..usual }
}

proptest! {
    #![proptest_config(fewer())]

    #[test]
    fn growing_moves_keys_to_the_new_shard_only(mut all in some_shards()) {
        let after = ring(&all);
        let newest = all.pop().unwrap();
        let before = ring(&all);
        let weight = all.iter().map(|shard| shard.weight).sum::<u32>();
        let mut moved = 0;
        for number in 0..KEYS {
            let (old, new) = (before.shard(&key(number)), after.shard(&key(number)));
            prop_assert!(new == old || new == all.len(), "a key moved between surviving shards");
            moved += u32::from(new != old);
        }
        // The ideal share, with room for the unevenness of 160 points.
        let ideal = f64::from(KEYS * newest.weight) / f64::from(weight + newest.weight);
        prop_assert!(f64::from(moved) < ideal * 1.6 + 30.0, "{moved} of {KEYS} moved; the ideal is {ideal}");
    }

    #[test]
    fn the_order_of_shards_does_not_matter_to_ketama(all in some_shards(), turn in 0_usize..12, dead in 0_usize..12) {
        let mut turned = all.clone();
        turned.rotate_left(turn % all.len());
        turned[1..].reverse();
        let (one, other) = (ring(&all), ring(&turned));
        let dead = &all[dead % all.len()];
        for number in 0..KEYS {
            let key = key(number);
            prop_assert_eq!(&all[one.shard(&key)], &turned[other.shard(&key)]);
            prop_assert_eq!(
                one.shard_among(&key, |index| all[index] != *dead).map(|index| &all[index]),
                other.shard_among(&key, |index| turned[index] != *dead).map(|index| &turned[index])
            );
        }
    }

    #[test]
    fn a_live_shard_is_found_wherever_there_is_one(
        all in some_shards(), live in prop::collection::vec(any::<bool>(), 12), keys in prop::collection::vec(any::<Vec<u8>>(), 20)
    ) {
        for function in [Function::Modulo, Function::Ketama] {
            let placement = Placement::new(function, &all).unwrap();
            let is_any_live = live[..all.len()].contains(&true);
            for key in &keys {
                let found = placement.shard_among(key, |index| live[index]);
                prop_assert_eq!(found.is_some(), is_any_live);
                prop_assert!(found.is_none_or(|index| live[index]));
                let first = placement.shard(key);
                prop_assert!(first < all.len());
                prop_assert!(!live[first] || found == Some(first), "a live first choice was passed over");
            }
        }
    }

    #[test]
    fn only_keys_of_a_dead_shard_move(all in some_shards(), dead in 0_usize..12) {
        let dead = dead % all.len();
        for function in [Function::Modulo, Function::Ketama] {
            let placement = Placement::new(function, &all).unwrap();
            for number in 0..KEYS {
                let first = placement.shard(&key(number));
                let found = placement.shard_among(&key(number), |index| index != dead);
                prop_assert!(first == dead || found == Some(first));
            }
        }
    }

    #[test]
    fn keys_spread_by_weight(all in some_shards()) {
        let weight = f64::from(all.iter().map(|shard| shard.weight).sum::<u32>());
        for function in [Function::Modulo, Function::Ketama] {
            let placement = Placement::new(function, &all).unwrap();
            let mut counts = vec![0_u32; all.len()];
            (0..KEYS).for_each(|number| counts[placement.shard(&key(number))] += 1);
            for (shard, count) in all.iter().zip(counts) {
                let ideal = f64::from(KEYS * shard.weight) / weight;
                prop_assert!((f64::from(count) - ideal).abs() < ideal * 0.6 + 40.0, "{count} keys; the ideal is {ideal}");
            }
        }
    }
}

/// Return two names of which one point is equal, by search.
fn tie() -> (String, String) {
    let mut seen = std::collections::HashMap::new();
    for port in 10_000..20_000 {
        let name = format!("127.0.0.1:{port}");
        let mut previous = 0_u32;
        for _ in 0..160 {
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(b"127.0.0.1\0");
            hasher.update(port.to_string().as_bytes());
            hasher.update(&previous.to_le_bytes());
            previous = hasher.finalize();
            if let Some(other) = seen.insert(previous, name.clone()).filter(|other| *other != name) {
                return (other, name);
            }
        }
    }
    unreachable!("1.6 million points share none")
}

#[test]
fn of_two_shards_with_one_point_the_lesser_name_keeps_it_in_any_order() {
    let (lesser, greater) = tie();
    let [lesser, greater] = [lesser, greater].map(|name| Shard { name, weight: 1 });
    assert!(lesser.name < greater.name);
    let orders = [[lesser.clone(), greater.clone()], [greater, lesser]];
    let [one, other] = &orders.clone().map(|order| ring(&order));
    for number in 0..20_000 {
        let key = number.to_string();
        assert_eq!(orders[0][one.shard(key.as_bytes())], orders[1][other.shard(key.as_bytes())]);
    }
}

#[test]
fn a_list_that_cannot_be_placed_on_is_refused() {
    type IsExpected = fn(&PlacementError) -> bool;
    let cases: [(&[(&str, u32)], IsExpected); 8] = [
        (&[], |error| *error == PlacementError::Empty),
        (&[("a", 1), ("b", 0)], |error| matches!(error, PlacementError::NoWeight { index: 1, .. })),
        (&[("a", 1), ("a", 1)], |error| matches!(error, PlacementError::SamePlace { index: 1, .. })),
        (&[("a", 1), ("b", 1), ("a:", 1)], |error| matches!(error, PlacementError::SamePlace { index: 2, .. })),
        (&[("UNIX:a", 1), ("a", 1)], |error| matches!(error, PlacementError::SamePlace { .. })),
        (&[("a:b:1", 1), ("a:b:1", 1)], |error| error.index() == Some(1)),
        (&[("a", 65_536), ("b", 1)], |error| *error == PlacementError::TooHeavy { total: 65_537 }),
        (&[("a", u32::MAX), ("b", u32::MAX)], |error| error.index().is_none()),
    ];
    for (named, is_expected) in cases {
        let named: Vec<_> = named.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
        for function in [Function::Modulo, Function::Ketama] {
            let error = Placement::new(function, &shards(&named)).unwrap_err();
            assert!(is_expected(&error), "{named:?}: {error}");
        }
    }
}

#[test]
fn names_that_look_alike_have_places_of_their_own() {
    let named = ["a", "a:1", "a:1:", "a:x1", ":1", "1", "unix:/a", "un:1", ""].map(|name| (name.to_owned(), 1));
    assert!(Placement::new(Function::Ketama, &shards(&named)).is_ok());
}

#[test]
fn a_thousand_shards_are_found_as_by_a_plain_search() {
    let named: Vec<_> = (0..1000).map(|number| (format!("cache-{number}"), 1)).collect();
    let placement = ring(&shards(&named));
    let mut points: Vec<(u32, usize)> = Vec::new();
    for (index, (name, _)) in named.iter().enumerate() {
        let mut previous = 0_u32;
        for _ in 0..160 {
            previous = crc32fast::hash(&[name.as_bytes(), b"\0", &previous.to_le_bytes()].concat());
            points.push((previous, index));
        }
    }
    points.sort_by_key(|&(hash, index)| (hash, &named[index].0));
    for number in 0..20_000_u32 {
        let hash = crc32fast::hash(&number.to_le_bytes());
        let place = points.partition_point(|point| point.0 < hash) % points.len();
        assert_eq!(placement.shard(&number.to_le_bytes()), points[place].1);
    }
}
