//! Measure what one lookup costs: `cargo run --release -p alongside-placement --example lookup`.
//!
//! Printed in nanoseconds a key for nginx's functions and twemproxy's at 10, 100 and 1000 shards, the key's hash apart; of
//! several rounds the fastest counts, for what else the machine does only adds.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::expect_used, reason = "it measures and prints")]

use std::hint::black_box;
use std::time::Instant;

use alongside_placement::twemproxy::{Continuum, Distribution, Hash, Server, Signedness, Terms};
use alongside_placement::{Function, Placement, Shard};

const KEYS: usize = 1 << 14;
const ROUNDS: usize = 1000;

fn main() {
    if cfg!(debug_assertions) {
        println!("a debug build measures nothing; add --release");
        return;
    }
    let keys: Vec<[u8; 16]> = (0..KEYS as u128).map(|number| (number * 0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
    for count in [10, 100, 1000] {
        for function in [Function::Modulo, Function::Ketama] {
            let shards: Vec<Shard> = names(count).map(|name| Shard { name, weight: 1 }).collect();
            let placement = Placement::new(function, &shards).expect("the names differ");
            let what = format!("nginx {function:?} {count} shards");
            report(&what, &keys, |key| placement.hash(key), |key| placement.shard(key));
        }
        for distribution in [Distribution::Modula, Distribution::Ketama] {
            let servers: Vec<Server> = names(count).map(|name| Server { name, weight: 1 }).collect();
            let terms = Terms { hash: Hash::Fnv1a_64, signedness: Signedness::Signed, distribution, tag: None };
            let continuum = Continuum::new(terms, &servers).expect("the names differ");
            let what = format!("twemproxy {distribution} {count} servers");
            report(&what, &keys, |key| continuum.hash(key), |key| continuum.server(key, 0));
        }
    }
    for count in [10, 100, 1000] {
        let servers: Vec<Server> = names(count).map(|name| Server { name, weight: 1 }).collect();
        let terms =
            Terms { hash: Hash::Md5, signedness: Signedness::Signed, distribution: Distribution::Ketama, tag: None };
        let continuum = Continuum::new(terms, &servers).expect("the names differ");
        let once = || {
            let start = Instant::now();
            black_box(continuum.among(|index| index > 0));
            start.elapsed()
        };
        let took = (0..ROUNDS / 10).map(|_| once()).min().unwrap_or_default();
        println!("twemproxy ketama {count} servers without one: made anew in {took:?}");
    }
    for hash in Hash::ALL {
        let hash_ns = per_key_ns(&keys, |key| hash.of(key, Signedness::Signed) as usize);
        println!("{:<30} {hash_ns:>5.1} ns", hash.as_str());
    }
}

fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("photos-{number}"))
}

fn report(what: &str, keys: &[[u8; 16]], hash: impl Fn(&[u8]) -> u32, choose: impl Fn(&[u8]) -> usize) {
    let hash_ns = per_key_ns(keys, |key| hash(key) as usize);
    let lookup_ns = per_key_ns(keys, choose) - hash_ns;
    println!("{what:<30} {lookup_ns:>5.1} ns a key, and {hash_ns:.1} ns its hash");
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
