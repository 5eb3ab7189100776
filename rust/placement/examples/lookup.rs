//! Measure what one lookup costs: `cargo run --release -p alongside-placement --example lookup`.
//!
//! Printed in nanoseconds a key for both functions at 10, 100 and 1000 shards, the key's CRC-32 apart; of several
//! rounds the fastest counts, for what else the machine does only adds.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::expect_used, reason = "it measures and prints")]

use std::hint::black_box;
use std::time::Instant;

use alongside_placement::{Function, Placement, Shard};

const KEYS: usize = 1 << 14;
const ROUNDS: usize = 1000;

fn main() {
    if cfg!(debug_assertions) {
        println!("a debug build measures nothing; add --release");
        return;
    }
    let keys: Vec<[u8; 16]> = (0..KEYS as u128).map(|number| (number * 0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
    for function in [Function::Modulo, Function::Ketama] {
        for count in [10, 100, 1000] {
            let shards: Vec<Shard> =
                (0..count).map(|number| Shard { name: format!("photos-{number}"), weight: 1 }).collect();
            let placement = Placement::new(function, &shards).expect("the names differ");
            let hash_ns = per_key_ns(&keys, |key| placement.hash(key) as usize);
            let shard_ns = per_key_ns(&keys, |key| placement.shard(key));
            let lookup_ns = shard_ns - hash_ns;
            println!("{function:?} {count:>5} shards: {lookup_ns:>5.1} ns a key, and {hash_ns:.1} ns its CRC-32");
        }
    }
}

/// Return the nanoseconds that one call takes in the fastest round over all keys.
fn per_key_ns(keys: &[[u8; 16]], call: impl Fn(&[u8]) -> usize) -> f64 {
    let round = || {
        let start = Instant::now();
        for key in keys {
            black_box(call(black_box(key)));
        }
        start.elapsed()
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default().as_nanos() as f64 / keys.len() as f64
}
