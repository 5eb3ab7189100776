//! What the store keeps is worth more than what an exact LRU of the same bytes would keep.

use alongside_cache::key::{self, Url};
use alongside_cache::object::{Body, Object};
use alongside_cache::store::{Found, Insert, Offer, Store};
use alongside_policy::caching::vary::VaryNames;
use alongside_policy::caching::{Fields, Meta};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};

static ZEROS: [u8; 16 << 10] = [0; 16 << 10];
const MEMORY_BYTES: u64 = 8 << 20;
const OBJECTS: usize = 20_000;
const REQUESTS: usize = 200_000;
/// One request in so many begins a scan of as many targets that are never asked for again.
const SCAN_EVERY: usize = 2_000;
const SCAN_LENGTH: usize = 500;

/// A seeded sequence (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Zipf(0.9) over the objects, with scans mixed in; scanned ones have numbers from `OBJECTS` on.
fn trace(seed: u64) -> Vec<usize> {
    let mut random = Random(seed);
    let mut sums: Vec<f64> = Vec::with_capacity(OBJECTS);
    for rank in 1..=OBJECTS {
        sums.push(sums.last().copied().unwrap_or(0.0) + (rank as f64).powf(-0.9));
    }
    let mut next_scanned = OBJECTS;
    let mut found = Vec::new();
    for request in 0..REQUESTS {
        if request % SCAN_EVERY == SCAN_EVERY - 1 {
            found.extend(next_scanned..next_scanned + SCAN_LENGTH);
            next_scanned += SCAN_LENGTH;
        }
        let point = (random.next() >> 11) as f64 / (1u64 << 53) as f64 * sums[OBJECTS - 1];
        found.push(sums.partition_point(|sum| *sum < point).min(OBJECTS - 1));
    }
    found
}

fn body_bytes(target: usize) -> usize {
    Random(target as u64).next() as usize % 8192
}

/// An exact LRU by bytes.
#[derive(Default)]
struct Lru {
    order: BTreeMap<u64, usize>,
    entries: HashMap<usize, (u64, u64)>,
    bytes: u64,
    clock: u64,
}

impl Lru {
    /// Ask for a target of that weight and store it if missing; whether it was there.
    fn ask(&mut self, target: usize, weight: u64, capacity: u64) -> bool {
        self.clock += 1;
        let before = self.entries.insert(target, (self.clock, weight));
        self.order.insert(self.clock, target);
        if let Some((asked, _)) = before {
            self.order.remove(&asked);
            return true;
        }
        self.bytes += weight;
        while self.bytes > capacity {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.bytes -= self.entries.remove(&oldest).map_or(0, |(_, weight)| weight);
        }
        false
    }
}

#[test]
fn beats_an_exact_lru_on_popular_targets_mixed_with_scans() {
    let store = Store::new(MEMORY_BYTES, None);
    let meta =
        Meta { arrived_ms: 0, age_ms: 0, lifetime_ms: 1000, date_s: None, always_validate: false, is_shared: false };
    let mut lru = Lru::default();
    let (mut ours, mut theirs) = (0, 0);
    let requests = trace(1);
    for &target in &requests {
        let text = format!("/{target}");
        let mut key = Vec::new();
        key::write(&Url { scheme: "http", host: b"h", target: text.as_bytes() }, b"", &mut key);
        let length = body_bytes(target);
        match store.find(&key, Fields(&[]), &mut Vec::new()) {
            Found::Object(_) => ours += 1,
            _ => {
                let object = Object::new(200, Vec::new(), Body::new(vec![Bytes::from_static(&ZEROS[..length])]), meta);
                let offer = Offer {
                    key: &key,
                    ticket: store.ticket(&key),
                    request: Fields(&[]),
                    vary: VaryNames::default(),
                    object,
                };
                assert!(matches!(store.insert(offer, 0), Insert::Stored(_)));
            }
        }
        // The LRU pays for the bodies alone, so that it holds rather more than we do.
        theirs += usize::from(lru.ask(target, length as u64, store.bytes_max()));
    }
    let ratio = |hits: usize| hits as f64 / requests.len() as f64;
    println!("hit ratio over {} requests: ours {:.4}, exact LRU {:.4}", requests.len(), ratio(ours), ratio(theirs));
    assert!(ours > theirs);
}
