#![no_main]

#[path = "../src/caches.rs"]
#[allow(dead_code)]
mod caches;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| caches::memcache(bytes));
