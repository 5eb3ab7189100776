//! The process stays as small as the store says: alone in its binary, since it reads the process's memory.

use alongside_cache::key::{self, Url};
use alongside_cache::object::{Body, Object};
use alongside_cache::store::{Offer, Store};
use alongside_policy::caching::vary::VaryNames;
use alongside_policy::caching::{Fields, Meta};
use bytes::Bytes;

const MEMORY_BYTES: u64 = 16 << 20;
const TRAFFIC_BYTES: u64 = 256 << 20;
const CHUNK_BYTES: u64 = 16 << 10;

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// A body in pieces as they come from a socket.
fn body(bytes: u64) -> Body {
    let pieces = (0..bytes.div_ceil(CHUNK_BYTES)).map(|one| CHUNK_BYTES.min(bytes - one * CHUNK_BYTES));
    Body::new(pieces.map(|piece| Bytes::from(vec![1u8; piece as usize])).collect())
}

#[test]
fn much_traffic_leaves_the_process_small() {
    let store = Store::new(MEMORY_BYTES, None);
    let meta =
        Meta { arrived_ms: 0, age_ms: 0, lifetime_ms: 1000, date_s: None, always_validate: false, is_shared: false };
    let before = resident_bytes().unwrap();
    let (mut passed, mut state, mut peak, mut one) = (0, 1u64, 0, 0u64);
    while passed < TRAFFIC_BYTES {
        // Knuth's multiplier; a seeded sequence is enough here.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let random = state >> 33;
        // Phases of only tiny ones and only large ones are the hardest for an allocator.
        let bytes = match (passed / (32 << 20)) % 3 {
            0 => random % 512,
            1 => random % (1 << 20),
            _ if random % 10 == 0 => random % (300 << 10),
            _ => random % 4096,
        };
        let target = format!("/{one}");
        let mut key = Vec::new();
        key::write(&Url { scheme: "http", host: b"h", target: target.as_bytes() }, b"", &mut key);
        let head = format!("HTTP/1.1 200 OK\r\netag: \"{one}\"\r\ncontent-type: image/jpeg\r\n").into_bytes();
        let object = Object::new(200, head, body(bytes), meta);
        let offer =
            Offer { key: &key, ticket: store.ticket(&key), request: Fields(&[]), vary: VaryNames::default(), object };
        store.insert(offer, 0);
        // Head, key and overhead pass as well.
        passed += bytes + 512;
        one += 1;
        if one % 256 == 0 {
            peak = peak.max(resident_bytes().unwrap());
        }
    }
    let growth = peak.max(resident_bytes().unwrap()) - before;
    println!(
        "{one} objects, {} MiB; store says {} KiB, process grew by {} KiB",
        passed >> 20,
        store.weight() >> 10,
        growth >> 10
    );
    assert!(store.weight() > store.bytes_max() * 3 / 4);
    // What an allocator loses between chunks of all sizes is not counted; 3/8 is allowed for it.
    assert!(growth < MEMORY_BYTES * 11 / 8, "{growth}");
}
