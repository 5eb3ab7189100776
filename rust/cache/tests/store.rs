//! The store keeps its promises: keys apart, variants bounded, memory bounded, purges whole.

use alongside_cache::entry::VARIANTS_MAX;
use alongside_cache::key::{self, Url};
use alongside_cache::object::{Body, Object};
use alongside_cache::store::{Found, Insert, Offer, Store, Ticket};
use alongside_policy::caching::vary::{self, VaryNames};
use alongside_policy::caching::{Fields, Meta};
use bytes::Bytes;
use httparse::Header;
use proptest::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

static ZEROS: [u8; 1 << 20] = [0; 1 << 20];
const MEMORY_BYTES: u64 = 4 << 20;

fn url(target: &str) -> Url<'_> {
    Url { scheme: "http", host: b"h", target: target.as_bytes() }
}

fn key(target: &str, shard_key: &str) -> Vec<u8> {
    let mut out = Vec::new();
    key::write(&url(target), shard_key.as_bytes(), &mut out);
    out
}

/// An object of so many bytes, fresh for a second after 0, marked by the status.
fn object(status: u16, body_bytes: usize) -> Object {
    let body = Body::new(vec![Bytes::from_static(&ZEROS[..body_bytes])]);
    let meta =
        Meta { arrived_ms: 0, age_ms: 0, lifetime_ms: 1000, date_s: None, always_validate: false, is_shared: false };
    Object::new(status, b"HTTP/1.1 200 OK\r\netag: \"a\"\r\n".to_vec(), body, meta)
}

fn vary_names(list: &str) -> VaryNames {
    let fields = [Header { name: "vary", value: list.as_bytes() }];
    vary::names(Fields(&fields)).unwrap_or_default()
}

/// Store an object for a request with this `accept` field.
fn offer(store: &Store, key: &[u8], vary: &str, accept: &str, object: Object, now_ms: u64) -> Insert {
    let fields = [Header { name: "accept", value: accept.as_bytes() }];
    let offer = Offer { key, ticket: store.ticket(key), request: Fields(&fields), vary: vary_names(vary), object };
    store.insert(offer, now_ms)
}

fn put(store: &Store, key: &[u8], object: Object) -> Insert {
    offer(store, key, "", "", object, 0)
}

/// The status that marks what is found for this `accept` field, or why nothing is.
fn find(store: &Store, key: &[u8], accept: &str) -> Result<u16, &'static str> {
    let fields = [Header { name: "accept", value: accept.as_bytes() }];
    match store.find(key, Fields(&fields), &mut Vec::new()) {
        Found::Object(object) => Ok(object.status()),
        Found::VaryMiss(_) => Err("vary-miss"),
        Found::Miss => Err("miss"),
    }
}

#[test]
fn two_shard_keys_of_one_url_never_meet() {
    let store = Store::new(MEMORY_BYTES, None);
    let (french, american) = (key("/", "FR"), key("/", "US"));
    put(&store, &french, object(200, 9));
    assert_eq!(find(&store, &american, ""), Err("miss"));
    put(&store, &american, object(203, 9));
    assert_eq!((find(&store, &french, ""), find(&store, &american, "")), (Ok(200), Ok(203)));
}

#[test]
fn variants_are_chosen_by_the_fields_they_vary_with() {
    let store = Store::new(MEMORY_BYTES, None);
    let key = key("/", "");
    offer(&store, &key, "Accept", "a, b", object(200, 9), 0);
    assert_eq!(find(&store, &key, "a,b"), Ok(200));
    assert_eq!(find(&store, &key, "b"), Err("vary-miss"));
    offer(&store, &key, "accept", "b", object(203, 9), 0);
    assert_eq!((find(&store, &key, "a , b"), find(&store, &key, "b")), (Ok(200), Ok(203)));
    offer(&store, &key, "accept", "b", object(404, 9), 0);
    assert_eq!((find(&store, &key, "a,b"), find(&store, &key, "b")), (Ok(200), Ok(404)));
}

#[test]
fn variants_go_when_the_response_varies_with_other_fields() {
    let store = Store::new(MEMORY_BYTES, None);
    let key = key("/", "");
    offer(&store, &key, "accept", "a", object(200, 9), 0);
    offer(&store, &key, "accept, x", "b", object(203, 9), 0);
    assert_eq!((find(&store, &key, "a"), find(&store, &key, "b")), (Err("vary-miss"), Ok(203)));
}

#[test]
fn ten_thousand_vary_values_leave_few_variants() {
    let store = Store::new(MEMORY_BYTES, None);
    let key = key("/", "");
    let mut stored = 0;
    for one in 0..10_000 {
        let outcome = offer(&store, &key, "accept", &one.to_string(), object(200, 9), 0);
        stored += usize::from(matches!(outcome, Insert::Stored(_)));
    }
    assert_eq!(stored, VARIANTS_MAX);
    assert_eq!(store.counts().too_many_variants.load(Relaxed), 10_000 - VARIANTS_MAX as u64);
    assert_eq!(find(&store, &key, "0"), Ok(200));
    assert_eq!(store.purge(&url("/")), VARIANTS_MAX);
}

#[test]
fn stale_variants_make_room() {
    let store = Store::new(MEMORY_BYTES, None);
    let key = key("/", "");
    for one in 0..VARIANTS_MAX {
        offer(&store, &key, "accept", &one.to_string(), object(200, 9), 0);
    }
    let outcome = offer(&store, &key, "accept", "new", object(203, 9), 2000);
    assert!(matches!(outcome, Insert::Stored(_)));
    assert_eq!((find(&store, &key, "0"), find(&store, &key, "new")), (Err("vary-miss"), Ok(203)));
}

#[test]
fn refuses_what_is_too_large_and_says_so() {
    let store = Store::new(MEMORY_BYTES, None);
    let (small, large) = (key("/small", ""), key("/large", ""));
    put(&store, &large, object(200, 9));
    assert_eq!(put(&store, &large, object(203, (MEMORY_BYTES / 8) as usize + 1)).as_str(), "too-large");
    assert_eq!(find(&store, &large, ""), Ok(200));
    assert_eq!(put(&store, &small, object(203, (MEMORY_BYTES / 8) as usize)).as_str(), "stored");
    assert_eq!(store.counts().too_large.load(Relaxed), 1);
    // Where the limit on one object is loose, the store itself is the limit.
    let store = Store::new(1 << 20, Some(1 << 30));
    let body = || Body::new(vec![Bytes::from_static(&ZEROS[..900 << 10])]);
    let huge = object(200, 9);
    let huge = Object::new(200, Vec::new(), body(), *huge.meta());
    assert_eq!(put(&store, &small, huge).as_str(), "too-large");
    assert!(store.is_empty());
}

#[test]
fn the_oldest_variants_go_where_all_are_too_heavy() {
    let store = Store::new(MEMORY_BYTES, None);
    let key = key("/", "");
    for one in 0..10 {
        let outcome = offer(&store, &key, "accept", &one.to_string(), object(200, 500 << 10), 0);
        assert!(matches!(outcome, Insert::Stored(_)), "{one}");
    }
    assert_eq!((find(&store, &key, "0"), find(&store, &key, "9")), (Err("vary-miss"), Ok(200)));
    assert!(store.weight() <= store.bytes_max());
}

#[test]
fn what_came_later_is_not_replaced_by_what_came_before() {
    let store = Store::new(MEMORY_BYTES, None);
    let key = key("/", "");
    let at = |status, arrived_ms| {
        let old = object(status, 9);
        let meta = Meta { arrived_ms, ..*old.meta() };
        Object::new(status, old.head().to_vec(), old.body().clone(), meta)
    };
    offer(&store, &key, "accept", "a", at(200, 2), 2);
    assert_eq!(offer(&store, &key, "accept", "a", at(203, 1), 2).as_str(), "superseded");
    assert_eq!(offer(&store, &key, "", "a", at(203, 1), 2).as_str(), "superseded");
    assert_eq!(find(&store, &key, "a"), Ok(200));
    assert_eq!(offer(&store, &key, "accept", "b", at(203, 1), 2).as_str(), "stored");
    assert_eq!(offer(&store, &key, "accept", "a", at(404, 2), 2).as_str(), "stored");
    assert_eq!((find(&store, &key, "a"), find(&store, &key, "b")), (Ok(404), Ok(203)));
}

#[test]
fn the_largest_object_can_be_on_its_way_and_be_stored() {
    let check = |memory_bytes: u64, object_bytes_max: Option<u64>| {
        let store = Store::new(memory_bytes, object_bytes_max);
        let largest = store.object_bytes_max();
        // In pieces of a buffer's size.
        let overhead = largest / (16 << 10) * 128 + 128;
        let reserved = store.inflight().try_reserve(largest + overhead);
        assert!(reserved.is_some(), "{memory_bytes} {object_bytes_max:?}");
        let pieces =
            (0..largest).step_by(1 << 20).map(|at| Bytes::from_static(&ZEROS[..(largest - at).min(1 << 20) as usize]));
        let meta = *object(200, 0).meta();
        let outcome = put(&store, &key("/", ""), Object::new(200, Vec::new(), Body::new(pieces.collect()), meta));
        assert_eq!(outcome.as_str(), "stored", "{memory_bytes} {object_bytes_max:?}");
    };
    for memory_bytes in [1 << 20, 16 << 20, 8 << 30] {
        check(memory_bytes, None);
        check(memory_bytes, Some(memory_bytes / 4));
    }
}

#[test]
fn a_purge_reaches_all_shard_keys_and_fills_on_their_way() {
    let store = Store::new(MEMORY_BYTES, None);
    let keys = [key("/a", "FR"), key("/a", "US"), key("/b", "FR")];
    for key in &keys {
        put(&store, key, object(200, 9));
    }
    let ticket = store.ticket(&keys[0]);
    assert_eq!(store.purge(&url("/a")), 2);
    assert_eq!(store.purge(&url("/a")), 0);
    let found: Vec<_> = keys.iter().map(|key| find(&store, key, "")).collect();
    assert_eq!(found, [Err("miss"), Err("miss"), Ok(200)]);
    let late = |ticket: Ticket| Offer {
        key: &keys[0],
        ticket,
        request: Fields(&[]),
        vary: VaryNames::default(),
        object: object(200, 9),
    };
    assert_eq!(store.insert(late(ticket), 0).as_str(), "purged");
    assert_eq!(store.insert(late(store.ticket(&keys[0])), 0).as_str(), "stored");
    assert!(store.remove(&keys[0]));
    assert!(!store.remove(&keys[0]));
}

#[test]
fn a_refreshed_object_replaces_the_old_one_and_shares_its_body() {
    let store = Store::new(MEMORY_BYTES, None);
    let key = key("/", "");
    let Insert::Stored(old) = put(&store, &key, object(200, 1000)) else { panic!("not stored") };
    let weight = store.weight();
    let new = old.refreshed(b"HTTP/1.1 200 OK\r\netag: \"a\"\r\n".to_vec(), *old.meta());
    put(&store, &key, new);
    assert_eq!((store.len(), store.weight()), (1, weight));
    assert_eq!(store.counts().evicted.load(Relaxed), 0);
    assert!(store.inflight().pinned_bytes() >= 1000);
    drop(old);
    assert_eq!(store.inflight().pinned_bytes(), 0);
}

#[test]
fn evicted_objects_that_are_read_stop_new_fills() {
    let store = Store::new(MEMORY_BYTES, None);
    let mut held = Vec::new();
    for one in 0..200 {
        if let Insert::Stored(object) = put(&store, &key(&format!("/{one}"), ""), object(200, 100 << 10)) {
            held.push(object);
        }
    }
    assert!(store.inflight().try_reserve(1).is_none());
    held.clear();
    assert_eq!(store.inflight().pinned_bytes(), 0);
    assert!(store.inflight().try_reserve(store.inflight().bytes_max()).is_some());
}

#[test]
fn threads_that_add_variants_to_one_key_lose_none() {
    let store = Store::new(MEMORY_BYTES, None);
    let key = key("/", "");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, key) = (&store, &key);
            scope.spawn(move || {
                for one in 0..16 {
                    offer(store, key, "accept", &format!("{thread}-{one}"), object(200, 9), 0);
                }
            });
        }
    });
    assert_eq!(store.purge(&url("/")), 64);
}

#[test]
fn another_size_keeps_what_fits() {
    let store = Store::new(MEMORY_BYTES, None);
    for one in 0..30 {
        put(&store, &key(&format!("/{one}"), ""), object(200, 100 << 10));
    }
    let before = store.len();
    assert!(before >= 25 && store.can_resize(2 << 20, None) && store.can_resize(64 << 20, None));
    store.resize(64 << 20, Some(10 << 20));
    assert_eq!((store.len(), store.object_bytes_max()), (before, 10 << 20));
    assert!(store.inflight().try_reserve(9 << 20).is_some());
    store.resize(2 << 20, None);
    assert!(store.len() > 10 && store.weight() <= store.bytes_max(), "{} {}", store.len(), store.weight());
    assert_eq!(
        (store.object_bytes_max(), store.inflight().bytes_max()),
        (256 << 10, (256 << 10) / 16 * 17 + (64 << 10))
    );
    assert_eq!(store.inflight().pinned_bytes(), 0);
    // What left is not in the index any more.
    let purged: usize = (0..30).map(|one| store.purge(&url(&format!("/{one}")))).sum();
    assert!(purged > 10 && store.is_empty());
}

#[test]
fn a_size_that_would_leave_mostly_tables_is_not_taken() {
    let store = Store::new(64 << 20, None);
    for one in 0..30_000 {
        put(&store, &key(&format!("/{one}"), ""), object(200, 9));
    }
    assert!(!store.can_resize(1 << 20, None));
    assert!(!store.can_resize(8 << 30, None), "it would be split otherwise");
    assert!(store.can_resize(32 << 20, None));
}

#[test]
fn all_can_be_forgotten_at_once_with_fills_on_their_way() {
    let store = Store::new(MEMORY_BYTES, None);
    let keys = [key("/a", "FR"), key("/b", "")];
    let held: Vec<_> = keys.iter().map(|key| put(&store, key, object(200, 1000))).collect();
    let ticket = store.ticket(&keys[0]);
    assert_eq!(store.forget_all(), 2);
    assert!(store.is_empty() && store.inflight().pinned_bytes() > 2000);
    drop(held);
    assert_eq!(store.inflight().pinned_bytes(), 0);
    let late =
        Offer { key: &keys[0], ticket, request: Fields(&[]), vary: VaryNames::default(), object: object(200, 9) };
    assert_eq!(store.insert(late, 0).as_str(), "purged");
    put(&store, &keys[0], object(200, 9));
    assert_eq!(store.purge(&url("/a")), 1);
}

#[test]
fn tickets_that_were_taken_together_know_each_purge() {
    let store = Store::new(MEMORY_BYTES, None);
    let tickets = store.tickets();
    store.purge(&url("/a"));
    let insert = |target: &str| {
        let key = key(target, "");
        let ticket = store.ticket_of(&tickets, &key);
        let offer =
            Offer { key: &key, ticket, request: Fields(&[]), vary: VaryNames::default(), object: object(200, 9) };
        store.insert(offer, 0).as_str()
    };
    assert_eq!(insert("/a"), "purged");
    // One other in 1,024 shares its slot.
    assert!((0..3).any(|one| insert(&format!("/{one}")) == "stored"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_weight_stays_within_every_bound(
        sizes in prop::collection::vec(1024u64..8192, 1..8),
        offers in prop::collection::vec((0u32..3000, 0usize..40), 100..800),
    ) {
        let store = Store::new(4096 << 10, None);
        for memory_kib in sizes {
            let memory_bytes = memory_kib << 10;
            if store.can_resize(memory_bytes, None) {
                store.resize(memory_bytes, None);
                prop_assert!(store.bytes_max() < memory_bytes);
            }
            prop_assert!(store.weight() <= store.bytes_max(), "{} of {}", store.weight(), store.bytes_max());
            for (target, size) in &offers {
                put(&store, &key(&format!("/{target}"), ""), object(200, size * size * size * size / 3));
                prop_assert!(store.weight() <= store.bytes_max(), "{} of {}", store.weight(), store.bytes_max());
            }
            prop_assert_eq!(store.inflight().pinned_bytes(), 0);
        }
    }

    #[test]
    fn the_weight_stays_within_the_bound(
        offers in prop::collection::vec((0u32..3000, 0u32..3, 0u32..4, 0usize..40, prop::bool::weighted(0.02)), 1..4000),
        memory_kib in 1024u64..4096,
    ) {
        let store = Store::new(memory_kib << 10, None);
        for (target, shard_key, accept, size, is_purge) in offers {
            let target = format!("/{target}");
            if is_purge {
                store.purge(&url(&target));
                continue;
            }
            let key = key(&target, &shard_key.to_string());
            // Sizes from 0 to 780 KiB, most of them small.
            offer(&store, &key, "accept", &accept.to_string(), object(200, size * size * size * size / 3), 0);
            prop_assert!(store.weight() <= store.bytes_max(), "{} of {}", store.weight(), store.bytes_max());
            prop_assert_eq!(store.inflight().pinned_bytes(), 0);
        }
        for target in 0..3000 {
            store.purge(&url(&format!("/{target}")));
        }
        prop_assert!(store.is_empty());
    }
}
